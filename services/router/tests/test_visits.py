"""走访: what another system of the city saw on the spot, recorded on a case."""

from datetime import timedelta

import pytest
from services.router.tests.cases import ANN, HOUR, MONDAY, Talk, accepted, assigned, resolved

from lianxin_contracts import inbound, lifecycle
from lianxin_contracts.inbound import Actor, Visited

FIELD = Actor("channel", "field")
ANN_VIA_FIELD = Actor("deputy", "ann", "field")


def test_a_visit_is_a_fact_with_who_and_when_and_its_note_among_the_words() -> None:
    talk = accepted()
    at = MONDAY + HOUR
    decision = talk.says(Visited(ANN_VIA_FIELD, at, "路灯已换", ("a.1",), "https://x.example/1.jpg"), 2)
    assert talk.types() == ["visited"]
    visited = talk.one("opinion.visited")
    (words,) = decision.words
    assert visited == lifecycle.Visited(ANN_VIA_FIELD, at, words.part, ("a.1",))
    assert (words.kind, words.text, words.media_url) == ("visit", "路灯已换", "https://x.example/1.jpg")
    assert words.by == ANN_VIA_FIELD


def test_a_visit_moves_no_stage_and_stops_no_clock() -> None:
    talk = assigned()
    before = talk.case
    talk.says(Visited(FIELD, text="看过"), 1)
    after = talk.case
    assert (after.stage, after.assignee, after.due) == (before.stage, before.assignee, before.due)
    assert after.first_response is None
    assert after.accepted is None


def test_a_case_that_is_finished_is_looked_at_again() -> None:
    talk = resolved()
    talk.says(Visited(FIELD), 3)
    assert talk.types() == ["visited"]
    assert talk.case.stage == "resolved"


def test_a_visit_without_a_time_was_when_it_was_recorded_and_none_is_later_than_that() -> None:
    talk = accepted()
    talk.says(Visited(FIELD), 2)
    talk.says(Visited(FIELD, MONDAY + timedelta(days=9)), 3)
    assert [told.data.visited_at for told in talk.told("opinion.visited")] == [
        MONDAY + 2 * HOUR,
        MONDAY + 3 * HOUR,
    ]


def test_a_visit_with_nothing_noted_forwards_no_words() -> None:
    talk = accepted()
    decision = talk.says(Visited(FIELD, text="  "))
    assert decision.words == ()
    assert talk.one("opinion.visited").words is None


def test_a_visit_to_what_nobody_submitted_is_refused_and_leaves_its_trace() -> None:
    talk = Talk()
    talk.says(Visited(FIELD))
    assert talk.code() == "unknown_case"


@pytest.mark.parametrize(
    ("actor", "code"),
    [
        (Actor("channel", "other"), "not_allowed"),
        (ANN, "not_allowed"),
        (Actor("deputy", "ann", "other"), "not_allowed"),
        (Actor("resident", "resident"), "not_allowed"),
        (Actor("deputy", "nobody", "field"), "unknown_deputy"),
    ],
)
def test_a_channel_speaks_for_itself_or_for_a_deputy_of_the_city(actor: Actor, code: str) -> None:
    talk = accepted()
    talk.says(Visited(actor))
    assert talk.code() == code
    assert talk.told("opinion.visited") == []


def test_evidence_that_is_no_id_is_refused() -> None:
    talk = accepted()
    talk.says(Visited(FIELD, evidence=("看 这里",)))
    assert talk.code() == "malformed"


def test_an_erasure_takes_the_note_of_a_visit_with_it() -> None:
    talk = accepted()
    (words,) = talk.says(Visited(FIELD, text="看过", media_url="https://x.example/1")).words
    decision = talk.says(inbound.ErasureRequested(Actor("resident", "resident")))
    assert f"op-1/{words.part}" in [deletion.key for deletion in decision.deletions]


def test_the_link_of_an_opinion_goes_with_its_words() -> None:
    talk = Talk()
    (words,) = talk.submits(media_url="https://x.example/1.jpg").words
    assert words.media_url == "https://x.example/1.jpg"
