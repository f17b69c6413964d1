"""Synthetic deputies of the sample city: numbers instead of names, and what each answers for.

Wuxi's congress has named in public: 8,129 people and 1,049 stations (4 county homes, 73 street homes, 766
liaison stations, 206 contact points). 5,226 are deputies of the five levels nation, province, city, county
and town, and 2,903 we take to be consultative deputies of streets 街道议政代表: streets elect no
congress. How the 5,226 are split over the five levels is our assumption too, and so is who lives where and
answers for what. When they are there: `presence.py`.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import cycle

from lianxin_contracts.registry import Deputy, Level, Mandate, Station
from names import Place

STATIONS = {"county_home": 4, "street_home": 73, "liaison": 766, "contact_point": 206}
# Assumed, but for the sums: 2,903 consultative deputies of streets, and 5,226 of the other five levels.
DEPUTIES: dict[Level, int] = {
    "street": 2_903,
    "town": 2_691,
    "county": 1_950,
    "city": 504,
    "province": 65,
    "nation": 16,
}
CAPS: dict[Level, int] = {"nation": 10, "province": 15, "city": 20, "county": 25, "town": 30, "street": 30}
# Terms of five years; the longest-serving general deputy of each community goes back to where the calendar
# begins, so that what was said long ago can be replayed.
TERMS = (date(2012, 1, 1), date(2017, 1, 1), date(2022, 1, 1))
TERM_SHARES = (10, 25, 65)  # percent
HISTORY = date(2010, 1, 1)
# Of the others, in thousandths: moved to another community in mid-term; left for good; not begun yet.
MOVED, LEFT, NEW = 20, 10, 10
MAIL, WEBHOOK = 250, 5  # thousandths of all, with such a channel


@dataclass(frozen=True, slots=True)
class People:
    """Everybody who answers, where, and for what."""

    stations: list[Station]
    deputies: list[Deputy]
    mandates: list[Mandate]


def grid_of(community: str) -> str:
    """The one grid of a community in the sample city."""
    return f"{community}001"


def people(places: Sequence[Place], topics: Sequence[str], seed: int, scale: float) -> People:
    """Stations, deputies and mandates; `scale` 1 is the whole city, 0.1 a tenth of the deputies and stations
    (never fewer than one general deputy per grid)."""
    rng = random.Random(seed)
    communities = [p for p in places if len(p.code) == 12]
    stations = _stations(places, communities, scale, rng)
    homes = _live_where(communities, scale, rng)
    deputies = _deputies(homes, stations, rng)
    return People(stations, deputies, list(_mandates(homes, deputies, communities, topics, rng)))


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


def _live_where(communities: Sequence[Place], scale: float, rng: random.Random) -> list[tuple[Level, Place]]:
    """Level and community of each deputy. Those of streets and towns come first and go round all their
    communities, so that every grid has one for all topics; a statistical unit is no town and counts as a
    street."""
    made: list[tuple[Level, Place]] = []
    level: Level
    for level in ("street", "town"):
        order = [c for c in communities if (level == "town") == (not c.statistical and c.code[6] != "0")]
        rng.shuffle(order)
        turn = cycle(order)
        made += [(level, next(turn)) for _ in range(max(round(DEPUTIES[level] * scale), len(order)))]
    for level in ("county", "city", "province", "nation"):
        made += [(level, rng.choice(communities)) for _ in range(round(DEPUTIES[level] * scale))]
    return made


def _deputies(
    homes: Sequence[tuple[Level, Place]], stations: Sequence[Station], rng: random.Random
) -> list[Deputy]:
    """Each belongs to a station of the own community, where there is one, else of the own street."""
    by_area: dict[str, list[Station]] = {}
    for station in stations:
        for length in (12, 9):
            by_area.setdefault(station.grid[:length], []).append(station)
    return [
        Deputy(
            id=f"D{number:04d}",
            name=f"代表 {number:04d}号",
            level=level,
            station=rng.choice(by_area.get(at.code) or by_area.get(at.parent) or stations).id,
            cap=CAPS[level],
            channels=_channels(f"d{number:04d}", rng),
        )
        for number, (level, at) in enumerate(homes, start=1)
    ]


def _channels(name: str, rng: random.Random) -> tuple[str, ...]:
    """Addresses that can never exist (RFC 2606), so that a demo writes to nobody."""
    drawn = rng.randrange(1_000)
    if drawn < WEBHOOK:
        return (f"webhook:https://hooks.deputies.example/{name}", f"mail:{name}@deputies.example")
    return (f"mail:{name}@deputies.example",) if drawn < WEBHOOK + MAIL else ()


def _mandates(
    homes: Sequence[tuple[Level, Place]],
    deputies: Sequence[Deputy],
    communities: Sequence[Place],
    topics: Sequence[str],
    rng: random.Random,
) -> Iterator[Mandate]:
    """One for each deputy, some with an earlier one elsewhere. The first general deputy of each community
    serves throughout: whatever else ends or has not begun, no grid is ever without one."""
    inside: dict[str, list[Place]] = {}
    for community in communities:
        inside.setdefault(community.parent, []).append(community)
    served: set[str] = set()
    for deputy, (level, at) in zip(deputies, homes, strict=True):
        id_ = f"M{deputy.id[1:]}"
        areas, known = _covers(level, at, topics, rng)
        if level in ("street", "town") and at.code not in served:
            served.add(at.code)
            yield Mandate(id_, deputy.id, areas, known, HISTORY)
            continue
        (since,) = rng.choices(TERMS, TERM_SHARES)
        fate = rng.randrange(1_000)
        if fate < MOVED:
            before, _ = _covers(level, rng.choice(inside[at.parent]), topics, rng)
            moved = date(2023, 1, 1) + timedelta(days=rng.randrange(1_095))
            yield Mandate(f"{id_}A", deputy.id, before, known, since, moved)
            yield Mandate(id_, deputy.id, areas, known, moved)
        elif fate < MOVED + LEFT:
            left = date(2023, 1, 1) + timedelta(days=rng.randrange(1_095))
            yield Mandate(id_, deputy.id, areas, known, since, left)
        elif fate < MOVED + LEFT + NEW:
            yield Mandate(id_, deputy.id, areas, known, date(2027, 1, 1) + timedelta(days=rng.randrange(365)))
        else:
            yield Mandate(id_, deputy.id, areas, known, since)


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
