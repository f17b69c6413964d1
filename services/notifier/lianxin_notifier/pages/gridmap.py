"""The place of a case on the map of its street's grids, as the points of an SVG. Pure.

No tiles and no third party: the polygons are the registry's own. Degrees are flattened at the grid's
latitude, which over a street of a few kilometres is off by less than a metre.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from lianxin_contracts.inbound import Place
from lianxin_contracts.registry import Grid, Snapshot

WIDTH, HEIGHT = 640.0, 360.0
# How much of the surroundings is shown on each side, as a share of the grid's own size.
MARGIN = 0.8


@dataclass(frozen=True, slots=True)
class GridMap:
    """`own` and each of `others` are `x,y` pairs of a polygon in a box of WIDTH × HEIGHT; `mark` is the exact
    place, where one is known in WGS-84."""

    own: str
    others: tuple[str, ...]
    mark: tuple[float, float] | None
    width: int = int(WIDTH)
    height: int = int(HEIGHT)


def grid_map(code: str | None, place: Place | None, city: Snapshot) -> GridMap | None:
    """The map about grid `code`; None where there is none or nobody has drawn it."""
    grid = city.grids.get(code or "")
    if grid is None or not grid.polygon:
        return None
    flat = _Flat(grid)
    near = (other for other in city.grids.values() if other.street == grid.street and other.id != grid.id)
    mark = None
    if place is not None and place.crs == "wgs84":
        x, y = flat.point(place.lon, place.lat)
        mark = (x, y) if 0 <= x <= WIDTH and 0 <= y <= HEIGHT else None
    others = tuple(flat.points(other.polygon) for other in near if flat.shows(other.polygon))
    return GridMap(flat.points(grid.polygon), others, mark)


class _Flat:
    """From degrees to the box: the grid in its middle, north on top, one scale both ways."""

    def __init__(self, grid: Grid) -> None:
        lons = [lon for lon, _ in grid.polygon]
        lats = [lat for _, lat in grid.polygon]
        self._lon, self._lat = (min(lons) + max(lons)) / 2, (min(lats) + max(lats)) / 2
        self._shrink = math.cos(math.radians(self._lat))
        wide = max((max(lons) - min(lons)) * self._shrink, 1e-6) * (1 + 2 * MARGIN)
        high = max(max(lats) - min(lats), 1e-6) * (1 + 2 * MARGIN)
        self._scale = min(WIDTH / wide, HEIGHT / high)

    def point(self, lon: float, lat: float) -> tuple[float, float]:
        x = WIDTH / 2 + (lon - self._lon) * self._shrink * self._scale
        y = HEIGHT / 2 - (lat - self._lat) * self._scale
        return round(x, 1), round(y, 1)

    def points(self, polygon: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{x:g},{y:g}" for x, y in (self.point(lon, lat) for lon, lat in polygon))

    def shows(self, polygon: Iterable[tuple[float, float]]) -> bool:
        return any(
            0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in (self.point(lon, lat) for lon, lat in polygon)
        )
