from math import cos, hypot, inf, nan, radians

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianxin_contracts.inbound import Place
from lianxin_router.routing.coordinates import (
    bd09_of_gcj02,
    gcj02_of_bd09,
    gcj02_of_wgs84,
    to_wgs84,
    wgs84_of_gcj02,
)

IN_CHINA = st.tuples(st.floats(18, 53), st.floats(74, 134))


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    return hypot(one[0] - other[0], (one[1] - other[1]) * cos(radians(one[0]))) * 111_320


# Pairs as the public converters of these systems give them, in Shanghai, Shenzhen and Beijing.
@pytest.mark.parametrize(
    ("wgs84", "gcj02"),
    [
        ((31.1774276, 121.5272106), (31.17530398364597, 121.531541859215)),
        ((22.543847, 113.912316), (22.540796131694766, 113.9171764808363)),
        ((39.911954, 116.377817), (39.91334545536069, 116.38404722455657)),
    ],
)
def test_a_chinese_map_shows_known_points_where_it_is_known_to_show_them(wgs84, gcj02):
    assert metres(gcj02_of_wgs84(wgs84), gcj02) < 0.01
    assert metres(wgs84_of_gcj02(gcj02), wgs84) < 0.01


@pytest.mark.parametrize("lon", [3.4e306, 181.0, inf, nan])
def test_what_is_nowhere_on_earth_is_not_converted(lon):
    assert to_wgs84(Place(31.0, lon, "bd09"))[0] == 31.0


def test_baidu_shows_a_known_point_where_it_is_known_to_show_it():
    assert metres(bd09_of_gcj02((39.915, 116.404)), (39.92133699351021, 116.41036949371029)) < 0.01


@given(IN_CHINA)
def test_going_there_and_back_ends_within_a_metre(point):
    assert metres(wgs84_of_gcj02(gcj02_of_wgs84(point)), point) < 1
    assert metres(gcj02_of_bd09(bd09_of_gcj02(point)), point) < 1


@given(IN_CHINA)
def test_a_place_is_the_same_whatever_system_it_is_told_in(point):
    gcj02 = gcj02_of_wgs84(point)
    bd09 = bd09_of_gcj02(gcj02)
    for crs, (lat, lon) in (("wgs84", point), ("gcj02", gcj02), ("bd09", bd09)):
        assert metres(to_wgs84(Place(lat, lon, crs)), point) < 1


@given(st.tuples(st.floats(30, 32), st.floats(119, 121)))
def test_the_offset_near_wuxi_is_some_hundred_metres(point):
    assert 100 < metres(gcj02_of_wgs84(point), point) < 1000


def test_outside_china_nothing_is_moved():
    assert to_wgs84(Place(48.85, 2.35, "gcj02")) == (48.85, 2.35)


def test_what_is_no_number_stays_none():
    lat, _ = to_wgs84(Place(nan, 120.0, "gcj02"))
    assert lat != lat
