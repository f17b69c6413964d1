"""The AsyncAPI 3.0 document of the whole: topics as channels, and who sends and receives what.

Channel and message bindings follow the Kafka bindings 0.5.0. CloudEvents attributes are headers, given
once as a message trait (CloudEvents 1.0, Kafka protocol binding, binary mode).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lianxin_contracts import topics
from lianxin_contracts.codec import MODELS
from lianxin_contracts.envelope import CONTENT_TYPE, SPEC_VERSION

BINDING = "0.5.0"
VERSION = "1.0.0"
SCHEMA_FORMAT = "application/schema+json;version=2020-12"

Places = Mapping[tuple[str, str], str]
Object = dict[str, Any]

INTAKE_SAYS = (
    "opinion.submitted", "opinion.supported", "opinion.withdrawn", "opinion.rated",
    "opinion.erasure_requested", "visit.recorded",
)  # fmt: skip
NOTIFIER_SAYS = (
    "opinion.seen", "opinion.supported",
    "case.accept", "case.answer", "case.progress", "case.hand_over", "case.transfer", "case.return",
    "case.pause", "case.resume", "case.resolve", "case.assign", "case.supervise", "case.publish",
    "case.unpublish", "case.reveal_contact",
)  # fmt: skip
ROUTER_SAYS = ("case.due", "case.review", "case.merge")


@dataclass(frozen=True, slots=True)
class Operation:
    """One party's dealing with one topic. `types` None means every type of the topic."""

    party: str
    sends: bool
    topic: str
    summary: str
    types: tuple[str, ...] | None = None


OPERATIONS: tuple[Operation, ...] = (
    Operation("intake", True, topics.INBOUND, "what residents and channels say", INTAKE_SAYS),
    Operation("notifier", True, topics.INBOUND, "what deputies and staff say", NOTIFIER_SAYS),
    Operation("router", True, topics.INBOUND, "its own timers and reviews", ROUTER_SAYS),
    Operation("operator", True, topics.INBOUND, "knocks for replayed time", ("case.due",)),
    Operation("router", False, topics.INBOUND, "decides on everything that is said"),
    Operation("router", True, topics.LIFECYCLE, "what was decided; the only writer of cases"),
    Operation("intake", False, topics.LIFECYCLE, "the residents' tracking pages"),
    Operation("notifier", False, topics.LIFECYCLE, "inboxes and alerts"),
    Operation("metrics", False, topics.LIFECYCLE, "the facts behind every figure"),
    Operation("router", False, topics.LIFECYCLE, "to rebuild its cases, never to decide"),
    Operation("router", True, topics.WORDS, "forwards what must be erasable, and deletes it"),
    Operation("intake", False, topics.WORDS, "texts of the tracking pages"),
    Operation("notifier", False, topics.WORDS, "texts of the workbench and the alerts"),
    Operation("router", False, topics.WORDS, "to rebuild"),
    Operation("router", True, topics.CONTACTS, "forwards sealed contacts, and deletes them"),
    Operation("notifier", False, topics.CONTACTS, "opens a contact, in the audited reveal alone"),
    Operation("notifier", True, topics.DELIVERIES, "what was sent to whom, with what result"),
    Operation("notifier", False, topics.DELIVERIES, "to rebuild without sending anything twice"),
    Operation("metrics", False, topics.DELIVERIES, "delivery figures"),
    Operation("operator", True, topics.REGISTRY, "loads the city, creates and revokes channel keys"),
    Operation("intake", False, topics.REGISTRY, "stations, topics, channels and keys"),
    Operation("router", False, topics.REGISTRY, "everything that decides on an assignment"),
    Operation("notifier", False, topics.REGISTRY, "deputies, staff and keys"),
    Operation("metrics", False, topics.REGISTRY, "names of districts and topics, keys"),
)


