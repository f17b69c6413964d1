"""The poster 选民有话说 of a station, as PDF: what hangs at the door of a deputies' station.

Drawn in millimetres of an A4 page, and enlarged for A3. Black on white with one accent, so that an office
printer without colour does as well; nothing reaches into the margins where such printers can't print.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from threading import Lock
from typing import Literal

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A3, A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont, TTFontFace
from reportlab.pdfgen.canvas import Canvas

from lianxin_intake import qr
from lianxin_intake.typeface import typeface, writable

Paper = Literal["a4", "a3"]
_SIZES: dict[Paper, tuple[float, float]] = {"a4": A4, "a3": A3}  # points

_MM = A4[1] / 297  # points
_WIDTH, _MARGIN = 210.0, 18.0
_MIDDLE, _WITHIN = _WIDTH / 2, _WIDTH - 2 * _MARGIN

_INK, _GREY, _ACCENT = HexColor(0x1A1A1A), HexColor(0x595959), HexColor(0xA62B1F)
_BLACK, _WHITE = HexColor(0), HexColor(0xFFFFFF)
_FONT = "lianxin-poster"
# There is no bold cut in the wheel: an outline of this share of the size thickens the letters.
_BOLD = 0.03

_TITLE = "选民有话说"
_INVITATION = "身边的事，扫码告诉人大代表"
_STEPS = (
    ("扫一扫", ("用微信或手机相机", "对准上面的二维码")),
    ("说一说", ("写下您想反映的事", "几句话就可以")),
    ("看进展", ("记下查询码，随时能看", "谁在办、办到哪一步")),
)
_BY_HAND = "不方便扫码？请在浏览器里输入："
_NUMBER = "站点编号"
# A straight apostrophe: the curly one is as wide as a Chinese character in a Chinese font.
_ENGLISH = "Scan the code to tell your people's deputies what needs attention, and follow what is done."

# ReportLab finds a font by its name in one table of the process, and the first that is registered stays. So
# one font is registered, and each document puts its own letters into it.
_drawing = Lock()


@dataclass(frozen=True, slots=True)
class Poster:
    """What differs between posters: the station's `id` and `name`, and the `address` behind its code."""

    id: str
    name: str
    address: str


def draw(posters: Sequence[Poster], paper: Paper, title: str) -> bytes:
    """One PDF with a page for each of `posters`; `title` is the document's. The same posters are the same
    bytes. Takes about 5 ms of a processor a page, and 0.3 s and 40 MB more
    the first time: not for the event loop. Safe in threads, one after the
    other."""
    out = BytesIO()
    with _drawing:
        _font().face = TTFontFace(BytesIO(typeface(_characters(posters))))
        # An initial font of our own, else the document names Helvetica too, which is not in it.
        canvas = Canvas(out, pagesize=_SIZES[paper], invariant=1, lang="zh-CN", initialFontName=_FONT)  # type: ignore[arg-type]  # a string: the stub errs
        canvas.setTitle(title)
        canvas.setAuthor("连心 Lianxin")
        for number, poster in enumerate(posters):
            canvas.bookmarkPage(str(number))
            canvas.addOutlineEntry(poster.name, str(number))
            shown = replace(poster, id=writable(poster.id), name=writable(poster.name))
            _page(canvas, shown, _SIZES[paper][1] / A4[1])
            canvas.showPage()
        canvas.save()
    return out.getvalue()


@cache
def _font() -> TTFont:
    font = TTFont(_FONT, BytesIO(typeface("")))
    pdfmetrics.registerFont(font)
    return font


def _characters(posters: Sequence[Poster]) -> Iterator[str]:
    for poster in posters:
        yield from writable(poster.id + poster.name) + poster.address
    yield from _TITLE + _INVITATION + _BY_HAND + _NUMBER + _ENGLISH
    for head, lines in _STEPS:
        yield from head + "".join(lines)


