"""How an event travels: out and back without loss, and anything else is named as undecodable."""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.contract.payloads import any_event, moments, texts

from lianxin_contracts import inbound, lifecycle, topics
from lianxin_contracts.codec import MODELS, decode
from lianxin_contracts.envelope import (
    Event,
    OutRecord,
    Undecodable,
    deletion,
    milliseconds,
    parse_time,
    rfc3339,
    to_record,
)

RawHeaders = list[tuple[str, bytes | None]]


@settings(max_examples=500)
@given(any_event, texts)
def test_every_event_comes_back_as_it_went_out(topic_and_event: tuple[str, Event], key: str):
    topic, event = topic_and_event

    record = to_record(event, topic, key)

    assert decode(topic, record.value or b"", record.headers) == event
    assert (record.topic, record.key.decode()) == (topic, key)
    assert record.timestamp_ms == milliseconds(event.recordedtime)


@given(any_event)
def test_a_record_is_a_cloud_event_in_binary_mode(topic_and_event: tuple[str, Event]):
    topic, event = topic_and_event

    headers = dict(to_record(event, topic, "k").headers)

    assert headers["ce_specversion"] == b"1.0"
    assert headers["content-type"] == b"application/json"
    assert {"ce_id", "ce_source", "ce_type", "ce_subject", "ce_time", "ce_recordedtime"} <= headers.keys()


@given(moments)
def test_a_moment_survives_its_text_to_the_microsecond(moment: datetime):
    assert parse_time(rfc3339(moment)) == moment


@given(st.datetimes(timezones=st.just(UTC)))
@example(datetime(999, 1, 1, tzinfo=UTC))
def test_a_moment_of_any_year_has_a_text_that_can_be_read(moment: datetime):
    assert parse_time(rfc3339(moment)) == moment


def test_a_moment_is_written_in_utc_whatever_its_zone():
    in_wuxi = datetime(2026, 11, 23, 16, 0, tzinfo=timezone(timedelta(hours=8)))

    assert rfc3339(in_wuxi) == "2026-11-23T08:00:00.000000Z"


def test_a_deletion_has_a_key_and_a_time_and_no_value():
    record = deletion(topics.WORDS, "opinion/text", datetime(2026, 11, 23, tzinfo=UTC))

    assert record == OutRecord(topics.WORDS, b"opinion/text", None, (), 1_795_392_000_000)


# -- damage


def accepted() -> tuple[bytes, RawHeaders]:
    """A good record of `opinion.accepted` on the lifecycle, to be damaged."""
    moment = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
    event = Event(
        id="e1",
        source="/router",
        type="opinion.accepted",
        subject="o1",
        time=moment,
        recordedtime=moment,
        data=lifecycle.Accepted(inbound.Actor("deputy", "D-1")),
        sequence=3,
    )
    record = to_record(event, topics.LIFECYCLE, "o1")
    return record.value or b"", list(record.headers)


def without(name: str) -> RawHeaders:
    return [(n, raw) for n, raw in accepted()[1] if n != name]


