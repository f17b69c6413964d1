"""What a photo may be, and what is kept of it. Pure: bytes in, two JPEGs out.

What is kept is drawn anew from the pixels, so nothing else of the file survives: no position, no camera, no
hidden payload. All limits hold before the first pixel is decoded.
"""

import io
import warnings
from dataclasses import dataclass

from PIL import Image, ImageOps

MAX_BYTES = 12 * 1024 * 1024
# Longest sides of what is kept, pixels: enough to read a house number; a list on a phone at double density.
LONGEST = 2048
THUMB_LONGEST = 360
# The largest that today's phones take. A baseline JPEG is decoded at a fraction of its size.
MAX_PIXELS = 50_000_000
# What has to be decoded whole: at most 4 bytes each in memory.
MAX_PIXELS_WHOLE = 20_000_000
# A long screenshot is 1 to 18 or so.
MAX_ASPECT = 20
# Pixels in each byte of the file. The flattest photograph has about 60, a file made to blow up thousands.
MAX_PIXELS_PER_BYTE = 200
_SMALL = 1_000_000  # pixels: harmless, however they are packed

_FORMATS = ("JPEG", "PNG", "WEBP")
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif"}
_WHITE = (255, 255, 255)


class BadImage(Exception):
    """These bytes can't be taken as a photo. `code` is for programs, the message says what to do;
    `wrong_type`: they are no image of a kind that is read here."""

    def __init__(self, code: str, message: str, *, wrong_type: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.wrong_type = wrong_type


@dataclass(frozen=True, slots=True)
class Picture:
    """What is kept: a JPEG of `width` × `height` pixels, upright, and a small one of the same."""

    full: bytes
    thumb: bytes
    width: int
    height: int


def picture(raw: bytes) -> Picture:
    """The image in `raw`, made safe. Takes some 0.1 s of a processor for a phone's photo.

    Raises `BadImage`, for limits before anything is decoded.
    """
    _require_kind(raw)
    try:
        with warnings.catch_warnings():
            # Our own limit is lower than the one that Pillow warns of.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return _drawn(raw)
    except BadImage:
        raise
    except Image.DecompressionBombError:
        raise _too_many_pixels(MAX_PIXELS) from None
    except MemoryError:
        raise
    except Exception as error:
        # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error and more for broken files.
        raise BadImage(
            "broken_image", "The image is broken or not complete: send it again, or take another."
        ) from error


def _drawn(raw: bytes) -> Picture:
    image = Image.open(io.BytesIO(raw), formats=_FORMATS)
    _require_limits(image, len(raw))
    image.draft("RGB", (LONGEST, LONGEST))  # JPEG: the smallest fraction that is large enough
    image.load()
    upright = _flat(ImageOps.exif_transpose(image))
    upright.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    small = upright.copy()
    small.thumbnail((THUMB_LONGEST, THUMB_LONGEST), Image.Resampling.LANCZOS)
    return Picture(_jpeg(upright, 85), _jpeg(small, 75), upright.width, upright.height)


def _require_kind(raw: bytes) -> None:
    if raw[4:8] == b"ftyp" and raw[8:12] in _HEIF_BRANDS:
        raise BadImage(
            "heic_not_read", "HEIC and AVIF are not read here: send JPEG, PNG or WebP.", wrong_type=True
        )
    is_webp = raw[:4] == b"RIFF" and raw[8:12] == b"WEBP"
    if not (raw[:3] == b"\xff\xd8\xff" or raw[:8] == b"\x89PNG\r\n\x1a\n" or is_webp):
        raise BadImage("no_image", "This is no image: send JPEG, PNG or WebP.", wrong_type=True)


def _require_limits(image: Image.Image, size: int) -> None:
    width, height = image.size
    whole = image.format != "JPEG" or bool(image.info.get("progressive"))
    most = MAX_PIXELS_WHOLE if whole else MAX_PIXELS
    pixels = width * height
    if pixels > most:
        raise _too_many_pixels(most)
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise BadImage("too_narrow", f"One side is more than {MAX_ASPECT} times the other: cut it.")
    if pixels > _SMALL and pixels > MAX_PIXELS_PER_BYTE * size:
        raise BadImage("too_flat", "There is next to nothing on this image: send a photograph.")


def _too_many_pixels(most: int) -> BadImage:
    return BadImage("too_many_pixels", f"At most {most // 1_000_000} million pixels: make it smaller.")


def _flat(image: Image.Image) -> Image.Image:
    """`image` in plain colours, what is transparent on white."""
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        ground = Image.new("RGB", image.size, _WHITE)
        ground.paste(with_alpha, mask=with_alpha.getchannel("A"))
        return ground
    return image.convert("RGB")


def _jpeg(image: Image.Image, quality: int) -> bytes:
    # A new image: `save` would write what it finds in the old one's `info`.
    plain = Image.frombytes("RGB", image.size, image.tobytes())
    out = io.BytesIO()
    plain.save(out, "JPEG", quality=quality, optimize=True)
    return out.getvalue()
