"""What is printed for a region, and how much at a time."""

import asyncio
from threading import Event

import pytest

from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import City, Region, Snapshot, Station
from lianxin_intake.printing import MOST_POSTERS, Press, stations_in

DISTRICT = Region("320213", "district", "梁溪区")
STREET = Region("320213001", "street", "扬名街道", "320213")
EMPTY = Region("320213002", "street", "金匮街道", "320213")


def city(stations: int) -> Snapshot:
    made = (Station(f"S{n:03}", f"站{n}", f"320213001{n:06}") for n in reversed(range(stations)))
    elsewhere = Station("X", "江阴站", "320281001001001")
    return Snapshot("1", City("wuxi", "无锡"), stations={one.id: one for one in (elsewhere, *made)})


@pytest.mark.parametrize("region", [DISTRICT, STREET])
def test_a_region_has_the_stations_whose_grids_lie_in_it_by_id(region: Region) -> None:
    assert [one.id for one in stations_in(city(3), region)] == ["S000", "S001", "S002"]


def test_a_region_without_stations_has_no_posters() -> None:
    with pytest.raises(ProblemError) as refused:
        stations_in(city(3), EMPTY)
    assert (refused.value.status, refused.value.code) == (404, "no_stations")


def test_a_region_with_too_many_stations_is_told_how_many_and_what_to_do() -> None:
    assert len(stations_in(city(MOST_POSTERS), DISTRICT)) == MOST_POSTERS
    with pytest.raises(ProblemError) as refused:
        stations_in(city(MOST_POSTERS + 1), DISTRICT)
    assert (refused.value.status, refused.value.code) == (422, "too_many_stations")
    assert str(MOST_POSTERS + 1) in refused.value.title
    assert "street" in refused.value.detail


async def test_one_document_is_drawn_at_a_time_and_who_comes_too_late_is_sent_away() -> None:
    press, go_on, drawing = Press(waiting=1), Event(), []

    def draw() -> bytes:
        drawing.append("begun")
        assert len(drawing) == 1, "two at a time"
        assert go_on.wait(60)
        drawing.clear()
        return b"%PDF"

    first, second = (asyncio.create_task(press.run(draw)) for _ in range(2))
    await asyncio.sleep(0)
    with pytest.raises(ProblemError) as refused:
        await press.run(draw)
    assert (refused.value.status, refused.value.code) == (503, "busy")
    assert int((refused.value.headers or {})["Retry-After"]) > 0
    go_on.set()
    assert await asyncio.gather(first, second) == [b"%PDF"] * 2
    assert await press.run(draw) == b"%PDF"


async def test_a_drawing_that_fails_leaves_the_press_free() -> None:
    press = Press(waiting=0)

    def fail() -> bytes:
        raise ValueError("no ink")

    for _ in range(2):
        with pytest.raises(ValueError, match="no ink"):
            await press.run(fail)
