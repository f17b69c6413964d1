"""Who should hold the case: the nearest deputies with the mandate, and among them the one with most room.

A ladder that always ends at a person; a rung is tried only when nobody on the one before can take the case:

1. `mandate`      holds grid and topic, on duty, there (or substitute of one who is away), under the cap
2. `off_duty`     the same, though no roster has them today
3. `neighbour`    holds the topic elsewhere in the community, the street or the district
4. `station`      belongs to the station where the opinion was left, else to one in the grid
5. `street_home`  belongs to the home of the street
6. triage staff   a person decides

On a rung the score decides, and a hash of opinion and deputy where scores are equal: the same opinion always
goes to the same deputy, and equal deputies share what comes.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Literal
from zlib import crc32

from lianxin_contracts.lifecycle import Candidate
from lianxin_router.routing.city import CityIndex
from lianxin_router.routing.mandates import ALL_TOPICS, AREA_LENGTHS, Holds

Why = Literal["excluded", "on_leave", "off_duty", "over_cap"]
Rung = Literal["mandate", "off_duty", "neighbour", "station", "street_home"]

# How near the mandate is to the grid, by the digits of its area; and how near to the topic.
NEARNESS = {15: 1.0, 12: 0.9, 9: 0.6, 6: 0.3}
EXACT_TOPIC, TOPIC_ABOVE, ANY_TOPIC = 0.3, 0.2, 0.1
SUBSTITUTE_COSTS = 0.05
# At half the cap a deputy counts half a point less: the near ones share with wider areas as they fill up.
LOAD_COSTS = 1.0
# So many deputies of one area and topic are looked at, from a place that depends on the opinion: what an
# assignment costs does not grow with the number of deputies who could take it.
WINDOW = 16
# So many of the best are weighed by load at a time; the next ones only when none of them has room.
AT_A_TIME = 8
MOST_CANDIDATES = 8  # in the explanation


class LoadsNeeded(Exception):
    """Deputies must be weighed whose loads were not read: read them and route again."""

    def __init__(self, deputies: frozenset[str]) -> None:
        super().__init__(f"the loads of {len(deputies)} deputies are needed")
        self.deputies = deputies


@dataclass(frozen=True, slots=True)
class Need:
    """What is to be assigned: `topics` is the topic and those above it, `on` the civil date."""

    opinion: str
    grid: str
    topics: tuple[str, ...]
    on: date
    station: str | None = None
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Possible:
    """A deputy who could take it, before loads are known: `merit` is the score at no load."""

    deputy: str
    merit: float
    reasons: tuple[str, ...]
    substitute_for: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A deputy who could not be considered, and why."""

    deputy: str
    why: Why


@dataclass(frozen=True, slots=True)
class Chosen:
    """The outcome: `deputy` is None where the ladder came to its end. `rung` is where it stopped."""

    deputy: str | None
    rung: Rung | Literal["staff"]
    substitute_for: str | None
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Shortlist:
    """Who could take `need` on the first rung, the best before loads are known first, and who can't."""

    need: Need
    possible: list[Possible]
    left_out: list[LeftOut]

    @property
    def deputies(self) -> frozenset[str]:
        """Whose loads `assign` will want first; nearly always all that it wants."""
        return frozenset(p.deputy for p in self.possible[:AT_A_TIME])


def shortlist(need: Need, city: CityIndex) -> Shortlist:
    """The first rung for `need`."""
    return Shortlist(need, *_mandate(need, city))


