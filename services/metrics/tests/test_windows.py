from zoneinfo import ZoneInfo

import pytest

from lianxin_metrics.windows import WrongWindow, between, instant, period, period_name, written

CITY = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("kind", "name", "start", "end"),
    [
        ("day", "2026-11-23", "2026-11-23T00:00:00.000+08:00", "2026-11-24T00:00:00.000+08:00"),
        ("day", "2024-02-29", "2024-02-29T00:00:00.000+08:00", "2024-03-01T00:00:00.000+08:00"),
        ("month", "2026-12", "2026-12-01T00:00:00.000+08:00", "2027-01-01T00:00:00.000+08:00"),
        ("quarter", "2026-Q4", "2026-10-01T00:00:00.000+08:00", "2027-01-01T00:00:00.000+08:00"),
        ("quarter", "2026-Q1", "2026-01-01T00:00:00.000+08:00", "2026-04-01T00:00:00.000+08:00"),
        ("year", "2026", "2026-01-01T00:00:00.000+08:00", "2027-01-01T00:00:00.000+08:00"),
    ],
)
def test_a_period_begins_and_ends_at_the_city_s_midnight(kind: str, name: str, start: str, end: str) -> None:
    window = period(kind, name, CITY)
    assert (written(window.start, CITY), written(window.end, CITY)) == (start, end)
    assert period_name(kind, window.start, CITY) == period_name(kind, window.end - 1, CITY) == name


def test_a_window_contains_its_start_and_not_its_end() -> None:
    window = period("day", "2026-11-23", CITY)
    assert window.start in window
    assert window.end not in window
    assert None not in window


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("day", "2026-02-30"),
        ("day", "2026-11"),
        ("month", "2026-13"),
        ("month", "2026-1"),
        ("quarter", "2026-Q5"),
        ("quarter", "2026Q4"),
        ("year", "26"),
        ("year", "0000"),
        ("year", "9999"),
        ("year", "0001"),
        ("day", "0001-01-01"),
        ("day", "9999-12-31"),
        ("day", "昨天"),
    ],
)
def test_what_is_no_period_is_refused_with_an_example(kind: str, name: str) -> None:
    with pytest.raises(WrongWindow, match="for example"):
        period(kind, name, CITY)


def test_an_instant_is_a_date_s_midnight_or_a_time_with_a_zone() -> None:
    assert instant("2026-11-23", CITY) == instant("2026-11-22T16:00:00Z", CITY)
    assert instant("2026-11-23T00:00:00+08:00", CITY) == instant("2026-11-23T00:00:00 08:00", CITY)


@pytest.mark.parametrize(
    "text", ["", "2026-11-23T00:00:00", "now", "2026-02-30", "1e9", "0001-01-01", "9999-12-31T23:00:00Z"]
)
def test_an_instant_without_a_zone_or_meaning_is_refused(text: str) -> None:
    with pytest.raises(WrongWindow):
        instant(text, CITY)


def test_a_window_that_ends_where_it_begins_is_refused() -> None:
    with pytest.raises(WrongWindow):
        between("2026-11-23", "2026-11-23", CITY)
