"""The checks see what they are there to see: each is shown a log that is right, and one with its fault."""

import gzip
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lianxin_contracts import inbound, lifecycle, topics, words
from lianxin_contracts.deliveries import Delivery
from lianxin_contracts.envelope import Event, to_record
from tests.end_to_end import checks
from tests.end_to_end.drafts import Draft, from_csv, from_templates
from tests.end_to_end.ledger import Command, Ledger
from tests.end_to_end.log import Log, Logged
from tests.end_to_end.verdicts import counts, verdicts

MORNING = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
DEPUTY = inbound.Actor("deputy", "D1")
RESIDENT = inbound.Actor("resident", "resident")
MARKER, PHONE = "编号t-1-00000", "19900000000"
DUE = lifecycle.DueTimes(MORNING, MORNING, MORNING, "opinion", "1")
WHY = lifecycle.Explanation(
    "v1",
    "r1",
    lifecycle.LocatedBy("320213001001001", "station", 1.0),
    lifecycle.ClassifiedAs("urban", "choice", 1.0),
    (lifecycle.Candidate("D1", "street", 0, 30, 1.0), lifecycle.Candidate("D2", "street", 0, 30, 0.5)),
)


def assigned(to: str = "D1", by: Any = "router", why: lifecycle.Explanation = WHY) -> lifecycle.Assigned:
    return lifecycle.Assigned(to, by, "320213001001001", "320213001", "320213", "urban", 1, DUE, why)


def record(topic: str, event: Event, key: str = "o1", offset: int = 0) -> Logged:
    written = to_record(event, topic, key)
    return Logged(topic, 0, offset, key, written.value, written.headers)


def decided(number: int, data: Any, cause: str = "c1") -> Logged:
    """Number `number` of case o1."""
    type_ = next(name for name, model in lifecycle.MODELS.items() if model is type(data))
    at = MORNING + timedelta(minutes=number)
    return record(
        topics.LIFECYCLE,
        Event(f"e{number}", "/router", type_, "o1", at, at, data, cause, number),
        offset=number,
    )


def said(id_: str, type_: str, data: Any) -> Logged:
    return record(topics.INBOUND, Event(id_, "/intake/demo", type_, "o1", MORNING, MORNING, data))


OPENED = lifecycle.Submitted("demo", "digest", near=lifecycle.RoundedPlace(31.57, 120.3))
SUBMITTED = said("c1", "opinion.submitted", inbound.Submitted("demo", f"路灯不亮（{MARKER}）", "digest"))
ACCEPT = said("c2", "case.accept", inbound.Accept(DEPUTY))
WRITTEN = record(
    topics.WORDS,
    Event("w1", "/router", "words.written", "o1", MORNING, MORNING,
          words.Words("o1", "text", "opinion", f"路灯不亮（{MARKER}）", RESIDENT)),
    key="o1/text",
)  # fmt: skip
RIGHT = [decided(1, OPENED), decided(2, assigned()), decided(3, lifecycle.Accepted(DEPUTY), "c2")]


def log(*decisions: Logged, more: tuple[Logged, ...] = (SUBMITTED, ACCEPT, WRITTEN)) -> Log:
    records: dict[str, list[Logged]] = {name: [] for name in topics.BY_NAME}
    for one in (*decisions, *more):
        records[one.topic].append(one)
    return Log(records)


@pytest.fixture
def ledger() -> Ledger:
    kept = Ledger()
    body = {"text": MARKER, "contact": {"phone": PHONE}}
    kept.accepted(Draft("k1", body, MARKER), {"id": "o1", "tracking_code": "AAAA"}, tries=1)
    kept.commands["c2"] = Command("c2", "o1", "accept", "D1")
    return kept


def test_a_log_that_is_right_passes_every_check(ledger: Ledger):
    assert checks.everything_wrong_with(log(*RIGHT), ledger) == []


def test_a_record_that_was_published_twice_is_no_fault(ledger: Ledger):
    assert checks.everything_wrong_with(log(*RIGHT, RIGHT[1], RIGHT[2]), ledger) == []


def test_a_lost_opinion_is_seen(ledger: Ledger):
    assert checks.every_accepted_opinion_is_there_once(log(), ledger) == ["k1: 0 opinion.submitted of o1"]


def test_an_opinion_that_was_opened_twice_is_seen(ledger: Ledger):
    twice = log(*RIGHT, decided(4, OPENED))

    assert checks.every_accepted_opinion_is_there_once(twice, ledger) == ["k1: 2 opinion.submitted of o1"]


def test_a_key_that_became_two_opinions_is_seen(ledger: Ledger):
    ledger.accepted(Draft("k1", {}, MARKER), {"id": "o2", "tracking_code": "BBBB"}, tries=1)

    assert "k1 became 2 opinions: ['o1', 'o2']" in checks.every_accepted_opinion_is_there_once(log(), ledger)


