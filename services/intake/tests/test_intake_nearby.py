"""Similar opinions nearby: which are shown, in which order, and what is told of them. No I/O."""

from datetime import UTC, datetime, timedelta
from typing import Any

from lianxin_contracts.lifecycle import RoundedPlace
from lianxin_contracts.registry import City, Grid, Region, Snapshot, Station, Topic
from lianxin_intake.nearby import family, similar
from lianxin_intake.pages.beside import line, place_of, street_of, topic_words
from lianxin_intake.pages.rendering import Look
from lianxin_intake.projection import Step, Tracked

START = datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
RING = ((120.30, 31.57), (120.31, 31.57), (120.31, 31.58), (120.30, 31.58), (120.30, 31.57))
CITY = Snapshot(
    "1",
    City("wuxi", "无锡"),
    regions={
        "320213": Region("320213", "district", "梁溪区"),
        "320213001": Region("320213001", "street", "金匮街道", "320213"),
    },
    grids={
        "G1": Grid("G1", "网格一", "c", "320213001", "320213"),
        "G2": Grid("G2", "网格二", "c", "320213002", "320213", RING),
    },
    topics={
        "01": Topic("01", "城建", "City"),
        "0101": Topic("0101", "道路", "Roads", "01", words={"路灯": 4.0, "坑": 3.0, "路面": 4.0}),
        "0102": Topic("0102", "绿化", "Greens", "01"),
        "02": Topic("02", "教育", "Education"),
    },
)
STATION = Station("S1", "站", "G1")
HERE = RoundedPlace(31.575, 120.305)


def said(name: str, **more: Any) -> Tracked:
    fields: dict[str, Any] = {
        "topic": "0101",
        "stage": "assigned",
        "street": "320213001",
        "submitted_at": START,
    }
    return Tracked(id=name, sequence=2, opened=True, **fields | more)


def order(*found: Tracked, place: RoundedPlace | None = HERE) -> list[str]:
    return [near.opinion for near in similar(found, "0101", place, CITY)]


def test_alike_are_the_topics_of_one_first_level() -> None:
    assert family(CITY, "0101") == family(CITY, "01") == ("01", "0101", "0102")
    assert family(CITY, "x") == ()


def test_the_very_topic_comes_first_then_the_nearest_then_the_newest() -> None:
    found = (
        said("other topic", topic="0102", near=HERE),
        said("old"),
        said("new", submitted_at=START + timedelta(days=1)),
        said("near", near=RoundedPlace(31.576, 120.305)),
    )
    assert order(*found) == ["near", "new", "old"]


def test_what_is_far_away_over_or_erased_is_not_shown() -> None:
    assert order(said("far", near=RoundedPlace(31.6, 120.305))) == []
    assert order(said("far", near=RoundedPlace(31.6, 120.305)), place=None) == ["far"]
    assert order(said("closed", stage="closed"), said("erased", erased=True), said("gone", topic="x")) == []


def test_one_line_tells_topic_street_distance_stage_and_day() -> None:
    (near,) = similar([said("o", near=RoundedPlace(31.577, 120.305))], "0101", HERE, CITY)
    assert line(near, Look(), CITY) == (
        "道路 · 梁溪区金匮街道 · 约 200 米 · 已交给代表 · 2026年11月20日（星期五）提出"
    )
    assert line(near, Look("en"), CITY).startswith("Roads · 梁溪区金匮街道 · about 200 m away")


def test_a_line_tells_nothing_of_what_is_not_for_everybody() -> None:
    secret = said(
        "o", grid="G-SECRET", holder="D-SECRET", timeline=(Step(START, "opinion.submitted", "P-SECRET"),)
    )
    (near,) = similar([secret], "0101", None, CITY)
    assert "SECRET" not in line(near, Look(), CITY) + repr(near)


def test_one_looks_where_the_grid_is_or_the_place_or_else_around_the_station() -> None:
    assert street_of(CITY, STATION, "G2", None) == "320213002"
    assert street_of(CITY, STATION, None, HERE) == "320213002"
    assert street_of(CITY, STATION, None, RoundedPlace(0, 0)) == "320213001"
    assert street_of(CITY, STATION, "x", None) == "320213001"


def test_a_place_is_rounded_before_it_is_used() -> None:
    assert place_of({"lat": "31.123456", "lon": "120.987654"}) == RoundedPlace(31.123, 120.988)
    assert place_of({"lat": "x", "lon": "120"}) is None


def test_words_of_topics_are_grouped_by_weight_in_the_pages_language() -> None:
    rows = {row[0]: row for row in topic_words(CITY, Look("en"))}
    assert rows["0101"] == ["0101", "Roads", "01", {"3": "坑", "4": "路灯 路面"}]
    assert rows["01"] == ["01", "City", "", {}]
