"""What residents do after submitting: support, withdraw, rate, erase."""

import pytest
from services.router.tests.cases import (
    ADA,
    ANN,
    HOUR,
    MONDAY,
    RESIDENT,
    SUE,
    TOM,
    Talk,
    a_city,
    a_context,
    accepted,
    assigned,
    hours,
    in_triage,
    resolved,
)  # fmt: skip

from lianxin_contracts import inbound
from lianxin_contracts.inbound import Actor, ErasureRequested, Rated, Supported, Withdrawn
from lianxin_contracts.registry import Limit, Policy


def test_each_supporter_counts_once() -> None:
    talk = assigned()
    talk.says(Supported("p1", "qr"))
    talk.says(Supported("p2", "qr"))
    talk.says(Supported("p1", "kiosk"))
    assert talk.code() == "already_supported"
    assert [e.data.supporters for e in talk.told("opinion.supported")] == [1, 2]  # type: ignore[attr-defined]


def test_a_supporters_contact_is_kept_under_the_command_that_brought_it() -> None:
    talk = assigned()
    decision = talk.says(Supported("p1", "qr", "sealed"), id="cmd")
    assert [(c.part, c.sealed) for c in decision.contacts] == [("cmd", "sealed")]
    assert talk.one("opinion.supported").contact == "cmd"
    assert talk.case.contact_parts == ("cmd",)
    assert not talk.case.has_contact, "it is not the author's"


def test_a_refused_supporters_contact_is_not_kept() -> None:
    talk = assigned()
    talk.says(Supported("p1", "qr"))
    assert talk.says(Supported("p1", "qr", "sealed")).contacts == ()


def test_a_closed_case_takes_no_more_support() -> None:
    talk = assigned()
    talk.says(Withdrawn(RESIDENT))
    talk.says(Supported("p1", "qr"))
    assert talk.code() == "closed"


@pytest.mark.parametrize(
    "talk", [in_triage(), assigned(), accepted()], ids=["triage", "assigned", "accepted"]
)
def test_a_resident_may_take_an_open_opinion_back(talk: Talk) -> None:
    talk.says(Withdrawn(RESIDENT), 1)
    assert talk.types() == ["withdrawn", "closed"]
    assert talk.one("opinion.closed").how == "withdrawn"
    assert talk.one("opinion.withdrawn").receivers == (
        (talk.case.assignee,) if talk.case.assignee else ("far", "tom")
    )


def test_the_channel_that_brought_an_opinion_may_take_it_back_and_no_other() -> None:
    talk = assigned()
    talk.says(Withdrawn(Actor("channel", "kiosk")))
    assert talk.code() == "not_allowed"
    talk.says(Withdrawn(ANN))
    assert talk.code() == "not_allowed"
    talk.says(Withdrawn(Actor("channel", "qr")))
    assert talk.case.stage == "closed"


def test_nobody_is_talked_out_of_judging_an_answer() -> None:
    talk = resolved()
    talk.says(Withdrawn(RESIDENT), 2)
    assert talk.code() == "already_resolved"


@pytest.mark.parametrize("score", ["satisfied", "basically"])
def test_a_satisfied_resident_closes_the_case(score: str) -> None:
    talk = resolved()
    talk.says(Rated(RESIDENT, score), 2)  # type: ignore[arg-type]
    assert talk.types() == ["rated", "closed"]
    assert (talk.one("opinion.closed").how, talk.one("opinion.closed").score) == ("rated", score)
    assert talk.one("opinion.rated").receivers == ("ann",)
    assert talk.case.stage == "closed"


def test_the_comment_of_a_rating_is_kept_as_words() -> None:
    talk = resolved()
    decision = talk.says(Rated(RESIDENT, "satisfied", "谢谢"), 2, id="cmd")
    assert [(w.kind, w.part, w.text) for w in decision.words] == [("rating", "cmd", "谢谢")]
    assert talk.one("opinion.rated").words == "cmd"


