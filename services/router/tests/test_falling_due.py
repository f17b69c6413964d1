"""What happens when nobody acts: breaches, reminders, take-back, each dated at its due instant, each once."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from services.router.tests.cases import (
    ANN,
    BEA,
    CAI,
    DAY,
    GRID,
    HOUR,
    MONDAY,
    NOISE,
    POTHOLES,
    RESIDENT,
    TOM,
    Talk,
    a_city,
    a_context,
    accepted,
    assigned,
    hours,
    in_triage,
    resolved,
)

from lianxin_contracts import inbound
from lianxin_contracts.inbound import Answer, Due, Progress, Resolve, Return, Transfer
from lianxin_contracts.registry import Limit, Policy
from lianxin_router.domain.case import held_by, held_seconds
from lianxin_router.domain.clocks import next_due

# Nothing but the clock under test runs out within the year.
FAR = hours(9000)
CALM = {
    "acknowledge": FAR,
    "first_response": FAR,
    "resolve": FAR,
    "take_back": FAR,
    "remind_before": hours(0),
}


def knock(talk: Talk, at: float) -> list[str]:
    talk.says(Due("resolve", MONDAY), at)
    return talk.types()


def breaches(talk: Talk) -> list[str]:
    return [event.data.clock for event in talk.told("clock.breached")]  # type: ignore[attr-defined]


def test_a_knock_that_finds_nothing_due_leaves_its_trace() -> None:
    talk = assigned()
    talk.says(Due("resolve", MONDAY), 1)
    assert talk.types() == ["clock.checked"]
    assert talk.one("clock.checked").clock == "resolve"


def test_knocking_again_and_again_adds_nothing_but_traces() -> None:
    talk = accepted()
    knock(talk, 24 * 20)
    knock(talk, 24 * 20)
    case = talk.case
    for _ in range(3):
        assert knock(talk, 24 * 20) == ["clock.checked"]
    assert msgspec.structs.replace(talk.case, sequence=case.sequence) == case


def test_a_breach_is_told_at_its_due_instant_however_late_somebody_looks() -> None:
    talk = assigned(**CALM | {"acknowledge": hours(24)})
    knock(talk, 24 * 5)
    (breach,) = talk.told("clock.breached")
    assert breach.time == MONDAY + DAY
    assert breach.data.due == MONDAY + DAY  # type: ignore[attr-defined]
    assert breach.data.held_by == "ann"  # type: ignore[attr-defined]
    assert breach.data.receivers == ("ann", "sue")  # type: ignore[attr-defined]


def test_a_clock_runs_out_exactly_at_its_due_instant_and_not_a_millisecond_before() -> None:
    talk = assigned(**CALM | {"acknowledge": hours(24)})
    almost = (DAY - timedelta(milliseconds=1)) / HOUR
    assert knock(talk, almost) == ["clock.checked"]
    assert knock(talk, 24) == ["clock.breached"]


def test_what_fell_due_is_told_before_the_command_that_came_too_late() -> None:
    talk = assigned(**CALM | {"acknowledge": hours(24)})
    talk.says(inbound.Accept(ANN), 25)
    assert talk.types() == ["clock.breached", "accepted"]


def test_what_fell_due_is_told_even_where_the_command_is_refused() -> None:
    talk = assigned(**CALM | {"acknowledge": hours(24)})
    talk.says(inbound.Accept(BEA), 25)
    assert talk.types() == ["clock.breached", "command.refused"]


def test_each_clock_breaches_once() -> None:
    talk = accepted(first_response=hours(2), resolve=hours(4), acknowledge=hours(1))
    for at in range(1, 60):
        talk.says(Progress(ANN, "x"), at)
    assert Counter(breaches(talk)) == {"first_response": 1, "resolve": 1}


def test_clocks_fall_due_in_the_order_of_their_instants() -> None:
    talk = assigned(**CALM | {"acknowledge": hours(3), "first_response": hours(1), "resolve": hours(2)})
    knock(talk, 5)
    assert breaches(talk) == ["first_response", "resolve", "acknowledge"]
    times = [event.time for event in talk.log]
    assert times == sorted(times)


def test_at_one_instant_the_reminder_comes_before_the_breach_and_the_breach_before_the_take_back() -> None:
    together = {
        "acknowledge": hours(2),
        "first_response": hours(2),
        "resolve": hours(3),
        "take_back": hours(0),
    }
    talk = assigned(**together, remind_before=hours(1), max_take_backs=0)
    knock(talk, 2)
    at_two = [e.type for e in talk.log if e.time == MONDAY + 2 * HOUR]
    assert at_two == [
        "clock.reminded",
        "clock.breached",
        "clock.breached",
        "opinion.taken_back",
        "opinion.triaged",
    ]


def test_a_clock_that_ran_out_in_triage_breaches_at_once_at_the_assignment_and_blames_nobody() -> None:
    talk = in_triage()
    talk.says(inbound.Assign(TOM, to="ann"), 30)
    assert talk.types() == ["assigned", "clock.breached"]
    late = talk.told("clock.breached")[-1]
    assert late.data.clock == "acknowledge"  # type: ignore[attr-defined]
    assert late.data.due == MONDAY + DAY  # type: ignore[attr-defined]
    assert late.data.held_by is None, "in triage at that instant, by nobody's fault but the office's"  # type: ignore[attr-defined]
    assert late.time == MONDAY + 30 * HOUR, "never before the case's latest event"


def test_due_times_are_frozen_at_the_first_assignment_with_their_policy_and_version() -> None:
    talk = assigned(resolve=hours(50))
    due = talk.case.due
    assert due is not None
    assert (due.policy, due.policy_version) == ("plain", "v1")
    talk.context = a_context(a_city(Policy("other", resolve=hours(1)), version="v2"))
    talk.says(Return(ANN, "other"), 1)
    assert talk.case.due == due
    assert talk.log[-1].data.due == due  # type: ignore[attr-defined]


def test_the_clocks_count_from_the_submission_although_the_assignment_came_later() -> None:
    talk = in_triage()
    talk.says(inbound.Assign(TOM, to="ann"), 5)
    assert talk.case.due is not None
    assert talk.case.due.acknowledge == MONDAY + DAY


def test_working_day_limits_run_over_the_weekend_in_the_citys_own_time() -> None:
    talk = assigned(first_response=Limit(5, "working_days"), resolve=Limit(1, "months"))
    due = talk.case.due
    assert due is not None
    assert due.first_response == datetime(2026, 3, 9, 9, tzinfo=UTC)  # Monday 17:00 in Wuxi
    assert due.resolve == datetime(2026, 4, 2, 2, tzinfo=UTC)
    assert due.working == ("first_response",)
    assert not due.provisional


def test_due_times_in_an_unannounced_year_are_marked_provisional() -> None:
    talk = Talk(a_context(a_city(Policy("plain", resolve=Limit(600, "working_days")))))
    talk.submits()
    assert talk.case.due is not None
    assert talk.case.due.provisional


# Triage


def test_triage_has_its_own_clock_and_the_office_is_told() -> None:
    talk = Talk(a_context(a_city(Policy("plain", triage=hours(8)))))
    talk.submits(grid=None)
    assert next_due(talk.case) == ("triage", MONDAY + 8 * HOUR)
    knock(talk, 9)
    (breach,) = talk.told("clock.breached")
    assert (breach.time, breach.data.clock) == (MONDAY + 8 * HOUR, "triage")  # type: ignore[attr-defined]
    assert breach.data.receivers == ("far", "tom", "sue")  # type: ignore[attr-defined]
    assert breach.data.held_by is None  # type: ignore[attr-defined]


def test_arbitration_has_the_whole_triage_time_from_when_it_began() -> None:
    talk = assigned(**CALM, max_returns=0, triage=hours(8))
    talk.says(Return(ANN, "other"), 20)
    assert talk.case.triage_due == MONDAY + 28 * HOUR


def test_a_case_that_comes_to_triage_twice_may_breach_twice() -> None:
    talk = Talk(a_context(a_city(Policy("plain", triage=hours(8), max_returns=0, **CALM))))  # type: ignore[arg-type]
    talk.submits(grid=None)
    talk.says(inbound.Assign(TOM, grid=GRID), 9)
    talk.says(Return(ANN, "other"), 10)
    knock(talk, 100)
    assert breaches(talk) == ["triage", "triage"]


# Reminders


def test_the_assignee_is_reminded_before_a_clock_runs_out() -> None:
    talk = assigned(**CALM | {"acknowledge": hours(10), "remind_before": hours(3)})
    knock(talk, 8)
    (reminder,) = talk.told("clock.reminded")
    assert reminder.time == MONDAY + 7 * HOUR
    assert (reminder.data.clock, reminder.data.due) == ("acknowledge", MONDAY + 10 * HOUR)  # type: ignore[attr-defined]
    assert reminder.data.receivers == ("ann",)  # type: ignore[attr-defined]


def test_a_policy_that_reminds_no_time_before_does_not_remind() -> None:
    talk = assigned(**CALM | {"acknowledge": hours(10), "remind_before": hours(0)})
    knock(talk, 11)
    assert talk.types() == ["clock.breached"]


def test_nobody_is_reminded_of_what_is_done() -> None:
    talk = accepted(**CALM | {"acknowledge": hours(10), "resolve": hours(10), "remind_before": hours(3)})
    talk.says(Resolve(ANN, "solved", "x"), 1)
    knock(talk, 9)
    assert talk.told("clock.reminded") == []


def test_a_reminder_is_sent_once_though_the_case_changes_hands() -> None:
    talk = accepted(**CALM | {"resolve": hours(20), "remind_before": hours(10)})
    knock(talk, 11)
    talk.says(Transfer(ANN, "bea"), 12)
    knock(talk, 19)
    assert [e.data.receivers for e in talk.told("clock.reminded")] == [("ann",)]  # type: ignore[attr-defined]


def test_who_gets_a_case_after_the_time_to_remind_knows_the_date_from_the_assignment() -> None:
    talk = in_triage()
    talk.context = a_context(
        a_city(Policy("p", **CALM | {"acknowledge": hours(10), "remind_before": hours(6)}))
    )  # type: ignore[arg-type]
    talk.says(inbound.Assign(TOM, to="ann"), 5)
    knock(talk, 9)
    assert talk.told("clock.reminded") == []
    short = assigned(**CALM | {"acknowledge": hours(10), "remind_before": hours(10)})
    knock(short, 9)
    assert short.told("clock.reminded") == []


def test_a_reopened_case_is_reminded_of_its_new_date() -> None:
    talk = resolved(at=19.0, **CALM | {"resolve": hours(20), "remind_before": hours(2)})
    assert len(talk.told("clock.reminded")) == 1
    talk.says(inbound.Rated(RESIDENT, "dissatisfied"), 30)
    knock(talk, 49)
    assert [e.time for e in talk.told("clock.reminded")][1:] == [MONDAY + 48 * HOUR]


# Silence

SILENT = CALM | {"acknowledge": hours(24), "take_back": hours(48)}


def test_a_silent_deputys_case_is_taken_back_and_goes_to_the_next() -> None:
    talk = assigned(**SILENT)
    knock(talk, 73)
    assert talk.types()[-2:] == ["taken_back", "assigned"]
    told = talk.one("opinion.taken_back")
    assert (told.assignee, told.reason, told.receivers) == ("ann", "silence", ("ann",))
    assert talk.log[-1].data.by == "take_back"  # type: ignore[attr-defined]
    assert talk.log[-1].time == MONDAY + 72 * HOUR
    assert (talk.case.assignee, talk.case.excluded) == ("bea", ("ann",))


def test_the_next_deputy_has_the_whole_time_of_silence_from_their_own_assignment() -> None:
    talk = assigned(**SILENT)
    knock(talk, 73)
    assert talk.case.take_back == MONDAY + (72 + 48) * HOUR


def test_silence_on_silence_is_taken_back_again_and_then_a_person_decides() -> None:
    talk = assigned(**SILENT, max_take_backs=2)
    knock(talk, 24 * 60)
    assert [e.data.assignee for e in talk.told("opinion.taken_back")] == ["ann", "bea", "cai"]  # type: ignore[attr-defined]
    assert [e.time for e in talk.told("opinion.taken_back")] == [MONDAY + h * HOUR for h in (72, 120, 168)]
    assert talk.case.stage == "triage"
    assert talk.one("opinion.triaged").reasons[0].code == "silent_too_often"
    assert talk.one("opinion.triaged").due > MONDAY + 168 * HOUR


def test_the_cap_on_take_backs_is_the_policys() -> None:
    talk = assigned(**SILENT, max_take_backs=0)
    knock(talk, 73)
    assert talk.case.stage == "triage"


def test_one_late_look_tells_the_same_as_many_in_time() -> None:
    late, often = assigned(max_take_backs=1), assigned(max_take_backs=1)
    knock(late, 24 * 90)
    for at in range(24 * 90 + 1):
        knock(often, at)
    told = [(e.type, e.time, e.data) for e in late.log]
    assert told == [(e.type, e.time, e.data) for e in often.log if e.type != "clock.checked"]


def test_who_works_on_a_case_is_never_taken_for_silent() -> None:
    talk = accepted(**SILENT)
    knock(talk, 24 * 300)
    assert talk.told("opinion.taken_back") == []


# Stopping


@pytest.mark.parametrize("clock", ["first_response", "resolve"])
def test_a_resolved_case_has_no_clock_but_the_residents(clock: str) -> None:
    talk = resolved(rating=FAR)
    knock(talk, 24 * 30)
    assert clock not in breaches(talk)
    assert next_due(talk.case) == ("rating", MONDAY + 9001 * HOUR)


def test_the_first_response_clock_runs_on_in_arbitration() -> None:
    talk = accepted(**CALM | {"first_response": hours(30)}, max_returns=0, triage=FAR)
    talk.says(Return(ANN, "other"), 20)
    knock(talk, 31)
    (breach,) = talk.told("clock.breached")
    assert breach.data.clock == "first_response"  # type: ignore[attr-defined]
    assert breach.data.held_by is None  # type: ignore[attr-defined]
    assert breach.data.receivers == ("tom", "sue")  # type: ignore[attr-defined]


def test_an_answer_in_time_spares_the_first_response_clock_and_a_late_one_does_not_unsay_the_breach() -> None:
    talk = accepted(**CALM | {"first_response": hours(2)})
    talk.says(Answer(ANN, "x"), 3)
    assert talk.types() == ["clock.breached", "answered"]


def test_a_closed_case_has_no_clock() -> None:
    talk = assigned()
    talk.says(inbound.Withdrawn(RESIDENT), 1)
    assert next_due(talk.case) is None
    assert knock(talk, 24 * 300) == ["clock.checked"]


def test_a_case_of_which_only_refusals_are_known_has_no_clock() -> None:
    talk = Talk()
    talk.says(inbound.Accept(ANN))
    assert next_due(talk.case) is None
    assert knock(talk, 1) == ["command.refused"]


# Time


def test_a_command_from_before_the_cases_latest_event_is_dated_at_that_event() -> None:
    talk = assigned()
    talk.says(inbound.Accept(ANN), 5)
    talk.says(Progress(ANN, "x"), 2)
    assert talk.log[-1].time == MONDAY + 5 * HOUR


def test_time_is_attributed_to_who_held_the_case() -> None:
    talk = in_triage(grid=GRID, topic=None)
    talk.says(inbound.Assign(TOM, topic=NOISE), 2)
    talk.says(Transfer(ANN, "bea"), 5)
    talk.says(inbound.Accept(BEA), 6)
    talk.says(Resolve(BEA, "solved", "x"), 10)
    talk.says(inbound.Rated(RESIDENT, "satisfied"), 12)
    seconds = held_seconds(talk.case, MONDAY + 15 * HOUR)
    assert {who: s / 3600 for who, s in seconds.items()} == {
        "triage": 2, "ann": 3, "bea": 5, "resident": 2, "nobody": 3,
    }  # fmt: skip
    assert held_seconds(talk.case, MONDAY + 3 * HOUR) == {"triage": 7200.0, "ann": 3600.0}


def test_who_held_a_case_is_known_for_every_instant() -> None:
    talk = assigned()
    talk.says(Transfer(ANN, "bea"), 5)
    at = [MONDAY + h * HOUR for h in (-1, 0, 4.9, 5, 6)]
    assert [held_by(talk.case, t) for t in at] == [None, "ann", "ann", "bea", "bea"]


def test_a_policy_of_the_topic_sets_the_limits() -> None:
    city = a_city()
    strict = Policy("strict", topics=("roads",), acknowledge=hours(1))
    city.policies["strict"] = strict  # type: ignore[index]
    talk = Talk(a_context(city))
    talk.submits(topic=POTHOLES)
    assert talk.case.due is not None
    assert talk.case.due.policy == "strict"
    assert talk.case.due.acknowledge == MONDAY + HOUR


def test_three_silent_deputies_are_all_left_out() -> None:
    talk = assigned(**SILENT, max_take_backs=5)
    knock(talk, 24 * 60)
    assert talk.case.excluded == (ANN.id, BEA.id, CAI.id)
    assert talk.case.stage == "triage", "routing knows nobody else"
