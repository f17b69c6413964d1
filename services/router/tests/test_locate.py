from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.router.tests.small_city import (
    BRIDGE_GRID,
    EAST,
    HILL,
    LAKE,
    OTHER_WILLOW_GRID,
    PEACH,
    PEACH_GRID,
    PEACH_GRID_2,
    RIVER,
    WILLOW,
    WILLOW_GRID,
    a_city,
    centre,
)

from lianxin_contracts.inbound import Place
from lianxin_router.domain.ports import Clues
from lianxin_router.routing.coordinates import bd09_of_gcj02, gcj02_of_wgs84
from lianxin_router.routing.locate import Located, locate

CITY = a_city()
METRE = 1 / 111_320  # degrees of latitude


def where(text: str = "坏了", **clues) -> Located:
    return locate(Clues(text=text, **clues), CITY)


def codes(found: Located) -> set[str]:
    return {reason.code for reason in found.evidence}


def test_a_grid_code_is_trusted_before_everything_else():
    lat, lon = centre(PEACH_GRID)
    found = where("石桥村", grid=WILLOW_GRID, place=Place(lat, lon), station="S3")
    assert (found.grid, found.by, found.confidence) == (WILLOW_GRID, "grid", 1.0)


def test_coordinates_are_trusted_before_the_station():
    lat, lon = centre(PEACH_GRID)
    assert (where(place=Place(lat, lon), station="S1").grid) == PEACH_GRID


def test_the_station_is_trusted_before_the_text():
    assert where("桃园社区", station="S1").grid == WILLOW_GRID


def test_the_text_decides_where_nothing_else_is_known():
    found = where("石桥村的桥塌了")
    assert (found.grid, found.by, found.street, found.district) == (BRIDGE_GRID, "text", HILL, EAST)


def test_a_point_from_a_chinese_map_lies_in_the_same_grid():
    gcj02 = gcj02_of_wgs84(centre(WILLOW_GRID))
    assert where(place=Place(*gcj02, "gcj02")).grid == WILLOW_GRID
    assert where(place=Place(*bd09_of_gcj02(gcj02), "bd09")).grid == WILLOW_GRID


def test_the_coordinate_system_of_the_source_is_kept():
    found = where(place=Place(*gcj02_of_wgs84(centre(WILLOW_GRID)), "gcj02"))
    assert found.evidence[0].values["crs"] == "gcj02"


def test_a_point_on_the_edge_of_two_grids_belongs_to_the_lower_code():
    assert where(place=Place(31.005, 120.01)).grid == WILLOW_GRID


def test_a_point_just_outside_the_last_grid_still_belongs_to_it():
    found = where(place=Place(31 - 10 * METRE, 120.005))
    assert found.grid == WILLOW_GRID
    assert found.evidence[0].code == "near_grid"
    assert found.evidence[0].values["metres"] == "10"


def test_a_point_far_outside_is_left_out_and_the_station_decides():
    found = where(place=Place(30.9, 120.005), station="S1")
    assert (found.grid, found.by, found.tried) == (WILLOW_GRID, "station", ("coordinates",))


def test_what_is_recorded_holds_no_coordinates():
    found = where(place=Place(31.0051234, 120.0051234))
    assert "0051" not in repr(found.recorded())


@pytest.mark.parametrize(
    ("clues", "tried"),
    [
        ({"grid": "999"}, "grid"),
        ({"station": "S9"}, "station"),
        ({"place": Place(nan, nan)}, "coordinates"),
        ({"address": "柳树社区"}, "text"),
    ],
)
def test_a_clue_that_leads_nowhere_is_named(clues, tried):
    found = where(**clues)
    assert found.grid is None
    assert not found.certain
    assert found.tried == (tried,)


def test_a_grid_code_that_nobody_knows_still_tells_namesakes_apart():
    assert where("柳树社区", grid=f"{LAKE}999001").grid == OTHER_WILLOW_GRID


def test_a_wider_code_narrows_it_down_and_a_person_decides():
    found = where(grid=RIVER)
    assert (found.street, found.district, found.certain) == (RIVER, EAST, False)


def test_a_code_of_a_community_with_one_grid_means_that_grid():
    assert where(grid=WILLOW).grid == WILLOW_GRID


def test_a_community_with_several_grids_is_less_certain_than_one_with_one():
    one, several = where("石桥村"), where("桃园社区")
    assert several.grid == PEACH_GRID
    assert several.confidence < one.confidence
    assert "one_of_several_grids" in codes(several)


def test_namesakes_are_told_apart_by_the_district_that_is_named():
    assert where("西市柳树社区").grid == OTHER_WILLOW_GRID
    assert where("东区 柳树社区").grid == WILLOW_GRID


def test_a_city_of_the_county_level_may_be_called_without_the_word():
    named = where("家住西市的柳树社区")
    assert named.grid == OTHER_WILLOW_GRID


def test_namesakes_are_told_apart_by_the_street_that_is_named():
    assert where("湖街道柳树社区").grid == OTHER_WILLOW_GRID


def test_namesakes_that_nothing_tells_apart_stay_open():
    found = where("柳树社区的灯坏了")
    assert found.grid is None
    assert "ambiguous_name" in codes(found)


def test_a_name_in_a_district_that_it_does_not_lie_in_is_doubted():
    found = where("西市石桥村")
    assert not found.certain
    assert "outside_named_district" in codes(found)


def test_two_communities_in_one_text_are_doubted():
    found = where("石桥村到桃园社区的路")
    assert not found.certain
    assert "several_places" in codes(found)


def test_the_address_counts_before_the_text():
    assert where("石桥村", address="桃园社区3号").grid == PEACH_GRID


def test_only_a_street_means_its_homes_grid_and_a_person_decides():
    found = where("河街道")
    assert (found.grid, found.street, found.certain) == (PEACH_GRID_2, RIVER, False)


def test_only_a_district_means_no_grid():
    found = where("东区")
    assert (found.grid, found.district) == (None, EAST)


def test_a_stations_name_in_the_text_means_its_grid():
    assert where("在柳树社区联络站门口").grid == WILLOW_GRID


def test_text_that_names_another_district_does_not_move_the_station_but_is_noted():
    found = where("湖街道柳树社区的灯", station="S1")
    quiet = where("灯", station="S1")
    assert found.grid == WILLOW_GRID
    assert "text_names_elsewhere" in codes(found)
    assert found.confidence < quiet.confidence


def test_a_countys_home_is_trusted_less_than_a_station_next_door():
    assert where(station="S3").confidence < where(station="S1").confidence


def test_without_any_clue_there_is_no_grid():
    found = where("坏了")
    assert (found.grid, found.by, found.confidence) == (None, "none", 0.0)


NAMES = st.sampled_from(["东区", "西市", "河街道", "柳树社区", "桃园", "石桥村", "S1", PEACH, "，", "路灯"])


@given(
    text=st.lists(NAMES, max_size=6).map("".join) | st.text(max_size=40),
    grid=st.none() | NAMES | st.text(max_size=16),
    station=st.none() | NAMES | st.text(max_size=5),
    place=st.none() | st.builds(Place, st.floats(), st.floats(), st.sampled_from(["wgs84", "gcj02", "bd09"])),
    address=st.none() | st.lists(NAMES, max_size=3).map("".join),
)
def test_bad_clues_never_raise_and_a_grid_always_comes_with_its_street(text, grid, station, place, address):
    found = locate(Clues(text=text, grid=grid, station=station, place=place, address=address), CITY)
    assert 0 <= found.confidence <= 1
    assert (found.grid is None) or (
        found.grid.startswith(found.street) and found.street.startswith(found.district)
    )
