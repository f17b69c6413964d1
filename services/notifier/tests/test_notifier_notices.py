"""Which notices are due for whom and when."""

import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from lianxin_contracts import registry
from lianxin_contracts.registry import Snapshot
from lianxin_contracts.working_time import WorkingTime
from lianxin_notifier.notices import Notice, Plan, due_between, early_digests
from lianxin_notifier.noticing import worth_telling
from lianxin_notifier.preferences import Digest, Preferences, Quiet

ZONE = ZoneInfo("Asia/Shanghai")
# The Spring Festival of a made-up year: off from Monday 16 to Sunday 22 February, made up on Saturday 14.
CALENDAR = registry.Calendar(
    "2026", 2026, holidays=tuple(date(2026, 2, day) for day in range(16, 23)), workdays=(date(2026, 2, 14),)
)
DEPUTIES = {name: registry.Deputy(name, name, "street") for name in ("D1", "D2", "D3")}
THIRD_TUESDAY = registry.Duty("Y", "D1", (2,), (3,), "P1", "contact_day")


def city(*duties: registry.Duty) -> Snapshot:
    return Snapshot(
        version="v1",
        city=registry.City("wuxi", "无锡"),
        deputies=DEPUTIES,
        calendars={"2026": CALENDAR},
        duties={duty.id: duty for duty in duties},
    )


def plan(*duties: registry.Duty, leaves: tuple[registry.Leave, ...] = (), **preferences: Preferences) -> Plan:
    by_deputy: dict[str, list[registry.Leave]] = {}
    for leave in leaves:
        by_deputy.setdefault(leave.deputy, []).append(leave)
    return Plan(city(*duties), WorkingTime([CALENDAR], "Asia/Shanghai"), preferences, leaves=by_deputy)


def at(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=ZONE).astimezone(UTC)


def of(kind: str, found: list[Notice]) -> list[Notice]:
    return [notice for notice in found if notice.kind == kind]


MORNING = Preferences(digest=Digest("08:00"))


def test_a_digest_is_due_every_day_at_the_persons_own_hour() -> None:
    found = due_between(at(11, 23), at(11, 26), plan(D1=MORNING, D2=Preferences()))
    assert [(n.receiver, n.slot, n.at) for n in of("digest", found)] == [
        ("D1", f"2026-11-{day}", at(11, day, 8)) for day in (23, 24, 25)
    ]


def test_no_digest_comes_on_days_off_where_the_person_wants_them_quiet() -> None:
    wishes = Preferences(digest=Digest("08:00"), quiet=Quiet("21:00", "07:00", days_off=True))
    found = of("digest", due_between(at(11, 27), at(12, 1), plan(D1=wishes)))
    assert [n.slot for n in found] == ["2026-11-27", "2026-11-30"]


def test_a_summary_is_due_on_monday_morning_of_the_week_before() -> None:
    found = of("weekly", due_between(at(11, 22), at(11, 29), plan()))
    assert [(n.receiver, n.slot, n.at, n.since) for n in found] == [
        (who, "2026-W48", at(11, 23, 8, 30), at(11, 16)) for who in ("D1", "D2", "D3")
    ]


def test_after_holidays_the_summary_comes_on_the_first_day_that_is_worked() -> None:
    found = of("weekly", due_between(at(2, 15), at(3, 1), plan()))
    assert {(n.slot, n.at) for n in found} == {("2026-W09", at(2, 23, 8, 30))}


def test_a_contact_day_is_reminded_of_on_the_working_day_before() -> None:
    found = of("contact_day", due_between(at(12, 1), at(12, 31), plan(THIRD_TUESDAY)))
    assert [(n.receiver, n.at, n.day, n.station) for n in found] == [
        ("D1", at(12, 14, 9), date(2026, 12, 15), "P1")
    ]


def test_a_contact_day_behind_holidays_is_reminded_of_before_them() -> None:
    duty = registry.Duty("Y", "D1", (1,), (4,), "P1", "contact_day")  # Monday 23 February
    found = of("contact_day", due_between(at(2, 1), at(2, 28), plan(duty)))
    assert [(n.at, n.day) for n in found] == [(at(2, 14, 9), date(2026, 2, 23))]


def test_the_substitute_is_reminded_of_the_contact_day_of_who_is_on_leave() -> None:
    away = registry.Leave("L", "D1", date(2026, 12, 10), date(2026, 12, 20), "D2")
    found = of("contact_day", due_between(at(12, 1), at(12, 31), plan(THIRD_TUESDAY, leaves=(away,))))
    assert [n.receiver for n in found] == ["D2"]


def test_nobody_hears_anything_while_paused() -> None:
    paused = Preferences(digest=Digest("08:00"), paused_until=date(2026, 11, 25))
    found = due_between(at(11, 22), at(11, 26), plan(D1=paused))
    assert [n.slot for n in found if n.receiver == "D1"] == ["2026-11-25"]


def test_an_early_digest_is_possible_once_between_two_daily_ones_and_not_in_quiet_hours() -> None:
    wishes = Preferences(digest=Digest("08:00", or_when=5), quiet=Quiet("21:00", "07:00"))
    noon, night, dawn = (
        early_digests(moment, plan(D1=wishes))
        for moment in (at(11, 24, 12), at(11, 24, 22), at(11, 25, 7, 30))
    )
    assert [(n.slot, n.since, n.at_least) for n in noon] == [("2026-11-24/early", at(11, 24, 8), 5)]
    assert night == []
    assert [n.id for n in dawn] == [noon[0].id]


