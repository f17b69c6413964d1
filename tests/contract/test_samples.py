"""One committed sample of every type ever written, and today's code reads it.

A sample is never changed and never removed: it stands for the records that lie in the log for good. A new
type comes with a new one.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.contract.payloads import EVERY_TYPE

from lianxin_contracts.codec import decode
from lianxin_contracts.envelope import milliseconds

FOLDER = Path(__file__).parent / "samples"


@dataclass(frozen=True)
class Sample:
    """A record as it was written."""

    topic: str
    type: str
    key: str
    timestamp_ms: int
    headers: dict[str, str]
    value: dict[str, Any]

    def raw_headers(self) -> list[tuple[str, bytes]]:
        return [(name, text.encode()) for name, text in self.headers.items()]


def samples() -> list[Sample]:
    return [
        Sample(topic=path.parent.name, type=path.stem, **json.loads(path.read_text("utf-8")))
        for path in sorted(FOLDER.glob("*/*.json"))
    ]


every_sample = pytest.mark.parametrize("sample", samples(), ids=lambda s: f"{s.topic}-{s.type}")


def holds(whole: Any, part: Any) -> bool:
    """Whether `whole` is `part` with nothing but further fields."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and holds(whole[k], v) for k, v in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(holds, whole, part))
    return bool(whole == part)


def as_json(payload: msgspec.Struct) -> Any:
    return json.loads(msgspec.json.encode(payload))


@pytest.mark.parametrize(("topic", "type_"), EVERY_TYPE)
def test_every_type_has_a_sample(topic, type_):
    assert (FOLDER / topic / f"{type_}.json").is_file(), "a new type comes with a sample of it"


@every_sample
def test_a_sample_is_read_as_it_was_written(sample: Sample):
    event = decode(sample.topic, json.dumps(sample.value).encode(), sample.raw_headers())

    assert holds(as_json(event.data), sample.value)
    assert (event.id, event.source, event.type) == tuple(
        sample.headers[name] for name in ("ce_id", "ce_source", "ce_type")
    )
    assert event.type == sample.type
    assert event.subject == sample.headers["ce_subject"]
    assert event.time == datetime.fromisoformat(sample.headers["ce_time"])
    assert event.recordedtime == datetime.fromisoformat(sample.headers["ce_recordedtime"])
    assert event.causationid == sample.headers.get("ce_causationid")
    assert event.traceparent == sample.headers.get("traceparent")
    assert event.continues == ("ce_continues" in sample.headers)
    assert str(event.sequence or "") == sample.headers.get("ce_sequence", "")


@every_sample
def test_the_kafka_timestamp_is_the_recorded_time(sample: Sample):
    recorded = datetime.fromisoformat(sample.headers["ce_recordedtime"])

    assert sample.timestamp_ms == milliseconds(recorded)


def with_unknown_fields(payload: Any) -> Any:
    """`payload` as JSON, with a field more in every object that is a model."""
    if isinstance(payload, msgspec.Struct):
        fields = {name: with_unknown_fields(getattr(payload, name)) for name in payload.__struct_fields__}
        return fields | {"from_later": [{"a newer service": "knows more"}]}
    if isinstance(payload, tuple):
        return [with_unknown_fields(item) for item in payload]
    return msgspec.to_builtins(payload)


@every_sample
def test_fields_and_headers_of_a_newer_writer_are_ignored(sample: Sample):
    known = decode(sample.topic, json.dumps(sample.value).encode(), sample.raw_headers())
    value = json.dumps(with_unknown_fields(known.data)).encode()

    newer = decode(sample.topic, value, [*sample.raw_headers(), ("ce_fromlater", b"1")])

    assert newer == known