def _page(canvas: Canvas, poster: Poster, enlarged: float) -> None:
    canvas.scale(_MM * enlarged, _MM * enlarged)
    canvas.setFillColor(_ACCENT)
    canvas.rect(_MIDDLE - 15, 276, 30, 1.6, stroke=0, fill=1)
    _centred(canvas, _TITLE, 242, 31, _ACCENT, bold=True)
    _centred(canvas, _INVITATION, 228, 7, _INK)
    _code(canvas, poster.address, bottom=119, side=102)
    _fitted(canvas, poster.name, 104.5, largest=9.5, smallest=6.5)
    for place, (head, lines) in enumerate(_STEPS):
        _step(canvas, str(place + 1), head, lines, left=_MARGIN + 1 + place * (_WITHIN / 3 + 1))
    canvas.setStrokeColor(_GREY)
    canvas.setLineWidth(0.25)
    canvas.line(_MARGIN, 57, _WIDTH - _MARGIN, 57)
    _centred(canvas, _BY_HAND, 47.5, 5, _INK)
    _fitted(canvas, poster.address, 36.5, largest=8, smallest=5)
    _centred(canvas, f"{_NUMBER} {poster.id}", 24, 4.5, _INK)
    _centred(canvas, _ENGLISH, 16, 3.8, _GREY)


def _code(canvas: Canvas, address: str, *, bottom: float, side: float) -> None:
    """The code in a square of `side` with its quiet zone in it."""
    rows = qr.modules(address)
    left, size = _MIDDLE - side / 2, side / (len(rows) + 2 * qr.QUIET_ZONE)
    path = canvas.beginPath()  # one path: apart, neighbours would show hairlines between them
    for down, row in enumerate(rows):
        y = bottom + side - (qr.QUIET_ZONE + down + 1) * size
        for start, end in _runs(row):
            path.rect(left + (qr.QUIET_ZONE + start) * size, y, (end - start) * size, size)
    canvas.setFillColor(_BLACK)
    canvas.drawPath(path, stroke=0, fill=1)
    canvas.setStrokeColor(_ACCENT)
    canvas.setLineWidth(0.6)
    canvas.roundRect(left, bottom, side, side, 3, stroke=1, fill=0)
    canvas.linkURL(address, (left, bottom, left + side, bottom + side), relative=1)


def _runs(row: bytes) -> Iterator[tuple[int, int]]:
    """Where dark modules begin and end."""
    start = row.find(1)
    while start >= 0:
        end = row.find(0, start)
        end = len(row) if end < 0 else end
        yield start, end
        start = row.find(1, end)


def _step(canvas: Canvas, number: str, head: str, lines: Sequence[str], *, left: float) -> None:
    canvas.setFillColor(_ACCENT)
    canvas.circle(left + 5, 87, 5, stroke=0, fill=1)
    _write(canvas, number, left + 5 - _wide(number, 6.5) / 2, 84.7, 6.5, _WHITE, bold=True)
    _write(canvas, head, left + 13, 84.3, 8, _INK, bold=True)
    for down, line in enumerate(lines):
        _write(canvas, line, left, 73.5 - down * 7.5, 5.2, _INK)


def _fitted(canvas: Canvas, text: str, y: float, *, largest: float, smallest: float) -> None:
    """`text` in the middle round the line `y`: smaller where it is long, in two lines where it would be
    smaller than `smallest`, and smaller again where two don't hold it."""
    unit = max(_wide(text, 1), 1)
    size = min(largest, _WITHIN / unit)
    if size >= smallest:
        _centred(canvas, text, y, size, _INK, bold=True)
        return
    # The first line may be short of its end by one character, of which none is wider than its size.
    size = min(smallest, 2 * _WITHIN / (unit + 1))
    first, rest = _broken(text, size)
    _centred(canvas, first, y + 0.45 * size, size, _INK, bold=True)
    _centred(canvas, rest, y - 0.85 * size, size, _INK, bold=True)


def _broken(text: str, size: float) -> tuple[str, str]:
    """The most that fits in one line, and the rest: neither Chinese nor an address has a better place to
    break than any other."""
    end = len(text)
    while _wide(text[:end], size) > _WITHIN:
        end -= 1
    return text[:end], text[end:]


def _centred(canvas: Canvas, text: str, y: float, size: float, colour: Color, *, bold: bool = False) -> None:
    _write(canvas, text, _MIDDLE - _wide(text, size) / 2, y, size, colour, bold=bold)


def _wide(text: str, size: float) -> float:
    return float(pdfmetrics.stringWidth(text, _FONT, size))


def _write(
    canvas: Canvas, text: str, x: float, y: float, size: float, colour: Color, *, bold: bool = False
) -> None:
    """`text` with its first letter's foot at (`x`, `y`), in millimetres."""
    canvas.saveState()  # the way of drawing letters would last beyond this text
    canvas.setFillColor(colour)
    canvas.setStrokeColor(colour)
    canvas.setLineWidth(size * _BOLD)
    canvas.setFont(_FONT, size)
    canvas.drawString(x, y, text, mode=2 if bold else 0)
    canvas.restoreState()