def test_a_gap_in_the_sequence_is_seen():
    assert checks.sequences_have_no_gap(log(RIGHT[0], RIGHT[2])) == ["case o1: 3 follows 1"]


def test_a_newer_event_before_an_older_one_is_seen():
    assert checks.sequences_have_no_gap(log(RIGHT[0], RIGHT[2], RIGHT[1])) == ["case o1: 3 follows 1"]


def test_two_events_under_one_number_are_seen():
    other = decided(2, assigned("D2"))

    assert checks.sequences_have_no_gap(log(*RIGHT[:2], other)) == [
        "case o1: number 2 is opinion.assigned e2 and opinion.assigned e2"
    ]


def test_an_inbound_record_without_a_trace_is_seen():
    assert checks.every_inbound_record_left_a_trace(log(*RIGHT[:2])) == ["case.accept c2 of o1 left no trace"]


def test_a_dead_letter_is_a_trace():
    aside = replace(ACCEPT, topic=topics.dead_letter(topics.INBOUND))

    assert checks.every_inbound_record_left_a_trace(log(*RIGHT[:2], more=(SUBMITTED, ACCEPT, aside))) == []


def test_a_lost_command_is_seen(ledger: Ledger):
    assert checks.every_command_is_on_the_log(log(*RIGHT, more=(SUBMITTED,)), ledger) == [
        "accept of D1 on o1 is lost"
    ]


def test_two_assignees_at_a_time_are_seen():
    assert checks.a_case_has_one_assignee_at_a_time(log(*RIGHT[:2], decided(3, assigned("D2")))) == [
        "case o1: assigned twice, number 3"
    ]


def test_another_assignee_after_a_return_is_no_fault():
    returned = decided(3, lifecycle.Returned(DEPUTY, "not_my_topic", 1))

    assert (
        checks.a_case_has_one_assignee_at_a_time(log(*RIGHT[:2], returned, decided(4, assigned("D2")))) == []
    )


def test_an_assignment_that_does_not_explain_itself_is_seen():
    bare = lifecycle.Explanation("", "r1", WHY.located, WHY.classified)

    assert checks.a_case_has_one_assignee_at_a_time(log(RIGHT[0], decided(2, assigned(why=bare)))) == [
        "case o1: an assignment names no version",
        "case o1: an assignment names no candidate",
        "case o1: D1 is not among the candidates",
    ]


def test_a_time_that_goes_back_is_seen():
    early = replace(decided(0, lifecycle.Accepted(DEPUTY)), offset=3)
    headers = tuple(("ce_sequence", b"3") if n == "ce_sequence" else (n, raw) for n, raw in early.headers)

    assert checks.times_never_go_back(log(*RIGHT[:2], replace(early, headers=headers))) == [
        "case o1: number 3 is dated before number 2"
    ]


def test_words_on_the_lifecycle_are_seen(ledger: Ledger):
    leak = decided(4, lifecycle.CommandRefused("case.accept", "no", {"said": MARKER}))

    assert checks.words_and_contacts_are_where_they_may_be(log(*RIGHT, leak), ledger) == [
        f"words are on opinions.lifecycle: {MARKER}"
    ]


def test_a_contact_in_clear_is_seen_even_where_words_may_be(ledger: Ledger):
    leak = said("c3", "opinion.submitted", inbound.Submitted("demo", "x", "d", contact=PHONE))

    assert checks.words_and_contacts_are_where_they_may_be(log(*RIGHT, more=(leak,)), ledger) == [
        f"a contact is in clear on opinions.inbound: {PHONE}"
    ]


def test_an_exact_place_is_seen():
    exact = lifecycle.Submitted("demo", "digest", near=lifecycle.RoundedPlace(31.5689, 120.3))

    assert len(checks.places_are_rounded(log(decided(1, exact)))) == 1


def status(**counts: int) -> dict[str, Any]:
    return {"counts": {"submitted": 1, "assigned": 1, "triage": 0, "alerted": 1, "closed": 0} | counts}


def test_figures_that_agree_pass():
    assert checks.counts_agree(status(), log(*RIGHT)) == []


@pytest.mark.parametrize(
    ("counts", "said_of_it"),
    [
        ({"triage": 1}, "submitted is not assigned + triage"),
        ({"alerted": 0}, "alerted is not assigned"),
        ({"closed": 1}, "closed: 1 by status, 0 by the log"),
        ({"submitted": 2, "triage": 1}, "submitted: 2 by status, 1 by the log"),
    ],
)
def test_figures_that_do_not_agree_are_seen(counts: dict[str, int], said_of_it: str):
    assert any(
        problem.startswith(said_of_it) for problem in checks.counts_agree(status(**counts), log(*RIGHT))
    )


