"""Synthetic ground around points of known wards: rectangles that each hold points of one ward only.

Where a city's wards are known by the requests in them and not by their outlines, any outlines that put each
request in its own ward will do. A rectangle around all points is cut in two again and again, each time where
that tells the wards apart best (the split of least Gini impurity, as in a decision tree), until what is left
holds one ward. Cuts run between the points, never through one, so no point lies on an edge.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

MARGIN = 0.005  # degrees around the outermost points, about 500 m
X, Y = 0, 1


@dataclass(frozen=True, slots=True)
class Spot:
    """A point in degrees (WGS-84), as the file writes them, and the ward that it is in."""

    lon: Decimal
    lat: Decimal
    ward: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """A rectangle, degrees, that belongs to `ward`."""

    ward: str
    west: float
    south: float
    east: float
    north: float

    @property
    def ring(self) -> tuple[tuple[float, float], ...]:
        """The outline as a closed ring of (longitude, latitude), counter-clockwise."""
        west, south, east, north = self.west, self.south, self.east, self.north
        return ((west, south), (east, south), (east, north), (west, north), (west, south))

    def holds(self, lon: float, lat: float) -> bool:
        """Whether a point lies inside or on the edge."""
        return self.west <= lon <= self.east and self.south <= lat <= self.north


# On a lattice twice as fine as the file's decimals: points are even numbers, cuts odd ones.
_Node = tuple[tuple[int, int], str]  # (x, y), ward
_Box = tuple[int, int, int, int]


def parcels(spots: Sequence[Spot]) -> list[Parcel]:
    """A partition of the ground around `spots`, neighbours after one another.

    Raises ValueError where two spots of different wards are the very same point, or where there is none.
    """
    if not spots:
        raise ValueError("no request has both a ward and coordinates")
    decimals = max(_decimals(value) for spot in spots for value in (spot.lon, spot.lat))
    fine = 2 * 10**decimals
    nodes = sorted({((int(spot.lon * fine), int(spot.lat * fine)), spot.ward) for spot in spots})
    if len({at for at, _ in nodes}) < len(nodes):
        raise ValueError("a point can't be in two wards")
    margin = 2 * int(MARGIN * fine / 2) + 1
    xs, ys = zip(*(at for at, _ in nodes), strict=True)
    around = (min(xs) - margin, min(ys) - margin, max(xs) + margin, max(ys) + margin)
    return [
        Parcel(ward, *(round(edge / fine, decimals + 1) for edge in box)) for box, ward in _cut(nodes, around)
    ]


def _decimals(value: Decimal) -> int:
    return max(-int(value.normalize().as_tuple().exponent), 0)


def _cut(nodes: list[_Node], box: _Box) -> Iterator[tuple[_Box, str]]:
    if len({ward for _, ward in nodes}) == 1:
        yield box, nodes[0][1]
        return
    axis, at = max(_best_cut(nodes, axis) for axis in (X, Y))[1:]
    west, south, east, north = box
    low, high = ((west, south, at, north), (at, south, east, north)) if axis == X else (
        (west, south, east, at), (west, at, east, north)
    )  # fmt: skip
    yield from _cut([node for node in nodes if node[0][axis] < at], low)
    yield from _cut([node for node in nodes if node[0][axis] > at], high)


def _best_cut(nodes: list[_Node], axis: int) -> tuple[float, int, int]:
    """(how well it tells the wards apart, axis, where) of the best cut across `axis`; the first number is
    the sum over both sides of squared wards' counts by the side's count, and -1 where no cut is possible."""
    ordered = sorted(nodes, key=lambda node: node[0][axis])
    right = Counter(ward for _, ward in ordered)
    left: Counter[str] = Counter()
    squares_left, squares_right = 0, sum(count**2 for count in right.values())
    best = (-1.0, axis, 0)
    for done, ((at, ward), (next_at, _)) in enumerate(pairwise(ordered), start=1):
        squares_left += 2 * left[ward] + 1
        squares_right -= 2 * right[ward] - 1
        left[ward] += 1
        right[ward] -= 1
        if at[axis] != next_at[axis]:
            apart = squares_left / done + squares_right / (len(ordered) - done)
            middle = (at[axis] + next_at[axis]) // 2
            best = max(best, (apart, axis, middle if middle % 2 else middle + 1))
    return best