def assign(
    first: Shortlist, city: CityIndex, loads: Mapping[str, int], known: Container[str] | None = None
) -> Chosen:
    """Find the deputy, given how many open cases each one holds (absent: none).

    With `known`, the deputies whose loads were read, raises `LoadsNeeded` before it weighs any other.
    """
    need = first.need
    weighed: list[Candidate] = []
    aside: dict[str, LeftOut] = {}
    for rung, find in _LADDER:
        on_first = rung == "mandate"
        possible, left_out = (first.possible, first.left_out) if on_first else find(need, city)
        aside.update((one.deputy, one) for one in left_out)
        for some in _in_turn(possible):
            if known is not None and (unread := frozenset(p.deputy for p in some if p.deputy not in known)):
                raise LoadsNeeded(unread)
            found, full = _weigh(some, city, loads)
            aside.update((one.deputy, one) for one in full)
            weighed += [candidate for candidate, _ in found]
            if found:
                best, substitute_for = found[0]
                return Chosen(best.deputy, rung, substitute_for, _explained(weighed, aside, city, loads))
    return Chosen(None, "staff", None, _explained(weighed, aside, city, loads))


def _weigh(
    possible: Iterable[Possible], city: CityIndex, loads: Mapping[str, int]
) -> tuple[list[tuple[Candidate, str | None]], list[LeftOut]]:
    """Those with room, the best first (equal ones stay in the order of the hash), and those without."""
    found: list[tuple[Candidate, str | None]] = []
    full: list[LeftOut] = []
    for one in possible:
        deputy = city.snapshot.deputies[one.deputy]
        load = loads.get(one.deputy, 0)
        if load >= deputy.cap:
            full.append(LeftOut(one.deputy, "over_cap"))
            continue
        score = round(one.merit - LOAD_COSTS * load / deputy.cap, 4)
        candidate = Candidate(one.deputy, deputy.level, load, deputy.cap, score, one.reasons)
        found.append((candidate, one.substitute_for))
    found.sort(key=lambda pair: -pair[0].score)
    return found, full


def _mandate(need: Need, city: CityIndex) -> tuple[list[Possible], list[LeftOut]]:
    """Who holds grid and topic and is there today."""
    return _there(_holders(need, city), need, city, wants_duty=True)


def _off_duty(need: Need, city: CityIndex) -> tuple[list[Possible], list[LeftOut]]:
    possible, left_out = _there(_holders(need, city), need, city, wants_duty=False)
    return [p for p in possible if not city.mandates.on_duty(p.deputy, need.on)], left_out


def _neighbours(need: Need, city: CityIndex) -> tuple[list[Possible], list[LeftOut]]:
    """Who holds the topic somewhere in the same community, street or district."""
    found = [
        Possible(holds.deputy, NEARNESS[length] + _nearness_of(topic, need), (f"near_{need.grid[:length]}",))
        for length in AREA_LENGTHS[1:]
        for topic in (*need.topics, ALL_TOPICS)
        for holds in _window(city.mandates.within(need.grid[:length], topic), need)
    ]
    return _there(found, need, city, wants_duty=False)


def _at_station(need: Need, city: CityIndex) -> tuple[list[Possible], list[LeftOut]]:
    stations = [need.station] if need.station else []
    return _of_stations(stations, need, city)


def _at_street_home(need: Need, city: CityIndex) -> tuple[list[Possible], list[LeftOut]]:
    return _of_stations(city.homes_in.get(need.grid[:9], ()), need, city)


def _of_stations(
    stations: Iterable[str], need: Need, city: CityIndex
) -> tuple[list[Possible], list[LeftOut]]:
    found = [
        Possible(deputy, 0.0, (f"station_{station}",))
        for station in stations
        for deputy in islice(city.mandates.at_station(station), WINDOW)
    ]
    return _there(found, need, city, wants_duty=False)


_Find = Callable[[Need, CityIndex], tuple[list[Possible], list[LeftOut]]]
_LADDER: tuple[tuple[Rung, _Find], ...] = (
    ("mandate", _mandate),
    ("off_duty", _off_duty),
    ("neighbour", _neighbours),
    ("station", _at_station),
    ("street_home", _at_street_home),
)


