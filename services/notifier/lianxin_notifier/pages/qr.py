"""The QR code of a station's page, for the wall screen.

Error correction Q: a quarter of it may be lost to glare. The quiet zone is the four modules that ISO/IEC
18004 asks for, drawn white, so that it also reads on a dark screen.
"""

from functools import lru_cache

import segno

QUIET_ZONE = 4  # modules on each side


@lru_cache(maxsize=2048)  # a city's stations: a few kB each
def data_uri(address: str) -> str:
    """A drawing for the `src` of a picture."""
    code = segno.make_qr(address, error="q")
    return str(code.svg_data_uri(border=QUIET_ZONE, dark="#000", light="#fff", lineclass=None))
