"""What the assignee may do with a case, and what is refused, each rule by its name."""

from datetime import date

import pytest
from services.router.tests.cases import (
    ANN,
    BEA,
    CAI,
    DAN,
    DISTRICT,
    GRID,
    HOUR,
    MONDAY,
    NOISE,
    POTHOLES,
    RESIDENT,
    STREET,
    SUE,
    TOM,
    Talk,
    a_city,
    a_context,
    accepted,
    assigned,
    hours,
    resolved,
)  # fmt: skip

from lianxin_contracts import inbound, registry
from lianxin_contracts.inbound import (
    Actor,
    Answer,
    HandOver,
    Progress,
    Resolve,
    Return,
    RevealContact,
    Seen,
    Transfer,
)
from lianxin_contracts.registry import Policy
from lianxin_router.domain.ports import ToDeputy

ACTIONS = [
    inbound.Accept(BEA), Answer(BEA, "x"), Progress(BEA, "x"), HandOver(BEA, "water"), Transfer(BEA, "cai"),
    Return(BEA, "other"), inbound.Pause(BEA, "season"), inbound.Resume(BEA), Resolve(BEA, "solved", "x"),
    RevealContact(BEA), Seen(BEA),
]  # fmt: skip


@pytest.mark.parametrize("action", ACTIONS, ids=lambda a: type(a).__name__)
def test_nobody_but_the_assignee_acts_on_a_case(action: object) -> None:
    talk = assigned() if isinstance(action, inbound.Accept) else accepted()
    before = talk.case
    decision = talk.says(action)  # type: ignore[arg-type]
    assert talk.code() == "not_your_case"
    assert decision.words == ()
    assert talk.case.stage == before.stage


def test_a_staff_member_with_the_deputys_name_is_not_the_deputy() -> None:
    talk = assigned()
    talk.says(inbound.Accept(Actor("staff", "ann")))
    assert talk.code() == "not_your_case"


def test_the_channel_that_acted_for_a_deputy_stands_on_the_log() -> None:
    talk = assigned()
    talk.says(inbound.Accept(Actor("deputy", "ann", via="workbench")))
    assert talk.one("opinion.accepted").actor == Actor("deputy", "ann", via="workbench")


def test_accepting_stops_the_acknowledge_clock_and_the_threat_of_being_taken_back() -> None:
    talk = assigned()
    talk.says(inbound.Accept(ANN), 1)
    assert (talk.case.stage, talk.case.take_back) == ("accepted", None)
    talk.says(Progress(ANN, "x"), 24 * 30)
    assert "acknowledge" not in {e.data.clock for e in talk.told("clock.breached")}  # type: ignore[attr-defined]
    assert talk.told("opinion.taken_back") == []


def test_a_case_is_accepted_once() -> None:
    talk = accepted()
    talk.says(inbound.Accept(ANN))
    assert talk.code() == "already_accepted"


@pytest.mark.parametrize(
    "action",
    [Answer(ANN, "x"), Progress(ANN, "x"), HandOver(ANN, "water"), inbound.Pause(ANN, "season"),
     Resolve(ANN, "solved", "x")],
    ids=lambda a: type(a).__name__,
)  # fmt: skip
def test_work_on_a_case_begins_with_accepting_it(action: object) -> None:
    talk = assigned()
    talk.says(action)  # type: ignore[arg-type]
    assert talk.code() == "not_yet_accepted"


def test_opening_a_case_is_noted_the_first_time_only() -> None:
    talk = assigned()
    talk.says(Seen(ANN), 1)
    assert talk.types() == ["seen"]
    talk.says(Seen(ANN), 2)
    assert talk.code() == "already_seen"


def test_the_next_assignee_opens_the_case_for_the_first_time_too() -> None:
    talk = assigned()
    talk.says(Seen(ANN))
    talk.says(Return(ANN, "other"))
    talk.says(Seen(BEA))
    assert talk.code() is None


def test_an_interim_answer_stops_the_first_response_clock_and_not_the_resolve_clock() -> None:
    talk = accepted(first_response=hours(2), resolve=hours(4))
    talk.says(Answer(ANN, "我们来看看"), 1)
    talk.says(Progress(ANN, "x"), 10)
    assert [e.data.clock for e in talk.told("clock.breached")] == ["resolve"]  # type: ignore[attr-defined]


