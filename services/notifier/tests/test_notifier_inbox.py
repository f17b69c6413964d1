"""What an inbox shows, as a fold over the lifecycle."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from lianxin_contracts import inbound, lifecycle
from lianxin_contracts.envelope import Event
from lianxin_notifier.inbox import Alert, Opinion, apply, command_result

START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
DUE = lifecycle.DueTimes(
    acknowledge=START + timedelta(days=1),
    first_response=START + timedelta(days=3),
    resolve=START + timedelta(days=7),
    policy="opinion",
    policy_version="v1",
)
EXPLANATION = lifecycle.Explanation(
    registry_version="v1",
    rules_version="1",
    located=lifecycle.LocatedBy("g1", "grid", 1.0),
    classified=lifecycle.ClassifiedAs("0101", "choice", 1.0),
)
SUBMITTED = lifecycle.Submitted(channel="app", digest="d")
HELD = Opinion(id="o1", sequence=2, stage="assigned", holder="D1")
D1, D2 = inbound.Actor("deputy", "D1"), inbound.Actor("deputy", "D2")


def assigned(to: str, by: str = "router", receivers: tuple[str, ...] = ()) -> lifecycle.Assigned:
    return lifecycle.Assigned(
        assignee=to,
        by=by,  # type: ignore[arg-type]
        grid="g1",
        street="s1",
        district="d1",
        topic="0101",
        attempt=1,
        due=DUE,
        explanation=EXPLANATION,
        receivers=receivers,
    )


def triaged(*receivers: str) -> lifecycle.Triaged:
    return lifecycle.Triaged((), EXPLANATION, START + timedelta(hours=8), receivers=receivers)


def event(sequence: int, data: Struct, cause: str | None = "cause") -> Event:
    at = START + timedelta(hours=sequence)
    type_ = next(name for name, model in lifecycle.MODELS.items() if model is type(data))
    return Event(f"e{sequence}", "/router", type_, "o1", at, at, data, causationid=cause, sequence=sequence)


def fold(*steps: Struct) -> tuple[Opinion, list[tuple[Alert, ...]]]:
    opinion, told = Opinion(id="o1"), []
    for sequence, data in enumerate(steps, 1):
        opinion, alerts = apply(opinion, event(sequence, data))
        told.append(alerts)
    return opinion, told


def test_the_assignee_is_told_of_an_assignment_though_no_receiver_is_named() -> None:
    opinion, told = fold(SUBMITTED, assigned("D1"))
    (alert,) = told[1]
    assert (alert.receiver, alert.outside, alert.first) == ("D1", True, True)
    assert alert.entry.stage == "assigned"
    assert alert.entry.state == "open"
    assert opinion.seats["D1"].role == "holder"


def test_who_is_named_twice_is_told_once() -> None:
    _, told = fold(SUBMITTED, assigned("D1", receivers=("D1", "S1", "S1")))
    assert [alert.receiver for alert in told[1]] == ["D1", "S1"]


def test_latency_is_measured_from_the_receipt_of_the_submission_and_only_for_the_first_assignment() -> None:
    _, told = fold(
        SUBMITTED, assigned("D1"), lifecycle.TakenBack("D1", "silence"), assigned("D2", by="take_back")
    )
    assert told[1][0].submitted == START + timedelta(hours=1)
    assert [a.first for a in told[1]] == [True]
    assert not any(a.first for a in told[3])


def test_a_replayed_case_alerts_the_inbox_only() -> None:
    _, told = fold(lifecycle.Submitted(channel="app", digest="d", replayed=True), assigned("D1"))
    assert [alert.outside for alert in told[1]] == [False]


@pytest.mark.parametrize(
    "parting",
    [
        lifecycle.Returned(D1, "not_my_area", 1),
        lifecycle.Transferred(D1, "D2"),
        lifecycle.TakenBack("D1", "silence"),
        lifecycle.Reopened(1, None),
        triaged("T1"),
        assigned("D2"),
    ],
)
def test_a_case_that_goes_away_leaves_the_former_holders_inbox_and_says_so_there(parting: Struct) -> None:
    opinion, told = fold(SUBMITTED, assigned("D1"), parting)
    assert opinion.seats["D1"].state == "left"
    (note,) = [alert for alert in told[2] if alert.receiver == "D1"]
    assert note.entry.state == "left"
    assert not note.outside


def test_who_is_named_by_the_event_that_takes_the_case_is_also_told_outside() -> None:
    _, told = fold(SUBMITTED, assigned("D1"), lifecycle.TakenBack("D1", "silence", receivers=("D1", "S1")))
    assert [(a.receiver, a.outside, a.entry.state) for a in told[2]] == [
        ("D1", True, "left"),
        ("S1", True, "open"),
    ]


def test_triage_lets_go_of_a_case_once_it_is_assigned() -> None:
    opinion, told = fold(SUBMITTED, triaged("T1", "T2"), assigned("D1", by="triage"))
    assert {who: seat.state for who, seat in opinion.seats.items()} == {
        "T1": "left",
        "T2": "left",
        "D1": "open",
    }
    assert {a.receiver for a in told[2]} == {"T1", "T2", "D1"}


def test_a_supervisor_who_was_told_keeps_the_case_in_view_until_it_is_closed() -> None:
    breach = lifecycle.Breached("acknowledge", START, "D1", receivers=("S1",))
    opinion, _ = fold(SUBMITTED, assigned("D1"), breach, lifecycle.TakenBack("D1", "silence"), assigned("D2"))
    assert opinion.seats["S1"].state == "open"
    closed, _ = apply(opinion, event(6, lifecycle.Closed("unrated")))
    assert {seat.state for seat in closed.seats.values()} == {"left", "closed"}


def test_a_deputy_who_gets_the_case_back_has_it_in_the_inbox_again() -> None:
    opinion, _ = fold(
        SUBMITTED, assigned("D1"), lifecycle.Returned(D1, "other", 1), assigned("D1", by="triage")
    )
    assert opinion.seats["D1"].state == "open"


def test_the_clock_that_runs_out_next_is_the_one_that_is_shown() -> None:
    steps: list[Struct] = [SUBMITTED, triaged("T1")]
    shown = []
    for step in (
        assigned("D1"),
        lifecycle.Accepted(D1),
        lifecycle.Answered(D1, "w"),
        lifecycle.Resolved(D1, "solved", "w", 1, START),
    ):
        shown.append(fold(*steps)[0].due)
        steps.append(step)
    shown.append(fold(*steps)[0].due)
    assert shown == [START + timedelta(hours=8), DUE.acknowledge, DUE.first_response, DUE.resolve, None]


@pytest.mark.parametrize("parting", [lifecycle.Transferred(D1, "D2"), lifecycle.TakenBack("D1", "staff")])
def test_the_acknowledge_clock_stays_stopped_when_an_accepted_case_changes_hands(parting: Struct) -> None:
    opinion, _ = fold(SUBMITTED, assigned("D1"), lifecycle.Accepted(D1), parting, assigned("D2"))
    assert opinion.due == DUE.first_response


def test_a_refusal_for_an_opinion_that_nobody_submitted_is_folded_too() -> None:
    opinion, told = fold(lifecycle.CommandRefused("case.accept", "unknown_case"))
    assert opinion.sequence == 1
    assert told == [()]


def test_a_command_is_applied_by_what_it_caused_and_refused_by_a_refusal() -> None:
    accepted = command_result(HELD, event(3, lifecycle.Accepted(D1), cause="c1"))
    assert accepted is not None
    assert (accepted.command, accepted.status, accepted.actor) == ("c1", "applied", "D1")
    refusal = lifecycle.CommandRefused("case.accept", "not_your_case")
    refused = command_result(HELD, event(3, refusal, cause="c2"))
    assert refused is not None
    assert (refused.status, refused.code) == ("refused", "not_your_case")


@pytest.mark.parametrize(
    "data",
    [
        lifecycle.Breached("acknowledge", START, "D1"),
        lifecycle.TakenBack("D1", "silence"),
        triaged("T1"),  # after a silence
        lifecycle.Closed("unrated"),
        assigned("D2", by="take_back"),
        assigned("D2"),
        lifecycle.CommandRefused("opinion.submitted", "idempotency_conflict"),
    ],
)
def test_what_the_clock_or_the_resident_brought_about_does_not_mean_that_a_command_was_heeded(
    data: Struct,
) -> None:
    assert command_result(HELD, event(3, data, cause="c1")) is None


@pytest.mark.parametrize(
    ("before", "data"),
    [
        ("assigned", lifecycle.TakenBack("D1", "staff")),
        ("triage", triaged("T1")),
        ("triage", assigned("D2", by="triage")),
    ],
)
def test_an_assignment_that_leads_to_triage_was_heeded_too(before: lifecycle.Stage, data: Struct) -> None:
    result = command_result(Opinion(id="o1", sequence=2, stage=before), event(3, data, cause="c1"))
    assert result is not None
    assert (result.command, result.status) == ("c1", "applied")


STEPS = st.sampled_from(
    [
        assigned("D1"),
        assigned("D2", by="transfer", receivers=("S1",)),
        triaged("T1"),
        lifecycle.Accepted(D1),
        lifecycle.Progressed(D2, "w"),
        lifecycle.Returned(D1, "other", 1, receivers=("T1",)),
        lifecycle.TakenBack("D2", "silence", receivers=("S1",)),
        lifecycle.Resolved(D1, "solved", "w", 1, START),
        lifecycle.Rated("dissatisfied", receivers=("D1",)),
        lifecycle.Reopened(1, "D1", receivers=("D1",)),
        lifecycle.Reopened(1, None),
        lifecycle.Breached("resolve", START, "D1", receivers=("S1", "D1")),
        lifecycle.Closed("unrated"),
    ]
)


@given(st.lists(STEPS, max_size=12))
def test_no_history_has_a_holder_without_the_case_in_the_inbox_or_two_open_holders(
    steps: list[Struct],
) -> None:
    ends = next((n for n, step in enumerate(steps, 1) if isinstance(step, lifecycle.Closed)), len(steps))
    opinion, told = fold(SUBMITTED, *steps[:ends])  # the router tells nothing of a case after its closing
    holding = {who for who, seat in opinion.seats.items() if seat.role == "holder" and seat.state == "open"}
    if opinion.stage != "closed":
        assert holding == ({opinion.holder} if opinion.holder else set())
    for alerts in told:
        assert len({alert.receiver for alert in alerts}) == len(alerts)
        assert {alert.receiver for alert in alerts} <= set(opinion.seats)


def test_an_inboxs_line_changes_only_with_what_it_shows() -> None:
    steps: list[Struct] = [SUBMITTED, assigned("D1"), lifecycle.SeenBy(D1), lifecycle.Accepted(D1)]
    assert [fold(*steps[:n])[0].seats["D1"].changed for n in (2, 3, 4)] == [2, 2, 4]
    gone, _ = fold(*steps, lifecycle.Transferred(D1, "D2"), assigned("D2"), lifecycle.Accepted(D2))
    assert gone.seats["D1"].changed == 5
    assert gone.seats["D2"].changed == 7


def test_a_seat_knows_what_its_owner_was_told_has_looked_at_and_did() -> None:
    seat = fold(SUBMITTED, assigned("D1"))[0].seats["D1"]
    assert (seat.told, seat.seen, seat.acted) == (2, 0, 0)
    looked, _ = fold(SUBMITTED, assigned("D1"), lifecycle.SeenBy(D1), lifecycle.Accepted(D1))
    assert (looked.seats["D1"].told, looked.seats["D1"].seen, looked.seats["D1"].acted) == (2, 3, 4)


def test_what_somebody_did_before_they_got_the_case_anew_says_nothing_of_the_new_alert() -> None:
    again, told = fold(
        SUBMITTED, assigned("D1"), lifecycle.Transferred(D1, "D2"), assigned("D2"), assigned("D1")
    )
    seat = again.seats["D1"]
    assert (seat.acted, seat.told) == (3, 5)
    assert [alert.sequence for alert in told[-1] if alert.receiver == "D1"] == [5]
