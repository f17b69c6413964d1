"""What the congress's office decides, and what the router decides by itself when the city changes."""

from datetime import date

import pytest
from services.router.tests.cases import (
    ANN,
    BEA,
    DAY,
    EVE,
    GRID,
    MONDAY,
    NOISE,
    OTHER_GRID,
    ROADS,
    SUE,
    TOM,
    Talk,
    a_city,
    a_context,
    accepted,
    assigned,
    in_triage,
    resolved,
)  # fmt: skip

from lianxin_contracts import inbound
from lianxin_contracts.inbound import Actor, Assign, Review, Supervise
from lianxin_contracts.registry import Leave

FAR = Actor("staff", "far")


def test_triage_names_a_deputy_and_the_ruling_stands() -> None:
    talk = in_triage()
    talk.says(Assign(TOM, to="bea"), 1)
    assert talk.types() == ["assigned"]
    told = talk.one("opinion.assigned")
    assert (told.assignee, told.by, told.receivers) == ("bea", "triage", ("bea",))
    assert "chosen_by_staff" in [r.code for r in told.explanation.reasons]
    assert (talk.case.stage, talk.case.triage_due) == ("assigned", None)


def test_triage_corrects_the_grid_and_the_router_decides_again() -> None:
    talk = in_triage()
    talk.says(Assign(TOM, grid=OTHER_GRID), 1)
    told = talk.one("opinion.assigned")
    assert (told.assignee, told.grid, told.topic, told.by) == ("dan", OTHER_GRID, NOISE, "triage")


def test_triage_corrects_the_topic() -> None:
    talk = in_triage(grid=GRID, topic=None)
    talk.says(Assign(TOM, topic=ROADS), 1)
    assert talk.one("opinion.assigned").topic == ROADS


def test_a_correction_that_is_not_enough_leaves_the_case_in_triage_on_the_same_clock() -> None:
    talk = in_triage()
    due = talk.case.triage_due
    decision = talk.says(Assign(TOM, topic=ROADS, text="看不清"), 1, id="cmd")
    assert talk.types() == ["triaged"]
    assert (talk.case.topic, talk.case.triage_due) == (ROADS, due)
    assert talk.log[-1].data.words == "cmd"  # type: ignore[attr-defined]
    assert [w.kind for w in decision.words] == ["assign"]


def test_the_words_of_a_ruling_are_kept_with_the_assignment() -> None:
    talk = in_triage()
    talk.says(Assign(TOM, to="bea", text="归你管"), id="cmd")
    assert talk.one("opinion.assigned").words == "cmd"


def test_the_office_may_take_a_case_from_its_holder() -> None:
    talk = accepted()
    talk.says(Assign(SUE, to="bea"), 1)
    assert talk.types() == ["taken_back", "assigned"]
    told = talk.one("opinion.taken_back")
    assert (told.assignee, told.reason, told.receivers) == ("ann", "staff", ("ann",))
    assert talk.case.assignee == "bea"
    assert talk.case.take_backs == 0, "only silence counts"
    assert talk.case.excluded == ()


def test_a_ruling_may_name_who_returned_the_case_before() -> None:
    talk = assigned(max_returns=0)
    talk.says(inbound.Return(ANN, "other"))
    talk.says(Assign(TOM, to="ann"))
    assert talk.case.assignee == "ann"


def test_a_ruling_stands_even_where_routing_would_rather_have_somebody_else() -> None:
    talk = assigned()
    talk.says(Assign(TOM, to="eve"))
    told = talk.log[-1].data
    assert told.assignee == "eve"  # type: ignore[attr-defined]
    assert "outside_mandate" in [r.code for r in told.explanation.reasons]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Assign(TOM), "nothing_to_assign"),
        (Assign(TOM, to="nobody"), "unknown_deputy"),
        (Assign(TOM, to="ann"), "same_deputy"),
        (Assign(TOM, grid="320299"), "unknown_grid"),
        (Assign(TOM, topic="weather"), "unknown_topic"),
        (Assign(ANN, to="bea"), "not_allowed"),
        (Assign(Actor("staff", "nobody"), to="bea"), "not_allowed"),
        (Assign(Actor("deputy", "tom"), to="bea"), "not_allowed"),
        (Assign(FAR, to="bea"), "not_your_area"),
        (Supervise(TOM), "not_allowed"),
        (Supervise(ANN), "not_allowed"),
        (Supervise(FAR), "not_your_area"),
        (Supervise(SUE, to=("nobody",)), "unknown_receiver"),
    ],
)
def test_a_ruling_is_refused(command: object, code: str) -> None:
    talk = assigned()
    decision = talk.says(command)  # type: ignore[arg-type]
    assert talk.code() == code
    assert talk.case.assignee == "ann"
    assert decision.words == ()


