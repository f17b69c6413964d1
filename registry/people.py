"""Synthetic deputies of the sample city: numbers instead of names, and what each answers for.

How many deputies of which level there are, where they live and what they know is made up; the total and the
numbers of stations by kind are those that Wuxi's congress has named in public: 8,129 deputies and 1,049
stations (4 county homes, 73 street homes, 766 liaison stations, 206 contact points).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import cycle

from lianxin_contracts.registry import Deputy, Duty, Leave, Level, Mandate, Station
from names import Place

STATIONS = {"county_home": 4, "street_home": 73, "liaison": 766, "contact_point": 206}
DEPUTIES = 8_129
# Shares of the levels, in thousandths; the rest are deputies of towns and streets.
SHARES: dict[Level, int] = {"nation": 2, "province": 8, "city": 62, "county": 240}
CAPS: dict[Level, int] = {"nation": 10, "province": 15, "city": 20, "county": 25, "town": 30, "street": 30}
TERM = date(2022, 1, 1)  # mandates begin here
LEAVES = 60


@dataclass(slots=True)
class People:
    """Everybody who answers, and when."""

    stations: list[Station] = field(default_factory=list)
    deputies: list[Deputy] = field(default_factory=list)
    mandates: list[Mandate] = field(default_factory=list)
    duties: list[Duty] = field(default_factory=list)
    leaves: list[Leave] = field(default_factory=list)


def grid_of(community: str) -> str:
    """The one grid of a community in the sample city."""
    return f"{community}001"


def people(places: Sequence[Place], topics: Sequence[str], seed: int, scale: float) -> People:
    """Stations, deputies, mandates, rosters and leaves; `scale` 1 is the whole city, 0.1 a tenth of the
    deputies and stations (never fewer than one general deputy per grid)."""
    rng = random.Random(seed)
    communities = [p for p in places if len(p.code) == 12]
    made = People()
    made.stations = _stations(places, communities, scale, rng)
    _deputies(made, communities, topics, max(round(DEPUTIES * scale), len(communities)), rng)
    _duties(made, rng)
    _leaves(made, rng)
    return made


def _stations(
    places: Sequence[Place], communities: Sequence[Place], scale: float, rng: random.Random
) -> list[Station]:
    size = {p.code: sum(c.parent == p.code for c in communities) for p in places if len(p.code) == 9}
    by_size = sorted((p for p in places if len(p.code) == 9), key=lambda p: (p.statistical, -size[p.code]))
    first = {street.code: next(c for c in communities if c.parent == street.code) for street in by_size}
    districts = [p for p in places if len(p.code) == 6]
    made: list[Station] = []

    def add(kind: str, name: str, community: Place) -> None:
        made.append(Station(f"S{len(made) + 1:04d}", name, grid_of(community.code), kind))  # type: ignore[arg-type]

    for district in districts[-STATIONS["county_home"] :]:
        home = next(c for c in communities if c.code.startswith(district.code))
        add("county_home", f"{district.name}人大代表之家", home)
    for street in by_size[: STATIONS["street_home"]]:
        add("street_home", f"{street.name}人大代表之家", first[street.code])
    chosen = list(communities)
    rng.shuffle(chosen)
    liaison = max(1, round(STATIONS["liaison"] * scale))
    points = max(1, round(STATIONS["contact_point"] * scale))
    for community in chosen[:liaison]:
        add("liaison", f"{short(community.name)}代表联络站", community)
    for community in chosen[liaison : liaison + points]:
        add("contact_point", f"{short(community.name)}代表联系点", community)
    return made


def short(name: str) -> str:
    """A community's or village's name without the word for its committee."""
    for ending in ("居民委员会", "村民委员会", "居委会", "村委会"):
        if name.endswith(ending) and len(name) > len(ending):
            return name.removesuffix(ending)
    return name


def _deputies(
    made: People, communities: Sequence[Place], topics: Sequence[str], count: int, rng: random.Random
) -> None:
    """Deputies of towns and streets one community after the other, so that every grid has one for all
    topics; the higher levels each with a wider area and fewer topics."""
    homes: dict[str, list[Station]] = {}
    for station in made.stations:
        homes.setdefault(station.grid[:9], []).append(station)
    levels: list[Level] = [level for level, share in SHARES.items() for _ in range(count * share // 1000)]
    # General deputies come first: a tenth of the city still covers every grid.
    local = max(count - len(levels), len(communities))
    levels = levels[: count - local]
    order = list(communities)
    rng.shuffle(order)
    turn = cycle(order)
    for number in range(1, count + 1):
        community = next(turn)
        level = levels[number - local - 1] if number > local else _local_level(community)
        near = homes.get(community.code[:9]) or made.stations
        here = [s for s in near if s.grid[:12] == community.code] or near
        deputy = Deputy(
            id=f"D{number:04d}",
            name=f"代表 {number:04d}号",
            level=level,
            station=rng.choice(here).id,
            cap=CAPS[level],
            channels=(f"mail:d{number:04d}@deputies.example",) if rng.random() < 0.25 else (),
        )
        made.deputies.append(deputy)
        areas, known = _covers(level, community, topics, rng)
        made.mandates.append(Mandate(f"M{number:04d}", deputy.id, areas, known, TERM))


def _local_level(community: Place) -> Level:
    """The national codes number streets from 001 and towns from 100."""
    return "street" if community.code[6] == "0" else "town"


def _covers(
    level: Level, community: Place, topics: Sequence[str], rng: random.Random
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Areas and topics of a deputy of this level who lives in this community."""
    match level:
        case "town" | "street":
            return (community.code,), ()
        case "county":
            if rng.random() < 0.5:
                return (grid_of(community.code),), tuple(sorted(rng.sample(topics, 3)))
            return (community.parent,), tuple(sorted(rng.sample(topics, 2)))
        case "city":
            return (community.code[:6],), tuple(sorted(rng.sample(topics, 2)))
        case _:
            return (community.code[:6],), (rng.choice(topics),)


