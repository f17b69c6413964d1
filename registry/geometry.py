"""Synthetic ground: one cell per community, made up, so that the sample city has grids at all.

No street, community or grid outlines of Wuxi are public. The districts are the Voronoi cells of seven points
in a rectangle, convex and near where the district really is; in each, the grids are the Voronoi cells of the
communities' seats. Together they tile the rectangle without gap or overlap, and that is all the truth in
them. Coordinates are WGS-84 degrees.
"""

import math
import random
from collections.abc import Mapping, Sequence
from itertools import pairwise

import shapely
from shapely import LineString, MultiPoint, Point, Polygon

from names import Place

# About the city's extent, to a twentieth of a degree.
WEST, SOUTH, EAST, NORTH = 119.55, 31.15, 120.60, 32.00
# Where each district lies, to a twentieth of a degree, read off any map by hand.
CENTRES = {
    "320205": (120.47, 31.63),  # 锡山
    "320206": (120.20, 31.67),  # 惠山
    "320211": (120.22, 31.47),  # 滨湖
    "320213": (120.30, 31.58),  # 梁溪
    "320214": (120.42, 31.50),  # 新吴
    "320281": (120.28, 31.88),  # 江阴
    "320282": (119.80, 31.35),  # 宜兴
}
DECIMALS = 6  # about 0.1 m
ON_EDGE = 1.5 * 10.0**-DECIMALS  # degrees: rounding moves a corner and its edge no farther apart
ROUNDS = 6  # of Lloyd's relaxation: evens the cells out, leaves them irregular

Position = tuple[float, float]
Ring = tuple[Position, ...]


def cells(places: Sequence[Place], seed: int) -> dict[str, Ring]:
    """A closed ring for every community's code, together a partition of the city's rectangle: neighbours
    share the very same corners, also where three cells meet on a district's border."""
    rng = random.Random(seed)
    rings: dict[str, Ring] = {}
    for district, ground in districts().items():
        seats = _seats(places, district, ground, rng)
        codes = sorted(seats)
        made = _partition([seats[code] for code in codes], ground)
        rings.update(zip(codes, map(_ring, made), strict=True))
    return _with_neighbours_corners(rings)


def districts() -> dict[str, Polygon]:
    """The shape of each district, by its code."""
    shapes = _partition([Point(at) for at in CENTRES.values()], shapely.box(WEST, SOUTH, EAST, NORTH))
    return dict(zip(CENTRES, shapes, strict=True))


def _seats(places: Sequence[Place], district: str, ground: Polygon, rng: random.Random) -> dict[str, Point]:
    """A seat for every community of the district: street by street, each within its own part."""
    seats: dict[str, Point] = {}
    streets = [p.code for p in places if len(p.code) == 9 and p.parent == district]
    for street, part in zip(streets, _partition(_spread(len(streets), ground, rng), ground), strict=True):
        inside = [p.code for p in places if len(p.code) == 12 and p.parent == street]
        seats.update(zip(inside, _spread(len(inside), part, rng), strict=True))
    return seats


def _spread(count: int, within: Polygon, rng: random.Random) -> list[Point]:
    """`count` points inside `within`, evened out, and in reading order: neighbours by code lie close."""
    points: list[Point] = []
    west, south, east, north = within.bounds
    while len(points) < count:
        point = Point(rng.uniform(west, east), rng.uniform(south, north))
        if within.contains(point):
            points.append(point)
    for _ in range(ROUNDS if count > 1 else 0):
        points = [cell.centroid for cell in _partition(points, within)]
    side = math.sqrt(within.area / max(count, 1))
    return sorted(points, key=lambda p: (-round(p.y / side), p.x))


def _partition(seats: Sequence[Point], within: Polygon) -> list[Polygon]:
    """The Voronoi cell of each seat, in the order of the seats, cut off at the border of `within`."""
    if len(seats) == 1:
        return [within]
    found = shapely.voronoi_polygons(MultiPoint(list(seats)), extend_to=within)
    tree = shapely.STRtree(list(found.geoms))
    chosen = [int(tree.query(seat, predicate="intersects")[0]) for seat in seats]
    return [tree.geometries[index].intersection(within) for index in chosen]


def _ring(polygon: Polygon) -> Ring:
    """The outline as a closed ring of (longitude, latitude), counter-clockwise, rounded."""
    outline = shapely.geometry.polygon.orient(polygon).exterior.coords
    rounded = [(round(x, DECIMALS), round(y, DECIMALS)) for x, y in outline]
    ring = [point for point, before in zip(rounded[1:], rounded, strict=False) if point != before]
    return (ring[-1], *ring)


def _with_neighbours_corners(rings: Mapping[str, Ring]) -> dict[str, Ring]:
    """The same rings, each with the corners of others that lie on its edges: two districts are cut into cells
    apart, so a corner on the border between them is at first one side's alone."""
    corners = sorted({corner for ring in rings.values() for corner in ring})
    tree = shapely.STRtree([Point(corner) for corner in corners])
    return {code: _noded(ring, corners, tree) for code, ring in rings.items()}


def _noded(ring: Ring, corners: Sequence[Position], tree: shapely.STRtree) -> Ring:
    noded = [ring[0]]
    for start, end in pairwise(ring):
        edge = LineString((start, end))
        on_edge = {corners[i] for i in tree.query(edge, predicate="dwithin", distance=ON_EDGE)}
        noded += sorted(on_edge - {start, end}, key=lambda at: edge.project(Point(at)))
        noded.append(end)
    return tuple(noded)
