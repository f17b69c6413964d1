"""The names of the city's places, and where a text mentions them: all of them in one pass over the text.

A name may stand for several places (thirteen communities of the sample city share theirs with another one).
What a text means is settled by the wider places that it names beside it; what that leaves open stays open.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import ahocorasick

from lianxin_contracts.registry import Grid, Region, Snapshot, Station

COMMITTEES = ("居民委员会", "村民委员会", "居委会", "村委会")
KINDS = ("社区", "村")
# A name without its kind is told from an ordinary word only when it is long, and no road's.
SHORTEST_BARE_NAME = 4
ROADS = ("路", "街", "巷", "道")
DISTRICT, STREET, COMMUNITY = 6, 9, 12  # digits


@dataclass(frozen=True, slots=True)
class Named:
    """What a name stands for: codes of 6, 9, 12 or 15 digits. `bare`: the name lacks its kind."""

    codes: tuple[str, ...]
    bare: bool = False

    @property
    def fine(self) -> bool:
        """True where it names communities or grids, not only districts or streets."""
        return len(self.codes[0]) >= COMMUNITY


@dataclass(frozen=True, slots=True)
class Spot:
    """The smallest area that a text names: `area` is a code of 6 to 15 digits, or empty where the names are
    ambiguous. `doubts` are codes of reasons."""

    area: str
    bare: bool = False
    doubts: tuple[str, ...] = ()


class PlaceNames:
    """Every name of regions, grids and stations, in one automaton."""

    def __init__(self, city: Snapshot) -> None:
        codes: dict[str, dict[str, bool]] = defaultdict(dict)  # name -> code -> bare
        for name, code, bare in _names(city):
            codes[name][code] = codes[name].get(code, True) and bare
        self._automaton = ahocorasick.Automaton()
        for name, found in codes.items():
            finest = max(map(len, found))
            kept = sorted(code for code in found if len(code) == finest)
            self._automaton.add_word(name, Named(tuple(kept), all(found[code] for code in kept)))
        self._empty = not codes
        if not self._empty:
            self._automaton.make_automaton()

    def in_text(self, text: str) -> list[Named]:
        """The places named in `text`, in order, a longer name before the shorter ones in it."""
        if self._empty or not text:
            return []
        return [named for _, named in self._automaton.iter_long(text)]


def settle(parts: Mapping[str, list[Named]], hint: str = "") -> tuple[str, Spot] | None:
    """The area that the parts of an opinion name, from the part trusted most (the first) to the last.

    Wider places named anywhere settle ambiguous names; `hint` is a code prefix known from elsewhere, used
    where the text names no wider place. Returns the part's name with the spot; None where nothing is named.
    """
    every = [named for mentions in parts.values() for named in mentions]
    streets = [c for named in every if not named.fine for c in named.codes if len(c) == STREET]
    districts = [c for named in every if not named.fine for c in named.codes if len(c) == DISTRICT]
    around = tuple(streets) or tuple(districts) or ((hint,) if hint else ())
    for part, mentions in parts.items():
        if fine := [named for named in mentions if named.fine]:
            return part, _finest(fine, around, tuple(districts))
    for part, mentions in parts.items():
        if wide := [named for named in mentions if not named.fine]:
            return part, _widest(wide, tuple(districts))
    return None


def _finest(mentions: list[Named], around: tuple[str, ...], districts: tuple[str, ...]) -> Spot:
    """One community or grid, if the mentions agree on one."""
    settled: dict[str, bool] = {}
    for named in mentions:
        inside = [code for code in named.codes if code.startswith(around)] if around else []
        codes = inside or list(named.codes)
        if len(codes) == 1:
            settled[codes[0]] = settled.get(codes[0], True) and named.bare
    if not settled:
        return Spot("", doubts=("ambiguous_name",))
    # The first one that is named by its whole name, else the first.
    area = next((code for code, bare in settled.items() if not bare), next(iter(settled)))
    others = [code for code in settled if not code.startswith(area) and not area.startswith(code)]
    doubts = ("several_places",) if others else ()
    if districts and not area.startswith(districts):
        doubts = (*doubts, "outside_named_district")
    return Spot(area, settled[area], doubts)


def _widest(mentions: list[Named], districts: tuple[str, ...]) -> Spot:
    """One street or district, if the mentions agree on one."""
    streets: list[str] = []
    for named in mentions:
        codes = [code for code in named.codes if len(code) == STREET]
        inside = [code for code in codes if code.startswith(districts)] if districts else []
        streets += (inside or codes) if len(inside or codes) == 1 else []
    if distinct := sorted(set(streets)):
        return Spot(distinct[0], doubts=("several_places",) if len(distinct) > 1 else ())
    if len(set(districts)) == 1:
        return Spot(districts[0])
    return Spot("", doubts=("ambiguous_name",))


def _names(city: Snapshot) -> Iterator[tuple[str, str, bool]]:
    """(name, code, bare) of everything that has a place."""
    for region in city.regions.values():
        for name, bare in _region_names(region):
            yield name, region.id, bare
    yield from _grid_names(city.grids.values())
    yield from _station_names(city.stations.values(), city.grids)


def _region_names(region: Region) -> Iterator[tuple[str, bool]]:
    name = region.name
    yield name, False
    if region.kind == "district" and name.endswith(("市", "县")) and len(name) > 2:
        yield name[:-1], True  # a city or county is called without the word, an urban district is not
    if region.kind != "community":
        return
    for committee in COMMITTEES:
        if name.endswith(committee) and len(name) > len(committee) + 1:
            name = name.removesuffix(committee)
            yield name, False
            break
    for kind in KINDS:
        bare = name.removesuffix(kind)
        if bare != name and len(bare) >= SHORTEST_BARE_NAME and not bare.endswith(ROADS):
            yield bare, True


def _grid_names(grids: Iterable[Grid]) -> Iterator[tuple[str, str, bool]]:
    return ((grid.name, grid.id, False) for grid in grids if len(grid.name) >= SHORTEST_BARE_NAME)


def _station_names(stations: Iterable[Station], grids: Mapping[str, Grid]) -> Iterator[tuple[str, str, bool]]:
    for station in stations:
        if station.grid in grids and len(station.name) >= SHORTEST_BARE_NAME:
            yield station.name, station.grid, False
