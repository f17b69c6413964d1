"""The city's working time: which days count, when they close, and when a limit ends.

Civil dates and hours are those of the city's zone; every instant in and out is aware. The day from which a
limit counts is not itself counted (Civil Code of the PRC, art. 201); statutory holidays don't count and
make-up workdays 调休 do, as the registry's calendars say. A year without a published calendar counts plain
weekends, and whatever was computed with it is marked provisional.
"""

from calendar import monthrange
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lianxin_contracts.registry import Calendar, Limit

_DAY = timedelta(days=1)
_WEEKEND = (6, 7)
# Further than any limit reaches: a calendar whose every day is a holiday ends here, not in an endless loop.
_MOST_DAYS = 3_700


class NoWorkingTime(ValueError):
    """The calendar has no working time within ten years: `str()` says from which date."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Where a limit ends (UTC). `provisional`: a year without a published calendar was counted."""

    at: datetime
    provisional: bool = False


class WorkingCalendar:
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

    def ends(self, start: datetime, limit: Limit) -> Deadline:
        """When `limit`, counted from `start`, ends.

        `hours` are wall hours; `days` and `months` end at the same time of day, a month's day clipped to its
        last; `working_hours` count working time alone; `working_days` end at the close of the n-th working
        day after the day of `start`. Raises `NoWorkingTime` where there is none.
        """
        if limit.unit == "hours":
            return Deadline(start + timedelta(hours=limit.amount))
        if limit.unit == "days":
            return Deadline(self._same_time(start, self.civil_date(start) + timedelta(days=limit.amount)))
        if limit.unit == "months":
            return Deadline(self._same_time(start, add_months(self.civil_date(start), limit.amount)))
        if limit.unit == "working_hours":
            end = self.add_working(start, timedelta(hours=limit.amount))
        else:
            end = self._close_of_working_day(start, limit.amount)
        return Deadline(end, self._is_provisional(start, end))

    def before(self, end: datetime, limit: Limit) -> datetime:
        """The instant from which `limit` is left until `end`; days go back to the same time of day."""
        if limit.unit == "hours":
            return end - timedelta(hours=limit.amount)
        if limit.unit == "days":
            return self._same_time(end, self.civil_date(end) - timedelta(days=limit.amount))
        if limit.unit == "months":
            return self._same_time(end, add_months(self.civil_date(end), -limit.amount))
        if limit.unit == "working_hours":
            return self.subtract_working(end, timedelta(hours=limit.amount))
        return self._working_days_back(end, limit.amount)

    def working_between(self, start: datetime, end: datetime) -> timedelta:
        """How much working time lies between two instants; nothing where `end` is not later."""
        total = timedelta()
        day, last = self.civil_date(start), self.civil_date(end)
        while day <= last:
            for opens, closes in self.hours(day):
                total += max(timedelta(), min(closes, end) - max(opens, start))
            day += _DAY
        return total

    def add_working(self, start: datetime, amount: timedelta) -> datetime:
        """The instant at which `amount` of working time has passed since `start`."""
        if amount <= timedelta():
            return start
        for day in self._days_on(self.civil_date(start)):
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
        for day in (self.civil_date(end), *self._days_back(self.civil_date(end))):
            for opens, closes in reversed(self.hours(day)):
                finishes = min(closes, end)
                if finishes <= opens:
                    continue
                if amount <= finishes - opens:
                    return finishes - amount
                amount -= finishes - opens
        raise NoWorkingTime(f"no working time before {end.isoformat()}")

    def _close_of_working_day(self, start: datetime, amount: int) -> datetime:
        if amount <= 0:
            return start
        for day in self._days_on(self.civil_date(start) + _DAY):
            if self.is_working_day(day) and self.hours(day):
                amount -= 1
                if amount == 0:
                    return self.hours(day)[-1][1]
        raise NoWorkingTime(f"no working day after {start.isoformat()}")

    def _working_days_back(self, end: datetime, amount: int) -> datetime:
        if amount <= 0:
            return end
        for day in self._days_back(self.civil_date(end)):
            if self.is_working_day(day):
                amount -= 1
                if amount == 0:
                    return self._same_time(end, day)
        raise NoWorkingTime(f"no working day before {end.isoformat()}")

    def _is_provisional(self, start: datetime, end: datetime) -> bool:
        years = range(self.civil_date(start).year, self.civil_date(end).year + 1)
        return not all(self.is_published(year) for year in years)

    def _same_time(self, at: datetime, day: date) -> datetime:
        local = at.astimezone(self.zone)
        return datetime.combine(day, local.timetz()).astimezone(UTC)

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
    def _days_on(day: date) -> Iterator[date]:
        for _ in range(_MOST_DAYS):
            yield day
            day += _DAY

    @staticmethod
    def _days_back(day: date) -> Iterator[date]:
        for _ in range(_MOST_DAYS):
            day -= _DAY
            yield day


def add_months(day: date, months: int) -> date:
    """`day` some calendar months on (or back); the day clipped to the month's last."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
