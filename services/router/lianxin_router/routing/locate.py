"""Where an opinion belongs: from what the resident gave to one grid, with the reason.

Sources tried in order of trust: a grid code, coordinates, the station's own grid, names in the text. What is
recorded are codes, never words or coordinates: it goes on a log that is kept for ever.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lianxin_contracts.lifecycle import LocatedBy, Reason
from lianxin_router.domain.ports import Clues
from lianxin_router.routing.city import CityIndex
from lianxin_router.routing.coordinates import to_wgs84
from lianxin_router.routing.place_names import COMMUNITY, Spot, settle

Source = Literal["grid", "coordinates", "station", "text", "staff", "none"]

# Below this a person decides.
CERTAIN_ENOUGH = 0.6
# How far each source is trusted, 0..1. Judgement, not measurement: to be calibrated on triage's corrections.
GRID_GIVEN = 1.0
INSIDE, NEAR = 0.98, 0.9
STATION, COUNTY_HOME = 0.85, 0.7  # a county's home stands for a whole district
NAMED = {"address": 0.9, "title": 0.85, "text": 0.8}
# What takes from that trust.
BARE_NAME = 0.1
ONE_OF_SEVERAL_GRIDS = 0.15
DOUBT = 0.25
TEXT_SAYS_ELSEWHERE = 0.1
STREET_ONLY = 0.4  # a street's grid that merely stands for it: always below CERTAIN_ENOUGH


@dataclass(frozen=True, slots=True)
class Located:
    """One grid, or None where no clue led to one; then `street` and `district` are as far as they got.
    `evidence` is what a person may check, `tried` the clues that led nowhere."""

    grid: str | None
    street: str | None
    district: str | None
    by: Source
    confidence: float
    evidence: tuple[Reason, ...] = ()
    tried: tuple[str, ...] = ()

    @property
    def certain(self) -> bool:
        """Whether it may be acted on without a person."""
        return self.grid is not None and self.confidence >= CERTAIN_ENOUGH

    def recorded(self) -> LocatedBy:
        """As the lifecycle keeps it."""
        return LocatedBy(self.grid, self.by, round(self.confidence, 3), self.evidence, self.tried)


def locate(clues: Clues, city: CityIndex) -> Located:
    """Find the grid that an opinion is about.

    Never raises on bad clues: a clue that can't be used is left out and named in the result, so that triage
    sees what was tried. A clue that only narrows it down is used where no later one is certain.
    """
    tried: list[str] = []
    best: Located | None = None
    for name, source in _SOURCES:
        found = source(clues, city)
        if found is None:
            continue
        if found.certain:
            return _with_tried(found, tried)
        tried.append(name)
        if best is None or found.confidence > best.confidence:
            best = found
    if best is not None:
        return _with_tried(best, tried)
    return Located(None, None, None, "none", 0.0, (Reason("no_clue"),), tuple(tried))


def at_grid(grid: str, city: CityIndex, by: Source, confidence: float, *evidence: Reason) -> Located:
    """`grid`, a code that the city knows, with its street and district."""
    known = city.snapshot.grids[grid]
    return Located(grid, known.street, known.district, by, confidence, evidence)


def by_grid_code(clues: Clues, city: CityIndex) -> Located | None:
    """The grid that was named by its code; a code of a wider area narrows it down."""
    if not clues.grid:
        return None
    if clues.grid in city.snapshot.grids:
        return at_grid(clues.grid, city, "grid", GRID_GIVEN, Reason("grid_given"))
    if clues.grid in city.snapshot.regions:
        return _in_area(clues.grid, city, "grid", GRID_GIVEN, Reason("area_given", {"area": clues.grid}))
    return _nowhere("grid", "grid_unknown")


def by_coordinates(clues: Clues, city: CityIndex) -> Located | None:
    """The grid whose outline the point lies in, or almost lies in."""
    if clues.place is None:
        return None
    found = city.ground.at(*to_wgs84(clues.place))
    crs: dict[str, str] = {"crs": clues.place.crs}
    if found is None:
        return _nowhere("coordinates", "outside_every_grid", crs)
    grid, metres = found
    if metres == 0:
        return at_grid(grid, city, "coordinates", INSIDE, Reason("inside_grid", crs))
    near = Reason("near_grid", {**crs, "metres": f"{metres:.0f}"})
    return at_grid(grid, city, "coordinates", NEAR, near)


def by_station(clues: Clues, city: CityIndex) -> Located | None:
    """The grid of the station where the opinion was left, whatever the text says; but the text's dissent is
    noted."""
    if not clues.station:
        return None
    station = city.snapshot.stations.get(clues.station)
    if station is None or station.grid not in city.snapshot.grids:
        return _nowhere("station", "station_unknown")
    trust = COUNTY_HOME if station.kind == "county_home" else STATION
    evidence = [Reason("station", {"station": station.id})]
    named = _named(clues, city)
    district = city.snapshot.grids[station.grid].district
    if named is not None and named[1].area and not named[1].area.startswith(district):
        trust -= TEXT_SAYS_ELSEWHERE
        evidence.append(Reason("text_names_elsewhere", {"area": named[1].area}))
    return at_grid(station.grid, city, "station", trust, *evidence)


def by_place_names(clues: Clues, city: CityIndex) -> Located | None:
    """The community or grid named in address, title or text. Only a street: its home's grid stands for it,
    with little confidence, and a person decides. Only a district: no grid at all."""
    found = _named(clues, city)
    if found is None:
        return None
    part, spot = found
    doubts = tuple(Reason(doubt) for doubt in spot.doubts)
    if not spot.area:
        return _nowhere("text", "ambiguous_name")
    trust = NAMED[part] - (BARE_NAME if spot.bare else 0.0) - DOUBT * len(doubts)
    named = Reason("place_named", {"area": spot.area, "in": part})
    return _in_area(spot.area, city, "text", trust, named, *doubts)


_SOURCES: tuple[tuple[str, Callable[[Clues, CityIndex], Located | None]], ...] = (
    ("grid", by_grid_code),
    ("coordinates", by_coordinates),
    ("station", by_station),
    ("text", by_place_names),
)


def _named(clues: Clues, city: CityIndex) -> tuple[str, Spot] | None:
    parts = {"address": clues.address, "title": clues.title, "text": clues.text}
    mentions = {part: city.names.in_text(words) for part, words in parts.items() if words}
    return settle(mentions, _hint(clues, city))


def _hint(clues: Clues, city: CityIndex) -> str:
    """The surest area that other clues leave: the one at the head of a grid code that nobody knows, else the
    station's district."""
    for length in (12, 9, 6):
        if clues.grid and clues.grid[:length] in city.snapshot.regions:
            return clues.grid[:length]
    station = city.snapshot.stations.get(clues.station or "")
    grid = city.snapshot.grids.get(station.grid) if station is not None else None
    return grid.district if grid is not None else ""


def _in_area(area: str, city: CityIndex, by: Source, trust: float, *evidence: Reason) -> Located:
    """A grid inside `area`, as sure as the area is small."""
    street = area[:9] if len(area) >= 9 else None
    grid = city.representative(area) if street is not None else None
    if grid is None:
        return Located(None, street, area[:6], by, min(trust, STREET_ONLY), evidence)
    if len(area) < COMMUNITY:
        trust, evidence = min(trust, STREET_ONLY), (*evidence, Reason("stands_for_street"))
    elif grid != area and len(city.grids_in.get(area, ())) > 1:
        trust, evidence = trust - ONE_OF_SEVERAL_GRIDS, (*evidence, Reason("one_of_several_grids"))
    return at_grid(grid, city, by, max(trust, 0.0), *evidence)


def _nowhere(by: Source, code: str, values: dict[str, str] | None = None) -> Located:
    return Located(None, None, None, by, 0.0, (Reason(code, values or {}),))


def _with_tried(found: Located, tried: list[str]) -> Located:
    by: Source = found.by if found.grid is not None or found.district is not None else "none"
    return Located(
        found.grid, found.street, found.district, by, found.confidence, found.evidence, tuple(tried)
    )