@pytest.mark.parametrize("actor", [ANN, TOM, Actor("channel", "qr")], ids=lambda a: a.kind)
def test_nobody_rates_in_the_residents_place(actor: Actor) -> None:
    talk = resolved()
    talk.says(Rated(actor, "satisfied"), 2)
    assert talk.code() == "not_allowed"


def test_only_an_answer_can_be_rated_and_only_once() -> None:
    talk = accepted()
    talk.says(Rated(RESIDENT, "satisfied"))
    assert talk.code() == "not_yet_resolved"
    done = resolved()
    done.says(Rated(RESIDENT, "satisfied"), 2)
    done.says(Rated(RESIDENT, "dissatisfied"), 3)
    assert done.code() == "closed"


def test_silence_closes_the_case_unrated_and_never_satisfied() -> None:
    talk = resolved(rating=hours(48))
    talk.says(inbound.Due("rating", MONDAY), 49)
    assert talk.types() == ["closed"]
    assert (talk.one("opinion.closed").how, talk.one("opinion.closed").score) == ("unrated", None)
    assert talk.log[-1].time == MONDAY + 49 * HOUR


def test_a_rating_after_the_window_is_too_late() -> None:
    talk = resolved(rating=hours(48))
    talk.says(Rated(RESIDENT, "dissatisfied"), 50)
    assert talk.types() == ["closed", "command.refused"]
    assert talk.code() == "closed"


def test_a_dissatisfied_resident_reopens_the_case_with_the_deputy_who_answered() -> None:
    talk = resolved()
    talk.says(Rated(RESIDENT, "dissatisfied"), 2)
    assert talk.types() == ["rated", "reopened"]
    assert (talk.case.stage, talk.case.assignee) == ("in_progress", "ann")
    assert (talk.one("opinion.reopened").times, talk.one("opinion.reopened").receivers) == (1, ("ann",))


def test_a_reopened_case_has_the_whole_time_again_from_the_residents_dissatisfaction() -> None:
    talk = resolved(at=1, resolve=hours(10), first_response=hours(2))
    talk.says(Rated(RESIDENT, "dissatisfied"), 30)
    due = talk.one("opinion.reopened").due
    assert due.resolve == MONDAY + 40 * HOUR
    assert due.first_response == MONDAY + 2 * HOUR, "the first response was given; that clock has stopped"
    talk.says(inbound.Progress(ANN, "x"), 45)
    assert [(e.data.clock, e.time) for e in talk.told("clock.breached")] == [("resolve", MONDAY + 40 * HOUR)]  # type: ignore[attr-defined]


def test_a_reopened_case_counts_its_new_time_as_the_policy_says_now() -> None:
    talk = resolved(resolve=Limit(5, "working_days"), first_response=Limit(3, "working_days"))
    assert talk.case.due is not None
    assert talk.case.due.working == ("first_response", "resolve")
    talk.says(Rated(RESIDENT, "dissatisfied"), 2)
    assert talk.case.due.working == ("first_response", "resolve")
    assert (talk.case.rate_until, talk.case.reopens, talk.case.reopened) == (None, 1, MONDAY + 2 * HOUR)
    assert talk.case.holdings[-1].holder == "ann"
    talk.says(inbound.Resolve(ANN, "solved", "x"), 3)
    talk.context = a_context(a_city(Policy("wall", resolve=hours(9)), version="v2"))
    talk.says(Rated(RESIDENT, "dissatisfied"), 4)
    due = talk.case.due
    assert due is not None
    assert (due.working, due.policy, due.policy_version) == (("first_response",), "wall", "v2")
    assert due.resolve == MONDAY + 13 * HOUR


def test_the_resolve_clock_breached_before_may_breach_again_after_reopening() -> None:
    talk = accepted(resolve=hours(2), first_response=hours(1000))
    talk.says(inbound.Resolve(ANN, "solved", "x"), 3)
    talk.says(Rated(RESIDENT, "dissatisfied"), 4)
    talk.says(inbound.Progress(ANN, "x"), 7)
    assert [e.time for e in talk.told("clock.breached")] == [MONDAY + 2 * HOUR, MONDAY + 6 * HOUR]


