"""What happens when an opinion comes in: once, twice, unreadable, from the past."""

from dataclasses import replace

import msgspec
import pytest
from services.router.tests.cases import (
    ANN,
    DAY,
    DISTRICT,
    GRID,
    HOUR,
    MONDAY,
    NOISE,
    POTHOLES,
    RESIDENT,
    ROADS,
    STREET,
    TOM,
    Talk,
    a_city,
    a_context,
    a_route,
    assigned,
    in_triage,
)  # fmt: skip

from lianxin_contracts import ids, inbound
from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import Place
from lianxin_contracts.lifecycle import Explanation
from lianxin_contracts.registry import Station
from lianxin_router.domain.decide import decide
from lianxin_router.domain.ports import Joined, RouteRequest, Surge, ToDeputy, ToTriage, unreadable
from lianxin_router.domain.submission import first_request


def an_unreadable(at: float = 0.0) -> Event:
    return unreadable("op-1", ids.derived("dead", "1"), MONDAY + at * HOUR, "payload")


def test_an_opinion_with_a_certain_deputy_is_submitted_and_assigned_in_one_decision() -> None:
    talk = Talk()
    talk.submits()
    assert talk.types() == ["submitted", "assigned"]
    assert (talk.case.stage, talk.case.assignee) == ("assigned", "ann")


def test_an_opinion_without_a_certain_deputy_goes_to_triage_in_the_same_decision() -> None:
    talk = in_triage()
    assert talk.types() == ["submitted", "triaged"]
    assert talk.one("opinion.triaged").receivers == ("far", "tom"), "whose area it is nobody knows"
    assert talk.case.assignee is None


def test_triage_of_a_located_opinion_is_for_the_staff_of_its_area() -> None:
    talk = in_triage(grid=GRID, topic=None)
    assert talk.one("opinion.triaged").receivers == ("tom",)


def test_the_assignment_explains_itself_and_names_who_must_know() -> None:
    told = assigned().one("opinion.assigned")
    assert isinstance(told.explanation, Explanation)
    assert told.explanation.registry_version == "v1"
    assert told.receivers == ("ann",)
    assert (told.by, told.attempt, told.grid, told.street, told.district) == (
        "router",
        1,
        GRID,
        STREET,
        DISTRICT,
    )


def test_the_first_level_topic_is_named_beside_the_topic() -> None:
    talk = Talk()
    talk.submits(topic=POTHOLES)
    assert talk.one("opinion.assigned").first_level == ROADS
    without_grid = in_triage(topic=POTHOLES)
    assert without_grid.one("opinion.triaged").first_level == ROADS


@pytest.mark.parametrize(
    ("rung", "by"), [("direct", "router"), ("substitute", "substitute"), ("ladder", "ladder")]
)
def test_the_assignment_says_by_which_rung_the_deputy_was_found(rung: str, by: str) -> None:
    city = a_city()

    def route(request: RouteRequest) -> ToDeputy:
        found = a_route(city)(request)
        return msgspec.structs.replace(found, rung=rung, receivers=("bea", "ann"))

    talk = Talk(a_context(city, route))
    talk.submits()
    assert talk.one("opinion.assigned").by == by
    assert talk.one("opinion.assigned").receivers == ("ann", "bea")


def test_words_and_contact_are_forwarded_and_never_in_an_event() -> None:
    talk = Talk()
    decision = talk.submits(
        text="路灯坏了", title="灯", address="扬名街道1号", contact="c2VhbGVk", language="en"
    )
    (said,) = decision.words
    assert (said.text, said.title, said.address, said.language) == ("路灯坏了", "灯", "扬名街道1号", "en")
    assert (said.opinion, said.part, said.kind) == ("op-1", "text", "opinion")
    assert [(c.opinion, c.part, c.sealed) for c in decision.contacts] == [("op-1", "text", "c2VhbGVk")]
    on_the_wire = b"".join(msgspec.json.encode(event.data) for event in decision.events).decode()
    for private in ("路灯坏了", "灯", "扬名街道1号", "c2VhbGVk"):
        assert private not in on_the_wire
    assert talk.case.has_contact
    assert (talk.case.word_parts, talk.case.contact_parts) == (("text",), ("text",))


def test_the_place_goes_to_the_lifecycle_only_rounded() -> None:
    talk = Talk()
    decision = talk.submits(place=Place(31.5689123, 120.2986456))
    near = talk.one("opinion.submitted").near
    assert (near.lat, near.lon) == (31.569, 120.299)
    assert decision.words[0].place == Place(31.5689123, 120.2986456)


def test_the_residents_own_choice_of_topic_and_the_station_are_told() -> None:
    city = a_city()
    city.stations["s1"] = Station("s1", "站", GRID)  # type: ignore[index]
    talk = Talk(a_context(city))
    talk.submits(station="s1", topic=ROADS, attachments=("photo-1",), language="en")
    told = talk.one("opinion.submitted")
    assert (told.station, told.topic, told.attachments, told.language) == ("s1", ROADS, ("photo-1",), "en")
    assert (told.channel, told.kind, told.words) == ("qr", "opinion", "text")


