"""Visits that other systems of the city record, by CloudEvents: one record each, or a refusal in words."""

from typing import Any

import httpx
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from services.intake.tests.test_intake_event_modes import Route, in_batch, sent

from lianxin_contracts import codec, inbound, topics

OPINION = "ca7267d5-530e-5827-b45b-3549aeaca151"
FIELD = {"authorization": "Bearer f"}


def visit(named: str = "1", **data: Any) -> CloudEvent:
    return sent({"opinion": OPINION, "text": "看过"} | data, type="visit.recorded", id=named)


def recorded(route: Route, event: CloudEvent, mode: Any = to_binary_event) -> httpx.Response:
    message = mode(event)
    return route.ask("POST", message.headers | FIELD, message.body)


@pytest.mark.parametrize("mode", [to_binary_event, to_structured_event])
def test_a_visit_is_one_record_under_its_opinion_in_any_mode(mode: Any) -> None:
    route = Route()
    answer = recorded(
        route, visit(deputy="D1", visited_at="2026-11-21T01:20:00Z", media_url="https://x.example/1"), mode
    )
    assert answer.status_code == 202
    (record,) = route.broker.written
    event = codec.decode(topics.INBOUND, record.value or b"", record.headers)
    assert (event.type, event.source, event.subject) == ("visit.recorded", "/intake/app", OPINION)
    assert event.id == answer.json()["command_id"]
    said = event.data
    assert isinstance(said, inbound.Visited)
    assert said.actor == inbound.Actor("deputy", "D1", "app")
    assert (said.text, said.media_url) == ("看过", "https://x.example/1")


def test_without_a_deputy_the_channel_speaks_for_itself() -> None:
    route = Route()
    recorded(route, visit())
    (record,) = route.broker.written
    said = codec.decode(topics.INBOUND, record.value or b"", record.headers).data
    assert isinstance(said, inbound.Visited)
    assert said.actor == inbound.Actor("channel", "app")


def test_the_same_visit_sent_again_is_the_same_event() -> None:
    route = Route()
    first, again = recorded(route, visit()), recorded(route, visit(), to_structured_event)
    assert first.json() == again.json()
    other = recorded(route, visit(named="2"))
    assert other.json()["command_id"] != first.json()["command_id"]


def test_a_visit_needs_the_scope_field_and_an_opinion_the_scope_submit() -> None:
    route = Route()
    assert (route.post(to_binary_event(visit())).status_code, route.broker.written) == (403, [])
    answer = recorded(route, sent({"text": "路"}))
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert route.broker.written == []


@pytest.mark.parametrize(
    ("data", "status", "field"),
    [
        ({"opinion": ""}, 422, "opinion"),
        ({"opinion": "4711"}, 422, "opinion"),
        ({"deputy": "nobody"}, 422, "deputy"),
        ({"visited_at": "2999-01-01T00:00:00Z"}, 422, "visited_at"),
        ({"visited_at": "2026-11-21T01:20:00"}, 422, "visited_at"),
        ({"text": "x" * 10_001}, 422, "text"),
        ({"text": "\u0007"}, 422, "text"),
        ({"attachments": ["a.b"]}, 422, "attachments"),
        ({"attachments": ["a.b"] * 21}, 422, "attachments"),
        ({"media_url": "javascript:alert(1)"}, 422, "media_url"),
        ({"colour": "red"}, 400, "colour"),
    ],
)
def test_a_visit_that_can_not_be_recorded_is_refused_in_words(data: Any, status: int, field: str) -> None:
    route = Route()
    answer = recorded(route, visit(**data))
    assert answer.status_code == status
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert route.broker.written == []


def test_a_visit_that_names_no_opinion_is_told_to_hand_one_in_first() -> None:
    answer = recorded(Route(), visit(opinion=""))
    assert "opinion.submitted" in answer.json()["errors"][0]["message"]


def test_in_a_batch_a_visit_comes_after_the_opinions_and_each_is_judged_on_its_own() -> None:
    route = Route()
    message = in_batch(visit(), sent({"text": "路"}, id="2"), visit(named="3", opinion=""))
    answer = route.ask("POST", message.headers | {"authorization": "Bearer b"}, message.body)
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [202, 202, 422]
    assert results[0]["id"] == OPINION
    assert [dict(record.headers)["ce_type"] for record in route.broker.written] == [
        b"opinion.submitted",
        b"visit.recorded",
    ]
