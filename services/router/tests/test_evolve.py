"""Folding events: every type, from nothing, and what each leaves in the case."""

from datetime import timedelta

import msgspec
import pytest
from services.router.tests.cases import ANN, DAY, HOUR, MONDAY

from lianxin_contracts import lifecycle
from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import Actor
from lianxin_contracts.lifecycle import ClassifiedAs, DueTimes, Explanation, LocatedBy
from lianxin_router.domain.evolve import evolve

NOTHING = Explanation("v1", "test", LocatedBy(None, "none", 0.0), ClassifiedAs(None, "none", 0.0))
DUE = DueTimes(MONDAY + DAY, MONDAY + 2 * DAY, MONDAY + 3 * DAY, "p", "v1")
ONE_OF_EACH = [
    lifecycle.Submitted("qr", "d1", words="text", has_contact=True),
    lifecycle.Triaged((), NOTHING, MONDAY + DAY),
    lifecycle.Assigned("ann", "router", "g", "s", "d", "t", 1, DUE, NOTHING),
    lifecycle.Accepted(ANN),
    lifecycle.Answered(ANN, "w1"),
    lifecycle.Progressed(ANN, "w2"),
    lifecycle.HandedOver(ANN, "c1", "water", "main"),
    lifecycle.Transferred(ANN, "bea"),
    lifecycle.Returned(ANN, "other", 1),
    lifecycle.TakenBack("ann", "silence"),
    lifecycle.Paused(ANN, "season", MONDAY + DAY),
    lifecycle.Resumed(ANN, 60),
    lifecycle.Resolved(ANN, "solved", "w3", 1, MONDAY + 14 * DAY),
    lifecycle.Rated("satisfied"),
    lifecycle.Reopened(1, "ann"),
    lifecycle.Closed("rated", "satisfied"),
    lifecycle.Withdrawn(Actor("resident", "resident")),
    lifecycle.Supported("p1", 1),
    lifecycle.Supervised(Actor("staff", "sue")),
    lifecycle.Published(Actor("staff", "sue"), "w5"),
    lifecycle.Unpublished(Actor("staff", "sue")),
    lifecycle.SeenBy(ANN),
    lifecycle.Visited(ANN, MONDAY, "p"),
    lifecycle.Erased(Actor("resident", "resident")),
    lifecycle.ContactRevealed(ANN),
    lifecycle.Breached("resolve", MONDAY, None),
    lifecycle.Reminded("resolve", MONDAY),
    lifecycle.ClockChecked("resolve"),
    lifecycle.IssueJoined("i1", 1.0),
    lifecycle.IssueMerged("i1", "i2"),
    lifecycle.IssueSurged("i1", 10, 24),
    lifecycle.CommandRefused("case.accept", "closed"),
]
TYPE_OF = {model: type_ for type_, model in lifecycle.MODELS.items()}


def event(data: msgspec.Struct, sequence: int | None = None, hours: float = 0.0) -> Event:
    at = MONDAY + timedelta(hours=hours)
    return Event(
        id=f"e{sequence}", source="/router", type=TYPE_OF[type(data)], subject="op-1", time=at,
        recordedtime=at, data=data, sequence=sequence,
    )  # fmt: skip


def test_every_type_of_the_contract_is_tried_here() -> None:
    assert {type(data) for data in ONE_OF_EACH} == set(lifecycle.MODELS.values())


@pytest.mark.parametrize("data", ONE_OF_EACH, ids=lambda d: type(d).__name__)
def test_every_event_folds_even_from_nothing(data: msgspec.Struct) -> None:
    case = evolve(None, event(data, 1))
    assert (case.id, case.sequence, case.updated) == ("op-1", 1, MONDAY)


@pytest.mark.parametrize("data", ONE_OF_EACH, ids=lambda d: type(d).__name__)
def test_every_event_folds_onto_a_case_in_hand_and_takes_its_number(data: msgspec.Struct) -> None:
    case = evolve(evolve(None, event(ONE_OF_EACH[0], 1)), event(ONE_OF_EACH[2], 2))
    after = evolve(case, event(data, 7, hours=1))
    assert (after.sequence, after.updated) == (7, MONDAY + HOUR)


def test_an_event_without_a_number_is_the_next() -> None:
    case = evolve(None, event(ONE_OF_EACH[0]))
    assert evolve(case, event(ONE_OF_EACH[3])).sequence == 2


def test_the_case_remembers_where_words_and_contacts_are_but_not_what_they_say() -> None:
    case = None
    for data in ONE_OF_EACH[:6]:
        case = evolve(case, event(data))
    case = evolve(case, event(lifecycle.Supported("p1", 1, "w4")))
    assert case.word_parts == ("text", "w1", "w2")
    assert case.contact_parts == ("text", "w4")


def test_the_first_answer_and_the_first_resolution_stay_the_first() -> None:
    case = evolve(None, event(ONE_OF_EACH[0]))
    for hours in (1.0, 2.0):
        case = evolve(case, event(ONE_OF_EACH[3], hours=hours))
        case = evolve(case, event(ONE_OF_EACH[4], hours=hours))
        case = evolve(case, event(ONE_OF_EACH[12], hours=hours))
    assert case.accepted == case.first_response == case.first_resolved == MONDAY + HOUR
    assert case.resolved == MONDAY + 2 * HOUR


def test_resolving_without_an_interim_answer_is_the_first_response() -> None:
    case = evolve(evolve(None, event(ONE_OF_EACH[0])), event(ONE_OF_EACH[12], hours=3))
    assert case.first_response == MONDAY + 3 * HOUR


def test_only_the_child_order_that_was_answered_is_closed() -> None:
    case = evolve(None, event(ONE_OF_EACH[0]))
    case = evolve(case, event(lifecycle.HandedOver(ANN, "c1", "water", "main")))
    case = evolve(case, event(lifecycle.HandedOver(ANN, "c2", "works", "assist")))
    case = evolve(case, event(lifecycle.Answered(ANN, "w", "c2")))
    assert [child.id for child in case.open_children] == ["c1"]


def test_what_is_no_lifecycle_event_does_not_fold() -> None:
    with pytest.raises(KeyError):
        evolve(None, Event("e", "/router", "x", "op-1", MONDAY, MONDAY, ANN))
