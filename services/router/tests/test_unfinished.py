"""A router dies while it publishes a decision, and its database is lost: at whatever event the log breaks
off, and whatever has become of the city meanwhile, the decision is brought to its end."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from services.router.tests.cases import (
    ANN,
    BEA,
    NOISE,
    RESIDENT,
    TOM,
    Talk,
    a_city,
    a_context,
    accepted,
    assigned,
    hours,
    resolved,
)
from services.router.tests.test_histories import History, histories, told

from lianxin_contracts import inbound
from lianxin_contracts.envelope import Event
from lianxin_router.domain.case import Case
from lianxin_router.domain.city_context import CityContext
from lianxin_router.domain.decide import decide
from lianxin_router.domain.story import Decision
from lianxin_router.domain.unfinished import finish, resume
from lianxin_router.fold import fold_one
from lianxin_router.store import Held, cause_bytes

RESTING = ("triage", "assigned", "accepted", "in_progress", "resolved", "closed")


def folded(log: Iterable[Event]) -> Held:
    held = Held("op-1")
    for event in log:
        fold_one(held, event)
    return held


def goes_on(log: list[Event], command: Event, context: CityContext) -> list[Event]:
    """The log after `command` came (again) to a router that knows `log` alone, as the handler does it."""
    held = folded(log)
    assert held.stuck is None
    if cause_bytes(command.id) in held.causes:
        return log
    case, new = held.case, list[Event]()
    if held.unfinished is not None and held.unfinished.cause == command.id:
        return [*log, *resume(held.unfinished, command, context).events]
    if held.unfinished is not None:
        ended = finish(held.unfinished, context)
        case = ended.case
        new += ended.events
    return [*log, *new, *decide(case, command, context).events]


def check(log: list[Event]) -> Case:
    """No gap, no number or id twice, the flags right, nobody's case; returns what it folds to."""
    held = folded(log)
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    assert len({event.id for event in log}) == len(log)
    # What was said of the id before anybody submitted it stands at its own time.
    begun = next((n for n, event in enumerate(log) if event.type == "opinion.submitted"), len(log))
    times = [event.time for event in log[begun:]]
    assert times == sorted(times)
    assert held.case is not None
    if held.case.opened is not None:
        assert held.case.stage in RESTING
        assert (held.case.assignee is None) == (held.case.stage == "triage") or held.case.stage == "closed"
    return held.case


other_cities = st.sampled_from([(), ("ann",), ("ann", "bea"), ("ann", "bea", "cai")])


@settings(max_examples=80)
@given(histories, other_cities, st.integers(0, 100))
def test_wherever_the_log_breaks_off_every_decision_is_brought_to_its_end(
    history: History, without: tuple[str, ...], choice: int
) -> None:
    talk, _ = told(history)
    long = [spoken for spoken in talk.heard if len(spoken.decision.events) > 1]
    if not long:
        return
    spoken = long[choice % len(long)]
    command, events = spoken.command, spoken.decision.events
    before = talk.log[: (events[0].sequence or 1) - 1]
    other = a_context(a_city(history[0], version="v9", without_mandate=without))
    knock = replace(command, id="another", type="case.due", source="/router",
                    data=inbound.Due("resolve", command.time))  # fmt: skip
    for published in range(1, len(events)):
        log = [*before, *events[:published]]
        again = goes_on(log, command, spoken.context)
        assert unflagged(again) == unflagged([*before, *events]), "in the same city it comes out the same"
        for said, context in ((command, other), (knock, spoken.context), (knock, other)):
            log_after = goes_on(log, said, context)
            assert log_after[: len(log)] == log
            check(log_after)
            # And the next crash, in the midst of what goes on, is no other.
            for cut in range(len(log), len(log_after)):
                check(goes_on(log_after[:cut], said, context))


def unflagged(log: Iterable[Event]) -> list[Event]:
    return [replace(event, continues=False) for event in log]


@settings(max_examples=60)
@given(histories)
def test_a_whole_log_folds_to_the_case_with_every_command_answered(history: History) -> None:
    talk, _ = told(history)
    held = folded(talk.log)
    assert (held.case, held.unfinished) == (talk.known, None)
    assert held.causes == {cause_bytes(event.causationid) for event in talk.log if event.causationid}


def test_records_from_before_there_was_a_mark_are_whole_decisions() -> None:
    talk = assigned()
    held = folded(unflagged(talk.log[:1]))
    assert held.unfinished is None
    assert cause_bytes(talk.heard[0].command.id) in held.causes