def test_the_same_body_again_changes_nothing() -> None:
    talk = assigned()
    talk.submits()
    assert talk.types() == ["command.refused"]
    assert talk.code() == "already_submitted"


def test_another_body_under_the_same_id_is_an_idempotency_conflict_and_its_words_go_nowhere() -> None:
    talk = assigned()
    decision = talk.submits(digest="another", text="不同", contact="other")
    assert talk.code() == "idempotency_conflict"
    assert decision.words == decision.contacts == ()


def test_joining_an_issue_is_a_fact_of_the_case_told_between_submission_and_assignment() -> None:
    city = a_city()

    def route(request: RouteRequest) -> ToDeputy:
        joined, surge = Joined("issue-1", 0.9, "op-0"), Surge("issue-1", 10, 24)
        return msgspec.structs.replace(a_route(city)(request), joined=joined, surge=surge)

    talk = Talk(a_context(city, route))
    talk.submits()
    assert talk.types() == ["submitted", "issue.joined", "assigned", "issue.surged"]
    assert talk.case.issue == "issue-1"
    assert talk.one("issue.surged").receivers == ("sue",)
    talk.says(inbound.Return(ANN, "other"), 1)
    assert talk.types() == ["returned", "assigned"]  # only a new opinion joins


def test_a_case_follows_its_issue_into_another_and_no_clock_moves() -> None:
    talk = Talk(a_context(route=lambda r: ToTriage((), nothing(), joined=Joined("a", 1.0))))
    talk.submits()
    before = talk.case
    talk.says(inbound.Merge("a", "b"), 10_000)
    assert talk.types() == ["issue.merged"]
    assert (talk.one("issue.merged").left, talk.case.issue) == ("a", "b")
    assert (talk.case.updated, talk.case.first_issue) == (before.updated, "a")
    for again in (inbound.Merge("a", "b"), inbound.Merge("b", "b"), inbound.Merge("b", "some words")):
        talk.says(again)
        assert talk.code() == "nothing_to_merge"


def test_a_case_whose_place_staff_make_certain_joins_its_issue_then() -> None:
    city = a_city()

    def route(request: RouteRequest) -> object:
        found = a_route(city)(request)
        return found if request.grid is None else msgspec.structs.replace(found, joined=Joined("a", 0.9))

    for ruling in (inbound.Assign(TOM, grid=GRID), inbound.Assign(TOM, grid=GRID, to="ann")):
        talk = Talk(a_context(city, route))
        talk.submits(grid=None)
        talk.says(ruling, 1)
        assert talk.types() == ["issue.joined", "assigned"]
        assert (talk.case.issue, talk.case.issue_grid) == ("a", GRID)


def nothing() -> Explanation:
    return in_triage().one("opinion.triaged").explanation


def test_an_unreadable_submission_is_in_triage_for_a_person_to_see() -> None:
    talk = Talk()
    talk.hears(an_unreadable())
    assert talk.types() == ["submitted", "triaged"]
    assert [r.code for r in talk.one("opinion.triaged").reasons] == ["unreadable"]
    assert talk.one("opinion.triaged").receivers == ("far", "tom")
    assert not talk.case.readable


def test_a_readable_submission_of_the_same_id_fills_the_unreadable_one_in() -> None:
    talk = Talk()
    talk.hears(an_unreadable())
    talk.submits(at=3)
    assert talk.types() == ["submitted", "assigned"]
    assert talk.case.readable
    assert talk.case.opened == MONDAY, "the resident has waited since the first attempt"
    talk.submits(at=4)
    assert talk.code() == "already_submitted"


def test_a_filled_in_submission_that_stays_in_triage_keeps_the_triage_clock() -> None:
    talk = Talk()
    talk.hears(an_unreadable())
    due = talk.case.triage_due
    talk.submits(at=3, grid=None)
    assert talk.case.stage == "triage"
    assert talk.case.triage_due == due


def test_an_unreadable_record_after_the_opinion_itself_changes_nothing() -> None:
    talk = assigned()
    talk.hears(an_unreadable(1))
    assert talk.code() == "already_submitted"


def test_a_mended_submission_of_a_case_that_was_withdrawn_meanwhile_stays_withdrawn() -> None:
    talk = Talk()
    talk.hears(an_unreadable())
    talk.says(inbound.Withdrawn(RESIDENT), 1)
    decision = talk.submits(at=2, contact="sealed")
    assert talk.code() == "closed"
    assert decision.words == decision.contacts == ()
    assert (talk.case.stage, talk.case.assignee) == ("closed", None)


