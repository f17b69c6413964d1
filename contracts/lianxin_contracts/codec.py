"""Decoding by topic: which payload models each topic may carry."""

from collections.abc import Iterable

from msgspec import Struct

from lianxin_contracts import deliveries, inbound, lifecycle, registry, topics, words
from lianxin_contracts.envelope import Event, Undecodable, from_record

MODELS: dict[str, dict[str, type[Struct]]] = {
    topics.INBOUND: inbound.MODELS,
    topics.LIFECYCLE: lifecycle.MODELS,
    topics.WORDS: words.WORDS_MODELS,
    topics.CONTACTS: words.CONTACT_MODELS,
    topics.DELIVERIES: deliveries.MODELS,
    topics.REGISTRY: registry.MODELS,
}


def decode(topic: str, value: bytes, headers: Iterable[tuple[str, bytes | None]]) -> Event:
    """The event that a record of `topic` carries. Raises `Undecodable`, saying what is wrong."""
    models = MODELS.get(topic)
    if models is None:
        raise Undecodable(f"no events are known for topic {topic!r}")
    event = from_record(topic, value, headers, models)
    if topic == topics.LIFECYCLE and event.sequence is None:
        raise Undecodable("a lifecycle event without ce_sequence")
    return event