def test_the_words_of_an_answer_are_kept_under_the_command_that_brought_them() -> None:
    talk = accepted()
    decision = talk.says(Answer(ANN, "我们来看看"), id="cmd")
    assert [(w.part, w.kind, w.text, w.by) for w in decision.words] == [("cmd", "answer", "我们来看看", ANN)]
    assert talk.one("opinion.answered").words == "cmd"
    assert talk.case.word_parts == ("text", "cmd")


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (Progress(ANN, "x"), "progress"), (HandOver(ANN, "water", text="x"), "hand_over"),
        (Transfer(ANN, "bea", text="x"), "transfer"), (Return(ANN, "other", "x"), "return"),
        (inbound.Pause(ANN, "season", text="x"), "pause"), (Resolve(ANN, "solved", "x"), "resolve"),
    ],
)  # fmt: skip
def test_whatever_a_deputy_writes_is_forwarded_under_its_own_part(action: object, kind: str) -> None:
    talk = accepted()
    decision = talk.says(action, id="cmd")  # type: ignore[arg-type]
    assert [(w.part, w.kind, w.by) for w in decision.words] == [("cmd", kind, ANN)]
    assert decision.events[0].data.words == "cmd"  # type: ignore[attr-defined]


def test_nothing_is_forwarded_where_nothing_was_written() -> None:
    talk = accepted()
    assert talk.says(HandOver(ANN, "water", text="  ")).words == ()
    assert talk.one("opinion.handed_over").words is None


@pytest.mark.parametrize("action", [Answer(ANN, " "), Progress(ANN, ""), Resolve(ANN, "solved", "\n")])
def test_an_answer_says_something(action: object) -> None:
    talk = accepted()
    talk.says(action)  # type: ignore[arg-type]
    assert talk.code() == "text_needed"


def test_a_progress_note_and_a_child_order_put_the_case_in_progress() -> None:
    for action in (Progress(ANN, "x", ("photo",)), HandOver(ANN, "water")):
        talk = accepted()
        talk.says(action)
        assert talk.case.stage == "in_progress"


# Child orders


def handed_over() -> tuple[Talk, str]:
    talk = accepted()
    talk.says(HandOver(ANN, "water"))
    return talk, talk.case.children[0].id


def test_a_case_is_not_resolved_while_a_department_owes_its_answer() -> None:
    talk, child = handed_over()
    talk.says(Resolve(ANN, "solved", "x"), 1)
    assert talk.code() == "children_open"
    talk.says(Answer(TOM, "修好了", child), 2)
    talk.says(Resolve(ANN, "solved", "x"), 3)
    assert talk.case.stage == "resolved"


@pytest.mark.parametrize("actor", [ANN, TOM, Actor("staff", "water")])
def test_a_child_order_is_answered_by_the_department_by_staff_or_by_the_assignee(actor: Actor) -> None:
    talk, child = handed_over()
    talk.says(Answer(actor, "x", child))
    assert talk.types() == ["answered"]
    assert talk.case.open_children == ()


@pytest.mark.parametrize(
    "actor", [BEA, Actor("staff", "works"), Actor("deputy", "water"), Actor("deputy", "tom")]
)
def test_nobody_else_answers_a_child_order(actor: Actor) -> None:
    talk, child = handed_over()
    talk.says(Answer(actor, "x", child))
    assert talk.code() == "not_your_case"


def test_a_child_order_is_answered_once_and_must_exist() -> None:
    talk, child = handed_over()
    talk.says(Answer(ANN, "x", "no such child"))
    assert talk.code() == "unknown_child"
    talk.says(Answer(ANN, "x", child))
    talk.says(Answer(ANN, "x", child))
    assert talk.code() == "already_answered"


def test_a_department_may_answer_while_the_case_itself_changes_hands() -> None:
    talk, child = handed_over()
    talk.says(Transfer(ANN, "bea"))
    talk.says(Answer(TOM, "x", child))
    assert talk.case.open_children == ()


def test_a_child_order_goes_to_a_department_that_exists_and_has_none_open() -> None:
    talk, child = handed_over()
    talk.says(HandOver(ANN, "nobody"))
    assert talk.code() == "unknown_department"
    talk.says(HandOver(ANN, "water", "assist"))
    assert talk.code() == "already_handed_over"
    talk.says(Answer(ANN, "x", child))
    talk.says(HandOver(ANN, "water"))
    assert len(talk.case.children) == 2


def test_one_department_has_the_lead_and_others_assist() -> None:
    talk, _ = handed_over()
    talk.says(HandOver(ANN, "works", "main"))
    assert talk.code() == "main_handler_exists"
    talk.says(HandOver(ANN, "works", "assist"))
    assert [child.role for child in talk.case.children] == ["main", "assist"]


# Transfer


