"""When the sample city's deputies are there: shifts at stations, contact days, leaves and substitutes.

All of it is drawn by lot. Routing never depends on one deputy: where a shift keeps one away, others hold the
same grid, and the ladder's second rung takes who is off duty.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from lianxin_contracts.registry import Deputy, Duty, Leave, Station

LEAVES = 60
TUESDAY, FRIDAY = 2, 5  # ISO
THIRD = 3
ENOUGH = 3  # deputies of a liaison station, so that it can spare one


def duties(deputies: Sequence[Deputy], stations: Sequence[Station], seed: int) -> list[Duty]:
    """Contact day 接待日 of everybody: the third Tuesday of the month, at the own station. Besides, shifts:
    homes are manned from Monday to Friday and liaison stations once a week, by one deputy a day. Whoever
    has no shift is always on duty."""
    made = [
        Duty(f"C{deputy.id[1:]}", deputy.id, (TUESDAY,), (THIRD,), deputy.station, "contact_day")
        for deputy in deputies
    ]
    shifts = _shifts(deputies, stations, random.Random(f"{seed}/shifts"))
    return made + [
        Duty(f"U{number:04d}", deputy.id, days, (), station.id)
        for number, (deputy, days, station) in enumerate(shifts, start=1)
    ]


def _shifts(
    deputies: Sequence[Deputy], stations: Sequence[Station], rng: random.Random
) -> Iterator[tuple[Deputy, tuple[int, ...], Station]]:
    """(deputy, ISO weekdays, station) of each shift; nobody is at two stations. The first deputies by number
    serve the longest, and long ago alone: shifts go to others where there are any."""
    by_station: dict[str | None, list[Deputy]] = {}
    for deputy in deputies:
        by_station.setdefault(deputy.station, []).append(deputy)
    for station in stations:
        here = by_station.get(station.id, [])
        if here and station.kind in ("county_home", "street_home"):
            turns = min(len(here), FRIDAY)
            for first, deputy in enumerate(here[-turns:], start=1):
                yield deputy, tuple(range(first, FRIDAY + 1, turns)), station
        elif station.kind == "liaison" and len(here) >= ENOUGH:
            yield rng.choice(here[1:]), (rng.randint(1, FRIDAY),), station


def leaves(deputies: Sequence[Deputy], stations: Sequence[Station], seed: int) -> list[Leave]:
    """Some are away for some weeks; a colleague of the same street stands in, where there is one."""
    rng = random.Random(f"{seed}/leaves")
    street = {station.id: station.grid[:9] for station in stations}
    by_street: dict[str, list[Deputy]] = {}
    for deputy in deputies:
        by_street.setdefault(street[deputy.station or ""], []).append(deputy)
    made = []
    for number, deputy in enumerate(rng.sample(list(deputies), LEAVES), start=1):
        since = date(2025, 1, 1) + timedelta(days=rng.randrange(1_095))
        others = [d for d in by_street[street[deputy.station or ""]] if d.id != deputy.id]
        until = since + timedelta(days=rng.randint(5, 30))
        substitute = rng.choice(others).id if others else None
        made.append(Leave(f"L{number:04d}", deputy.id, since, until, substitute))
    return made
