"""Which grid a point lies in: outlines in a search tree, so the cost hardly grows with their number."""

from collections.abc import Iterable
from math import cos, hypot, isfinite, radians

import shapely

from lianxin_contracts.registry import Grid

# A phone's position is good to some ten metres; a point this near to a grid still belongs to it.
TOLERANCE_M = 30.0
METRES_PER_DEGREE = 111_320.0  # of latitude, and of longitude at the equator


class Ground:
    """The grids that have an outline."""

    def __init__(self, grids: Iterable[Grid]) -> None:
        drawn = sorted((grid for grid in grids if len(grid.polygon) >= 4), key=lambda grid: grid.id)
        self._ids = [grid.id for grid in drawn]
        self._outlines = [shapely.Polygon(grid.polygon) for grid in drawn]
        shapely.prepare(self._outlines)
        self._tree = shapely.STRtree(self._outlines)

    def at(self, lat: float, lon: float) -> tuple[str, float] | None:
        """The grid at a WGS-84 point and the distance to it in metres: 0 inside. On an edge that grids share,
        or where outlines overlap, the lowest code wins. None where no grid is within `TOLERANCE_M`."""
        if not (isfinite(lat) and isfinite(lon)) or abs(lat) >= 90:
            return None
        near = TOLERANCE_M / METRES_PER_DEGREE
        east = near / cos(radians(lat))
        box = shapely.box(lon - east, lat - near, lon + east, lat + near)
        candidates = sorted(self._tree.query(box))
        point = shapely.Point(lon, lat)
        for index in candidates:
            if self._outlines[index].intersects(point):
                return self._ids[index], 0.0
        found = [(self._metres(index, point), index) for index in candidates]
        if not found or min(found)[0] > TOLERANCE_M:
            return None
        metres, index = min(found)
        return self._ids[index], metres

    def _metres(self, index: int, point: shapely.Point) -> float:
        nearest = shapely.shortest_line(point, self._outlines[index]).coords[1]
        north = (nearest[1] - point.y) * METRES_PER_DEGREE
        east = (nearest[0] - point.x) * METRES_PER_DEGREE * cos(radians(point.y))
        return hypot(north, east)