def test_a_transfer_is_told_and_the_assignment_follows_with_its_own_explanation() -> None:
    talk = accepted()
    talk.says(Transfer(ANN, "bea", "other"), 1)
    assert talk.types() == ["transferred", "assigned"]
    told = talk.log[-1].data
    assert (told.assignee, told.by, told.attempt) == ("bea", "transfer", 2)  # type: ignore[attr-defined]
    assert [r.code for r in told.explanation.reasons] == ["transferred"]  # type: ignore[attr-defined]
    assert told.explanation.located.grid == GRID  # type: ignore[attr-defined]
    assert (talk.case.stage, talk.case.assignee) == ("assigned", "bea")


@pytest.mark.parametrize(
    ("to", "code"), [("dan", "no_mandate"), ("ann", "same_deputy"), ("nobody", "unknown_deputy")]
)
def test_a_case_is_transferred_only_to_another_deputy_whose_mandate_covers_it(to: str, code: str) -> None:
    talk = accepted()
    talk.says(Transfer(ANN, to))
    assert talk.code() == code
    assert talk.case.assignee == "ann"


def test_a_mandate_that_begins_tomorrow_does_not_cover_a_transfer_today() -> None:
    city = a_city()
    late = registry.Mandate("late", "dan", (GRID,), since=date(2026, 3, 3))
    city.mandates["late"] = late  # type: ignore[index]
    talk = Talk(a_context(city))
    talk.submits()
    talk.says(Transfer(ANN, "dan"), 1)
    assert talk.code() == "no_mandate"
    talk.says(Transfer(ANN, "dan"), 15)  # Tuesday 01:00 in the city, still Monday in Greenwich
    assert talk.case.assignee == "dan"


def test_a_case_does_not_go_back_to_who_returned_it() -> None:
    talk = assigned()
    talk.says(Return(ANN, "other"))
    talk.says(Transfer(BEA, "ann"))
    assert talk.code() == "excluded"


def test_transfers_are_capped() -> None:
    talk = assigned(max_transfers=2)
    talk.says(Transfer(ANN, "bea"))
    talk.says(Transfer(BEA, "ann"))
    talk.says(Transfer(ANN, "bea"))
    assert talk.code() == "transferred_too_often"


# Returns


def test_a_return_goes_to_somebody_who_has_not_returned_it() -> None:
    talk = assigned()
    talk.says(Return(ANN, "not_my_area"), 1)
    assert talk.types() == ["returned", "assigned"]
    told = talk.log[-1].data
    assert (told.assignee, told.by) == ("bea", "return")  # type: ignore[attr-defined]
    talk.says(Return(BEA, "not_my_area"), 2)
    assert talk.case.assignee == "cai"


def test_a_return_needs_a_reason_that_the_policy_knows() -> None:
    talk = assigned(return_reasons=("not_my_area",))
    talk.says(Return(ANN, "other"))
    assert talk.code() == "unknown_reason"
    assert talk.case.returns == 0


def test_a_return_by_the_third_deputy_goes_to_arbitration() -> None:
    talk = assigned(max_returns=2)
    for deputy in (ANN, BEA, CAI):
        talk.says(Return(deputy, "other"))
    assert talk.types() == ["returned", "triaged"]
    assert [(e.data.count, e.data.arbitration) for e in talk.told("opinion.returned")] == [  # type: ignore[attr-defined]
        (1, False), (2, False), (3, True),
    ]  # fmt: skip
    assert talk.one("opinion.triaged").reasons[0].code == "returned_too_often"
    assert talk.case.stage == "triage"


def test_arbitration_comes_to_a_person_even_where_routing_would_know_somebody() -> None:
    talk = assigned(max_returns=0)
    talk.says(Return(ANN, "other"))
    assert talk.case.stage == "triage"
    assert talk.one("opinion.triaged").explanation.located.grid == GRID
    assert (talk.case.grid, talk.case.assignee) == (GRID, None)


def test_an_answer_of_routing_that_names_an_excluded_deputy_is_not_followed() -> None:
    stubborn = Talk()
    stubborn.submits()
    told = stubborn.one("opinion.assigned")
    always_ann = ToDeputy("ann", told.grid, told.street, told.district, told.topic, told.explanation)
    talk = Talk(a_context(route=lambda _: always_ann))
    talk.submits()
    talk.says(Return(ANN, "other"))
    assert talk.case.stage == "triage"
    assert talk.log[-1].data.reasons[0].code == "all_excluded"  # type: ignore[attr-defined]


# Resolving


