"""The table of stages and commands, and which service may say what; each cell is tried."""

from typing import Any

import pytest
from services.router.tests.cases import (
    ANN,
    MONDAY,
    RESIDENT,
    SUE,
    TOM,
    TYPE_OF,
    Talk,
    accepted,
    assigned,
    default_source,
    in_triage,
    resolved,
)

from lianxin_contracts import inbound
from lianxin_contracts.inbound import Actor
from lianxin_router.domain.lifecycle_table import ALLOWED, CHILD_ANSWER, HELD, OPEN, sources_of
from lianxin_router.domain.ports import UNREADABLE, Unreadable

COMMANDS: dict[str, Any] = {
    "opinion.supported": inbound.Supported("p1", "qr"),
    "opinion.withdrawn": inbound.Withdrawn(RESIDENT),
    "opinion.rated": inbound.Rated(RESIDENT, "satisfied"),
    "opinion.erasure_requested": inbound.ErasureRequested(RESIDENT),
    "opinion.seen": inbound.Seen(ANN),
    "visit.recorded": inbound.Visited(Actor("channel", "field")),
    "case.accept": inbound.Accept(ANN),
    "case.answer": inbound.Answer(ANN, "x"),
    CHILD_ANSWER: inbound.Answer(TOM, "x", child="c"),
    "case.progress": inbound.Progress(ANN, "x"),
    "case.hand_over": inbound.HandOver(ANN, "water"),
    "case.transfer": inbound.Transfer(ANN, "bea"),
    "case.return": inbound.Return(ANN, "other"),
    "case.pause": inbound.Pause(ANN, "season"),
    "case.resume": inbound.Resume(ANN),
    "case.resolve": inbound.Resolve(ANN, "solved", "x"),
    "case.assign": inbound.Assign(TOM, to="cai"),
    "case.supervise": inbound.Supervise(SUE),
    "case.publish": inbound.Publish(SUE, "x"),
    "case.unpublish": inbound.Unpublish(SUE),
    "case.reveal_contact": inbound.RevealContact(ANN),
    "case.due": inbound.Due("resolve", MONDAY),
    "case.review": inbound.Review("v1"),
    "case.merge": inbound.Merge("a", "b"),
}
OF_STAGE = (
    "not_assigned",
    "not_yet_accepted",
    "already_accepted",
    "not_yet_resolved",
    "already_resolved",
    "closed",
)


def in_progress() -> Talk:
    talk = accepted()
    talk.says(inbound.Progress(ANN, "x"))
    return talk


def closed() -> Talk:
    talk = resolved()
    talk.says(inbound.Rated(RESIDENT, "basically"), 2)
    return talk


AT = {
    "triage": in_triage, "assigned": assigned, "accepted": accepted, "in_progress": in_progress,
    "resolved": resolved, "closed": closed,
}  # fmt: skip


def test_the_table_has_a_row_for_every_command_that_there_is() -> None:
    assert set(ALLOWED) - {CHILD_ANSWER} == set(inbound.MODELS) - {"opinion.submitted"}
    assert set(COMMANDS) == set(ALLOWED)


@pytest.mark.parametrize("stage", AT)
@pytest.mark.parametrize("row", COMMANDS)
def test_a_command_is_taken_at_the_stages_of_its_row_and_at_no_other(row: str, stage: str) -> None:
    talk = AT[stage]()
    talk.says(COMMANDS[row], 3)
    assert talk.case.opened == MONDAY
    assert (talk.code() in OF_STAGE) == (stage not in ALLOWED[row]), talk.code()


def test_an_open_case_is_held_by_a_deputy_or_waits_in_triage() -> None:
    assert set(OPEN) - set(HELD) == {"triage"}
    for stage, talk in ((stage, AT[stage]()) for stage in AT):
        assert talk.case.stage == stage
        assert talk.case.is_open == (stage in OPEN)
        assert (talk.case.assignee is not None) == (stage != "triage")


@pytest.mark.parametrize("row", [row for row in COMMANDS if row != CHILD_ANSWER])
@pytest.mark.parametrize(
    "source",
    ["/intake/qr", "/notifier/desk", "/router", "/operator", "/metrics", "", "/intakes", "/routers/x"],
)
def test_a_command_from_a_service_that_may_not_say_it_is_refused(row: str, source: str) -> None:
    talk = assigned()
    before = talk.case
    talk.says(COMMANDS[row], 24 * 300, source=source)
    believed = any(source == own or source.startswith(f"{own}/") for own in sources_of(row))
    assert (talk.code() == "wrong_source") == (not believed)
    if not believed:
        assert talk.types() == ["command.refused"]
        assert talk.case.updated == before.updated, "who may not speak moves no clock"