def test_what_is_ready_in_quiet_hours_goes_out_when_they_end() -> None:
    wishes = Preferences(quiet=Quiet("21:00", "09:30"))
    some = plan(D1=wishes)
    assert some.sent_at("D1", at(11, 23, 8, 30)) == at(11, 23, 9, 30)
    assert some.sent_at("D2", at(11, 23, 8, 30)) == at(11, 23, 8, 30)


def test_nobody_is_written_to_that_there_is_nothing_to_write() -> None:
    daily = Notice("digest", "D1", "s", at(1, 1), at(1, 1))
    early = Notice("digest", "D1", "s", at(1, 1), at(1, 1), at_least=3)
    weekly = Notice("weekly", "D1", "s", at(1, 1), at(1, 1))
    assert not worth_telling(daily, {"open": 4, "unseen": 0, "soon": 0, "overdue": 0})
    assert worth_telling(daily, {"open": 4, "soon": 1})
    assert not worth_telling(early, {"open": 4, "unseen": 4, "fresh": 2})
    assert worth_telling(early, {"fresh": 3})
    assert not worth_telling(weekly, {"open": 2})
    assert worth_telling(weekly, {"satisfied": 1})
    assert worth_telling(Notice("contact_day", "D1", "s", at(1, 1), at(1, 1)), {})


# -- for any registry, any wishes and any moments of looking

_hours = st.times().map(lambda t: f"{t:%H:%M}")
_wishes = st.builds(
    Preferences,
    digest=st.none() | st.builds(Digest, at=_hours),
    quiet=st.none() | st.builds(Quiet, start=_hours, end=_hours, days_off=st.booleans()),
    paused_until=st.none() | st.dates(date(2026, 1, 1), date(2026, 3, 31)),
)
_duties = st.lists(
    st.builds(
        registry.Duty,
        id=st.uuids().map(str),
        deputy=st.sampled_from(sorted(DEPUTIES)),
        weekdays=st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple),
        weeks=st.lists(st.integers(1, 5), max_size=2).map(tuple),
        station=st.sampled_from(["P1", "P2", None]),
        kind=st.sampled_from(["shift", "contact_day"]),
    ),
    max_size=4,
)


@st.composite
def _leaves(draw: st.DrawFn) -> tuple[registry.Leave, ...]:
    found = []
    for number in range(draw(st.integers(0, 3))):
        since = draw(st.dates(date(2026, 1, 1), date(2026, 3, 31)))
        deputy = draw(st.sampled_from(sorted(DEPUTIES)))
        substitute = draw(st.sampled_from([None, *sorted(DEPUTIES)]))
        until = since + timedelta(days=draw(st.integers(1, 20)))
        found.append(registry.Leave(f"L{number}", deputy, since, until, substitute))
    return tuple(found)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    wishes = {who: draw(_wishes) for who in draw(st.sets(st.sampled_from(sorted(DEPUTIES))))}
    return plan(*draw(_duties), leaves=draw(_leaves()), **wishes)


moments = st.lists(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 3, 31), timezones=st.just(UTC)),  # noqa: DTZ001
    min_size=2,
    max_size=8,
    unique=True,
).map(sorted)


@given(plans(), moments)
def test_whenever_one_looks_each_slot_is_due_in_exactly_one_look(some: Plan, looks: list[datetime]) -> None:
    whole = due_between(looks[0], looks[-1], some)
    pieces = [
        notice for after, until in itertools.pairwise(looks) for notice in due_between(after, until, some)
    ]
    assert sorted(n.id for n in pieces) == sorted(n.id for n in whole)
    assert len({n.id for n in whole}) == len(whole)
    assert all(looks[0] < n.at <= looks[-1] for n in whole)


@given(plans(), moments)
def test_nothing_is_due_for_whoever_is_away(some: Plan, looks: list[datetime]) -> None:
    for notice in due_between(looks[0], looks[-1], some):
        on = notice.at.astimezone(ZONE).date()
        assert not any(leave.since <= on < leave.until for leave in some.leaves.get(notice.receiver, ()))
        paused = some.preferences.get(notice.receiver, Preferences()).paused_until
        assert paused is None or on >= paused


@given(plans(), moments)
def test_reminders_and_summaries_come_on_working_days_before_what_they_are_about(
    some: Plan, looks: list[datetime]
) -> None:
    for notice in due_between(looks[0], looks[-1], some):
        on = notice.at.astimezone(ZONE).date()
        if notice.kind == "digest":
            continue
        assert some.working.is_working_day(on)
        if notice.day is not None:
            assert on < notice.day
            between = [on + timedelta(days=n) for n in range(1, (notice.day - on).days)]
            assert not any(some.working.is_working_day(day) for day in between)


def test_a_time_of_day_in_the_city_is_a_time_of_day_in_the_city() -> None:
    assert plan().moment(date(2026, 11, 23), time(8, 30)) == datetime(2026, 11, 23, 0, 30, tzinfo=UTC)
