"""Windows of reports: half-open, on civil dates of the city's zone."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from lianxin_contracts.envelope import milliseconds, parse_time

PERIODS = ("day", "month", "quarter", "year")


class WrongWindow(ValueError):
    """The period, date or instant makes no sense; `str()` says what is expected."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` (inclusive) to `end` (exclusive), ms since the epoch."""

    start: int
    end: int

    def __contains__(self, at: int | None) -> bool:
        return at is not None and self.start <= at < self.end


def period(kind: str, name: str, zone: ZoneInfo) -> Window:
    """The day `2026-11-23`, month `2026-11`, quarter `2026-Q4` or year `2026` of that `name`.

    Raises `WrongWindow` where there is no such one.
    """
    first, after = _bounds(kind, name)
    try:
        window = Window(midnight(first, zone), midnight(after, zone))
        for bound in (window.start, window.end):
            written(bound, zone)
    except OverflowError as error:
        raise WrongWindow(f"{name!r} lies outside the calendar; for example {_SHAPES[kind][1]}") from error
    return window


def period_name(kind: str, at: int, zone: ZoneInfo) -> str:
    """The name of the period of `kind` that the instant `at` (ms) falls into."""
    day = moment(at).astimezone(zone).date()
    if kind == "day":
        return day.isoformat()
    if kind == "month":
        return f"{day.year:04}-{day.month:02}"
    if kind == "quarter":
        return f"{day.year:04}-Q{(day.month + 2) // 3}"
    return f"{day.year:04}"


def between(start: str, end: str, zone: ZoneInfo) -> Window:
    """The window of two instants or dates (a date is its first instant). Raises `WrongWindow`."""
    window = Window(instant(start, zone), instant(end, zone))
    if window.start >= window.end:
        raise WrongWindow(f"the window from {start} to {end} is empty: `to` is exclusive and must be later")
    return window


def instant(text: str, zone: ZoneInfo) -> int:
    """Ms since the epoch of an RFC 3339 time with a zone, or of the first instant of a civil date. Raises
    `WrongWindow` where `text` is neither."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            at = midnight(date.fromisoformat(text), zone)
        else:
            # In a query string a bare "+" means a blank; no RFC 3339 time has a blank before its offset.
            at = milliseconds(parse_time(re.sub(r" (?=\d{2}:\d{2}$)", "+", text)))
        written(at, zone)  # what a report can't be headed with is no instant of the city's calendar
        return at
    except (ValueError, OverflowError) as error:
        raise WrongWindow(
            f"{text!r} is neither a date (2026-11-23) nor an RFC 3339 time with a zone"
        ) from error


def midnight(day: date, zone: ZoneInfo) -> int:
    """The first instant of `day`, ms."""
    return milliseconds(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))


def moment(at: int) -> datetime:
    """The UTC datetime of `at` ms, exact."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)


def written(at: int, zone: ZoneInfo) -> str:
    """`at` ms as RFC 3339 in the city's zone, with milliseconds."""
    return moment(at).astimezone(zone).isoformat(timespec="milliseconds")


_SHAPES = {
    "day": (r"(\d{4})-(\d{2})-(\d{2})", "date=2026-11-23"),
    "month": (r"(\d{4})-(\d{2})", "month=2026-11"),
    "quarter": (r"(\d{4})-Q([1-4])", "quarter=2026-Q4"),
    "year": (r"(\d{4})", "year=2026"),
}


def _bounds(kind: str, name: str) -> tuple[date, date]:
    shape, example = _SHAPES[kind]
    match = re.fullmatch(shape, name)
    try:
        if match is None:
            raise ValueError(name)
        numbers = [int(group) for group in match.groups()]
        if kind == "day":
            first = date(*numbers)
            return first, first + timedelta(days=1)
        months = {"month": 1, "quarter": 3, "year": 12}[kind]
        index = numbers[1] - 1 if len(numbers) > 1 else 0
        first = date(numbers[0], index * months + 1, 1)
        last_month = first.year * 12 + first.month - 1 + months
        return first, date(last_month // 12, last_month % 12 + 1, 1)
    except (ValueError, OverflowError) as error:
        raise WrongWindow(f"{name!r} is no {kind}; for example {example}") from error
