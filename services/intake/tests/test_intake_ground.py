"""The grids around a station, as they are drawn and found. No I/O."""

import json

from lianxin_contracts.registry import City, Grid, Position, Snapshot, Station
from lianxin_intake.ground import MOST_GRIDS, WIDTH, drawing, grid_at, grids_around, metres, middle


def square(west: float, south: float, side: float = 0.01) -> tuple[Position, ...]:
    east, north = west + side, south + side
    return ((west, south), (east, south), (east, north), (west, north), (west, south))


def grid(number: int, ring: tuple[Position, ...] = ()) -> Grid:
    return Grid(f"32021300100{number:04}", f"网格{number}", "320213001001", "320213001", "320213", ring)


def city(*grids: Grid) -> Snapshot:
    return Snapshot("1", City("wuxi", "无锡"), grids={one.id: one for one in grids})


ROW = [grid(number, square(120.3 + number * 0.01, 31.5)) for number in range(40)]


def test_the_stations_own_grid_comes_first_and_then_the_nearest() -> None:
    found = grids_around(city(*ROW), Station("S", "站", ROW[10].id), most=3)
    assert [one.name for one in found] == ["网格10", "网格11", "网格9"] or [one.name for one in found] == [
        "网格10",
        "网格9",
        "网格11",
    ]


def test_where_nothing_has_an_outline_the_grids_of_the_street_can_be_chosen_but_not_drawn() -> None:
    found = grids_around(city(grid(2), grid(1), grid(3)), Station("S", "站", grid(2).id))
    assert [one.name for one in found] == ["网格2", "网格1", "网格3"]
    assert drawing(found) is None


def test_a_station_in_a_grid_that_is_unknown_has_nothing_around_it() -> None:
    assert grids_around(city(*ROW), Station("S", "站", "x")) == []


def test_a_drawing_fills_its_width_and_north_is_up() -> None:
    drawn = drawing([grid(1, square(120.3, 31.5)), grid(2, square(120.3, 31.51))])
    assert drawn is not None
    assert drawn["size"] == [WIDTH, round(WIDTH * 2 / 0.8525)]  # a degree of longitude is shorter: cos 31.5°
    assert [round(value, 2) for value in drawn["bounds"]] == [120.3, 31.5, 120.31, 31.52]
    south, north = drawn["grids"]
    assert south["at"][1] > north["at"][1]
    assert len(south["ring"]) == 10


def test_a_map_of_many_grids_is_small() -> None:
    drawn = drawing(grids_around(city(*ROW), Station("S", "站", ROW[0].id)))
    assert drawn is not None
    assert len(drawn["grids"]) == MOST_GRIDS
    assert len(json.dumps(drawn, ensure_ascii=False).encode()) < 8_000


def test_a_point_lies_in_one_grid_or_in_none() -> None:
    assert grid_at(ROW, 31.505, 120.325) == ROW[2]
    assert grid_at(ROW, 31.6, 120.325) is None
    assert grid_at([grid(1)], 31.505, 120.325) is None


def test_distances_are_in_metres_and_a_middle_is_a_middle() -> None:
    assert round(metres((120.3, 31.5), (120.3, 31.51))) == 1113
    assert round(metres((120.3, 31.5), (120.31, 31.5))) == 949
    assert middle(square(120.0, 31.0, 2.0)) == (121.0, 32.0)
