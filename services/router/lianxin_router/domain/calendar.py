"""When a limit ends, in the city's working time.

Civil dates and hours are those of the city's zone; every instant in and out is aware. The day from which a
limit counts is not itself counted (Civil Code of the PRC, art. 201). What was computed with a year without a
published calendar is marked provisional.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from lianxin_contracts.registry import Limit
from lianxin_contracts.working_time import DAY, NoWorkingTime, WorkingTime


@dataclass(frozen=True, slots=True)
class Deadline:
    """Where a limit ends (UTC). `provisional`: a year without a published calendar was counted."""

    at: datetime
    provisional: bool = False


class WorkingCalendar(WorkingTime):
    """The working time of a city, and the limits that are counted in it."""

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
        return self._workingdays_back(end, limit.amount)

    def _close_of_working_day(self, start: datetime, amount: int) -> datetime:
        if amount <= 0:
            return start
        for day in self.days_on(self.civil_date(start) + DAY):
            if self.is_working_day(day) and self.hours(day):
                amount -= 1
                if amount == 0:
                    return self.hours(day)[-1][1]
        raise NoWorkingTime(f"no working day after {start.isoformat()}")

    def _workingdays_back(self, end: datetime, amount: int) -> datetime:
        if amount <= 0:
            return end
        for day in self.days_back(self.civil_date(end)):
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


def add_months(day: date, months: int) -> date:
    """`day` some calendar months on (or back); the day clipped to the month's last."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
