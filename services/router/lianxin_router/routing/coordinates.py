"""Chinese map coordinates to WGS-84.

Maps in China show GCJ-02: WGS-84 moved by up to about 700 m, by a polynomial with sines around (35° N,
105° E) on the Krasovsky 1940 ellipsoid. Baidu moves it once more (BD-09). Neither is published officially;
the formulas here are the ones that are publicly known (Wikipedia, "Restrictions on geographic data in China",
and the sources named there). They have no inverse in closed form, so it is found by iteration.
"""

from collections.abc import Callable
from math import atan2, cos, hypot, pi, radians, sin, sqrt

from lianxin_contracts.inbound import Place

Point = tuple[float, float]  # latitude, longitude in degrees

SEMI_MAJOR_M = 6_378_245.0  # Krasovsky 1940
ECCENTRICITY_SQUARED = 0.00669342162296594323
# Outside this box (degrees) the offset is not applied.
SOUTH, NORTH, WEST, EAST = 0.8293, 55.8271, 72.004, 137.8347
BAIDU_TURN = pi * 3000.0 / 180.0
BAIDU_SHIFT: Point = (0.006, 0.0065)
# Each step shrinks the error about a thousandfold: four leave far less than a millimetre.
STEPS = 4


def to_wgs84(place: Place) -> Point:
    """`place` as (latitude, longitude) in WGS-84 degrees; what is nowhere on earth stays as it is."""
    point = (place.lat, place.lon)
    if place.crs == "wgs84" or not (abs(place.lat) <= 90 and abs(place.lon) <= 180):
        return point
    if place.crs == "bd09":
        point = gcj02_of_bd09(point)
    return wgs84_of_gcj02(point)


def gcj02_of_wgs84(point: Point) -> Point:
    """What a Chinese map shows for a WGS-84 point."""
    lat, lon = point
    if not (SOUTH <= lat <= NORTH and WEST <= lon <= EAST):
        return point
    north_m, east_m = _offset_m(lon - 105.0, lat - 35.0)
    flattened = 1 - ECCENTRICITY_SQUARED * sin(radians(lat)) ** 2
    meridian_m = SEMI_MAJOR_M * (1 - ECCENTRICITY_SQUARED) / (flattened * sqrt(flattened))
    parallel_m = SEMI_MAJOR_M / sqrt(flattened) * cos(radians(lat))
    return lat + north_m / meridian_m * 180.0 / pi, lon + east_m / parallel_m * 180.0 / pi


def wgs84_of_gcj02(point: Point) -> Point:
    """The WGS-84 point that a Chinese map shows at `point`."""
    return _inverse(gcj02_of_wgs84, point)


def bd09_of_gcj02(point: Point) -> Point:
    """What Baidu shows for a GCJ-02 point."""
    lat, lon = point
    distance = hypot(lon, lat) + 0.00002 * sin(lat * BAIDU_TURN)
    angle = atan2(lat, lon) + 0.000003 * cos(lon * BAIDU_TURN)
    return distance * sin(angle) + BAIDU_SHIFT[0], distance * cos(angle) + BAIDU_SHIFT[1]


def gcj02_of_bd09(point: Point) -> Point:
    """The GCJ-02 point that Baidu shows at `point`."""
    return _inverse(bd09_of_gcj02, point)


def _inverse(forward: Callable[[Point], Point], point: Point) -> Point:
    """The point that `forward` moves to `point`: go back by what it moves the last guess, again and again."""
    lat, lon = point
    for _ in range(STEPS):
        there = forward((lat, lon))
        lat, lon = lat - (there[0] - point[0]), lon - (there[1] - point[1])
    return lat, lon


def _offset_m(x: float, y: float) -> tuple[float, float]:
    """The offset (north, east), about metres, at `x` degrees east of 105° and `y` degrees north of 35°."""
    common = (20 * sin(6 * pi * x) + 20 * sin(2 * pi * x)) * 2 / 3
    north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x)) + common
    north += (20 * sin(pi * y) + 40 * sin(pi * y / 3)) * 2 / 3
    north += (160 * sin(pi * y / 12) + 320 * sin(pi * y / 30)) * 2 / 3
    east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x)) + common
    east += (20 * sin(pi * x) + 40 * sin(pi * x / 3)) * 2 / 3
    east += (150 * sin(pi * x / 12) + 300 * sin(pi * x / 30)) * 2 / 3
    return north, east
