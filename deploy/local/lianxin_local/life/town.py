"""What the made-up people know of their city: where its stations are, when it works, who answers for what."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lianxin_contracts.registry import Grid, Mandate, Snapshot, Staff, Station
from lianxin_local.life.texts import Texts
from lianxin_router.domain.calendar import WorkingCalendar

# Contact day 代表接待日: the third Tuesday of the month, from nine to half past eleven.
CONTACT_WEEKDAY, CONTACT_WEEK = 2, 3
CONTACT_HOURS = (time(9, 0), time(11, 30))
# Decimals of a degree that a telephone tells: a metre.
DECIMALS = 5
_COMMITTEES = ("居委会", "村委会", "居民委员会", "村民委员会")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a matter is: `name` as people say it; a point (WGS-84 degrees) where the grid has an outline."""

    name: str
    grid: str
    station: str | None = None
    lat: float | None = None
    lon: float | None = None


class Town:
    """The city in one registry version, as its people know it."""

    def __init__(self, city: Snapshot, texts: Texts) -> None:
        """Raises ValueError for a city without grids, or with none of the topics that there are texts for."""
        self.zone = ZoneInfo(city.city.zone)
        self.calendar = WorkingCalendar(city.calendars.values(), city.city.zone)
        self.topics = tuple(topic for topic in sorted(city.topics) if topic in texts.matters)
        self._city = city
        self._stations: Sequence[Station] = [
            s for _, s in sorted(city.stations.items()) if s.grid in city.grids
        ]
        self._grids: Sequence[Grid] = [grid for _, grid in sorted(city.grids.items())]
        self._staff: Sequence[Staff] = [one for _, one in sorted(city.staff.items())]
        self._mandates: dict[str, list[Mandate]] = {}
        for _, mandate in sorted(city.mandates.items()):
            for area in mandate.areas:
                self._mandates.setdefault(area, []).append(mandate)
        self._leaves: dict[str, list[tuple[date, date]]] = {}
        for leave in city.leaves.values():
            self._leaves.setdefault(leave.deputy, []).append((leave.since, leave.until))
        if not self._grids:
            raise ValueError("the city has no grids: there is nowhere to live")
        if not self.topics:
            raise ValueError("there are texts for none of this city's topics")

    def day(self, at: datetime) -> date:
        """The civil date in the city at the instant `at`."""
        return at.astimezone(self.zone).date()

    def instant(self, day: date, at: time) -> datetime:
        """The instant (UTC) of a time of day in the city."""
        return datetime.combine(day, at, self.zone).astimezone(UTC)

    def place(self, chance: random.Random) -> Place:
        """Somewhere: six in ten times about a station, else anywhere."""
        if self._stations and chance.random() < 0.6:
            station = chance.choice(self._stations)
            return self._at(self._city.grids[station.grid], station.id, chance)
        return self._at(chance.choice(self._grids), None, chance)

    def _at(self, grid: Grid, station: str | None, chance: random.Random) -> Place:
        region = self._city.regions.get(grid.community)
        name = region.name if region is not None else grid.name
        for committee in _COMMITTEES:
            name = name.removesuffix(committee)
        if not grid.polygon:
            return Place(name, grid.id, station)
        # Any mean of the corners lies within an outline that bulges outwards, as the sample city's do.
        weights = [chance.expovariate(1.0) for _ in grid.polygon]
        total = sum(weights)
        lon = sum(weight * corner[0] for weight, corner in zip(weights, grid.polygon, strict=True)) / total
        lat = sum(weight * corner[1] for weight, corner in zip(weights, grid.polygon, strict=True)) / total
        return Place(name, grid.id, station, round(lat, DECIMALS), round(lon, DECIMALS))

    def is_contact_day(self, day: date) -> bool:
        """Whether deputies receive residents in person on `day`. It falls out where nobody works."""
        third = day.isoweekday() == CONTACT_WEEKDAY and (day.day - 1) // 7 + 1 == CONTACT_WEEK
        return third and self.calendar.is_working_day(day)

    def contact_hours(self, day: date) -> tuple[datetime, datetime]:
        """When they do, as instants (UTC)."""
        return self.instant(day, CONTACT_HOURS[0]), self.instant(day, CONTACT_HOURS[1])

    def contact_days(self, after: datetime, until: datetime) -> Iterator[date]:
        """The contact days that begin after one instant and not after the other."""
        day = self.day(after)
        while day <= self.day(until):
            if self.is_contact_day(day) and after < self.contact_hours(day)[0] <= until:
                yield day
            day += _DAY

    def back_from_leave(self, deputy: str, at: datetime) -> datetime:
        """`at`, or the start of the day on which a deputy who is on leave then is back."""
        day = self.day(at)
        while (until := next((u for s, u in self._leaves.get(deputy, ()) if s <= day < u), None)) is not None:
            day = until
        return at if day == self.day(at) else self.instant(day, time())

    def staff(self, role: str, area: str | None) -> str | None:
        """Who of the office decides on an area (a code): its own people before those for everywhere."""
        able = [one for one in self._staff if role in one.roles]
        for one in able:
            if area and any(area.startswith(own) for own in one.areas):
                return one.id
        return next((one.id for one in able if not one.areas), None)

    def who_could_take(
        self, grid: str, on: date, without: Sequence[str], chance: random.Random
    ) -> str | None:
        """A deputy with a mandate over `grid`, the nearest first, as the office has them on its list."""
        for length in (15, 12, 9, 6):
            found = [
                mandate.deputy
                for mandate in self._mandates.get(grid[:length], ())
                if mandate.since <= on
                and (mandate.until is None or on < mandate.until)
                and mandate.deputy not in without
            ]
            if found:
                return chance.choice(found)
        return None

    def department(self, topic: str | None, texts: Texts) -> str | None:
        """The department that a topic's work is given to."""
        name = texts.departments.get((topic or "").partition(".")[0])
        return name if name in self._city.departments else next(iter(sorted(self._city.departments)), None)

    def needs_evidence(self, topic: str | None) -> bool:
        """Whether a resolution of this topic shows a photograph."""
        known = self._city.topics.get(topic or "")
        return known is not None and known.evidence

    def return_reason(self) -> str:
        """The reason that is given with a return."""
        policy = next((p for _, p in sorted(self._city.policies.items()) if p.kind == "opinion"), None)
        return policy.return_reasons[0] if policy and policy.return_reasons else "other"
