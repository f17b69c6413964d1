"""One version of the city, made ready for routing: every look-up is an index, built once."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from lianxin_contracts.registry import Snapshot
from lianxin_router.routing.ground import Ground
from lianxin_router.routing.mandates import Mandates
from lianxin_router.routing.place_names import COMMUNITY, PlaceNames
from lianxin_router.routing.terms import TopicTerms


@dataclass(frozen=True, slots=True)
class CityIndex:
    """The snapshot and its indexes. `lines` gives for each topic code the code and those above it."""

    snapshot: Snapshot
    zone: ZoneInfo
    ground: Ground
    names: PlaceNames
    terms: TopicTerms
    mandates: Mandates
    lines: dict[str, tuple[str, ...]]
    grids_in: dict[str, tuple[str, ...]]
    homes_in: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, snapshot: Snapshot) -> "CityIndex":
        """Index `snapshot`: about half a second for twenty thousand records."""
        grids_in: dict[str, list[str]] = defaultdict(list)
        for grid in sorted(snapshot.grids.values(), key=lambda g: g.id):
            for area in (grid.community, grid.street, grid.district):
                grids_in[area].append(grid.id)
        homes_in: dict[str, list[str]] = defaultdict(list)
        for station in sorted(snapshot.stations.values(), key=lambda s: s.id):
            if station.kind == "street_home" and station.grid in snapshot.grids:
                homes_in[snapshot.grids[station.grid].street].append(station.id)
        return cls(
            snapshot=snapshot,
            zone=ZoneInfo(snapshot.city.zone),
            ground=Ground(snapshot.grids.values()),
            names=PlaceNames(snapshot),
            terms=TopicTerms(snapshot.topics),
            mandates=Mandates(snapshot),
            lines={code: _line(snapshot, code) for code in snapshot.topics},
            grids_in={area: tuple(ids) for area, ids in grids_in.items()},
            homes_in={street: tuple(ids) for street, ids in homes_in.items()},
        )

    @property
    def version(self) -> str:
        """The registry version."""
        return self.snapshot.version

    def day(self, moment: datetime) -> date:
        """The civil date in the city at an aware `moment`."""
        return moment.astimezone(self.zone).date()

    def representative(self, area: str) -> str | None:
        """A grid that stands for a community or street: where the street's home is, else the first."""
        if area in self.snapshot.grids:
            return area
        inside = self.grids_in.get(area, ())
        if len(area) < COMMUNITY:
            homes = {self.snapshot.stations[home].grid for home in self.homes_in.get(area, ())}
            inside = tuple(grid for grid in inside if grid in homes) or inside
        return inside[0] if inside else None


def _line(snapshot: Snapshot, code: str) -> tuple[str, ...]:
    line: list[str] = []
    above: str | None = code
    while above is not None and above not in line and (topic := snapshot.topics.get(above)) is not None:
        line.append(above)
        above = topic.parent
    return tuple(line)