def test_reopening_is_capped_and_then_the_case_stays_closed_as_rated_dissatisfied() -> None:
    talk = resolved(max_reopens=1)
    talk.says(Rated(RESIDENT, "dissatisfied"), 2)
    talk.says(inbound.Resolve(ANN, "explained", "x"), 3)
    assert talk.told("opinion.resolved")[-1].data.times == 2  # type: ignore[attr-defined]
    talk.says(Rated(RESIDENT, "dissatisfied"), 4)
    assert talk.types() == ["rated", "closed"]
    assert (talk.one("opinion.closed").how, talk.one("opinion.closed").score) == ("rated", "dissatisfied")


def test_a_case_reopened_after_its_deputy_lost_the_mandate_goes_to_somebody_else() -> None:
    talk = resolved()
    talk.context = a_context(a_city(without_mandate=("ann",), version="v2"))
    talk.says(Rated(RESIDENT, "dissatisfied"), 2)
    assert talk.types() == ["rated", "reopened", "assigned"]
    assert talk.one("opinion.reopened").assignee is None
    assert (talk.case.stage, talk.case.assignee) == ("assigned", "bea")


# Erasure


def everything_said() -> Talk:
    talk = Talk()
    talk.submits(contact="sealed")
    talk.says(Supported("p1", "qr", "sealed"), id="support")
    talk.says(inbound.Accept(ANN))
    talk.says(inbound.Answer(ANN, "x"), id="answer")
    return talk


def test_erasure_deletes_every_word_and_contact_and_closes_the_case() -> None:
    talk = everything_said()
    decision = talk.says(ErasureRequested(RESIDENT), 1)
    assert talk.types() == ["erased", "closed"]
    assert talk.one("opinion.closed").how == "erased"
    assert sorted((d.topic, d.key) for d in decision.deletions) == [
        ("contacts", "op-1/support"),
        ("contacts", "op-1/text"),
        ("opinions.words", "op-1/answer"),
        ("opinions.words", "op-1/text"),
    ]
    assert (talk.case.word_parts, talk.case.contact_parts, talk.case.supporters) == ((), (), frozenset())


def test_a_closed_case_can_still_be_erased_and_closes_only_once() -> None:
    talk = assigned()
    talk.says(Withdrawn(RESIDENT))
    decision = talk.says(ErasureRequested(ADA), 1)
    assert talk.types() == ["erased"]
    assert [d.key for d in decision.deletions] == ["op-1/text"]
    assert talk.one("opinion.closed").how == "withdrawn"


@pytest.mark.parametrize(
    "actor", [ANN, TOM, SUE, Actor("staff", "nobody"), Actor("channel", "qr")], ids=lambda a: a.id
)
def test_only_the_resident_and_an_administrator_erase(actor: Actor) -> None:
    talk = assigned()
    decision = talk.says(ErasureRequested(actor))
    assert talk.code() == "not_allowed"
    assert decision.deletions == ()


@pytest.mark.parametrize(
    "command",
    [
        inbound.Submitted("qr", "路灯坏了", "d1"),
        Supported("p9", "qr"),
        Withdrawn(RESIDENT),
        Rated(RESIDENT, "satisfied"),
        ErasureRequested(RESIDENT),
        inbound.Accept(ANN),
        inbound.Assign(TOM, to="bea"),
        inbound.Supervise(SUE),
        inbound.Publish(SUE, "x"),
        inbound.Unpublish(SUE),
        inbound.Due("resolve", MONDAY),
        inbound.Review("v2"),
        inbound.RevealContact(ANN),
    ],
    ids=lambda c: type(c).__name__,
)
def test_whatever_is_said_of_an_erased_opinion_is_refused_and_nothing_is_forwarded(command: object) -> None:
    talk = everything_said()
    talk.says(ErasureRequested(RESIDENT), 1)
    decision = talk.says(command, 2000)  # type: ignore[arg-type]
    assert talk.types() == ["command.refused"]
    assert talk.code() == "erased"
    assert decision.words == decision.contacts == decision.deletions == ()
