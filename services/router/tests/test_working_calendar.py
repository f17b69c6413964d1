"""Working days and hours, with the real year 2026: the days that the State Council gave off and took."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianxin_contracts.registry import Calendar, Limit
from lianxin_contracts.working_time import NoWorkingTime
from lianxin_router.domain.calendar import WorkingCalendar, add_months

SHANGHAI = ZoneInfo("Asia/Shanghai")


def the_year(year: int) -> Calendar:
    """A year as announced: days off that fall on weekdays, and weekend days that are worked."""
    days = [date(year, 1, 1) + timedelta(days=n) for n in range(365)]
    return Calendar(
        id=str(year),
        year=year,
        holidays=tuple(d for d in days if d.isoweekday() < 6 and not chinese_calendar.is_workday(d)),
        workdays=tuple(d for d in days if d.isoweekday() > 5 and chinese_calendar.is_workday(d)),
    )


YEAR_2026 = WorkingCalendar([the_year(2026)])


def local(month: int, day: int, hour: int = 10, minute: int = 0, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=SHANGHAI)


def test_every_day_of_2026_is_as_the_government_announced_it() -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    assert [YEAR_2026.is_working_day(d) for d in days] == [chinese_calendar.is_workday(d) for d in days]


def test_a_make_up_saturday_counts_as_a_working_day() -> None:
    # Spring Festival 2026: 15 to 23 February off, Saturday 14 and Saturday 28 February are worked.
    assert YEAR_2026.ends(local(2, 13), Limit(1, "working_days")).at == local(2, 14, 17)


def test_a_statutory_holiday_on_weekdays_does_not_count() -> None:
    assert YEAR_2026.ends(local(2, 13), Limit(2, "working_days")).at == local(2, 24, 17)


def test_working_days_end_at_the_close_of_the_nth_working_day_after_the_first() -> None:
    assert YEAR_2026.ends(local(3, 2), Limit(3, "working_days")).at == local(3, 5, 17)


def test_the_day_of_submission_does_not_count_however_early_it_was() -> None:
    early, late = local(3, 2, 0, 1), local(3, 2, 23, 59)
    limit = Limit(1, "working_days")
    assert YEAR_2026.ends(early, limit).at == YEAR_2026.ends(late, limit).at == local(3, 3, 17)


def test_the_civil_date_is_that_of_the_city_and_not_of_greenwich() -> None:
    # 23:30 UTC on Monday is Tuesday 07:30 in Wuxi.
    at = datetime(2026, 3, 2, 23, 30, tzinfo=UTC)
    assert YEAR_2026.civil_date(at) == date(2026, 3, 3)
    assert YEAR_2026.ends(at, Limit(1, "working_days")).at == local(3, 4, 17)


def test_what_is_submitted_on_a_saturday_counts_from_monday() -> None:
    assert YEAR_2026.ends(local(3, 7), Limit(1, "working_days")).at == local(3, 9, 17)


def test_hours_are_wall_hours_over_nights_and_holidays() -> None:
    assert YEAR_2026.ends(local(2, 14), Limit(48, "hours")).at == local(2, 16)


def test_working_hours_skip_lunch_nights_and_weekends() -> None:
    # Friday 16:00: one hour that day, three on Monday morning, one after lunch.
    assert YEAR_2026.ends(local(3, 6, 16), Limit(5, "working_hours")).at == local(3, 9, 14)


def test_days_end_at_the_same_time_of_day() -> None:
    assert YEAR_2026.ends(local(2, 20, 9, 30), Limit(10, "days")).at == local(3, 2, 9, 30)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 11, 30), 3, date(2027, 2, 28)),
        (date(2026, 3, 15), 3, date(2026, 6, 15)),
        (date(2026, 12, 1), 1, date(2027, 1, 1)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2026, 1, 15), -1, date(2025, 12, 15)),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last_of_a_shorter_month(
    start: date, months: int, end: date
) -> None:
    assert add_months(start, months) == end


def test_three_months_for_a_suggestion_end_at_the_same_time_of_day() -> None:
    ends = YEAR_2026.ends(local(3, 31, 15, 20), Limit(3, "months"))
    assert ends.at == local(6, 30, 15, 20)
    assert not ends.provisional


def test_past_the_last_published_year_plain_weekends_count_and_it_says_so() -> None:
    ends = YEAR_2026.ends(local(12, 31), Limit(1, "working_days"))
    assert ends.at == local(1, 1, 17, year=2027)  # a Friday; the holiday is not announced yet
    assert ends.provisional
    assert not YEAR_2026.ends(local(12, 30), Limit(1, "working_days")).provisional


def test_an_unannounced_year_in_the_table_counts_plain_weekends_too() -> None:
    unannounced = Calendar("2027", 2027, holidays=(date(2027, 1, 4),), published=False)
    calendar = WorkingCalendar([the_year(2026), unannounced])
    assert calendar.is_working_day(date(2027, 1, 4))
    assert calendar.ends(local(12, 31), Limit(2, "working_days")).provisional


def test_a_year_without_a_table_keeps_the_hours_of_the_year_before() -> None:
    short = Calendar("2026", 2026, hours=(("08:30", "11:30"),))
    calendar = WorkingCalendar([short, Calendar("2025", 2025)])
    assert calendar.hours(date(2027, 3, 1)) == ((local(3, 1, 8, 30, 2027), local(3, 1, 11, 30, 2027)),)


def test_wall_limits_are_never_provisional() -> None:
    assert not WorkingCalendar().ends(local(3, 2), Limit(24, "hours")).provisional


@pytest.mark.parametrize(
    ("limit", "start"),
    [
        (Limit(24, "hours"), local(3, 10, 17)),
        (Limit(2, "days"), local(3, 9, 17)),
        (Limit(1, "months"), local(2, 11, 17)),
        (Limit(3, "working_hours"), local(3, 11, 14)),
        (Limit(9, "working_hours"), local(3, 10, 15)),
        (Limit(3, "working_days"), local(3, 6, 17)),
        (Limit(0, "working_days"), local(3, 11, 17)),
        (Limit(0, "working_hours"), local(3, 11, 17)),
    ],
)
def test_a_reminder_comes_the_limit_before_the_end(limit: Limit, start: datetime) -> None:
    assert YEAR_2026.before(local(3, 11, 17), limit) == start


def test_a_limit_of_nothing_ends_at_once_even_on_a_day_off() -> None:
    assert YEAR_2026.ends(local(3, 7), Limit(0, "working_days")).at == local(3, 7)
    assert YEAR_2026.ends(local(3, 7), Limit(0, "working_hours")).at == local(3, 7)


def test_a_city_that_never_works_is_an_error_and_not_an_endless_loop() -> None:
    calendar = WorkingCalendar(a_year_off(year) for year in range(2014, 2040))
    with pytest.raises(NoWorkingTime, match="2026-03-02"):
        calendar.ends(local(3, 2), Limit(1, "working_days"))
    with pytest.raises(NoWorkingTime):
        calendar.ends(local(3, 2), Limit(1, "working_hours"))
    with pytest.raises(NoWorkingTime):
        calendar.before(local(3, 2), Limit(1, "working_hours"))
    with pytest.raises(NoWorkingTime):
        calendar.before(local(3, 2), Limit(1, "working_days"))


def a_year_off(year: int) -> Calendar:
    days = (date(year, 1, 1) + timedelta(days=n) for n in range(366))
    return Calendar(str(year), year, holidays=tuple(days))


def test_a_table_without_hours_takes_the_usual_ones() -> None:
    calendar = WorkingCalendar([Calendar("2026", 2026, hours=())])
    assert calendar.ends(local(3, 2), Limit(1, "working_days")).at == local(3, 3, 17)


def test_working_time_between_two_moments_of_a_day() -> None:
    assert YEAR_2026.working_between(local(3, 2, 11), local(3, 2, 14)) == timedelta(hours=2)


def test_no_working_time_passes_over_a_holiday_week() -> None:
    assert YEAR_2026.working_between(local(2, 14, 17), local(2, 24, 9)) == timedelta()


def test_no_working_time_passes_backwards() -> None:
    assert YEAR_2026.working_between(local(3, 3, 16), local(3, 3, 10)) == timedelta()


MOMENTS = st.integers(0, 300 * 86_400).map(lambda seconds: local(1, 5, 0) + timedelta(seconds=seconds))
AMOUNTS = st.integers(1, 60_000).map(lambda seconds: timedelta(seconds=seconds))


@given(MOMENTS, AMOUNTS)
def test_adding_working_time_passes_exactly_that_much(start: datetime, amount: timedelta) -> None:
    assert YEAR_2026.working_between(start, YEAR_2026.add_working(start, amount)) == amount


@given(MOMENTS, AMOUNTS)
def test_subtracting_working_time_goes_back_exactly_that_much(end: datetime, amount: timedelta) -> None:
    assert YEAR_2026.working_between(YEAR_2026.subtract_working(end, amount), end) == amount


@given(
    MOMENTS, st.integers(1, 30), st.sampled_from(["hours", "working_hours", "days", "working_days", "months"])
)
def test_a_longer_limit_never_ends_earlier(start: datetime, amount: int, unit: str) -> None:
    shorter = YEAR_2026.ends(start, Limit(amount, unit)).at  # type: ignore[arg-type]
    assert start < shorter < YEAR_2026.ends(start, Limit(amount + 1, unit)).at  # type: ignore[arg-type]