def document(places: Places) -> Object:
    """The document; `places` says for each (topic, type) where its schema is, relative to the document."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Lianxin 连心: events",
            "version": VERSION,
            "description": "Everything that the services say to each other. Every record is a CloudEvent "
            f"{SPEC_VERSION} in Kafka binary mode; a record's Kafka timestamp is its recordedtime. A record "
            "without a value deletes its key and exists on the compacted topics alone.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {spec.name: _channel(spec) for spec in topics.ALL},
        "operations": {_operation_name(o): _operation(o) for o in OPERATIONS + dead_letter_operations()},
        "components": {
            "messages": {
                **{_message_name(*which): _message(*which, place) for which, place in places.items()},
                **{_dead_name(topic): _dead_letter(topic) for topic in MODELS},
            },
            "messageTraits": {
                "cloudEvent": {"contentType": CONTENT_TYPE, "headers": _headers(sequenced=False)},
                "numberedCloudEvent": {"contentType": CONTENT_TYPE, "headers": _headers(sequenced=True)},
            },
        },
    }


def _channel(spec: topics.TopicSpec) -> Object:
    original = _original_of(spec.name)
    types = MODELS.get(spec.name, {})
    names = [_dead_name(original)] if original else [_message_name(spec.name, type_) for type_ in types]
    return {
        "address": spec.name,
        "description": f"{spec.holds[0].upper()}{spec.holds[1:]}. Key: {spec.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {
            "kafka": {
                "topic": spec.name,
                "partitions": spec.partitions,
                "topicConfiguration": {name: _setting(name, text) for name, text in spec.config.items()},
                "bindingVersion": BINDING,
            }
        },
    }


def _setting(name: str, text: str) -> Any:
    """A broker setting as the binding wants it: the policies as a list, numbers as numbers."""
    if name == "cleanup.policy":
        return text.split(",")
    return int(text) if text.lstrip("-").isdigit() else text


def _message(topic: str, type_: str, place: str) -> Object:
    trait = "numberedCloudEvent" if topic == topics.LIFECYCLE else "cloudEvent"
    return {
        "name": type_,
        "title": f"{type_} on {topic}",
        "traits": [{"$ref": f"#/components/messageTraits/{trait}"}],
        "payload": {"schemaFormat": SCHEMA_FORMAT, "schema": {"$ref": f"./{place}"}},
        "bindings": {"kafka": {"key": _key(topic), "bindingVersion": BINDING}},
    }


def _dead_letter(topic: str) -> Object:
    return {
        "name": "dead letter",
        "title": f"A record of {topic} that could not be handled",
        "description": "The original key, value and headers, byte for byte, and headers lianxin_dlq_* that "
        "say where it stood and what went wrong. The value may be anything.",
        "bindings": {"kafka": {"key": _key(topic), "bindingVersion": BINDING}},
    }


def _key(topic: str) -> Object:
    return {"type": "string", "description": topics.BY_NAME[topic].key}


def _headers(*, sequenced: bool) -> Object:
    moment = {"type": "string", "format": "date-time"}
    fields: Object = {
        "ce_specversion": {"type": "string", "const": SPEC_VERSION},
        "ce_id": {"type": "string", "minLength": 1},
        "ce_source": {"type": "string", "minLength": 1, "description": "/service/who"},
        "ce_type": {"type": "string", "minLength": 1},
        "ce_subject": {"type": "string", "description": "what it is about, as the opinion's id"},
        "ce_time": {**moment, "description": "when it happened"},
        "ce_recordedtime": {**moment, "description": "when a service received it"},
        "ce_causationid": {"type": "string", "description": "the id of the event that it follows from"},
        "traceparent": {"type": "string", "description": "W3C Trace Context"},
    }
    required = ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time"]
    if sequenced:
        fields["ce_sequence"] = {"type": "string", "pattern": "^[1-9][0-9]*$",
                                 "description": "1, 2, 3 … per case without gaps"}  # fmt: skip
        fields["ce_continues"] = {"type": "string", "const": "true",
                                  "description": "more events of the same decision follow; absent on "
                                                 "its last one"}  # fmt: skip
        required.append("ce_sequence")
    return {"type": "object", "properties": fields, "required": required}


def _operation(operation: Operation) -> Object:
    found: Object = {
        "action": "send" if operation.sends else "receive",
        "channel": {"$ref": f"#/channels/{operation.topic}"},
        "summary": f"{operation.party}: {operation.summary}",
        "tags": [{"name": operation.party}],
    }
    if operation.types is not None:
        found["messages"] = [
            {"$ref": f"#/channels/{operation.topic}/messages/{_message_name(operation.topic, type_)}"}
            for type_ in operation.types
        ]
    return found


def dead_letter_operations() -> tuple[Operation, ...]:
    """Whoever consumes a topic may set its records aside. The registry is followed, in no group."""
    return tuple(
        Operation(o.party, True, topics.dead_letter(o.topic), f"sets aside what it can't handle of {o.topic}")
        for o in OPERATIONS
        if not o.sends and o.topic != topics.REGISTRY
    )


def _operation_name(operation: Operation) -> str:
    return f"{operation.party}.{'send' if operation.sends else 'receive'}.{operation.topic}"


def _message_name(topic: str, type_: str) -> str:
    return f"{topic}.{type_}"


def _dead_name(topic: str) -> str:
    return f"{topic}.dead_letter"


def _original_of(topic: str) -> str | None:
    return next((name for name in MODELS if topics.dead_letter(name) == topic), None)
