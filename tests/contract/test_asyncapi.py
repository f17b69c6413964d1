"""The AsyncAPI document says what the code says: every topic and type, with a sender and a receiver."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.contract.payloads import EVERY_TYPE

from lianxin_contracts import asyncapi, lifecycle, schemas, topics
from lianxin_contracts.codec import MODELS
from lianxin_contracts.envelope import Event, to_record

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = schemas.documents()[schemas.ASYNCAPI]


def resolved(reference: str) -> Any:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for inner in value.values() for ref in references(inner)]
    if isinstance(value, list):
        return [ref for inner in value for ref in references(inner)]
    return []


def test_every_reference_leads_somewhere():
    for reference in references(DOCUMENT):
        if reference.startswith("#/"):
            assert resolved(reference), reference
        else:
            assert json.loads((DOCS / reference).read_text("utf-8")), reference


@pytest.mark.parametrize("spec", topics.ALL, ids=lambda spec: spec.name)
def test_every_topic_is_a_channel_with_the_settings_that_it_must_have(spec: topics.TopicSpec):
    channel = DOCUMENT["channels"][spec.name]
    binding = channel["bindings"]["kafka"]
    said = {
        name: ",".join(value) if isinstance(value, list) else str(value)
        for name, value in binding["topicConfiguration"].items()
    }

    assert channel["address"] == spec.name
    assert binding["partitions"] == spec.partitions
    assert binding["bindingVersion"] == "0.5.0"
    assert said == spec.config


@pytest.mark.parametrize(("topic", "type_"), EVERY_TYPE)
def test_every_type_has_somebody_who_sends_it_and_somebody_who_receives_it(topic: str, type_: str):
    on_topic = [o for o in asyncapi.OPERATIONS if o.topic == topic and (o.types is None or type_ in o.types)]

    assert any(o.sends for o in on_topic)
    assert any(not o.sends for o in on_topic)


def test_operations_name_known_types_alone():
    for operation in asyncapi.OPERATIONS:
        assert set(operation.types or ()) <= set(MODELS[operation.topic]), operation


def test_no_two_operations_have_the_same_name():
    wanted = len(asyncapi.OPERATIONS) + len(asyncapi.dead_letter_operations())

    assert len(DOCUMENT["operations"]) == wanted


@pytest.mark.parametrize("topic", [topics.LIFECYCLE, topics.WORDS, topics.CONTACTS])
def test_the_router_alone_writes_what_was_decided(topic: str):
    assert {o.party for o in asyncapi.OPERATIONS if o.topic == topic and o.sends} == {"router"}


def test_the_notifier_alone_says_what_deputies_say_and_receives_contacts():
    commands = {type_ for type_ in MODELS[topics.INBOUND] if type_.startswith("case.")}
    timers = {"case.due", "case.review", "case.merge"}
    speakers = {
        o.party
        for o in asyncapi.OPERATIONS
        if o.topic == topics.INBOUND and o.sends and set(o.types or commands) & (commands - timers)
    }

    assert speakers == {"notifier"}
    assert {o.party for o in asyncapi.OPERATIONS if o.topic == topics.CONTACTS and not o.sends} == {
        "notifier"
    }


def test_whoever_consumes_a_topic_may_write_its_dead_letters():
    for operation in asyncapi.OPERATIONS:
        if not operation.sends and operation.topic != topics.REGISTRY:
            assert f"{operation.party}.send.{operation.topic}.dlq" in DOCUMENT["operations"]


def test_the_documented_headers_are_those_that_are_written():
    trait = DOCUMENT["components"]["messageTraits"]["numberedCloudEvent"]["headers"]
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    closed = lifecycle.Closed("unrated")
    event = Event(
        "i", "/router", "opinion.closed", "o", moment, moment, closed, "cause", 1, "trace", continues=True
    )

    written = dict(to_record(event, topics.LIFECYCLE, "o").headers)

    assert set(written) - {"content-type"} == set(trait["properties"])
    assert set(trait["required"]) <= set(written)
