"""A pause stops the clocks for an approved reason; due times move by the time that it took away."""

from datetime import UTC, datetime

import pytest
from services.router.tests.cases import ANN, DAY, HOUR, MONDAY, RESIDENT, SUE, TOM, Talk, accepted, hours

from lianxin_contracts import inbound
from lianxin_contracts.inbound import Answer, Pause, Progress, Resolve, Resume, Return, Transfer
from lianxin_contracts.registry import Limit
from lianxin_router.domain.clocks import next_due

WALL = {"first_response": hours(50), "resolve": hours(100), "remind_before": hours(10), "pause": hours(200)}
WORKING = {"first_response": Limit(3, "working_days"), "resolve": Limit(10, "working_hours")}


def paused(at: float = 1.0, until: float | None = None, **policy: object) -> Talk:
    talk = accepted(**WALL | policy)
    end = None if until is None else MONDAY + until * HOUR
    talk.says(Pause(ANN, "season", end), at)
    assert talk.types() == ["paused"]
    return talk


def test_wall_clocks_move_by_the_wall_time_of_the_pause() -> None:
    talk = paused(10)
    talk.says(Resume(ANN), 17)
    told = talk.one("opinion.resumed")
    assert told.paused_seconds == 7 * 3600
    assert told.due.first_response == MONDAY + 57 * HOUR
    assert told.due.resolve == MONDAY + 107 * HOUR
    assert told.due.resolve_reminder == MONDAY + 97 * HOUR
    assert told.due.acknowledge == MONDAY + DAY, "acknowledged before; that clock has stopped"


def test_working_clocks_move_by_the_working_time_of_the_pause() -> None:
    talk = accepted(**WORKING)
    talk.says(Pause(ANN, "season"), 1)  # Monday 11:00 in the city
    talk.says(Resume(ANN), 24)  # Tuesday 10:00: 1 + 4 + 1 working hours
    told = talk.one("opinion.resumed")
    # Thursday's close and six working hours more: Friday at 16:00 (after three hours and lunch).
    assert told.due.first_response == datetime(2026, 3, 6, 8, tzinfo=UTC)
    # Ten working hours end on Tuesday at 14:00; six more on Wednesday at 12:00.
    assert told.due.resolve == datetime(2026, 3, 4, 4, tzinfo=UTC)


def test_a_pause_over_the_weekend_moves_no_working_clock() -> None:
    talk = accepted(**WORKING | {"resolve": Limit(9, "working_days")})
    before = talk.case.due
    talk.says(Pause(ANN, "season"), 4 * 24 + 8)  # Friday 18:00
    talk.says(Resume(ANN), 6 * 24)  # Sunday 10:00
    assert before is not None
    assert talk.one("opinion.resumed").due.resolve == before.resolve


def test_nothing_falls_due_while_the_clocks_stand_still() -> None:
    talk = paused(1)
    talk.says(Progress(ANN, "x"), 150)
    assert talk.told("clock.breached") == []
    assert talk.told("clock.reminded") == []
    assert next_due(talk.case) == ("pause", MONDAY + 201 * HOUR)


def test_a_pause_ends_by_itself_and_the_clocks_run_on_moved() -> None:
    talk = paused(1, until=11)
    talk.says(Progress(ANN, "x"), 61)
    told = talk.told("opinion.resumed")[0]
    assert (told.time, told.data.actor.kind) == (MONDAY + 11 * HOUR, "system")  # type: ignore[attr-defined]
    (breach,) = talk.told("clock.breached")
    assert (breach.data.clock, breach.time) == ("first_response", MONDAY + 60 * HOUR)  # type: ignore[attr-defined]


def test_a_breach_from_before_the_pause_stays_what_it_was() -> None:
    talk = accepted(**WALL | {"first_response": hours(2)})
    talk.says(Pause(ANN, "season"), 5)
    talk.says(Resume(ANN), 10)
    assert talk.one("opinion.resumed").due.first_response == MONDAY + 2 * HOUR
    talk.says(Progress(ANN, "x"), 90)
    assert [e.data.clock for e in talk.told("clock.breached")] == ["first_response"]  # type: ignore[attr-defined]


