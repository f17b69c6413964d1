"""When residents come."""

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lianxin_local.life.arrivals import all_arrivals, arrivals, expected, expected_visits
from lianxin_local.life.habits import Habits
from tests.life.paper_stack import a_life, noon, town

WORKDAY, SATURDAY, MAKE_UP_SATURDAY, HOLIDAY = (
    date(2026, 3, 3), date(2026, 3, 7), date(2026, 2, 14), date(2026, 10, 1),
)  # fmt: skip
THIRD_TUESDAY = date(2026, 3, 17)
DAYS = st.dates(date(2020, 1, 1), date(2026, 12, 31))


@settings(max_examples=30, deadline=None)
@given(DAYS, st.integers(0, 2**32))
def test_the_same_seed_and_day_are_the_same_residents(day: date, seed: int) -> None:
    assert arrivals(a_life(seed=seed), day) == arrivals(a_life(seed=seed), day)


def test_another_seed_is_other_residents() -> None:
    assert arrivals(a_life(seed=1), WORKDAY) != arrivals(a_life(seed=2), WORKDAY)


@settings(max_examples=30, deadline=None)
@given(DAYS, st.integers(0, 2**32))
def test_a_days_residents_come_in_order_within_the_day_each_under_a_key_of_their_own(
    day: date, seed: int
) -> None:
    found = arrivals(a_life(seed=seed), day)
    assert [one.at for one in found] == sorted(one.at for one in found)
    assert {town().day(one.at) for one in found} <= {day}
    assert len({one.key for one in found}) == len(found)
    assert [one.number for one in found] == list(range(len(found)))


@pytest.mark.parametrize("day", [WORKDAY, SATURDAY, HOLIDAY])
def test_the_hours_of_a_day_add_up_to_its_rate(day: date) -> None:
    life = a_life()
    habits = life.habits
    weight = habits.weekdays[day.weekday()] * 7 / sum(habits.weekdays)
    if day == HOLIDAY:
        weight = habits.holiday
    assert sum(expected(life, day, hour) for hour in range(24)) == pytest.approx(habits.rate * weight)


def test_as_many_come_in_each_hour_and_on_each_weekday_as_is_configured() -> None:
    life = a_life(Habits(rate=400.0, visits=0.0))
    days = [WORKDAY + timedelta(days=number) for number in range(28)]  # without a holiday
    by_hour: Counter[int] = Counter()
    by_weekday: Counter[int] = Counter()
    for day in days:
        for one in arrivals(life, day):
            local = one.at.astimezone(town().zone)
            by_hour[local.hour] += 1
            by_weekday[local.weekday()] += 1
    for hour in range(24):
        mean = sum(expected(life, day, hour) for day in days)
        assert abs(by_hour[hour] - mean) < 4.5 * mean**0.5  # four and a half standard deviations of Poisson's
    for weekday in range(7):
        mean = sum(expected(life, day, h) for day in days if day.weekday() == weekday for h in range(24))
        assert abs(by_weekday[weekday] - mean) < 4.5 * mean**0.5


def test_a_year_has_as_many_opinions_as_its_rate_says() -> None:
    life = a_life(Habits(visits=0.0))
    year = [date(2025, 1, 1) + timedelta(days=number) for number in range(365)]
    mean = sum(expected(life, day, hour) for day in year for hour in range(24))
    assert mean == pytest.approx(365 * life.habits.rate, rel=0.05)
    assert abs(sum(len(arrivals(life, day)) for day in year) - mean) < 4.5 * mean**0.5


def test_residents_come_in_person_on_the_third_tuesday_in_its_hours_and_on_no_other_day() -> None:
    life = a_life(Habits(visits=1.0))
    assert expected_visits(life, THIRD_TUESDAY) == life.habits.rate
    visits = [one for one in arrivals(life, THIRD_TUESDAY) if one.visit]
    opens, closes = town().contact_hours(THIRD_TUESDAY)
    assert visits
    assert all(opens <= one.at < closes for one in visits)
    assert not any(one.visit for one in arrivals(life, WORKDAY))


def test_a_contact_day_on_a_holiday_falls_out() -> None:
    assert not town().is_contact_day(date(2026, 2, 17))  # the Spring Festival's first day


def test_the_stream_of_residents_begins_anywhere_and_misses_nobody() -> None:
    life = a_life()
    begins = noon("2026-03-03")
    stream = all_arrivals(life, begins)
    wanted = [
        one
        for day in (WORKDAY, WORKDAY + timedelta(days=1))
        for one in arrivals(life, day)
        if one.at >= begins
    ]
    assert [next(stream) for _ in wanted] == wanted


def test_other_habits_are_another_life_with_other_keys() -> None:
    usual, busy = a_life(), a_life(replace(Habits(), rate=60.0))
    keys = {one.key for one in arrivals(usual, WORKDAY)}
    assert keys.isdisjoint(one.key for one in arrivals(busy, WORKDAY))
