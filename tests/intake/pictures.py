"""Photographs made by hand, for tests."""

import io

from PIL import Image, ImageDraw

GPS = 0x8825


def photograph(width: int = 1200, height: int = 1600, kind: str = "JPEG", shade: int = 90) -> bytes:
    """A picture with something on it, and with the place where it was taken. `shade` tells two apart."""
    image = Image.effect_noise((width, height), 30).convert("RGB")
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, height // 2, width, height), fill=(shade, 60, 40))
    pen.ellipse((width // 4, height // 8, width // 2, height // 3), fill=(250, 220, 90))
    exif = Image.Exif()
    exif.get_ifd(GPS)[2] = (31.0, 34.0, 8.0)
    out = io.BytesIO()
    image.save(out, kind, exif=exif)
    return out.getvalue()
