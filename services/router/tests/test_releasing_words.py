"""Words are for anybody only after the office has released a redacted version; and what takes it back."""

import pytest
from services.router.tests.cases import (
    ANN,
    MONDAY,
    RESIDENT,
    SUE,
    TOM,
    Talk,
    accepted,
    assigned,
    in_triage,
    resolved,
)

from lianxin_contracts import inbound
from lianxin_contracts.inbound import Actor, ErasureRequested, Publish, Unpublish, Withdrawn
from lianxin_contracts.words import OPINION_PART
from lianxin_router.domain.ports import UNREADABLE, Unreadable

REDACTED = "路灯坏了，请修"


def released() -> Talk:
    talk = accepted()
    talk.says(Publish(SUE, REDACTED), id="release")
    return talk


def deleted(talk: Talk) -> list[tuple[str, str]]:
    assert talk.last is not None
    return [(d.topic, d.key) for d in talk.last.deletions]


@pytest.mark.parametrize("start", [in_triage, assigned, accepted, resolved])
@pytest.mark.parametrize("actor", [TOM, SUE], ids=lambda a: a.id)
def test_the_office_releases_words_at_any_stage_and_the_log_holds_their_part_alone(
    start: object, actor: Actor
) -> None:
    talk: Talk = start()  # type: ignore[operator]
    stage = talk.case.stage
    decision = talk.says(Publish(actor, REDACTED), 2, id="release")
    assert talk.types() == ["published"]
    assert [(w.kind, w.part, w.text, w.by) for w in decision.words] == [
        ("published", "release", REDACTED, actor)
    ]
    assert REDACTED not in repr(talk.log)
    assert (talk.case.published, talk.case.stage) == ("release", stage)
    assert decision.deletions == ()


def test_a_second_release_takes_the_place_of_the_first_whose_words_are_deleted() -> None:
    talk = released()
    talk.says(Publish(TOM, "更短"), id="again")
    assert talk.types() == ["published"]
    assert deleted(talk) == [("opinions.words", "op-1/release")]
    assert talk.case.published == "again"
    assert talk.case.word_parts == (OPINION_PART, "again")


def test_the_office_takes_a_release_back_and_may_release_anew() -> None:
    talk = released()
    talk.says(Unpublish(TOM))
    assert talk.types() == ["unpublished"]
    assert deleted(talk) == [("opinions.words", "op-1/release")]
    assert (talk.case.published, talk.case.word_parts) == (None, (OPINION_PART,))
    talk.says(Unpublish(TOM))
    assert talk.code() == "not_published"
    talk.says(Publish(TOM, REDACTED))
    assert talk.types() == ["published"]


@pytest.mark.parametrize("command", [Publish, Unpublish])
@pytest.mark.parametrize(
    ("actor", "code"),
    [
        (ANN, "not_allowed"),
        (RESIDENT, "not_allowed"),
        (Actor("staff", "nobody"), "not_allowed"),
        (Actor("channel", "qr"), "not_allowed"),
        (Actor("staff", "far"), "not_your_area"),
    ],
    ids=lambda value: getattr(value, "id", value),
)
def test_nobody_but_the_office_of_the_area_releases_or_takes_back(
    command: type, actor: Actor, code: str
) -> None:
    talk = released()
    decision = talk.says(Publish(actor, "x") if command is Publish else Unpublish(actor))
    assert talk.code() == code
    assert decision.words == decision.deletions == ()
    assert talk.case.published == "release"


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_release_of_nothing_is_refused_and_leaves_what_was_released(text: str) -> None:
    talk = released()
    talk.says(Publish(SUE, text))
    assert talk.code() == "text_needed"
    assert talk.case.published == "release"


def test_what_nobody_could_read_is_not_released() -> None:
    talk = Talk()
    talk.says(Unreadable("payload"), type=UNREADABLE, source="/router")
    talk.says(Publish(SUE, REDACTED))
    assert talk.code() == "unreadable"


def test_a_resident_who_withdraws_takes_the_release_back_and_nothing_is_released_afterwards() -> None:
    talk = released()
    talk.says(Withdrawn(RESIDENT))
    assert talk.types() == ["withdrawn", "closed"]
    assert deleted(talk) == [("opinions.words", "op-1/release")]
    assert talk.case.published is None
    talk.says(Publish(SUE, REDACTED))
    assert talk.code() == "withdrawn"


def test_erasure_deletes_what_was_released_too() -> None:
    talk = released()
    talk.says(ErasureRequested(RESIDENT), 1)
    assert sorted(deleted(talk)) == [("opinions.words", "op-1/release"), ("opinions.words", "op-1/text")]
    assert talk.case.published is None
    talk.says(Publish(SUE, REDACTED), 2)
    assert talk.code() == "erased"


def test_a_release_moves_no_clock() -> None:
    talk = assigned()
    due = talk.case.due
    talk.says(Publish(SUE, REDACTED), 1)
    assert talk.case.due == due
    talk.says(inbound.Due("resolve", MONDAY), 1)
    assert talk.types() == ["clock.checked"]
