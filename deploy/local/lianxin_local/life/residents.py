"""What residents say: matters of the city, each spoken of by one or by several, and what they do later."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from lianxin_local.life.arrivals import Arrival
from lianxin_local.life.lives import Life
from lianxin_local.life.texts import SOMEWHERE, sentence, spoken
from lianxin_local.life.town import Place

# A matter is spoken of again for so many days.
DAYS_OF_TALK = 6
# Most support comes to few: the n-th of these finds half as many supporters as the one before.
MOST_SUPPORTERS = 6


@dataclass(frozen=True, slots=True)
class Matter:
    """Something that is wrong somewhere. Who speaks of the same matter shares its sentence and its place."""

    topic: str
    place: Place
    core: str
    vague: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """One opinion as it is handed in: `body` as `POST /v1/opinions` wants it, without its time. `topic` and
    `grid` are what a person would understand of it who asked. `supports`: when others join in, and who."""

    key: str
    at: datetime
    body: dict[str, Any]
    topic: str
    grid: str
    supports: tuple[tuple[datetime, str], ...] = ()
    visit: bool = False


def draft(life: Life, arrival: Arrival) -> Draft:
    """What the resident who arrives says."""
    chance = life.chance("resident", arrival.day, arrival.number)
    matter = matter_of(life, arrival)
    body: dict[str, Any] = {"text": spoken(life.texts, matter.core, chance, visit=arrival.visit)}
    if not matter.vague:
        body |= _where(matter.place, chance.random())
    if chance.random() < life.habits.topics:
        # Three in four know the exact heading, the others the wider one.
        body["topic"] = matter.topic if chance.random() < 0.75 else matter.topic.partition(".")[0]
    if chance.random() < life.habits.contacts:
        body["contact"] = {"name": f"居民{arrival.number + 1}", "phone": f"139{chance.randrange(10**8):08d}"}
    return Draft(
        key=arrival.key,
        at=arrival.at,
        body=body,
        topic=matter.topic,
        grid=matter.place.grid,
        supports=_supports(life, arrival),
        visit=arrival.visit,
    )


def matter_of(life: Life, arrival: Arrival) -> Matter:
    """The matter that is spoken of: a new one, or one of the last days."""
    chance = life.chance("matter of", arrival.day, arrival.number)
    if chance.random() >= life.habits.twins:
        return matter(life, arrival.day, arrival.number)
    days = chance.randrange(DAYS_OF_TALK)
    # The first matters of a day are the ones that are talked about most.
    earliest = arrival.number if days == 0 else max(1, int(life.habits.rate / 2))
    return matter(life, arrival.day - timedelta(days=days), int(earliest * chance.random() ** 3))


def matter(life: Life, day: date, number: int) -> Matter:
    """The `number`-th matter that came up on `day`."""
    chance = life.chance("matter", day, number)
    topic = chance.choice(life.town.topics)
    place = life.town.place(chance)
    vague = chance.random() < life.habits.vague
    core = sentence(life.texts, topic, SOMEWHERE if vague else place.name, chance)
    return Matter(topic, place, core, vague)


def _where(place: Place, drawn: float) -> dict[str, Any]:
    """How the place is told: by the station's code, the telephone's position, the grid's number, or only in
    the words."""
    if place.station is not None and drawn < 0.7:
        return {"station": place.station}
    if place.lat is not None and drawn < 0.85:
        return {"location": {"lat": place.lat, "lon": place.lon}}
    if drawn < 0.95:
        return {"grid": place.grid}
    return {"address": place.name}


def _supports(life: Life, arrival: Arrival) -> tuple[tuple[datetime, str], ...]:
    chance = life.chance("supporters", arrival.day, arrival.number)
    if chance.random() >= life.habits.supported:
        return ()
    count = 1
    while count < MOST_SUPPORTERS and chance.random() < 0.5:
        count += 1
    times = sorted(life.later(arrival.at, 24.0, chance) for _ in range(count))
    return tuple(
        (at.replace(microsecond=at.microsecond // 1000 * 1000), f"{arrival.key}/{number}")
        for number, at in enumerate(times, 1)
    )
