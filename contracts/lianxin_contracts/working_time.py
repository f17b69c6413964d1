"""Which days of a city are worked, and the working time between two instants: reckoned from the registry's
calendars, by whatever needs it.

Civil dates and hours are those of the city's zone; every instant in and out is aware. Statutory holidays
don't count and make-up workdays 调休 do, as the calendars say. A year without a published calendar counts
plain weekends.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lianxin_contracts.registry import Calendar

DAY = timedelta(days=1)
_WEEKEND = (6, 7)
# Further than any limit reaches: a calendar whose every day is a holiday ends here, not in an endless loop.
_MOST_DAYS = 3_700


class NoWorkingTime(ValueError):
    """The calendar has no working time within ten years: `str()` says from which date."""


class WorkingTime:
    """Working days and hours by the registry's calendars of each year."""

    def __init__(self, calendars: Iterable[Calendar] = (), zone: str = "Asia/Shanghai") -> None:
        self.zone = ZoneInfo(zone)
        self._years = {calendar.year: calendar for calendar in calendars}
        self._holidays = frozenset(day for c in self._years.values() for day in c.holidays)
        self._workdays = frozenset(day for c in self._years.values() for day in c.workdays)
        self._hours_of: dict[date, tuple[tuple[datetime, datetime], ...]] = {}

    def civil_date(self, at: datetime) -> date:
        """The date in the city at the instant `at`."""
        return at.astimezone(self.zone).date()

    def is_published(self, year: int) -> bool:
        """Whether the government has announced the holidays of `year`."""
        calendar = self._years.get(year)
        return calendar is not None and calendar.published

    def is_working_day(self, day: date) -> bool:
        """Whether people work on `day`."""
        if self.is_published(day.year):
            if day in self._workdays:
                return True
            if day in self._holidays:
                return False
        return day.isoweekday() not in _WEEKEND

    def hours(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        """The working intervals of `day` as UTC instants, in order; empty on a day off."""
        known = self._hours_of.get(day)
        if known is None:
            known = self._hours_of[day] = self._read_hours(day)
        return known

    def working_between(self, start: datetime, end: datetime) -> timedelta:
        """How much working time lies between two instants; nothing where `end` is not later."""
        total = timedelta()
        day, last = self.civil_date(start), self.civil_date(end)
        while day <= last:
            for opens, closes in self.hours(day):
                total += max(timedelta(), min(closes, end) - max(opens, start))
            day += DAY
        return total

    def add_working(self, start: datetime, amount: timedelta) -> datetime:
        """The instant at which `amount` of working time has passed since `start`."""
        if amount <= timedelta():
            return start
        for day in self.days_on(self.civil_date(start)):
            for opens, closes in self.hours(day):
                begins = max(opens, start)
                if begins >= closes:
                    continue
                if amount <= closes - begins:
                    return begins + amount
                amount -= closes - begins
        raise NoWorkingTime(f"no working time after {start.isoformat()}")

    def subtract_working(self, end: datetime, amount: timedelta) -> datetime:
        """The instant from which `amount` of working time passes until `end`."""
        if amount <= timedelta():
            return end
        for day in (self.civil_date(end), *self.days_back(self.civil_date(end))):
            for opens, closes in reversed(self.hours(day)):
                finishes = min(closes, end)
                if finishes <= opens:
                    continue
                if amount <= finishes - opens:
                    return finishes - amount
                amount -= finishes - opens
        raise NoWorkingTime(f"no working time before {end.isoformat()}")

    def _read_hours(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        if not self.is_working_day(day):
            return ()
        calendar = self._years.get(day.year) or self._latest_before(day.year)
        # A table without hours takes the contract's: a day that counts must have a close.
        spans = (calendar.hours if calendar else ()) or Calendar(id="", year=day.year).hours
        return tuple((self._instant(day, opens), self._instant(day, closes)) for opens, closes in spans)

    def _latest_before(self, year: int) -> Calendar | None:
        earlier = [known for known in self._years if known < year]
        return self._years[max(earlier)] if earlier else None

    def _instant(self, day: date, text: str) -> datetime:
        return datetime.combine(day, time.fromisoformat(text), self.zone).astimezone(UTC)

    @staticmethod
    def days_on(day: date) -> Iterator[date]:
        """`day` and the days after it, for ten years."""
        for _ in range(_MOST_DAYS):
            yield day
            day += DAY

    @staticmethod
    def days_back(day: date) -> Iterator[date]:
        """The days before `day`, for ten years."""
        for _ in range(_MOST_DAYS):
            day -= DAY
            yield day
