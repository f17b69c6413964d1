"""A station's QR code: what a camera reads, on a screen and on a wall."""

from io import BytesIO

import pytest
import resvg_py
import zxingcpp
from PIL import Image, ImageDraw

from lianxin_intake import qr

ADDRESS = "https://intake.example.org/s/S0001"


def read(picture: Image.Image) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(picture.convert("L"))]


def picture_of(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png))


@pytest.mark.parametrize("scale", [2, 10, qr.LARGEST_SCALE])
def test_a_picture_of_any_scale_leads_to_the_address(scale: int) -> None:
    assert read(picture_of(qr.png(ADDRESS, scale))) == [ADDRESS]


def test_the_drawing_leads_to_the_address() -> None:
    drawn = qr.svg(ADDRESS, "金匮街道代表之家").decode()
    assert read(picture_of(bytes(resvg_py.svg_to_bytes(svg_string=drawn, dpi=300)))) == [ADDRESS]


def test_the_drawing_asks_for_nothing_and_names_the_station_whatever_its_name() -> None:
    drawn = qr.svg(ADDRESS, '<script>&"站').decode()
    assert "<title>&lt;script&gt;&amp;" in drawn
    assert not any(word in drawn for word in ("href", "<script", "url(", "<image"))


def test_four_white_modules_lie_round_the_code() -> None:
    picture = picture_of(qr.png(ADDRESS, 1)).convert("L")
    across = picture.size[0]
    inside = (qr.QUIET_ZONE, qr.QUIET_ZONE, across - qr.QUIET_ZONE, across - qr.QUIET_ZONE)
    assert picture.point(lambda grey: 255 - grey).getbbox() == inside


def test_a_code_that_is_pasted_over_by_a_seventh_still_reads() -> None:
    picture = picture_of(qr.png(ADDRESS, 10)).convert("L")
    side = len(qr.modules(ADDRESS))
    patch = round(side * (1 / 7) ** 0.5)
    start = (qr.QUIET_ZONE + (side - patch) // 2) * 10
    ImageDraw.Draw(picture).rectangle((start, start, start + patch * 10, start + patch * 10), fill=255)
    assert read(picture) == [ADDRESS]


def test_a_long_address_makes_a_larger_code() -> None:
    long = f"https://intake.example.org/s/{'S' * 300}"
    assert len(qr.modules(long)) > len(qr.modules(ADDRESS))
    assert read(picture_of(qr.png(long, 4))) == [long]
