"""From the body of an action to the command."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lianxin_chassis.problems import ProblemError
from lianxin_contracts import codec, inbound, topics
from lianxin_contracts.inbound import Actor
from lianxin_notifier.actions import MAX_BODY, command, data_of, parse, record_of

NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
D1 = Actor("deputy", "D1")


def parsed(**body: Any) -> Any:
    return parse(json.dumps(body).encode())


def refused(body: bytes) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        data_of(parse(body), D1)
    return caught.value


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ({"action": "accept"}, inbound.Accept(D1)),
        ({"action": "answer", "text": "好"}, inbound.Answer(D1, "好")),
        ({"action": "progress", "text": "好", "evidence": ["a1"]}, inbound.Progress(D1, "好", ("a1",))),
        ({"action": "hand_over", "to": "housing"}, inbound.HandOver(D1, "housing")),
        (
            {"action": "transfer", "to": "D2", "reason": "other"},
            inbound.Transfer(D1, "D2", "other"),
        ),
        ({"action": "return", "reason": "not_my_area"}, inbound.Return(D1, "not_my_area")),
        ({"action": "pause", "reason": "season"}, inbound.Pause(D1, "season")),
        ({"action": "resume"}, inbound.Resume(D1)),
        (
            {"action": "resolve", "outcome": "solved", "text": "好"},
            inbound.Resolve(D1, "solved", "好"),
        ),
        ({"action": "assign", "to": "D2"}, inbound.Assign(D1, "D2")),
        ({"action": "assign", "grid": "g2"}, inbound.Assign(D1, None, "g2")),
        ({"action": "supervise", "to": "D2"}, inbound.Supervise(D1, None, ("D2",))),
        ({"action": "supervise", "to": ["D2", "D3"]}, inbound.Supervise(D1, None, ("D2", "D3"))),
        ({"action": "publish", "text": "好"}, inbound.Publish(D1, "好")),
        ({"action": "unpublish"}, inbound.Unpublish(D1)),
        ({"action": "reveal_contact"}, inbound.RevealContact(D1)),
    ],
)
def test_every_action_becomes_its_command(body: dict[str, Any], wanted: Any) -> None:
    asked = parsed(**body)
    assert data_of(asked, D1) == wanted
    event = command("o1", asked, D1, "k", NOW)
    assert event.type == f"case.{body['action']}"
    assert event.source == "/notifier/D1"
    record = record_of(event)
    assert codec.decode(topics.INBOUND, record.value or b"", record.headers).data == wanted


@pytest.mark.parametrize(
    "body",
    [
        {"action": "answer"},
        {"action": "answer", "text": "  "},
        {"action": "progress"},
        {"action": "hand_over"},
        {"action": "transfer"},
        {"action": "transfer", "to": ["D2", "D3"]},
        {"action": "return"},
        {"action": "pause"},
        {"action": "resolve", "text": "好"},
        {"action": "resolve", "outcome": "solved"},
        {"action": "resolve", "outcome": "done", "text": "好"},
        {"action": "assign"},
        {"action": "explode"},
        {"action": "accept", "colour": "red"},
        {"action": "answer", "text": "x" * 10_001},
        {"action": "progress", "text": "x", "evidence": ["a"] * 21},
        {"action": "accept", "occurred_at": "2026-11-23T01:00:00"},
        {"action": "return", "reason": "call me on 138 0000 0000"},
        {},
        [],
    ],
)
def test_an_action_that_lacks_something_is_turned_away(body: Any) -> None:
    assert refused(json.dumps(body).encode()).status == 422


def test_what_is_no_json_or_too_large_is_turned_away() -> None:
    assert refused(b"{").status == 400
    assert refused(b"\xff").status == 400
    assert refused(b" " * (MAX_BODY + 1)).status == 413


def test_the_answer_to_a_bad_body_never_repeats_what_was_in_it() -> None:
    told = refused(b'{"action":"answer","text":17,"outcome":"13800000000"}')
    assert "13800000000" not in f"{told.title} {told.detail} {told.extra}"


def test_the_same_actor_case_and_key_give_the_same_command_id() -> None:
    asked = parsed(action="accept")
    ids = {
        command(case, asked, actor, key, NOW).id
        for case in ("o1", "o2")
        for actor in (D1, Actor("deputy", "D2"))
        for key in ("k1", "k2")
    }
    assert len(ids) == 8
    assert command("o1", asked, D1, "k1", NOW).id in ids


def test_a_command_dated_back_keeps_the_moment_of_its_receipt() -> None:
    asked = parsed(action="accept", occurred_at="2026-11-20T09:00:00+08:00")
    event = command("o1", asked, D1, "k", NOW)
    assert event.time == datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
    assert event.recordedtime == NOW


def test_nothing_is_done_in_the_future() -> None:
    later = (NOW + timedelta(hours=1)).isoformat()
    with pytest.raises(ProblemError):
        command("o1", parsed(action="accept", occurred_at=later), D1, "k", NOW)