def test_staff_of_any_area_may_look_after_a_case_that_nobody_could_locate() -> None:
    talk = in_triage()
    talk.says(Assign(FAR, to="bea"))
    assert talk.case.assignee == "bea"


def test_nobody_whose_mandate_has_ended_is_named() -> None:
    talk = Talk(a_context(a_city(without_mandate=("bea",))))
    talk.submits()
    talk.says(Assign(TOM, to="bea"))
    assert talk.code() == "no_mandate"


def test_supervision_reaches_the_assignee_and_whoever_is_named() -> None:
    talk = accepted()
    decision = talk.says(Supervise(SUE, "抓紧", ("bea", "tom")), 1, id="cmd")
    told = talk.one("opinion.supervised")
    assert (told.receivers, told.words) == (("ann", "bea", "tom"), "cmd")
    assert [w.kind for w in decision.words] == ["supervise"]
    assert talk.case.stage == "accepted"


def test_supervision_of_a_case_in_triage_reaches_triage() -> None:
    talk = in_triage()
    talk.says(Supervise(SUE), 1)
    assert talk.one("opinion.supervised").receivers == ("far", "tom")


# Review after a new registry


def review(talk: Talk, at: float = 1.0, **city: object) -> Talk:
    talk.context = a_context(a_city(version="v2", **city))  # type: ignore[arg-type]
    talk.says(Review("v2"), at)
    return talk


@pytest.mark.parametrize("talk", [assigned(), accepted()], ids=["assigned", "accepted"])
def test_a_case_whose_assignee_lost_the_mandate_is_taken_back_and_routed_again(talk: Talk) -> None:
    review(talk, without_mandate=("ann",))
    assert talk.types() == ["taken_back", "assigned"]
    assert talk.one("opinion.taken_back").reason == "mandate_lost"
    assert talk.case.assignee == "bea"
    assert talk.log[-1].data.by == "router"  # type: ignore[attr-defined]
    assert talk.log[-1].data.explanation.registry_version == "v2"  # type: ignore[attr-defined]


def test_a_case_whose_assignee_keeps_the_mandate_stays() -> None:
    talk = review(assigned(), without_mandate=("bea",))
    assert talk.code() == "nothing_to_review"
    assert talk.case.assignee == "ann"


@pytest.mark.parametrize("talk", [in_triage(), resolved()], ids=["triage", "resolved"])
def test_a_case_that_no_deputy_is_working_on_has_nothing_to_review(talk: Talk) -> None:
    assert review(talk, 2, without_mandate=("ann",)).code() == "nothing_to_review"


def test_who_got_a_case_outside_the_own_mandate_keeps_it_while_holding_any() -> None:
    talk = assigned()
    talk.says(Assign(TOM, to=EVE.id))
    assert review(talk).code() == "nothing_to_review"
    review(talk, 2, without_mandate=("eve",))
    assert talk.case.assignee == "ann"


def test_an_unaccepted_case_of_a_deputy_on_leave_goes_to_somebody_else() -> None:
    away = Leave("l", "ann", date(2026, 3, 2), date(2026, 3, 9))
    talk = review(assigned(), leaves=(away,), without_mandate=("cai",))
    assert talk.types()[0] == "taken_back"
    assert talk.one("opinion.taken_back").reason == "leave"


def test_an_accepted_case_of_a_deputy_on_leave_stays_and_so_does_one_before_the_leave() -> None:
    away = Leave("l", "ann", date(2026, 3, 3), date(2026, 3, 9))
    assert review(accepted(), 24, leaves=(away,)).code() == "nothing_to_review"
    assert review(assigned(), 1, leaves=(away,)).code() == "nothing_to_review"
    back = review(assigned(), 24 * 7, leaves=(away,))
    assert back.told("opinion.taken_back")[0].data.reason != "leave"  # type: ignore[attr-defined]


def test_a_review_moves_no_clock_of_a_case_on_replayed_time() -> None:
    talk = Talk()
    talk.submits(recorded=MONDAY + 90 * DAY)
    review(talk, 24 * 90, without_mandate=("ann",))
    assert talk.types() == ["taken_back", "assigned"]
    assert talk.case.updated == MONDAY


def test_a_case_taken_back_by_a_review_goes_on_with_the_due_times_it_had() -> None:
    talk = assigned()
    due = talk.case.due
    review(talk, without_mandate=("ann",))
    assert talk.case.due == due
    talk.says(inbound.Accept(BEA), 2)
    assert talk.case.stage == "accepted"