def _duties(made: People, rng: random.Random) -> None:
    """Homes are manned on every working day, liaison stations once a week, contact points on the third
    Tuesday of the month. Whoever is on no roster is always on duty."""
    by_station: dict[str, list[Deputy]] = {}
    for deputy in made.deputies:
        by_station.setdefault(deputy.station or "", []).append(deputy)
    for station in made.stations:
        here = by_station.get(station.id, [])
        if len(here) < 3:
            continue  # too few to spare one
        days: list[tuple[tuple[int, ...], tuple[int, ...]]]
        if station.kind in ("county_home", "street_home"):
            days = [((day,), ()) for day in range(1, 6)]
        elif station.kind == "liaison":
            days = [((rng.randint(1, 5),), ())]
        else:
            days = [((2,), (3,))]
        for (weekdays, weeks), deputy in zip(days, here, strict=False):
            made.duties.append(Duty(f"U{len(made.duties) + 1:04d}", deputy.id, weekdays, weeks, station.id))


def _leaves(made: People, rng: random.Random) -> None:
    """Some deputies are away for some weeks; a colleague of the same street stands in."""
    by_street: dict[str, list[Deputy]] = {}
    station = {s.id: s for s in made.stations}
    for deputy in made.deputies:
        by_street.setdefault(station[deputy.station or ""].grid[:9], []).append(deputy)
    for deputy in rng.sample(made.deputies, LEAVES):
        since = date(2025, 1, 1) + timedelta(days=rng.randrange(730))
        others = [d for d in by_street[station[deputy.station or ""].grid[:9]] if d.id != deputy.id]
        made.leaves.append(
            Leave(
                f"L{len(made.leaves) + 1:04d}",
                deputy.id,
                since,
                since + timedelta(days=rng.randint(5, 30)),
                rng.choice(others).id if others else None,
            )
        )