def test_a_figure_that_nobody_tells_is_seen():
    unknown = {"counts": status()["counts"] | {"closed": None}}

    assert checks.counts_agree(unknown, log(*RIGHT)) == ["nobody tells closed"]


def test_an_alert_that_stands_twice_in_an_inbox_is_seen():
    items = [{"id": "o1", "number": 1}, {"id": "o1", "number": 2}, {"id": "o2", "number": 2}]

    assert checks.no_inbox_lists_an_alert_twice({"D1": items}) == [
        "inbox of D1: number 2 stands more than once",
        "inbox of D1: id o1 stands more than once",
    ]


def test_a_case_that_its_holder_does_not_see_is_seen():
    assert checks.every_assignee_found_it_in_the_inbox(log(*RIGHT), {"D1": []}) == ["inbox of D1 lacks o1"]
    assert checks.every_assignee_found_it_in_the_inbox(log(*RIGHT), {"D1": [{"id": "o1"}]}) == []


def attempt(*, repeated: bool) -> Logged:
    sent = Delivery(
        "a1", "e2", "o1", "D1", "mail", "attempting", 1, message_id="<m1>", repeated_after_crash=repeated
    )
    event = Event("d1", "/notifier/mail", "delivery.recorded", "o1", MORNING, MORNING, sent)
    return record(topics.DELIVERIES, event, key="a1")


def test_a_mail_that_arrived_twice_is_seen_unless_the_repeat_is_marked():
    mails = [{"message_id": "<m1>"}, {"message_id": "<m1>"}]

    assert checks.nothing_was_sent_twice(log(more=(attempt(repeated=False),)), mails) == [
        "mail <m1> arrived 2 times, 0 repeats are marked"
    ]
    assert checks.nothing_was_sent_twice(log(more=(attempt(repeated=True),)), mails) == []


def test_a_marked_repeat_that_was_published_twice_allows_one_mail_more_and_not_two():
    mails = [{"message_id": "<m1>"}] * 3
    published_twice = (attempt(repeated=True), attempt(repeated=True))

    assert len(checks.nothing_was_sent_twice(log(more=published_twice), mails)) == 1


# -- the drafts


STATIONS = [{"id": f"S{n}", "name": f"联络站{n}", "grid": "320213001001001"} for n in range(5)]
TOPICS = [{"id": "urban", "name": "城乡建设"}, {"id": "urban.water", "name": "供水", "parent": "urban"}]


def test_the_same_seed_makes_the_same_drafts():
    assert list(from_templates(20, 7, STATIONS, TOPICS)) == list(from_templates(20, 7, STATIONS, TOPICS))
    assert list(from_templates(20, 7, STATIONS, TOPICS)) != list(from_templates(20, 8, STATIONS, TOPICS))


def test_every_draft_has_a_key_and_a_marker_of_its_own_that_is_in_its_text():
    drafts = list(from_templates(200, 7, STATIONS, TOPICS))

    assert len({draft.key for draft in drafts}) == len({draft.marker for draft in drafts}) == 200
    assert all(draft.marker in draft.body["text"] for draft in drafts)


ROWS = "row,title,text\n1,路灯不亮,门口的路灯坏了\n2,只有标题,\n3,,\n4,,只有正文\n"


def test_a_csv_file_is_read_packed_or_not_and_an_empty_text_is_the_title(tmp_path: Path):
    plain, packed = tmp_path / "m.csv", tmp_path / "m.csv.gz"
    plain.write_text(ROWS, "utf-8")
    packed.write_bytes(gzip.compress(ROWS.encode()))

    drafts = list(from_csv(plain, 7, STATIONS))

    assert [draft.body["text"] for draft in drafts] == ["门口的路灯坏了", "只有标题", "只有正文"]
    assert [draft.body.get("title") for draft in drafts] == ["路灯不亮", "只有标题", None]
    assert list(from_csv(packed, 7, STATIONS)) == drafts
    assert list(from_csv(packed, 7, STATIONS, limit=2)) == drafts[:2]


def test_a_drive_s_verdicts_name_what_is_wrong_and_its_counts_follow_the_log(ledger: Ledger):
    right = verdicts(log(*RIGHT), ledger, status())

    assert [check for check, problems in right.items() if problems] == ["every assignment was alerted"]
    assert verdicts(log(*RIGHT[:1]), ledger, status())["every inbound record left a trace"]
    told = counts(log(*RIGHT), ledger)
    assert {step for step, count in told.items() if count} == {"submitted", "assigned", "accepted"}


def test_a_ledger_survives_its_file(tmp_path: Any, ledger: Ledger):
    ledger.save(tmp_path / "ledger.json")

    assert Ledger.load(tmp_path / "ledger.json") == ledger