def _holders(need: Need, city: CityIndex) -> list[Possible]:
    """Who holds the grid and the topic, each by the nearest of their mandates."""
    found: dict[str, Possible] = {}
    for length in AREA_LENGTHS:
        area = need.grid[:length]
        for topic in (*need.topics, ALL_TOPICS):
            merit = NEARNESS[length] + _nearness_of(topic, need)
            for holds in _window(city.mandates.holding(area, topic), need):
                known = found.get(holds.deputy)
                if known is None or merit > known.merit:
                    reasons = (f"area_{area}", f"topic_{topic}" if topic else "any_topic")
                    found[holds.deputy] = Possible(holds.deputy, merit, reasons)
    return list(found.values())


def _nearness_of(topic: str, need: Need) -> float:
    if topic == ALL_TOPICS:
        return ANY_TOPIC
    return EXACT_TOPIC if topic == need.topics[0] else TOPIC_ABOVE


def _window(holders: list[Holds], need: Need) -> Iterator[Holds]:
    """At most `WINDOW` of `holders` whose hold is in force, starting where the opinion's hash says."""
    count = len(holders)
    if count <= WINDOW:
        return (holds for holds in holders if holds.on(need.on))
    start = crc32(need.opinion.encode()) % count
    turned = (holders[(start + step) % count] for step in range(count))
    return islice((holds for holds in turned if holds.on(need.on)), WINDOW)


def _there(
    found: Iterable[Possible], need: Need, city: CityIndex, *, wants_duty: bool
) -> tuple[list[Possible], list[LeftOut]]:
    """Those of `found` who are there, or their substitutes, by merit and then by hash; and who is not."""
    there: dict[str, Possible] = {}
    left_out: list[LeftOut] = []
    for one in found:
        taking, why = _presence(one, need, city, wants_duty)
        if why is not None:
            left_out.append(LeftOut(one.deputy, why))
        if taking is not None and (taking.deputy not in there or taking.merit > there[taking.deputy].merit):
            there[taking.deputy] = taking
    return sorted(there.values(), key=lambda p: (-p.merit, _turn(need.opinion, p.deputy))), left_out


def _presence(
    one: Possible, need: Need, city: CityIndex, wants_duty: bool
) -> tuple[Possible | None, Why | None]:
    """Who takes `one`'s place, if anybody, and why `one` can't."""
    if one.deputy in need.excluded:
        return None, "excluded"
    if city.mandates.on_leave(one.deputy, need.on):
        substitute = city.mandates.substitute(one.deputy, need.on)
        if substitute is None or substitute in need.excluded:
            return None, "on_leave"
        reasons = (*one.reasons, f"substitute_for_{one.deputy}")
        return Possible(substitute, one.merit - SUBSTITUTE_COSTS, reasons, one.deputy), "on_leave"
    if wants_duty and not city.mandates.on_duty(one.deputy, need.on):
        return None, "off_duty"
    return one, None


def _turn(opinion: str, deputy: str) -> int:
    """A number that is as good as random for each opinion and deputy, and always the same."""
    return crc32(f"{opinion}/{deputy}".encode())


def _in_turn(possible: list[Possible]) -> Iterator[list[Possible]]:
    for start in range(0, len(possible), AT_A_TIME):
        yield possible[start : start + AT_A_TIME]


def _explained(
    weighed: list[Candidate], aside: Mapping[str, LeftOut], city: CityIndex, loads: Mapping[str, int]
) -> tuple[Candidate, ...]:
    """Those who were weighed, the best first, then those who were left out, as far as there is room."""
    shown = sorted(weighed, key=lambda candidate: -candidate.score)
    taken = {candidate.deputy for candidate in shown}
    for one in aside.values():
        if one.deputy not in taken:
            deputy = city.snapshot.deputies[one.deputy]
            load = loads.get(one.deputy, 0)
            shown.append(Candidate(one.deputy, deputy.level, load, deputy.cap, 0.0, (one.why,)))
    return tuple(shown[:MOST_CANDIDATES])