def test_a_first_response_given_before_the_pause_is_not_moved() -> None:
    talk = accepted(**WALL)
    talk.says(Answer(ANN, "x"), 1)
    talk.says(Pause(ANN, "season"), 5)
    talk.says(Resume(ANN), 10)
    assert talk.one("opinion.resumed").due.first_response == MONDAY + 50 * HOUR
    assert talk.one("opinion.resumed").due.resolve == MONDAY + 105 * HOUR


def test_nothing_moves_where_no_clock_runs_any_more() -> None:
    talk = accepted(**WALL | {"first_response": hours(1), "resolve": hours(2)})
    talk.says(Pause(ANN, "season"), 5)
    due = talk.case.due
    talk.says(Resume(ANN), 10)
    assert talk.one("opinion.resumed").due is None
    assert talk.case.due == due


def test_a_pause_needs_a_reason_that_the_policy_allows() -> None:
    talk = accepted(pause_reasons=("season",))
    talk.says(Pause(ANN, "tired"))
    assert talk.code() == "unknown_reason"


def test_a_pause_lasts_as_long_as_the_policy_allows_where_nobody_says_how_long() -> None:
    talk = paused(1)
    assert talk.one("opinion.paused").until == MONDAY + 201 * HOUR


@pytest.mark.parametrize(
    ("until", "code"), [(1, "pause_in_the_past"), (0, "pause_in_the_past"), (202, "pause_too_long")]
)
def test_a_pause_ends_in_the_future_and_within_the_limit(until: float, code: str) -> None:
    talk = accepted(**WALL)
    talk.says(Pause(ANN, "season", MONDAY + until * HOUR), 1)
    assert talk.code() == code
    assert talk.case.pause is None


def test_a_pause_may_last_to_the_very_limit() -> None:
    assert paused(1, until=201).case.pause is not None


def test_all_pauses_of_a_case_share_one_limit() -> None:
    talk = paused(1, until=101)
    talk.says(Resume(ANN), 101)
    talk.says(Pause(ANN, "season", MONDAY + 212 * HOUR), 111)
    assert talk.code() == "pause_too_long"
    talk.says(Pause(ANN, "season", MONDAY + 211 * HOUR), 111)
    talk.says(Pause(ANN, "season"), 300)
    assert talk.code() == "pauses_used_up"


def test_a_case_is_paused_once_at_a_time_and_resumed_only_from_a_pause() -> None:
    talk = paused(1)
    talk.says(Pause(ANN, "season"), 2)
    assert talk.code() == "already_paused"
    talk.says(Resume(ANN), 3)
    talk.says(Resume(ANN), 4)
    assert talk.code() == "not_paused"


def test_a_pause_puts_the_case_in_progress() -> None:
    assert paused(1).case.stage == "in_progress"


@pytest.mark.parametrize(
    "action",
    [Resolve(ANN, "solved", "x"), Return(ANN, "other"), Transfer(ANN, "bea"), inbound.Assign(TOM, to="bea")],
    ids=lambda a: type(a).__name__,
)
def test_who_resolves_or_gives_a_paused_case_away_ends_the_pause_first(action: object) -> None:
    talk = paused(1)
    talk.says(action, 6)  # type: ignore[arg-type]
    assert talk.types()[0] == "resumed"
    assert (talk.case.pause, talk.case.paused_seconds) == (None, 5 * 3600)
    assert talk.case.due is not None
    assert talk.case.due.resolve == MONDAY + 105 * HOUR


def test_work_goes_on_during_a_pause() -> None:
    talk = paused(1)
    talk.says(Answer(ANN, "x"), 2)
    talk.says(inbound.Supervise(SUE), 3)
    assert talk.case.pause is not None
    assert talk.case.first_response == MONDAY + 2 * HOUR


def test_a_case_taken_back_by_the_resident_during_a_pause_has_no_clock() -> None:
    talk = paused(1)
    talk.says(inbound.Withdrawn(RESIDENT), 2)
    assert talk.case.pause is None
    assert next_due(talk.case) is None
