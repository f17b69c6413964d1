"""The tracking view as a fold of lifecycle events: what a resident sees, and what stays inside."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import Struct
from msgspec.structs import replace

from lianxin_contracts import inbound, lifecycle, registry
from lianxin_contracts.envelope import Event
from lianxin_intake.attachments import AttachmentIds, upload_of
from lianxin_intake.building import named
from lianxin_intake.projection import Gap, Tracked, fold, photos_of
from lianxin_intake.sentences import language_of
from lianxin_intake.views import not_yet_projected, view

START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
DEPUTY = inbound.Actor("deputy", "D1")
STAFF = inbound.Actor("staff", "office")
DUE = lifecycle.DueTimes(
    START + timedelta(days=1), START + timedelta(days=3), START + timedelta(days=7), "p", "1"
)
WHY = lifecycle.Explanation(
    "1", "1", lifecycle.LocatedBy("G", "grid", 1.0), lifecycle.ClassifiedAs("0101", "rules", 0.9)
)
SUBMITTED = lifecycle.Submitted(channel="app", digest="d", topic="01", words="text")
ASSIGNED = lifecycle.Assigned("D1", "router", "G", "S", "D", "0101", 1, DUE, WHY)
RESOLVED = lifecycle.Resolved(DEPUTY, "solved", "w-2", 1, START)
IDS = AttachmentIds(b"secret")
CITY = registry.Snapshot(
    version="1",
    city=registry.City("c", "C"),
    deputies={"D1": registry.Deputy("D1", "王芳", "street")},
    departments={"housing": registry.Department("housing", "住建局")},
)


def event(number: int, data: Struct) -> Event:
    type_ = next(name for name, model in lifecycle.MODELS.items() if model is type(data))
    at = START + timedelta(hours=number - 1)
    return Event(f"e{number}", "/router", type_, "o", at, at, data, sequence=number)


def after(*steps: Struct) -> Tracked:
    tracked: Tracked | None = None
    for number, data in enumerate(steps, 1):
        tracked = fold(tracked, event(number, data))
    assert tracked is not None
    return tracked


def shown(*steps: Struct, words: dict[str, str] | None = None) -> list[tuple[str, str]]:
    lines = view(after(*steps), words or {}, "zh", CITY)["timeline"]
    return [(line["type"], line["text"]) for line in lines]


def test_an_assigned_opinion_names_its_holder_and_its_due_time() -> None:
    seen = view(after(SUBMITTED, ASSIGNED), {}, "zh", CITY)
    assert seen == {
        "id": "o",
        "stage": "assigned",
        "topic": "0101",
        "grid": "G",
        "submitted_at": "2026-11-23T01:00:00.000Z",
        "holder": "D1",
        "due": "2026-11-30T01:00:00.000Z",
        "timeline": [
            {"at": "2026-11-23T01:00:00.000Z", "type": "opinion.submitted", "text": "意见已提交。"},
            {"at": "2026-11-23T02:00:00.000Z", "type": "opinion.assigned", "text": "已交办给王芳代表。"},
        ],
        "rating": None,
    }


@pytest.mark.parametrize(
    ("step", "stage", "holder"),
    [
        (lifecycle.Accepted(DEPUTY), "accepted", "D1"),
        (lifecycle.Answered(DEPUTY, "w"), "assigned", "D1"),
        (lifecycle.Progressed(DEPUTY, "w"), "in_progress", "D1"),
        (lifecycle.HandedOver(DEPUTY, "c", "housing", "main"), "in_progress", "D1"),
        (lifecycle.Returned(DEPUTY, "other", 1), "assigned", None),
        (lifecycle.TakenBack("D1", "silence"), "assigned", None),
        (lifecycle.Triaged((), WHY, START), "triage", None),
        (RESOLVED, "resolved", "D1"),
        (lifecycle.Rated("satisfied"), "rated", "D1"),
        (lifecycle.Reopened(1, "D1"), "in_progress", "D1"),
        (lifecycle.Closed("unrated"), "closed", "D1"),
    ],
)
def test_each_decision_moves_the_stage_and_the_holder(step: Struct, stage: str, holder: str | None) -> None:
    tracked = after(SUBMITTED, ASSIGNED, step)
    assert (tracked.stage, tracked.holder) == (stage, holder)


@pytest.mark.parametrize(
    "step",
    [
        lifecycle.CommandRefused("case.accept", "not_your_case"),
        lifecycle.ClockChecked("resolve"),
        lifecycle.SeenBy(DEPUTY),
        lifecycle.Supported("x", 3),
        lifecycle.IssueJoined("i", 1.0),
        lifecycle.IssueMerged("a", "b"),
        lifecycle.IssueSurged("i", 9, 24),
        lifecycle.Reminded("resolve", START),
        lifecycle.Breached("resolve", START, "D1"),
    ],
)
def test_what_is_internal_leaves_no_line_but_takes_its_number(step: Struct) -> None:
    tracked = after(SUBMITTED, step)
    assert [line.type for line in tracked.timeline] == ["opinion.submitted"]
    assert tracked.sequence == 2


def test_every_type_of_the_lifecycle_is_either_shown_or_known_to_be_internal() -> None:
    from lianxin_intake.projection import _SHOWN
    from lianxin_intake.sentences import _SENTENCES

    internal = {
        "command.refused", "clock.checked", "clock.breached", "clock.reminded", "opinion.seen",
        "opinion.supported", "issue.joined", "issue.merged", "issue.surged",
    }  # fmt: skip
    types = {name for name, model in lifecycle.MODELS.items() if model in _SHOWN}
    assert types == set(_SENTENCES)
    assert set(lifecycle.MODELS) - types == internal


def test_a_reveal_of_the_contact_is_shown_to_the_resident() -> None:
    assert shown(SUBMITTED, lifecycle.ContactRevealed(DEPUTY))[-1] == (
        "contact.revealed",
        "王芳代表查看了您的联系方式。",
    )


def test_answers_are_shown_and_notes_between_deputies_are_not() -> None:
    words = {"text": "路灯坏了", "w-2": "已修好", "note": "这人总投诉"}
    steps = (SUBMITTED, ASSIGNED, lifecycle.Returned(DEPUTY, "other", 1, words="note"), RESOLVED)
    assert [text for _, text in shown(*steps, words=words)] == [
        "路灯坏了",
        "已交办给王芳代表。",
        "已退回重新分派。",
        "已修好",
    ]


def test_a_deputy_who_left_the_registry_and_staff_are_not_named() -> None:
    assert shown(SUBMITTED, lifecycle.Accepted(STAFF))[-1][1] == "代表已接办。"
    tracked = after(SUBMITTED, ASSIGNED)
    assert view(tracked, {}, "en", None)["timeline"][1]["text"] == "Assigned to the deputy."


def test_of_an_erased_opinion_no_words_are_shown_even_where_they_still_lie() -> None:
    steps = (SUBMITTED, lifecycle.Erased(inbound.Actor("resident", "resident")))
    assert "秘密" not in str(shown(*steps, words={"text": "秘密"}))


def test_a_pause_says_until_when_in_the_citys_days() -> None:
    until = datetime(2026, 12, 1, 17, 0, tzinfo=UTC)
    assert shown(SUBMITTED, lifecycle.Paused(DEPUTY, "season", until))[-1][1] == "暂缓办理，至2026-12-02。"


RELEASED = lifecycle.Published(STAFF, "w-9")
RESIDENT = inbound.Actor("resident", "resident")


def test_the_part_of_released_words_is_known_until_they_are_taken_back() -> None:
    assert after(SUBMITTED, ASSIGNED).released_words is None
    assert after(SUBMITTED, RELEASED).released_words == "w-9"
    assert after(SUBMITTED, RELEASED, lifecycle.Published(STAFF, "w-10")).released_words == "w-10"
    for end in (lifecycle.Unpublished(STAFF), lifecycle.Withdrawn(RESIDENT), lifecycle.Erased(RESIDENT)):
        assert after(SUBMITTED, RELEASED, end).released_words is None


def test_a_release_is_no_change_of_stage_and_the_resident_reads_what_was_released() -> None:
    tracked = after(SUBMITTED, ASSIGNED, RELEASED)
    assert (tracked.stage, tracked.updated_at) == ("assigned", START + timedelta(hours=1))
    steps = (SUBMITTED, ASSIGNED, RELEASED, lifecycle.Unpublished(STAFF))
    assert shown(*steps[:3], words={"text": "张三家门口", "w-9": "某处"})[-1] == ("opinion.published", "某处")
    assert [text for _, text in shown(*steps)[2:]] == ["已隐去个人信息后公开。", "已停止公开。"]


def test_an_event_that_was_applied_changes_nothing() -> None:
    tracked = after(SUBMITTED, ASSIGNED)
    assert fold(tracked, event(2, ASSIGNED)) is None
    assert fold(tracked, event(1, SUBMITTED)) is None


def test_a_missing_number_is_a_gap() -> None:
    with pytest.raises(Gap):
        fold(after(SUBMITTED), event(3, ASSIGNED))
    with pytest.raises(Gap):
        fold(None, event(2, ASSIGNED))


def test_a_refusal_for_an_id_that_nobody_submitted_opens_nothing() -> None:
    assert after(lifecycle.CommandRefused("opinion.rated", "unknown")).opened is False
    assert after(lifecycle.CommandRefused("opinion.rated", "unknown"), SUBMITTED).opened is True


def test_a_submission_that_could_be_read_only_later_keeps_its_first_time_and_one_line() -> None:
    unread = lifecycle.Submitted(channel="app", digest="", readable=False)
    triaged = lifecycle.Triaged((), WHY, START)
    tracked = after(unread, triaged, SUBMITTED, ASSIGNED)
    assert tracked.submitted_at == START
    assert (tracked.digest, tracked.opened) == ("d", True)
    assert [(line.type, line.at, line.words) for line in tracked.timeline] == [
        ("opinion.submitted", START, "text"),
        ("opinion.triaged", START + timedelta(hours=1), None),
        ("opinion.assigned", START + timedelta(hours=3), None),
    ]


def test_a_reopened_case_and_a_resumed_one_have_their_new_due_times() -> None:
    later = lifecycle.DueTimes(DUE.acknowledge, DUE.first_response, START + timedelta(days=30), "p", "1")
    assert after(SUBMITTED, ASSIGNED, lifecycle.Reopened(1, "D1", due=later)).due == later.resolve
    assert after(SUBMITTED, ASSIGNED, lifecycle.Resumed(DEPUTY, 60, later)).due == later.resolve


def test_before_the_case_exists_the_view_has_the_same_fields() -> None:
    assert set(not_yet_projected("o", None)) == set(view(after(SUBMITTED), {}, "zh", CITY))


@pytest.mark.parametrize(
    ("header", "own", "language"),
    [
        (None, "zh", "zh"),
        ("en-GB,en;q=0.9", "zh", "en"),
        ("fr, zh;q=0.5", "en", "zh"),
        (None, "en", "en"),
        ("fr", "fr", "zh"),
    ],
)
def test_the_language_is_the_readers_then_the_opinions_then_chinese(
    header: str | None, own: str, language: str
) -> None:
    assert language_of(header, own) == language


def test_a_resolved_opinion_is_closed_since_it_was_resolved_whatever_comes_after() -> None:
    rated = after(SUBMITTED, ASSIGNED, RESOLVED, lifecycle.Rated("satisfied"))
    assert rated.closed_at == START + timedelta(hours=2)
    assert rated.updated_at == START + timedelta(hours=3)


def test_a_reopened_opinion_is_not_closed() -> None:
    reopened = lifecycle.Reopened(times=1, assignee="D1", due=DUE)
    assert after(SUBMITTED, ASSIGNED, RESOLVED, reopened).closed_at is None


def test_what_does_not_change_the_stage_is_no_update() -> None:
    seen = after(SUBMITTED, ASSIGNED, lifecycle.ContactRevealed(DEPUTY), lifecycle.Answered(DEPUTY, "w"))
    assert seen.updated_at == START + timedelta(hours=1)


def test_the_street_and_the_rounded_place_are_kept() -> None:
    near = lifecycle.RoundedPlace(31.569, 120.299)
    placed = after(replace(SUBMITTED, near=near), ASSIGNED)
    assert (placed.street, placed.near) == ("S", near)


def test_photos_and_evidence_stand_at_their_lines() -> None:
    photo, evidence = IDS.of("app", "p1"), IDS.of("desk", "e1")
    steps = (
        replace(SUBMITTED, attachments=(photo,)),
        ASSIGNED,
        lifecycle.Progressed(DEPUTY, "w", (evidence,)),
        replace(RESOLVED, evidence=(evidence, "replayed.row.7")),
    )
    lines = view(after(*steps), {}, "zh", CITY)["timeline"]
    assert [line.get("photos") for line in lines] == [[photo], None, [evidence], [evidence]]
    assert photos_of(after(*steps)) == (photo, evidence, evidence, "replayed.row.7")
    erased = view(after(*steps, lifecycle.Erased(STAFF)), {}, "zh", CITY)["timeline"]
    assert not any("photos" in line for line in erased)


def test_an_opinion_that_is_read_late_brings_its_photos_to_its_line() -> None:
    unread = lifecycle.Submitted(channel="app", digest="d", readable=False)
    read = replace(SUBMITTED, attachments=("p",))
    assert [step.photos for step in after(unread, read).timeline] == [("p",)]


def test_only_uploads_that_are_newly_named_are_told() -> None:
    photo, evidence = IDS.of("app", "p1"), IDS.of("desk", "e1")
    first = after(replace(SUBMITTED, attachments=(photo, "photo-1")))
    then = after(replace(SUBMITTED, attachments=(photo, "photo-1")), replace(RESOLVED, evidence=(evidence,)))
    assert named({"o": first}, {}) == [("o", [upload_of(photo)])]
    assert named({"o": then}, {"o": first}) == [("o", [upload_of(evidence)])]
    assert named({"o": then}, {"o": then}) == []
    assert named({"o": replace(then, erased=True)}, {}) == []


def test_a_resident_sees_who_came_and_when_and_their_photos_but_not_their_note() -> None:
    actor = inbound.Actor("deputy", "D1", "grid-app")
    tracked = after(SUBMITTED, ASSIGNED, lifecycle.Visited(actor, START, "note", ("p",)))
    assert tracked.stage == "assigned"
    step = view(tracked, {"text": "灯坏了", "note": "邻居说的"}, "zh", CITY)["timeline"][-1]
    assert (step["type"], step["text"]) == ("opinion.visited", "王芳代表于2026-11-23到现场走访。")
    assert photos_of(tracked) == ("p",)


def test_a_visit_by_a_system_is_told_under_its_name() -> None:
    tracked = after(SUBMITTED, lifecycle.Visited(inbound.Actor("channel", "grid-app"), START))
    named_city = with_a_field_system(CITY)
    assert view(tracked, {}, "zh", named_city)["timeline"][-1]["text"].startswith("网格通于")
    assert view(tracked, {}, "zh", CITY)["timeline"][-1]["text"].startswith("工作人员于")


def with_a_field_system(city: registry.Snapshot) -> registry.Snapshot:
    channels = {"grid-app": registry.Channel("grid-app", "网格通")}
    return registry.Snapshot("1", city.city, deputies=city.deputies, channels=channels)
