"""What a photo may be, and that nothing but its picture is kept."""

import io
import struct
import zlib

import pytest
from PIL import Image

from lianxin_intake.attachments import AttachmentIds, upload_of
from lianxin_intake.photos.images import LONGEST, MAX_PIXELS_WHOLE, THUMB_LONGEST, BadImage, picture

GPS = 0x8825
ORIENTATION = 0x0112
MODEL = 0x0110


def image(width: int = 640, height: int = 480, mode: str = "RGB") -> Image.Image:
    return Image.effect_noise((width, height), 60).convert(mode)


def file(of: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    of.save(out, kind, **options)  # type: ignore[arg-type]
    return out.getvalue()


def opened(raw: bytes) -> Image.Image:
    shown = Image.open(io.BytesIO(raw))
    shown.load()
    return shown


def png_of(width: int, height: int) -> bytes:
    """A PNG that says to be `width` × `height` and holds a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def code(raw: bytes) -> str:
    with pytest.raises(BadImage) as told:
        picture(raw)
    return told.value.code


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_what_comes_in_is_kept_as_jpeg_with_a_small_one(kind: str) -> None:
    kept = picture(file(image(), kind))
    assert opened(kept.full).format == opened(kept.thumb).format == "JPEG"
    assert (kept.width, kept.height) == opened(kept.full).size == (640, 480)
    assert max(opened(kept.thumb).size) == THUMB_LONGEST


def test_the_longest_side_is_capped_and_nothing_small_is_blown_up() -> None:
    assert opened(picture(file(image(4000, 3000))).full).size == (LONGEST, 1536)
    small = picture(file(image(100, 50)))
    assert opened(small.full).size == opened(small.thumb).size == (100, 50)


def test_position_camera_and_comments_are_gone() -> None:
    exif = Image.Exif()
    exif[MODEL] = "A phone"
    exif.get_ifd(GPS)[2] = (31.0, 34.0, 8.0)
    raw = file(image(), exif=exif, comment=b"secret note", icc_profile=b"secret profile")
    assert b"A phone" in raw
    kept = picture(raw)
    for one in (kept.full, kept.thumb):
        assert b"Exif" not in one
        assert b"A phone" not in one
        assert b"secret" not in one
        assert dict(opened(one).getexif()) == {}


def test_what_follows_the_image_in_the_file_is_gone() -> None:
    assert b"<script>" not in picture(file(image()) + b"<script>alert(1)</script>").full


def test_a_phone_held_upright_gives_an_upright_picture() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    kept = picture(file(image(640, 480), exif=exif))
    assert (kept.width, kept.height) == opened(kept.full).size == (480, 640)


def test_what_is_transparent_becomes_white() -> None:
    kept = picture(file(Image.new("RGBA", (64, 64), (0, 0, 0, 0)), "PNG"))
    assert opened(kept.full).getpixel((32, 32)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "I;16", "RGBA"])
def test_every_kind_of_colour_is_read(mode: str) -> None:
    raw = file(Image.new(mode, (64, 64)), "PNG")
    assert opened(picture(raw).full).mode == "RGB"


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b"", "no_image"),
        (b"GIF89a" + b"\0" * 50, "no_image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no_image"),
        (b"%PDF-1.7", "no_image"),
        (b"RIFF\0\0\0\0WAVEfmt ", "no_image"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 50, "heic_not_read"),
    ],
)
def test_what_is_no_image_that_is_read_here_is_of_the_wrong_type(raw: bytes, found: str) -> None:
    with pytest.raises(BadImage) as told:
        picture(raw)
    assert (told.value.code, told.value.wrong_type) == (found, True)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_image_is_refused(kind: str) -> None:
    whole = file(image(), kind)
    for length in (16, len(whole) // 2, len(whole) - 40):
        assert code(whole[:length]) == "broken_image"


def test_a_bomb_is_refused_by_what_it_says_before_it_is_decoded() -> None:
    assert code(png_of(60_000, 60_000)) == "too_many_pixels"
    assert code(png_of(MAX_PIXELS_WHOLE // 4000 + 1, 4000)) == "too_many_pixels"
    assert code(png_of(3000, 3000)) == "too_flat"


def test_a_strip_is_refused() -> None:
    assert code(file(image(2100, 100))) == "too_narrow"


def test_an_id_is_good_for_its_channel_alone() -> None:
    ids = AttachmentIds(b"secret")
    photo = ids.of("app", "p1")
    assert photo == ids.of("app", "p1") != ids.of("app", "p2")
    assert ids.of("app", None) != ids.of("app", None)
    assert ids.issued(photo, "app")
    assert not ids.issued(photo, "other")
    assert not AttachmentIds(b"other").issued(photo, "app")
    assert upload_of(photo) == photo.partition(".")[0]


@pytest.mark.parametrize("made_up", ["", "x", "photo-1", "é" * 57, "a" * 500])
def test_what_never_was_an_id_is_none(made_up: str) -> None:
    assert not AttachmentIds(b"secret").issued(made_up, "app")
    assert upload_of(made_up) is None
