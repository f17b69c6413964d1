"""The QR code of an address, for screens and for print.

Error correction is Q or better: a quarter of the code may be scratched, wet or pasted over. The quiet zone is
the four modules that ISO/IEC 18004 asks for, drawn white, so that the code also reads on a dark page.
"""

from functools import lru_cache
from io import BytesIO

import segno

QUIET_ZONE = 4  # modules on each side
# A picture of 40 pixels a module is 1,640 wide: 14 cm at 300 dots an inch.
LARGEST_SCALE = 40

Rows = tuple[bytes, ...]


@lru_cache(maxsize=2048)  # a city's stations: about 4 kB each
def _code(address: str) -> segno.QRCode:
    return segno.make_qr(address, error="q")


def svg(address: str, title: str) -> bytes:
    """A drawing of one millimetre a module, that scales to any size; `title` is what a screen reader says."""
    out = BytesIO()
    _code(address).save(
        out, kind="svg", border=QUIET_ZONE, unit="mm", dark="#000", light="#fff", title=title, lineclass=None
    )
    return out.getvalue()


def png(address: str, scale: int) -> bytes:
    """A picture of `scale` (1..`LARGEST_SCALE`) pixels a module."""
    out = BytesIO()
    _code(address).save(out, kind="png", border=QUIET_ZONE, scale=scale, dark="#000", light="#fff")
    return out.getvalue()


def data_uri(address: str) -> str:
    """A drawing for the `src` of a picture. Nothing of it is kept: the address may hold a tracking code."""
    code = segno.make_qr(address, error="q")
    return code.svg_data_uri(border=QUIET_ZONE, dark="#000", light="#fff", lineclass=None)


def modules(address: str) -> Rows:
    """The code without its quiet zone: rows from the top, a byte a module, 1 dark and 0 light."""
    return tuple(bytes(row) for row in _code(address).matrix)