def with_header(name: str, raw: bytes | None) -> RawHeaders:
    return [*without(name), (name, raw)]


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (without("ce_id"), "no header ce_id"),
        (without("ce_source"), "no header ce_source"),
        (without("ce_type"), "no header ce_type"),
        (without("ce_time"), "no header ce_time"),
        (without("ce_specversion"), "no header ce_specversion"),
        (without("ce_sequence"), "without ce_sequence"),
        ([], "no header"),
        (with_header("ce_id", b""), "no header ce_id"),
        (with_header("ce_id", None), "no header ce_id"),
        (with_header("ce_id", b"\xff"), "not UTF-8"),
        (with_header("ce_specversion", b"0.3"), "version '0.3'"),
        (with_header("ce_type", b"opinion.imagined"), "'opinion.imagined' is not known"),
        (with_header("ce_time", b"yesterday"), "can't be read"),
        (with_header("ce_time", b"2026-11-23T08:00:00"), "no time zone"),
        (with_header("ce_time", b"0001-01-01T00:00:00+14:00"), "out of range"),
        (with_header("ce_recordedtime", b"2026-13-01T00:00:00Z"), "can't be read"),
        (with_header("ce_sequence", b"three"), "no sequence number"),
        (with_header("ce_sequence", b"0"), "no sequence number"),
        (with_header("ce_sequence", b"-1"), "no sequence number"),
        (with_header("ce_sequence", b"1_0"), "no sequence number"),
        (with_header("ce_sequence", "三".encode()), "no sequence number"),
    ],
)
def test_damaged_headers_are_named(headers: RawHeaders, said: str):
    with pytest.raises(Undecodable, match=said):
        decode(topics.LIFECYCLE, accepted()[0], headers)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not json", id="not JSON"),
        pytest.param(b'{"actor":{"kind":"deputy","id":"D-1"}', id="cut off"),
        pytest.param(b'{"actor":{"kind":"deputy","id":"D-1"}}{}', id="something behind it"),
        pytest.param(b"[]", id="not an object"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{}", id="a field is missing"),
        pytest.param(b'{"actor":"D-1"}', id="of another type"),
        pytest.param(b'{"actor":{"kind":"mayor","id":"D-1"}}', id="an unknown value"),
        pytest.param(b'{"actor":{"kind":"deputy","id":"\xff"}}', id="not UTF-8"),
        pytest.param(b'{"actor":{"kind":"deputy","id":"\\ud800"}}', id="half a surrogate pair"),
        pytest.param(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="nested without end"),
    ],
)
def test_a_damaged_payload_is_named(value: bytes):
    with pytest.raises(Undecodable, match=r"payload of opinion\.accepted"):
        decode(topics.LIFECYCLE, value, accepted()[1])


def test_a_time_without_a_zone_in_a_payload_is_damage():
    value = b'{"clock":"resolve","due":"2026-11-23T08:00:00"}'
    headers = [("ce_type", b"case.due"), *without("ce_type")]

    with pytest.raises(Undecodable, match="due"):
        decode(topics.INBOUND, value, headers)


def test_a_topic_of_which_no_events_are_known_is_named():
    with pytest.raises(Undecodable, match=r"weather"):
        decode("weather", *accepted())


def test_an_event_of_one_topic_is_not_read_from_another():
    with pytest.raises(Undecodable, match="not known on"):
        decode(topics.DELIVERIES, *accepted())


@pytest.mark.parametrize("change", [str.upper, str.title], ids=["upper case", "title case"])
def test_header_names_are_read_in_any_case(change: Callable[[str], str]):
    value, headers = accepted()

    assert decode(topics.LIFECYCLE, value, [(change(n), raw) for n, raw in headers]).sequence == 3


def outcome(topic: str, value: bytes, headers: Iterable[tuple[str, bytes | None]]) -> Event | str:
    """The event, or what is said to be wrong with the record. Any other exception goes through."""
    try:
        return decode(topic, value, headers)
    except Undecodable as error:
        return str(error)


HEADER_NAMES = ["ce_id", "ce_type", "ce_time", "ce_source", "ce_specversion", "ce_sequence", "x"]
GOOD_VALUES = [b"1.0", b"opinion.closed", b"2026-11-23T08:00:00Z"]
some_json = st.recursive(st.none() | st.integers() | texts, st.lists).map(json.dumps).map(str.encode)
header_values = st.none() | st.binary(max_size=30) | st.sampled_from(GOOD_VALUES)


@settings(max_examples=300)
@given(
    topic=st.sampled_from([*MODELS, "weather"]),
    value=st.binary(max_size=60) | some_json,
    headers=st.lists(st.tuples(st.sampled_from(HEADER_NAMES), header_values)),
)
def test_whatever_a_record_holds_it_is_an_event_or_undecodable(topic: str, value: bytes, headers: RawHeaders):
    found = outcome(topic, value, headers)

    assert found
    assert isinstance(found, str) or found.type in MODELS[topic]


@settings(max_examples=200)
@given(any_event, st.data())
def test_an_event_whose_bytes_were_changed_is_read_or_undecodable_and_nothing_else(
    topic_and_event: tuple[str, Event], data: st.DataObject
):
    topic, event = topic_and_event
    value = bytearray(msgspec.json.encode(event.data))
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))

    found = outcome(topic, bytes(value), to_record(event, topic, "k").headers)

    assert isinstance(found, Event) or event.type in found