def test_an_unreadable_submission_counts_from_when_the_resident_said_it() -> None:
    talk = Talk()
    talk.hears(unreadable("op-1", "c", MONDAY + 2 * DAY, "payload", said=MONDAY))
    assert (talk.case.opened, talk.case.replayed) == (MONDAY, False)
    talk.submits(at=0, entry="offline", recorded=MONDAY + 2 * DAY)
    assert (talk.case.opened, talk.one("opinion.assigned").due.acknowledge) == (MONDAY, MONDAY + DAY)


def test_an_unreadable_submission_from_long_ago_lives_on_replayed_time() -> None:
    talk = Talk()
    talk.hears(unreadable("op-1", "c", MONDAY + 400 * DAY, "payload", said=MONDAY))
    assert (talk.case.opened, talk.case.replayed) == (MONDAY, True)


def test_no_unreadable_submission_is_of_the_future() -> None:
    assert unreadable("op-1", "c", MONDAY, "payload", said=MONDAY + DAY).time == MONDAY


def test_what_was_said_of_an_id_before_it_was_submitted_moves_no_clock() -> None:
    talk = Talk()
    talk.says(inbound.Accept(ANN), 30)
    talk.submits(at=1)
    assert talk.case.opened == talk.case.updated == talk.case.assigned_at == MONDAY + HOUR
    assert talk.case.holdings[0].since == MONDAY + HOUR


def test_nobody_can_be_assigned_to_what_nobody_can_read() -> None:
    talk = Talk()
    talk.hears(an_unreadable())
    talk.says(inbound.Assign(TOM, to="ann"))
    assert talk.code() == "unreadable"


@pytest.mark.parametrize(
    ("late", "entry", "replayed"),
    [
        (0.9, "direct", False),
        (1.0, "direct", False),
        (1.1, "direct", True),
        (30, "offline", False),
        (30, "desk", False),
    ],
)
def test_an_opinion_told_late_lives_on_replayed_time_unless_a_desk_or_an_outbox_held_it_up(
    late: float, entry: str, replayed: bool
) -> None:
    talk = Talk()
    talk.submits(entry=entry, recorded=MONDAY + late * HOUR)
    assert talk.case.replayed is replayed
    assert talk.one("opinion.submitted").replayed is replayed


def test_the_clocks_start_when_the_resident_submits_not_when_the_service_hears_of_it() -> None:
    talk = Talk()
    talk.submits(entry="offline", recorded=MONDAY + 2 * DAY)
    assert talk.case.opened == MONDAY
    assert talk.one("opinion.assigned").due.acknowledge == MONDAY + DAY


def test_a_command_for_an_id_that_nobody_submitted_leaves_its_trace_and_no_case() -> None:
    talk = Talk()
    talk.says(inbound.Accept(ANN))
    assert talk.code() == "unknown_case"
    assert (talk.case.opened, talk.case.is_open, talk.case.sequence) == (None, False, 1)
    talk.submits(at=1)
    assert [e.sequence for e in talk.log] == [1, 2, 3]
    assert talk.case.assignee == "ann"


def test_the_worker_can_know_beforehand_what_routing_will_be_asked() -> None:
    asked: list[RouteRequest] = []
    city = a_city()

    def route(request: RouteRequest) -> object:
        asked.append(request)
        return a_route(city)(request)

    talk = Talk(a_context(city, route))
    command = talk.submits(station="s", address="a", title="t", place=Place(31, 120)).events[0]
    said = inbound.Submitted(
        "qr",
        "路灯坏了",
        "d1",
        grid=GRID,
        topic=NOISE,
        station="s",
        address="a",
        title="t",
        place=Place(31, 120),
    )
    assert first_request(replace(command, data=said)) == asked[0]


def test_deciding_the_same_command_again_gives_the_same_ids() -> None:
    first, second = Talk(), Talk()
    assert [e.id for e in first.submits().events] == [e.id for e in second.submits().events]
    assert len({e.id for e in first.log}) == len(first.log)


def test_every_event_names_the_command_as_its_cause_and_when_it_was_received() -> None:
    talk = Talk()
    decision = talk.submits(id="cmd-1", recorded=MONDAY + 0.5 * HOUR)
    for event in decision.events:
        assert (event.causationid, event.source, event.subject) == ("cmd-1", "/router", "op-1")
        assert event.recordedtime == MONDAY + 0.5 * HOUR
    assert [e.id for e in decision.events] == [
        ids.following("cmd-1", "opinion.submitted", 1),
        ids.following("cmd-1", "opinion.assigned", 1),
    ]


def test_times_are_whole_milliseconds_as_a_database_keeps_them() -> None:
    talk = Talk()
    command = talk.submits().events[0]
    odd = MONDAY.replace(microsecond=1999)
    accept = replace(
        command, id="c2", type="case.accept", source="/notifier", time=odd, data=inbound.Accept(ANN)
    )
    decision = decide(talk.case, accept, talk.context)
    assert decision.events[0].time.microsecond == 1000
