"""The grids around a station: which lie near, how they are drawn, and in which of them a point is. Pure.

The drawing is flat: near enough over the few kilometres around a station. Nothing comes from outside, so no
map service learns where residents look.
"""

from collections.abc import Iterable
from itertools import pairwise
from math import cos, hypot, radians
from typing import Any

from lianxin_contracts.registry import Grid, Position, Snapshot, Station

METRES_PER_DEGREE = 111_320.0  # of latitude, and of longitude at the equator
MOST_GRIDS = 24  # as many as can be told apart on a phone: about 4 kB
WIDTH = 360  # of the drawing, in its own units: a phone's width without the margins


def metres(one: Position, other: Position) -> float:
    """The distance of two points (longitude, latitude in degrees), metres."""
    east = (one[0] - other[0]) * cos(radians((one[1] + other[1]) / 2))
    return hypot(east, one[1] - other[1]) * METRES_PER_DEGREE


def middle(ring: tuple[Position, ...]) -> Position:
    """The mean of a closed ring's corners: (longitude, latitude)."""
    corners = ring[:-1] if len(ring) > 1 and ring[0] == ring[-1] else ring
    return sum(x for x, _ in corners) / len(corners), sum(y for _, y in corners) / len(corners)


def grids_around(city: Snapshot, station: Station, most: int = MOST_GRIDS) -> list[Grid]:
    """The station's own grid and those nearest to it, nearest first; where it has no outline, the grids of
    its street by code. Empty for a station whose grid the city doesn't know."""
    own = city.grids.get(station.grid)
    if own is None:
        return []
    if not own.polygon:
        same = sorted((g for g in city.grids.values() if g.street == own.street), key=lambda g: g.id)
        return [own, *(grid for grid in same if grid is not own)][:most]
    here = middle(own.polygon)
    drawn = (grid for grid in city.grids.values() if grid.polygon)
    return sorted(drawn, key=lambda grid: (metres(here, middle(grid.polygon)), grid.id))[:most]


def drawing(grids: Iterable[Grid]) -> dict[str, Any] | None:
    """How `grids` are drawn: `size` [width, height] of the drawing, `bounds` [west, south, east, north] in
    degrees of WGS-84, and for each grid its id, name, `at` (where its name goes) and `ring` (x, y, x, y …).
    None where none of them has an outline."""
    outlined = [grid for grid in grids if len(grid.polygon) >= 4]
    if not outlined:
        return None
    corners = [corner for grid in outlined for corner in grid.polygon]
    west, east = min(x for x, _ in corners), max(x for x, _ in corners)
    south, north = min(y for _, y in corners), max(y for _, y in corners)
    scale = WIDTH / max(east - west, 1e-6)
    upright = scale / cos(radians((south + north) / 2))

    def on_paper(corner: Position) -> list[int]:
        return [round((corner[0] - west) * scale), round((north - corner[1]) * upright)]

    return {
        "size": [WIDTH, max(1, round((north - south) * upright))],
        "bounds": [west, south, east, north],
        "grids": [
            {
                "id": grid.id,
                "name": grid.name,
                "at": on_paper(middle(grid.polygon)),
                "ring": [value for corner in grid.polygon for value in on_paper(corner)],
            }
            for grid in outlined
        ],
    }


def grid_at(grids: Iterable[Grid], lat: float, lon: float) -> Grid | None:
    """The grid in whose outline a point (degrees of WGS-84) lies; of several the first."""
    return next((grid for grid in grids if _holds(grid.polygon, lon, lat)), None)


def _holds(ring: tuple[Position, ...], x: float, y: float) -> bool:
    """Whether a ray from the point to the east leaves the ring (an odd number of crossings)."""
    inside = False
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            inside = not inside
    return inside
