"""A channel in trouble is spared, and a provider's rate kept to."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lianxin_contracts.deliveries import InboxEntry
from lianxin_notifier.alerts import Due, Outside
from lianxin_notifier.protection import MINUTE, NOTHING, Breaker, Guard, Pace
from lianxin_notifier.retrying import SENT, Outcome

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
REST = timedelta(seconds=30)
FAILED = Outcome("retry", "ConnectError")


def due(kind: Outside, target: str) -> Due:
    return Due(
        alert="a",
        name=kind,
        kind=kind,
        target=target,
        receiver="D1",
        opinion="o",
        cause="e",
        raised=AT,
        entry=InboxEntry("opinion.assigned", "assigned", "open"),
    )


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_through_each_rest() -> None:
    breaker = Breaker(2, REST)
    breaker.note(False, AT)
    assert breaker.enter(AT) == NOTHING
    breaker.note(False, AT)
    assert breaker.enter(AT) == REST
    assert breaker.enter(AT + REST) == NOTHING
    assert breaker.enter(AT + REST) == REST
    breaker.note(True, AT + REST)
    assert breaker.closed
    assert breaker.enter(AT + REST) == NOTHING


@given(st.lists(st.booleans(), max_size=60))
def test_a_breaker_is_open_exactly_when_the_last_attempts_all_failed(answers: list[bool]) -> None:
    breaker = Breaker(3, REST)
    for answered in answers:
        breaker.note(answered, AT)
    assert breaker.closed == (len(answers) < 3 or any(answers[-3:]))


@given(st.lists(st.integers(0, 40), max_size=80), st.integers(1, 5))
def test_no_minute_has_more_attempts_than_the_pace_allows(gaps: list[int], most: int) -> None:
    pace, now, made = Pace(), AT, []
    for gap in gaps:
        now += timedelta(seconds=gap)
        wait = pace.enter(most, now)
        assert NOTHING <= wait <= MINUTE
        if not wait:
            made.append(now)
        assert sum(then > now - MINUTE for then in made) <= most


@given(st.lists(st.sampled_from([0, 1, 7, 59]), max_size=40))
def test_who_waits_as_long_as_told_may_go_then(gaps: list[int]) -> None:
    pace, now = Pace(), AT
    for gap in gaps:
        now += timedelta(seconds=gap)
        now += pace.enter(3, now)  # either it went or this is when it may
    last = pace.enter(3, now)
    assert pace.enter(3, now + last) <= MINUTE


def test_a_pace_that_is_lowered_waits_for_what_was_made_before() -> None:
    pace = Pace()
    for second in range(4):
        assert pace.enter(4, AT + timedelta(seconds=second)) == NOTHING
    now = AT + timedelta(seconds=10)
    wait = pace.enter(2, now)
    assert now + wait == AT + timedelta(seconds=2) + MINUTE  # then one of the last minute is left
    assert pace.enter(2, now + wait) == NOTHING


@given(st.integers(1, 9), st.integers(1, 40))
def test_together_workers_keep_to_the_rate_and_none_is_stopped_for_good(workers: int, rate: int) -> None:
    guards = [Guard("mail", 1, REST, rate, lambda: workers) for _ in range(workers)]
    made = [sum(not guard.enter(due("mail", "a@x.test"), AT) for _ in range(rate + 1)) for guard in guards]
    assert min(made) >= 1
    assert sum(made) <= max(rate, workers)


def test_a_member_of_wecom_over_the_rate_waits_and_another_does_not() -> None:
    guard = Guard("wecom_app", 10, REST, per_minute=1)
    assert [guard.enter(due("wecom_app", who), AT) for who in ("a", "a", "b")] == [NOTHING, MINUTE, NOTHING]


def test_one_person_s_push_services_in_trouble_do_not_stop_another_s_alerts() -> None:
    guard = Guard("push", 1, REST)
    one, other = due("push", ""), replace(due("push", ""), receiver="D2")
    guard.note(one, FAILED, AT)
    assert (guard.enter(one, AT), guard.enter(other, AT), guard.resting(AT)) == (REST, NOTHING, NOTHING)


def test_one_deputy_s_broken_webhook_does_not_stop_the_others() -> None:
    guard = Guard("webhook", 1, REST)
    bad, good = due("webhook", "https://bad.example/x"), due("webhook", "https://good.example/x")
    guard.note(bad, FAILED, AT)
    assert (guard.enter(bad, AT), guard.enter(good, AT)) == (REST, NOTHING)
    assert (guard.resting(AT), guard.open) == (NOTHING, 1)


def test_a_mail_server_that_is_away_is_left_alone_until_it_answers() -> None:
    guard = Guard("mail", 2, REST)
    one, other = due("mail", "a@x.test"), due("mail", "b@x.test")
    guard.note(one, FAILED, AT)
    guard.note(other, FAILED, AT)
    assert guard.enter(one, AT) == guard.resting(AT) == REST
    assert guard.enter(one, AT + REST) == NOTHING
    guard.note(one, Outcome("dead", "smtp 550"), AT + REST)  # refused: so it is there
    assert guard.enter(other, AT + REST) == NOTHING
    assert guard.open == 0


def test_a_robot_over_its_rate_waits_and_another_does_not() -> None:
    guard = Guard("wecom", 10, REST, per_minute=2)
    room, hall = due("wecom", "room"), due("wecom", "hall")
    assert [guard.enter(room, AT) for _ in range(3)] == [NOTHING, NOTHING, MINUTE]
    assert guard.enter(hall, AT) == NOTHING
    guard.note(hall, Outcome("retry", "wecom 45009", wait_s=60.0), AT)
    assert guard.enter(hall, AT) == MINUTE
    assert guard.open == 0


def test_without_trouble_nothing_waits() -> None:
    guard = Guard("mail", 1, REST)
    guard.note(due("mail", "a@x.test"), SENT, AT)
    assert guard.enter(due("mail", "a@x.test"), AT) == NOTHING


def test_how_long_nothing_has_answered_counts_from_the_first_time_that_the_breaker_opened() -> None:
    guard = Guard("mail", 2, REST)
    one = due("mail", "x@deputies.test")
    for second in (0, 1, 40, 80):
        guard.note(one, FAILED, AT + timedelta(seconds=second))
    assert guard.silent(AT + timedelta(seconds=101)) == timedelta(seconds=100)
    guard.note(one, SENT, AT + timedelta(seconds=102))
    assert guard.silent(AT + timedelta(seconds=103)) == timedelta()
