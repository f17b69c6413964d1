"""The topics and their settings: names, keys, how long they are kept. Partition counts are for good."""

from collections.abc import Mapping
from dataclasses import dataclass, field

INBOUND = "opinions.inbound"
LIFECYCLE = "opinions.lifecycle"
WORDS = "opinions.words"
CONTACTS = "contacts"
DELIVERIES = "alerts.deliveries"
REGISTRY = "registry"

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic: its partitions, its key in words, and the broker settings that must hold."""

    name: str
    partitions: int
    key: str
    holds: str
    config: Mapping[str, str] = field(default_factory=dict)


_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_THIRTY_DAYS = {"cleanup.policy": "delete", "retention.ms": str(30 * DAY_MS), "retention.bytes": "-1"}
_COMPACTED = {
    "cleanup.policy": "compact",
    "max.compaction.lag.ms": str(DAY_MS),
    "segment.ms": str(DAY_MS),
}

_LIVE = (
    TopicSpec(INBOUND, 12, "opinion id", "what was said, words and sealed contact included", _THIRTY_DAYS),
    TopicSpec(LIFECYCLE, 12, "opinion id", "what was decided: codes, times, ids", _FOR_EVER),
    TopicSpec(WORDS, 12, "{opinion id}/{part id}", "text, answers, notes, exact place", _COMPACTED),
    TopicSpec(CONTACTS, 12, "{opinion id}/{part id}", "sealed contacts", _COMPACTED),
    TopicSpec(DELIVERIES, 12, "alert id", "what was sent to whom by which channel", _FOR_EVER),
    TopicSpec(REGISTRY, 1, "{kind}/{id}@{version}", "the city", _COMPACTED),
)


def dead_letter(topic: str) -> str:
    """The name of the topic that holds `topic`'s dead letters."""
    return f"{topic}.dlq"


_DEAD = tuple(
    TopicSpec(dead_letter(t.name), t.partitions, t.key, f"dead letters of {t.name}, whole", _THIRTY_DAYS)
    for t in _LIVE
)

ALL: tuple[TopicSpec, ...] = _LIVE + _DEAD
BY_NAME: Mapping[str, TopicSpec] = {spec.name: spec for spec in ALL}
