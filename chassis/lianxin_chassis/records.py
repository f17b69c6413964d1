"""A record as it was read. What is to be written is `lianxin_contracts.envelope.OutRecord`."""

from dataclasses import dataclass

from lianxin_contracts.envelope import Event

# Kafka allows a header without a value.
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record, byte for byte. `timestamp_ms` is milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Message:
    """A record and what it says. `event` is None for a deletion (a record without a value)."""

    record: Record
    event: Event | None
    key: str
