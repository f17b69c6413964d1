"""By which channel and when: the rules, and what holds for every history of an alert."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import chinese_calendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianxin_contracts.registry import Calendar, Leave, Topic
from lianxin_contracts.working_time import WorkingTime
from lianxin_notifier.choosing import (
    Choice,
    Done,
    Need,
    Repeats,
    Send,
    Step,
    Wait,
    Wishes,
    choose,
    is_urgent,
)
from lianxin_notifier.preferences import Digest, Preferences, Quiet

ZONE = ZoneInfo("Asia/Shanghai")
DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
YEAR = Calendar(
    id="2026",
    year=2026,
    holidays=tuple(d for d in DAYS if d.isoweekday() < 6 and not chinese_calendar.is_workday(d)),
    workdays=tuple(d for d in DAYS if d.isoweekday() > 5 and chinese_calendar.is_workday(d)),
)
TIME = WorkingTime([YEAR])
REPEATS = Repeats(timedelta(hours=4), 2)
OPEN, WAITS = Need(), Need(waits=True)


def local(month: int, day: int, hour: int = 10, minute: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=ZONE)


MONDAY = local(11, 23)


def wishes(*channels: str, leaves: tuple[Leave, ...] = (), **preferences: Any) -> Wishes:
    return Wishes(channels or ("mail", "sms"), TIME, Preferences(**preferences), leaves)


def chosen(
    *steps: Step,
    urgent: bool = False,
    need: Need = OPEN,
    by: Wishes | None = None,
    repeats: Repeats = REPEATS,
    now: datetime = MONDAY,
) -> Choice:
    return choose(steps, urgent, need, by or wishes(), repeats, now)


def step(name: str, status: Any = "sent", again: int = 0, at: datetime = MONDAY) -> Step:
    return Step(name, again, status, at)


class TestOneChannelAtATime:
    def test_the_first_channel_goes_first(self) -> None:
        assert chosen() == Send("mail", 0, others=True)

    def test_nothing_else_is_tried_while_one_is_under_way(self) -> None:
        choice = chosen(step("mail", "under_way"))
        assert isinstance(choice, Wait)
        assert choice.why == "under_way"

    @pytest.mark.parametrize("end", ["dead", "skipped"])
    def test_the_next_goes_where_one_does_not_take_it(self, end: str) -> None:
        assert chosen(step("mail", end)) == Send("sms", 0, others=False)

    def test_it_ends_in_the_inbox_when_all_are_used_up(self) -> None:
        assert chosen(step("mail", "dead"), step("sms", "skipped")) == Done("exhausted")

    def test_somebody_without_channels_has_the_inbox_alone(self) -> None:
        assert choose((), False, OPEN, Wishes((), TIME), REPEATS, MONDAY) == Done("no_channel")

    def test_a_next_channel_is_not_tried_for_a_case_that_has_gone_meanwhile(self) -> None:
        assert chosen(step("mail", "dead"), need=Need(open=False)) == Done("not_needed")

    def test_a_next_channel_is_not_tried_for_whoever_has_looked_meanwhile(self) -> None:
        looked = Need(heeded=True, waits=True)
        assert chosen(need=looked) == Send("mail", 0, others=True)  # the first goes, however soon they look
        assert chosen(step("mail", "skipped"), need=looked) == Done("not_needed")


class TestQuietHours:
    NIGHT = Quiet("22:00", "07:00")

    def test_an_alert_of_the_night_goes_in_the_morning(self) -> None:
        choice = chosen(by=wishes(quiet=self.NIGHT), now=local(11, 23, 23))
        assert choice == Wait(local(11, 24, 7), "quiet")

    def test_the_small_hours_belong_to_the_same_night(self) -> None:
        assert chosen(by=wishes(quiet=self.NIGHT), now=local(11, 24, 3)) == Wait(local(11, 24, 7), "quiet")

    def test_the_minute_at_which_they_end_is_not_quiet(self) -> None:
        assert isinstance(chosen(by=wishes(quiet=self.NIGHT), now=local(11, 24, 7)), Send)

    def test_hours_within_one_day_leave_the_rest_of_it(self) -> None:
        siesta = wishes(quiet=Quiet("12:00", "14:00"))
        assert chosen(by=siesta, now=local(11, 23, 13)) == Wait(local(11, 23, 14), "quiet")
        assert isinstance(chosen(by=siesta, now=local(11, 23, 23)), Send)

    def test_a_start_that_is_the_end_means_never(self) -> None:
        assert isinstance(chosen(by=wishes(quiet=Quiet("07:00", "07:00")), now=local(11, 23, 7)), Send)

    def test_urgent_alerts_pass(self) -> None:
        assert isinstance(chosen(urgent=True, by=wishes(quiet=self.NIGHT), now=local(11, 23, 23)), Send)

    def test_days_off_are_quiet_all_day_where_so_wished(self) -> None:
        quiet = wishes(quiet=Quiet("22:00", "07:00", days_off=True))
        assert chosen(by=quiet, now=local(11, 28, 12)) == Wait(local(11, 30, 7), "quiet")  # Saturday

    def test_a_make_up_saturday_is_not_a_day_off(self) -> None:
        quiet = wishes(quiet=Quiet("22:00", "07:00", days_off=True))
        assert date(2026, 2, 28) in YEAR.workdays
        assert isinstance(chosen(by=quiet, now=local(2, 28, 12)), Send)

    def test_the_spring_festival_is_quiet_to_its_last_day(self) -> None:
        quiet = wishes(quiet=Quiet("22:00", "07:00", days_off=True))
        choice = chosen(by=quiet, now=local(2, 17, 12))
        assert isinstance(choice, Wait)
        assert choice.until == local(2, 24, 7)

    def test_what_was_held_through_the_night_is_not_sent_to_whom_has_looked_by_then(self) -> None:
        night = wishes(quiet=self.NIGHT)
        held = Need(heeded=True, held="quiet")
        assert chosen(by=night, need=held, now=local(11, 24, 8)) == Done("not_needed")


class TestPause:
    def test_a_leave_holds_alerts_back_until_it_ends(self) -> None:
        away = (Leave("L1", "D1", date(2026, 11, 20), date(2026, 11, 26)),)
        assert chosen(by=wishes(leaves=away)) == Wait(local(11, 26, 0), "paused")

    def test_a_pause_of_one_s_own_does_too_and_then_come_the_quiet_hours(self) -> None:
        paused = wishes(paused_until=date(2026, 11, 25), quiet=Quiet("22:00", "07:00"))
        assert chosen(by=paused) == Wait(local(11, 25, 7), "paused")

    def test_leaves_that_follow_each_other_are_one(self) -> None:
        away = (
            Leave("L1", "D1", date(2026, 11, 20), date(2026, 11, 26)),
            Leave("L2", "D1", date(2026, 11, 26), date(2026, 11, 30)),
        )
        assert chosen(by=wishes(leaves=away)) == Wait(local(11, 30, 0), "paused")

    def test_after_it_only_what_waits_on_the_person_goes_out(self) -> None:
        assert chosen(need=Need(waits=True, held="paused")) == Send("mail", 0, others=True)
        assert chosen(need=Need(waits=False, held="paused")) == Done("not_needed")

    def test_urgent_alerts_pass(self) -> None:
        assert isinstance(chosen(urgent=True, by=wishes(paused_until=date(2027, 1, 1))), Send)


class TestDigest:
    def test_what_comes_together_is_not_sent_singly(self) -> None:
        assert chosen(by=wishes(digest=Digest())) == Done("digest")

    def test_urgent_alerts_are(self) -> None:
        assert isinstance(chosen(urgent=True, by=wishes(digest=Digest())), Send)


class TestRepeats:
    def test_an_alert_that_is_not_heeded_goes_again_by_the_next_channel(self) -> None:
        assert chosen(step("mail"), need=WAITS, now=local(11, 23, 15, 1)) == Send("sms", 1, others=True)

    def test_then_round_again(self) -> None:
        steps = step("mail"), step("sms", again=1)
        assert chosen(*steps, need=WAITS, now=local(11, 24)) == Send("mail", 2, others=True)

    def test_only_working_hours_count(self) -> None:
        # 10:00 and four working hours: 12:00 to 13:00 is the pause of noon.
        assert chosen(step("mail"), need=WAITS) == Wait(local(11, 23, 15), "unread")
        friday = step("mail", at=local(11, 27, 16))
        assert chosen(friday, need=WAITS, now=local(11, 27, 16)) == Wait(local(11, 30, 12), "unread")

    def test_one_channel_alone_is_used_again(self) -> None:
        once = chosen(step("mail"), need=WAITS, by=wishes("mail"), now=local(11, 24))
        assert once == Send("mail", 1, others=False)

    @pytest.mark.parametrize("need", [Need(), Need(waits=True, heeded=True)])
    def test_whoever_has_looked_or_acted_or_is_only_informed_is_left_alone(self, need: Need) -> None:
        assert chosen(step("mail"), need=need, now=local(11, 24)) == Done("told")

    def test_it_goes_as_often_as_set_and_no_more(self) -> None:
        steps = step("mail"), step("sms", again=1), step("mail", again=2)
        assert chosen(*steps, need=WAITS, now=local(12, 1)) == Done("told")
        never = Repeats(timedelta(hours=4), 0)
        assert chosen(step("mail"), need=WAITS, repeats=never, now=local(12, 1)) == Done("told")

    def test_a_repeat_waits_for_the_end_of_quiet_hours(self) -> None:
        night = wishes(quiet=Quiet("17:00", "09:00"))
        late = step("mail", at=local(11, 23, 13))
        choice = chosen(late, need=WAITS, by=night, now=local(11, 23, 17))
        assert choice == Wait(local(11, 24, 9), "quiet")

    def test_a_repeat_that_its_channel_does_not_take_goes_by_the_next(self) -> None:
        steps = step("mail"), step("sms", "dead", again=1)
        assert chosen(*steps, need=WAITS, now=local(11, 24)) == Send("mail", 1, others=False)


@pytest.mark.parametrize("event", ["clock.breached", "opinion.supervised"])
def test_a_breach_and_supervision_are_urgent(event: str) -> None:
    assert is_urgent(event, None, {})


def test_a_topic_is_urgent_by_the_one_above_it() -> None:
    topics = {
        "01": Topic("01", "安全", "Safety", urgent=True),
        "0101": Topic("0101", "燃气", "Gas", parent="01"),
        "02": Topic("02", "绿化", "Green"),
    }
    assert is_urgent("opinion.assigned", "0101", topics)
    assert not is_urgent("opinion.assigned", "02", topics)
    assert not is_urgent("opinion.assigned", None, topics)


def test_topics_that_are_each_other_s_parents_end_the_search() -> None:
    topics = {"a": Topic("a", "一", "A", parent="b"), "b": Topic("b", "二", "B", parent="a")}
    assert not is_urgent("opinion.assigned", "a", topics)


# What holds for every person, every history and every moment.
clock = st.times().map(lambda t: f"{t.hour:02}:{t.minute:02}")
quiets = st.none() | st.builds(Quiet, clock, clock, st.booleans())
# To the end of October: what follows from them is still in the year whose days off are known.
days = st.dates(date(2026, 1, 1), date(2026, 10, 31))
leaves = st.lists(
    st.tuples(days, st.integers(1, 40)).map(
        lambda span: Leave("L", "D1", span[0], span[0] + timedelta(days=span[1]))
    ),
    max_size=3,
)
people = st.builds(
    lambda channels, quiet, digest, paused, away: Wishes(
        channels, TIME, Preferences(quiet=quiet, digest=digest, paused_until=paused), away
    ),
    st.lists(st.sampled_from(["mail", "mail.2", "sms", "wecom", "push"]), unique=True, max_size=5),
    quiets,
    st.none() | st.just(Digest()),
    st.none() | days,
    leaves,
)
moments = st.integers(0, 290 * 24 * 60).map(lambda n: datetime(2026, 1, 2, tzinfo=UTC) + timedelta(minutes=n))
needs = st.builds(Need, waits=st.booleans(), heeded=st.booleans(), open=st.booleans())
outcomes = st.lists(st.sampled_from(["sent", "dead", "skipped"]), min_size=40, max_size=40)


def is_quiet(person: Wishes, at: datetime) -> bool:
    """Whether `at` is a time at which this person wants no more than what is urgent: minute by minute."""
    civil = at.astimezone(ZONE)
    wanted = person.preferences
    if wanted.paused_until is not None and civil.date() < wanted.paused_until:
        return True
    if any(leave.since <= civil.date() < leave.until for leave in person.leaves):
        return True
    if wanted.quiet is None:
        return False
    if wanted.quiet.days_off and not chinese_calendar.is_workday(civil.date()):
        return True
    start, end = time.fromisoformat(wanted.quiet.start), time.fromisoformat(wanted.quiet.end)
    now = civil.time()
    return start <= now < end if start <= end else now >= start or now < end


def lived(
    person: Wishes, urgent: bool, need: Need, ends: list[Any], start: datetime
) -> tuple[list[tuple[datetime, Send]], list[Step], Done]:
    """An alert from its first look to its end: every sending ends, a minute later, as `ends` say."""
    now, held = start, None
    sent: list[tuple[datetime, Send]] = []
    steps: list[Step] = []
    while True:
        looked = Need(need.open, need.heeded, need.waits, held)
        match choose(steps, urgent, looked, person, REPEATS, now):
            case Done() as done:
                return sent, steps, done
            case Wait() as wait:
                assert wait.until > now
                held = wait.why if wait.why in ("quiet", "paused") else None
                now = wait.until
            case Send() as send:
                sent.append((now, send))
                now += timedelta(minutes=1)
                steps.append(Step(send.name, send.again, ends[len(steps)], now))


@given(people, st.booleans(), needs, outcomes, moments)
def test_nothing_that_is_not_urgent_goes_out_at_a_time_that_somebody_wants_quiet(
    person: Wishes, urgent: bool, need: Need, ends: list[Any], start: datetime
) -> None:
    sent, _, _ = lived(person, urgent, need, ends, start)
    assert urgent or not any(is_quiet(person, at) for at, _ in sent)
    if urgent and person.channels:
        assert sent[0][0] == start


@given(people, st.booleans(), needs, outcomes, moments)
def test_every_alert_ends_told_or_with_every_channel_tried_or_by_wish_or_as_not_needed(
    person: Wishes, urgent: bool, need: Need, ends: list[Any], start: datetime
) -> None:
    sent, steps, done = lived(person, urgent, need, ends, start)
    last = [s for s in steps if s.again == max((s.again for s in steps), default=0)]
    match done.why:
        case "told":
            assert last[-1].status == "sent"
        case "exhausted":
            assert {s.name for s in last} == set(person.channels)
            assert all(s.status != "sent" for s in last)
        case "no_channel":
            assert not person.channels
        case "digest":
            assert person.preferences.digest is not None
            assert not urgent
        case "not_needed":
            assert not (need.open and not need.heeded and need.waits)
    assert len(sent) <= (REPEATS.most + 1) * len(person.channels)


@given(people, st.booleans(), needs, outcomes, moments)
def test_channels_go_in_their_order_each_once_a_round_and_no_further_than_the_first_that_takes_it(
    person: Wishes, urgent: bool, need: Need, ends: list[Any], start: datetime
) -> None:
    _, steps, _ = lived(person, urgent, need, ends, start)
    began = 0
    for again in range(REPEATS.most + 1):
        names = [s.name for s in steps if s.again == again]
        assert (
            names
            == [
                *person.channels[began:],
                *person.channels[:began],
            ][: len(names)]
        )
        taken = [s.name for s in steps if s.again == again and s.status == "sent"]
        assert taken in ([], names[-1:])
        if taken:
            began = (person.channels.index(taken[0]) + 1) % len(person.channels)


@given(people, needs, moments, st.lists(st.sampled_from(["sent", "dead", "skipped"]), max_size=3))
def test_while_a_delivery_is_under_way_no_other_is_begun(
    person: Wishes, need: Need, now: datetime, ended: list[Any]
) -> None:
    steps = [Step(f"c{n}", 0, status, now) for n, status in enumerate(ended)]
    assert isinstance(
        choose([*steps, Step("mail", 0, "under_way", now)], True, need, person, REPEATS, now), Wait
    )
