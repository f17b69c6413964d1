"""One event as it travels: a CloudEvent 1.0 in Kafka binary mode.

Attributes travel as `ce_*` headers, the payload as the JSON value. See CloudEvents 1.0, Kafka protocol
binding. Extension attributes: `recordedtime` (when a service received it), `causationid` (what it follows
from) and, on the lifecycle, `sequence` (1, 2, 3 … per case without gaps) and `continues` (`true` where the
next event of the case belongs to the same decision; absent on the last one, and on all written before there
was such an attribute).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

Headers = tuple[tuple[str, bytes], ...]

CONTENT_TYPE = "application/json"
SPEC_VERSION = "1.0"


class Undecodable(Exception):
    """A record that is no event of ours: `str()` says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded event. Times are timezone-aware UTC; `time` is when it happened, `recordedtime` when a
    service received it. `data` is a payload model of `contracts`."""

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    recordedtime: datetime
    data: msgspec.Struct
    causationid: str | None = None
    sequence: int | None = None
    traceparent: str | None = None
    continues: bool = False


@dataclass(frozen=True, slots=True)
class OutRecord:
    """A record to be written. `value` None is a deletion (compacted topics only); `timestamp_ms` is the
    event's `recordedtime` in milliseconds since the epoch."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers
    timestamp_ms: int


def milliseconds(moment: datetime) -> int:
    """Milliseconds since the epoch of an aware `moment`, exact (no floating point)."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def rfc3339(moment: datetime) -> str:
    """An aware `moment` as RFC 3339 in UTC with microseconds, `2026-11-23T08:00:00.000000Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def parse_time(text: str) -> datetime:
    """The UTC moment that an RFC 3339 text names. Raises ValueError where it names none or has no zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is out of range") from error


def parse_sequence(text: str) -> int:
    """The number that a `ce_sequence` names: 1, 2, 3 …. Raises ValueError for anything else."""
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise ValueError(f"{text!r} is no sequence number")
    return int(text)


def to_record(event: Event, topic: str, key: str) -> OutRecord:
    """The record that carries `event` on `topic` under `key`."""
    headers = [
        ("ce_specversion", SPEC_VERSION),
        ("ce_id", event.id),
        ("ce_source", event.source),
        ("ce_type", event.type),
        ("ce_subject", event.subject),
        ("ce_time", rfc3339(event.time)),
        ("ce_recordedtime", rfc3339(event.recordedtime)),
        ("content-type", CONTENT_TYPE),
    ]
    if event.causationid is not None:
        headers.append(("ce_causationid", event.causationid))
    if event.sequence is not None:
        headers.append(("ce_sequence", str(event.sequence)))
    if event.continues:
        headers.append(("ce_continues", "true"))
    if event.traceparent is not None:
        headers.append(("traceparent", event.traceparent))
    return OutRecord(
        topic=topic,
        key=key.encode(),
        value=msgspec.json.encode(event.data),
        headers=tuple((name, text.encode()) for name, text in headers),
        timestamp_ms=milliseconds(event.recordedtime),
    )


def deletion(topic: str, key: str, at: datetime) -> OutRecord:
    """The record that deletes `key` from a compacted topic at the aware moment `at`."""
    return OutRecord(topic=topic, key=key.encode(), value=None, headers=(), timestamp_ms=milliseconds(at))


def from_record(
    topic: str,
    value: bytes,
    headers: Iterable[tuple[str, bytes | None]],
    models: dict[str, type[msgspec.Struct]],
) -> Event:
    """Decode one record of `topic` whose known types are `models` (type name to payload model).

    Raises `Undecodable`, saying what is wrong, for anything else than a well-formed event of a known type; a
    header without a value, which Kafka allows, counts as absent.
    """
    try:
        texts = {name.lower(): raw.decode() for name, raw in headers if raw is not None}
    except UnicodeDecodeError as error:
        raise Undecodable(f"a header is not UTF-8: {error}") from error
    missing = [n for n in ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time") if not texts.get(n)]
    if missing:
        raise Undecodable(f"no header {', '.join(missing)}")
    if texts["ce_specversion"] != SPEC_VERSION:
        raise Undecodable(f"CloudEvents version {texts['ce_specversion']!r}, expected {SPEC_VERSION}")
    model = models.get(texts["ce_type"])
    if model is None:
        raise Undecodable(f"type {texts['ce_type']!r} is not known on {topic}")
    try:
        data = msgspec.json.decode(value, type=model)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"payload of {texts['ce_type']}: {error}") from error
    try:
        time = parse_time(texts["ce_time"])
        recorded = parse_time(texts.get("ce_recordedtime", texts["ce_time"]))
        sequence = parse_sequence(texts["ce_sequence"]) if "ce_sequence" in texts else None
    except ValueError as error:
        raise Undecodable(f"a header can't be read: {error}") from error
    return Event(
        id=texts["ce_id"],
        source=texts["ce_source"],
        type=texts["ce_type"],
        subject=texts.get("ce_subject", ""),
        time=time,
        recordedtime=recorded,
        data=data,
        causationid=texts.get("ce_causationid"),
        sequence=sequence,
        traceparent=texts.get("traceparent"),
        continues=texts.get("ce_continues") == "true",
    )