def test_resolving_asks_the_resident_until_the_window_closes() -> None:
    talk = accepted(rating=hours(48))
    talk.says(Resolve(ANN, "planned", "明年修", ("photo",)), 1)
    told = talk.one("opinion.resolved")
    assert (told.outcome, told.times, told.evidence) == ("planned", 1, ("photo",))
    assert (told.rate_until - talk.log[-1].time).total_seconds() == 48 * 3600
    assert talk.case.stage == "resolved"


@pytest.mark.parametrize("outcome", ["solved", "planned", "explained", "referred"])
def test_a_topic_that_asks_for_evidence_gets_it(outcome: str) -> None:
    talk = Talk()
    talk.submits(topic=POTHOLES)
    talk.says(inbound.Accept(ANN))
    talk.says(Resolve(ANN, outcome, "x"))  # type: ignore[arg-type]
    assert talk.code() == "evidence_needed"
    talk.says(Resolve(ANN, outcome, "x", ("photo",)))  # type: ignore[arg-type]
    assert talk.case.stage == "resolved"


@pytest.mark.parametrize("outcome", ["duplicate", "invalid"])
def test_what_is_no_case_of_its_own_has_nothing_to_show(outcome: str) -> None:
    talk = Talk()
    talk.submits(topic=POTHOLES)
    talk.says(inbound.Accept(ANN))
    talk.says(Resolve(ANN, outcome, "x"))  # type: ignore[arg-type]
    assert talk.case.stage == "resolved"


def test_a_resolved_case_is_left_to_the_resident() -> None:
    talk = resolved()
    office = (inbound.Assign(TOM, to="bea"), inbound.Supervise(SUE))
    for action in (Progress(ANN, "x"), Resolve(ANN, "solved", "x"), Return(ANN, "other"), *office):
        talk.says(action, 2)
        assert talk.code() == "already_resolved"


# The contact


def test_the_contact_is_revealed_to_the_assignee_where_there_is_one() -> None:
    talk = Talk()
    talk.submits(contact="sealed")
    talk.says(RevealContact(ANN))
    assert [e.type for e in talk.last.events] == ["contact.revealed"]  # type: ignore[union-attr]
    without = accepted()
    without.says(RevealContact(ANN))
    assert without.code() == "no_contact"


def test_the_contact_stays_hidden_from_who_gave_the_case_away() -> None:
    talk = Talk()
    talk.submits(contact="sealed")
    talk.says(Transfer(ANN, "bea"))
    talk.says(RevealContact(ANN))
    assert talk.code() == "not_your_case"


def test_policy_and_dan_are_only_what_they_are() -> None:
    """The sample city is what the other tests take it for."""
    context = a_context(a_city(Policy("p")))
    assert context.holds_mandate(DAN.id, None, None, date(2026, 3, 2))
    assert not context.holds_mandate(DAN.id, GRID, None, date(2026, 3, 2))


def test_a_transfer_changes_who_holds_the_case_and_not_where_and_what_it_is() -> None:
    talk = accepted()
    first = talk.one("opinion.assigned")
    talk.says(Transfer(ANN, "bea"))
    then = talk.log[-1].data
    for field in ("grid", "street", "district", "topic", "first_level", "due"):
        assert getattr(then, field) == getattr(first, field)


def test_arbitration_keeps_where_and_what_the_case_is() -> None:
    talk = assigned(max_returns=0)
    talk.says(Return(ANN, "other"))
    told = talk.one("opinion.triaged")
    assert (told.grid, told.street, told.district, told.topic) == (GRID, STREET, DISTRICT, NOISE)


def test_the_caps_and_reasons_are_those_of_the_topics_own_policy() -> None:
    strict = Policy(
        "strict", topics=(NOISE,), max_transfers=0, max_returns=0, max_reopens=0, return_reasons=("noise",),
        pause_reasons=("noise",), rating=hours(1),
    )  # fmt: skip
    city = a_city()
    city.policies["strict"] = strict  # type: ignore[index]

    def strictly(action: object) -> Talk:
        talk = Talk(a_context(city))
        talk.submits()
        talk.says(inbound.Accept(ANN))
        talk.says(action, 1)  # type: ignore[arg-type]
        return talk

    assert strictly(Transfer(ANN, "bea")).code() == "transferred_too_often"
    assert strictly(Return(ANN, "other")).code() == "unknown_reason"
    assert strictly(Return(ANN, "noise")).case.stage == "triage"
    assert strictly(inbound.Pause(ANN, "season")).code() == "unknown_reason"
    done = strictly(Resolve(ANN, "solved", "x"))
    assert done.case.rate_until == MONDAY + 2 * HOUR
    done.says(inbound.Rated(RESIDENT, "dissatisfied"), 1.5)
    assert done.case.stage == "closed"