def test_who_may_say_what() -> None:
    assert sources_of("opinion.submitted") == sources_of("opinion.rated") == ("/intake",)
    assert sources_of("opinion.withdrawn") == ("/intake",)
    assert sources_of("opinion.supported") == sources_of("opinion.seen") == ("/intake", "/notifier")
    assert sources_of("opinion.erasure_requested") == ("/intake", "/notifier")
    assert {sources_of(row) for row in inbound.MODELS if row.startswith("case.")} == {
        ("/notifier",),
        ("/router", "/operator"),
        ("/router",),
    }
    assert sources_of("case.due") == ("/router", "/operator")
    assert sources_of("case.review") == sources_of(UNREADABLE) == ("/router",)
    assert sources_of("weather.changed") == ()


def test_an_opinion_is_submitted_by_intake_alone() -> None:
    talk = Talk()
    talk.submits(source="/notifier/desk")
    assert talk.code() == "wrong_source"
    assert talk.case.opened is None


def test_the_stand_in_for_an_unreadable_submission_comes_from_the_router_alone() -> None:
    talk = Talk()
    talk.says(Unreadable("payload"), type=UNREADABLE, source="/intake/qr")
    assert talk.code() == "wrong_source"


def test_a_command_that_nobody_knows_is_refused_like_any_other() -> None:
    talk = assigned()
    talk.says(inbound.Accept(ANN), type="case.juggle")
    assert talk.code() == "unknown_command"


def test_every_inbound_type_has_a_source() -> None:
    for type_ in TYPE_OF.values():
        assert any(default_source(type_).startswith(source) for source in sources_of(type_))


# What is kept for ever holds codes, and not what somebody wrote into a field for codes

PRIVATE = "打 13800000000 找我"


@pytest.mark.parametrize(
    "command",
    [
        inbound.Supported(PRIVATE, "qr"),
        inbound.Withdrawn(Actor("resident", PRIVATE)),
        inbound.Withdrawn(Actor("channel", PRIVATE)),
        inbound.ErasureRequested(Actor("resident", PRIVATE)),
        inbound.ErasureRequested(Actor("staff", PRIVATE)),
        inbound.ErasureRequested(RESIDENT, PRIVATE),
        inbound.Accept(Actor("deputy", PRIVATE)),
        inbound.Answer(ANN, "x", child=PRIVATE),
        inbound.Progress(ANN, "x", (PRIVATE,)),
        inbound.HandOver(ANN, PRIVATE),
        inbound.Transfer(ANN, PRIVATE),
        inbound.Transfer(ANN, "bea", PRIVATE),
        inbound.Return(ANN, PRIVATE),
        inbound.Pause(ANN, PRIVATE),
        inbound.Resolve(ANN, "solved", "x", (PRIVATE,)),
        inbound.Assign(TOM, to=PRIVATE),
        inbound.Assign(TOM, grid=PRIVATE),
        inbound.Assign(TOM, topic=PRIVATE),
        inbound.Assign(Actor("staff", PRIVATE), to="bea"),
        inbound.Supervise(SUE, to=(PRIVATE,)),
        inbound.Publish(SUE, PRIVATE),
        inbound.Unpublish(Actor("staff", PRIVATE)),
    ],
    ids=lambda c: type(c).__name__,
)
def test_what_somebody_wrote_into_a_field_for_codes_does_not_reach_the_log(command: Any) -> None:
    talk = accepted()
    talk.says(command, at=0)
    assert PRIVATE not in repr(talk.log)


def test_a_submission_leaves_only_codes_that_the_city_knows_in_the_log() -> None:
    talk = Talk()
    talk.submits(
        topic=PRIVATE, station=PRIVATE, language=PRIVATE, attachments=(PRIVATE, "photo-1"), text=PRIVATE
    )
    told = talk.one("opinion.submitted")
    assert (told.topic, told.station, told.language, told.attachments) == (None, None, "zh", ("photo-1",))


def test_an_unreadable_submission_leaves_only_codes_in_the_log() -> None:
    talk = Talk()
    talk.says(Unreadable(PRIVATE, PRIVATE), type=UNREADABLE, source="/router")
    assert PRIVATE not in repr(talk.log)