def broken_off(talk: Talk, published: int) -> tuple[Held, Event]:
    """What is known when `published` events of the last decision are in the log; and its command."""
    assert talk.last is not None
    return folded(talk.log[: len(talk.log) - len(talk.last.events) + published]), talk.heard[-1].command


def ended(held: Held, context: CityContext) -> Decision:
    assert held.unfinished is not None
    return finish(held.unfinished, context)


def types(decision: Decision) -> list[str]:
    return [event.type.removeprefix("opinion.") for event in decision.events]


def test_a_submission_that_breaks_off_before_its_assignment_is_assigned_when_it_comes_again() -> None:
    talk = Talk()
    talk.submits()
    held, command = broken_off(talk, 1)
    assert held.case is not None
    assert held.case.stage == "submitted"
    assert cause_bytes(command.id) not in held.causes
    assert held.unfinished is not None
    decision = resume(held.unfinished, command, talk.context)
    assert types(decision) == ["assigned"]
    assert decision.case == talk.case
    assert [w.text for w in decision.words] == ["路灯坏了"]


def test_an_assignment_that_was_published_stands_in_whatever_city_the_rest_is_told() -> None:
    talk = assigned(take_back=hours(1))
    talk.says(inbound.Due("take_back", talk.case.updated), 24 * 9)
    at = next(n for n, event in enumerate(talk.last.events) if event.type == "opinion.assigned")  # type: ignore[union-attr]
    holder: Any = talk.last.events[at].data  # type: ignore[union-attr]
    held, command = broken_off(talk, at + 1)
    assert held.unfinished is not None
    other = a_context(a_city(without_mandate=[holder.assignee]))
    decision = resume(held.unfinished, command, other)
    assert not any(event.type == "opinion.assigned" and event.data == holder for event in decision.events)
    assert held.case is not None
    assert held.case.assignee == holder.assignee


@pytest.mark.parametrize(
    ("talk", "said", "published", "rest"),
    [
        (resolved(), inbound.Rated(RESIDENT, "satisfied"), "rated", ["closed"]),
        (resolved(max_reopens=1), inbound.Rated(RESIDENT, "dissatisfied"), "rated", ["reopened"]),
        (accepted(), inbound.Withdrawn(RESIDENT), "withdrawn", ["closed"]),
        (accepted(), inbound.ErasureRequested(RESIDENT), "erased", ["closed"]),
        (accepted(), inbound.Transfer(ANN, "bea"), "transferred", ["assigned"]),
        (accepted(), inbound.Return(ANN, "other"), "returned", ["assigned"]),
        (accepted(max_returns=0), inbound.Return(ANN, "other"), "returned", ["triaged"]),
        (accepted(), inbound.Assign(TOM, to="bea"), "taken_back", ["assigned"]),
    ],
)
def test_what_breaks_off_in_the_midst_is_ended_by_the_rules_though_its_command_never_comes(
    talk: Talk, said: Any, published: str, rest: list[str]
) -> None:
    talk.says(said, 2.0)
    number = talk.types().index(published) + 1
    held, _ = broken_off(talk, number)
    decision = ended(held, talk.context)
    assert types(decision) == rest
    assert {event.causationid for event in decision.events} == {talk.heard[-1].command.id}


def test_a_submission_that_never_comes_again_waits_for_a_person() -> None:
    talk = Talk()
    talk.submits(topic=NOISE)
    held, _ = broken_off(talk, 1)
    decision = ended(held, talk.context)
    assert types(decision) == ["triaged"]
    assert decision.case.stage == "triage"


def test_a_command_before_which_only_a_clock_was_told_is_decided_though_the_city_has_changed() -> None:
    talk = assigned(acknowledge=hours(1), take_back=hours(1), triage=hours(1))
    talk.says(inbound.Accept(BEA), 5.0)
    held, command = broken_off(talk, 1)
    assert held.unfinished is not None
    decision = resume(held.unfinished, command, a_context(a_city(version="v2", without_mandate=("bea",))))
    assert types(decision)[-1] in ("accepted", "refused", "command.refused")
    assert decision.case.stage in RESTING


def test_a_case_whose_log_has_a_gap_stands_still() -> None:
    talk = accepted()
    held = folded([*talk.log[:1], *talk.log[2:]])
    assert held.stuck == "gap"
    assert held.case is not None
    assert held.case.sequence == 1
