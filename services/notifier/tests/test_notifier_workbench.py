"""What the workbench adds to a case: what is like it, permits to upload, several out of triage, erasing."""

from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace

from lianxin_chassis.problems import ProblemError
from lianxin_contracts import inbound, lifecycle
from lianxin_contracts.links import permitted
from lianxin_contracts.registry import City, Deputy, Mandate, Snapshot, Staff
from lianxin_notifier.actions import ActionRequest, command
from lianxin_notifier.casefile import CaseFile
from lianxin_notifier.inbox import Opinion, Seat
from lianxin_notifier.pages.alike import MOST_SHOWN, alike
from lianxin_notifier.pages.case_actions import asked_of, forms_of
from lianxin_notifier.pages.photos import UPLOAD_FOR, PhotoLinks
from lianxin_notifier.pages.triage_page import candidates, first_candidate
from lianxin_notifier.people import person_of
from lianxin_notifier.store import Item

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
GRID = "320213001001001"
CITY = Snapshot(
    version="v1",
    city=City("wuxi", "无锡"),
    deputies={one: Deputy(one, one, "street") for one in ("D1", "D2")},
    staff={
        "T1": Staff("T1", "分派员", ("triage",)),
        "A1": Staff("A1", "管理员", ("administrator",)),
    },
    mandates={"M1": Mandate("M1", "D2", ("320213",), since=date(2020, 1, 1))},
)
EXPLAINED = lifecycle.Explanation(
    registry_version="v1",
    rules_version="1",
    located=lifecycle.LocatedBy(GRID, "grid", 1.0),
    classified=lifecycle.ClassifiedAs("0101", "choice", 1.0),
    candidates=(
        lifecycle.Candidate("D2", "street", 1, 9, 0.9),
        lifecycle.Candidate("D1", "street", 2, 9, 0.4),
    ),
)


def opinion(id_: str, *who: str, **facts: object) -> Opinion:
    seats = {one: Seat("holder") for one in who}
    return Opinion(id=id_, stage="assigned", grid=GRID, topic="0101", seats=seats, **facts)  # type: ignore[arg-type]


def ids_of(same: list[Opinion], near: list[Opinion], who: str) -> list[str]:
    person = person_of(who, CITY)
    assert person is not None
    return [one.id for one in alike(same, near, person, NOW, "zh", CITY)]


def test_the_same_issue_comes_first_and_each_case_once():
    same, near = opinion("s", "D1"), opinion("n", "D1")
    assert ids_of([same], [near, same], "D1") == ["s", "n"]


def test_a_deputy_sees_of_similar_cases_only_what_is_in_the_own_inbox_and_staff_see_all():
    others, left = opinion("o", "D2"), opinion("l", "D1")
    left = replace(left, seats={"D1": Seat("holder", "left")})
    assert ids_of([others, left], [], "D1") == []
    assert ids_of([others, left], [], "T1") == ["o", "l"]


def test_what_was_erased_is_like_nothing_and_what_is_closed_only_like_its_issue():
    closed = replace(opinion("c", "D1"), stage="closed")
    assert ids_of([replace(closed, erased=True)], [closed], "D1") == []
    assert ids_of([closed], [], "D1") == ["c"]


def test_not_more_are_shown_than_anybody_compares():
    assert len(ids_of([], [opinion(str(n), "D1") for n in range(20)], "D1")) == MOST_SHOWN


def test_a_permit_is_its_holder_s_for_a_quarter_of_an_hour():
    given = PhotoLinks(b"shared", "https://say.example.org/").upload("D1", NOW)
    assert given is not None
    assert given["address"] == "https://say.example.org/v1/attachments"
    assert permitted(b"shared", str(given["permit"]), NOW + UPLOAD_FOR) == "D1"
    assert permitted(b"shared", str(given["permit"]), NOW + UPLOAD_FOR + timedelta(seconds=1)) is None


def test_without_intake_s_address_there_is_no_permit():
    assert PhotoLinks(b"shared", "").upload("D1", NOW) is None
    assert PhotoLinks(b"", "https://say.example.org").upload("D1", NOW) is None


def test_the_first_candidate_is_whom_routing_would_have_chosen():
    assert first_candidate(CaseFile(explained=EXPLAINED)) == "D2"
    assert first_candidate(CaseFile(explained=replace(EXPLAINED, candidates=()))) is None
    assert first_candidate(CaseFile()) is None


def test_where_routing_considered_nobody_those_with_a_mandate_are_offered():
    item = Item(
        id="o", stage="triage", topic="0101", grid=GRID, assigned_at=None, due=None, number=1, role="triage",
        state="open",
    )  # fmt: skip
    assert candidates(item, CaseFile(explained=EXPLAINED), CITY, NOW.date()) == ("D2", "D1")
    assert candidates(item, CaseFile(), CITY, NOW.date()) == ("D2",)


def offered(who: str, **facts: object) -> list[str]:
    person = person_of(who, CITY)
    assert person is not None
    case = opinion("o", "D1", holder="D1", **facts)
    return [one.action for one in forms_of(case, CaseFile(), person, "zh", CITY, NOW.date())]


def test_erasing_is_offered_to_administrators_once():
    assert "erase" in offered("A1")
    assert "erase" not in offered("A1", erased=True)
    assert "erase" not in offered("T1")
    assert "erase" not in offered("D1")


@pytest.mark.parametrize("word", ["删除", "erase", "Erase"])
def test_an_erasure_is_asked_for_by_typing_the_word(word: str):
    asked = asked_of({"action": "erase", "reason": "ordered", "confirm": word}, CITY)
    event = command("case", asked, inbound.Actor("staff", "A1"), "key", NOW)
    assert event.type == "opinion.erasure_requested"
    assert event.data == inbound.ErasureRequested(inbound.Actor("staff", "A1"), "ordered")


@pytest.mark.parametrize("typed", [{}, {"confirm": "算了"}])
def test_an_erasure_without_the_word_is_none(typed: dict[str, str]):
    with pytest.raises(ProblemError, match="not_confirmed_by_word"):
        asked_of({"action": "erase", "reason": "ordered", **typed}, CITY)


def test_evidence_of_a_form_is_a_list_of_ids():
    asked = asked_of({"action": "progress", "text": "好", "evidence": "a.1 b.2"}, CITY)
    assert asked == ActionRequest("progress", text="好", evidence=("a.1", "b.2"))
