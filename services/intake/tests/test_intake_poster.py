"""The poster of a station: what it says, that its code reads, and that it fits whatever its name is."""

from itertools import pairwise

import pypdfium2
import pytest
import zxingcpp
from fontTools.misc import timeTools

from lianxin_intake import poster
from lianxin_intake.poster import Paper, Poster

MM = 72 / 25.4
HOME = Poster("S0001", "金匮街道人大代表之家", "https://intake.example.org/s/S0001")
LONG = Poster("S" * 20, "锡澄协同发展区智能制造基地社区" * 4, f"https://opinions.example.org/s/{'S' * 90}")


def pages_of(pdf: bytes) -> list[pypdfium2.PdfPage]:
    return list(pypdfium2.PdfDocument(pdf))


def text_of(page: pypdfium2.PdfPage) -> str:
    return str(page.get_textpage().get_text_range())


def box_of(page: pypdfium2.PdfPage, wanted: str) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of the first character of `wanted`, points."""
    text = page.get_textpage()
    found = text.search(wanted).get_next()
    assert found is not None, wanted
    left, bottom, right, top = text.get_charbox(found[0])
    return left, bottom, right, top


def read(page: pypdfium2.PdfPage) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(page.render(scale=1.5).to_pil().convert("L"))]


@pytest.mark.parametrize(("paper", "across", "high"), [("a4", 210, 297), ("a3", 297, 420)])
def test_a_poster_has_the_size_of_its_paper(paper: Paper, across: int, high: int) -> None:
    [page] = pages_of(poster.draw([HOME], paper, "x"))
    assert page.get_size() == pytest.approx((across * MM, high * MM), abs=0.5)


@pytest.mark.parametrize("paper", ["a4", "a3"])
@pytest.mark.parametrize("one", [HOME, LONG], ids=["short", "long"])
def test_the_code_on_the_page_leads_to_the_stations_page(one: Poster, paper: Paper) -> None:
    [page] = pages_of(poster.draw([one], paper, "x"))
    assert read(page) == [one.address]


def test_a_poster_says_what_to_do_in_plain_chinese_and_one_line_of_english() -> None:
    [page] = pages_of(poster.draw([HOME], "a4", "x"))
    said = text_of(page)
    for words in ("选民有话说", HOME.name, "扫一扫", "说一说", "看进展", HOME.address, "站点编号 S0001"):
        assert words in said
    assert "tell your people's deputies" in said


def test_the_title_is_the_largest_thing_that_is_written() -> None:
    [page] = pages_of(poster.draw([HOME], "a4", "x"))
    _, bottom, _, top = box_of(page, "选民有话说")
    assert top - bottom > 24 * MM
    _, bottom, _, top = box_of(page, HOME.name)
    assert top - bottom < 12 * MM


@pytest.mark.parametrize("one", [HOME, LONG], ids=["short", "long"])
def test_nothing_leaves_the_paper_or_covers_something_else(one: Poster) -> None:
    [page] = pages_of(poster.draw([one], "a4", "x"))
    text = page.get_textpage()
    lines: dict[float, tuple[float, float]] = {}
    for place in range(text.count_chars()):
        left, bottom, right, top = text.get_charbox(place, loose=False)
        if right > left:
            assert left > 14 * MM
            assert right < 196 * MM
            foot = round(text.get_charbox(place, loose=True)[1])
            low, high = lines.get(foot, (bottom, top))
            lines[foot] = (min(low, bottom), max(high, top))
    # Numbers and the words beside them share a line; all other lines lie apart.
    feet = sorted(lines)
    apart = [
        (lower, upper)
        for lower, upper in pairwise(feet)
        if upper - lower > 4 and lines[lower][1] > lines[upper][0]
    ]
    assert apart == []


def test_the_letters_travel_in_the_document() -> None:
    drawn = poster.draw([HOME], "a4", "x")
    assert b"/FontFile2" in drawn
    assert b"Helvetica" not in drawn
    assert len(drawn) < 100_000


@pytest.mark.parametrize("foreign", ["\U000203b7", "\U0010fffd", "\ue000", "\n", "\x00"], ids=ascii)
def test_a_character_that_the_font_lacks_is_seen_to_be_missing(foreign: str) -> None:
    [page] = pages_of(poster.draw([Poster("S1", f"堃淼{foreign}社区{foreign}", HOME.address)], "a4", "x"))
    assert "堃淼□社区□" in text_of(page)


def test_the_same_poster_is_the_same_bytes_at_another_time(monkeypatch: pytest.MonkeyPatch) -> None:
    first = poster.draw([HOME], "a4", "x")
    now = timeTools.timestampNow() + 3600
    monkeypatch.setattr("fontTools.fontBuilder.timestampNow", lambda: now)
    assert poster.draw([HOME], "a4", "x") == first


def test_what_was_drawn_before_takes_no_letter_away() -> None:
    first = poster.draw([HOME], "a4", "x")
    [page] = pages_of(poster.draw([Poster("S2", "鑫淼桥湾村委会", HOME.address)], "a4", "x"))
    assert "鑫淼桥湾村委会" in text_of(page)
    assert poster.draw([HOME], "a4", "x") == first


def test_each_station_has_its_page_and_its_place_in_the_table_of_contents() -> None:
    other = Poster("S0002", "扬名社区联络站", "https://intake.example.org/s/S0002")
    drawn = poster.draw([HOME, other], "a4", "扬名街道 选民有话说")
    assert [read(page) for page in pages_of(drawn)] == [[HOME.address], [other.address]]
    document = pypdfium2.PdfDocument(drawn)
    assert [entry.get_title() for entry in document.get_toc()] == [HOME.name, other.name]
    assert document.get_metadata_value("Title") == "扬名街道 选民有话说"


def test_the_same_posters_are_the_same_bytes() -> None:
    assert poster.draw([HOME, LONG], "a3", "x") == poster.draw([HOME, LONG], "a3", "x")
