"""When residents come: a Poisson process whose rate goes by the hour of the day and the day of the week.

Each day is drawn by itself, so a life goes on from any day without what was before it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from lianxin_local.life.lives import Life
from lianxin_local.life.town import Town

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Arrival:
    """The `number`-th opinion of a `day` (from 0, in the order of time). `key` is its idempotency key; with
    `visit` the resident came to a deputy in person."""

    key: str
    day: date
    number: int
    at: datetime
    visit: bool = False


def expected(life: Life, day: date, hour: int) -> float:
    """How many opinions are expected in one hour (0 to 23, the city's) of `day`, visits left out."""
    habits = life.habits
    weight = habits.weekdays[day.weekday()] / habits.mean_weight_of_a_week()
    if is_holiday(life.town, day):
        weight = habits.holiday
    return habits.rate * weight * habits.hours[hour] / sum(habits.hours)


def expected_visits(life: Life, day: date) -> float:
    """How many residents are expected to come to the deputies on a contact day."""
    return life.habits.visits * life.habits.rate if life.town.is_contact_day(day) else 0.0


def is_holiday(town: Town, day: date) -> bool:
    """Whether it is a weekday on which nobody works."""
    return day.isoweekday() <= 5 and not town.calendar.is_working_day(day)


def arrivals(life: Life, day: date) -> list[Arrival]:
    """Everybody who comes on `day`, in the order of time."""
    chance = life.chance("arrivals", day)
    begins = life.town.instant(day, time())
    found: list[tuple[datetime, bool]] = []
    for hour in range(24):
        opens = begins + hour * _HOUR
        rate = expected(life, day, hour)
        found += [(at, False) for at in _poisson(opens, opens + _HOUR, rate, chance.expovariate)]
    if visits := expected_visits(life, day):
        opens, closes = life.town.contact_hours(day)
        found += [(at, True) for at in _poisson(opens, closes, visits, chance.expovariate)]
    return [
        Arrival(f"{life.name}/{day}/{number}", day, number, at, visit)
        for number, (at, visit) in enumerate(sorted(found))
    ]


def all_arrivals(life: Life, since: datetime) -> Iterator[Arrival]:
    """Everybody who comes from the instant `since` on, without end."""
    day = life.town.day(since)
    while True:
        yield from (one for one in arrivals(life, day) if one.at >= since)
        day += timedelta(days=1)


def _poisson(
    opens: datetime, closes: datetime, count: float, gap: Callable[[float], float]
) -> Iterator[datetime]:
    """Instants between two, in whole milliseconds, `count` of them expected."""
    if count <= 0:
        return
    rate = count / (closes - opens).total_seconds()
    at = opens + timedelta(seconds=gap(rate))
    while at < closes:
        yield at.replace(microsecond=at.microsecond // 1000 * 1000).astimezone(UTC)
        at += timedelta(seconds=gap(rate))
