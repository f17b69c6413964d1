"""CloudEvents 1.0 over HTTP: which mode a request is in, what an event holds, which opinion it means."""

import base64
import json
from typing import Any

import pytest

from lianxin_chassis.problems import ProblemError
from lianxin_intake import cloudevents, opinion
from lianxin_intake.cloudevents import CloudEvent

CE = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "opinion.submitted"}
BINARY = CE | {"content-type": "application/json"}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "/s",
    "type": "opinion.submitted",
    "data": {"text": "a"},
}


def structured(event: Any) -> CloudEvent:
    return cloudevents.structured(json.dumps(event, separators=(",", ":")).encode())


def in_header(id_: str) -> Any:
    return cloudevents.binary(BINARY | {"ce-id": id_}, b"{}").attributes["id"]


def refused(call: Any, *arguments: Any) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        call(*arguments)
    return caught.value


def refused_with(**change: Any) -> ProblemError:
    return refused(lambda: cloudevents.submission(structured(EVENT | change)))


@pytest.mark.parametrize(
    ("headers", "mode"),
    [
        ({"content-type": "application/cloudevents-batch+json; charset=utf-8"}, "batch"),
        ({"content-type": "Application/CloudEvents-Batch+JSON"}, "batch"),
        ({"content-type": "Application/CloudEvents+JSON"}, "structured"),
        ({"content-type": "application/cloudevents+json; charset=UTF-8", **CE}, "structured"),
        (BINARY, "binary"),
    ],
)
def test_the_mode_follows_from_the_content_type_and_batch_is_not_taken_for_structured(
    headers: dict[str, str], mode: str
) -> None:
    assert cloudevents.mode_of(headers) == mode


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 415),
        ({"content-type": "application/json"}, 415),
        ({"content-type": "application/cloudevents"}, 415),
        ({"content-type": "application/cloudevents+avro"}, 415),
        ({"content-type": "application/cloudevents+protobuf", **CE}, 415),
        ({"content-type": "application/cloudevents-batch+xml"}, 415),
        ({"content-type": "application/cloudevents+json; charset=gbk"}, 415),
        ({"content-type": "application/cloudevents+json", "content-encoding": "gzip"}, 415),
        (BINARY | {"content-encoding": "gzip"}, 415),
        (CE | {"content-type": "application/json; charset=gbk"}, 415),
        ({"content-type": "application/json", "ce-id": "1"}, 400),
    ],
)
def test_what_is_no_event_of_a_known_format_is_refused(headers: dict[str, str], status: int) -> None:
    assert refused(cloudevents.mode_of, headers).status == status


def test_the_three_modes_of_one_event_mean_one_opinion() -> None:
    raw = json.dumps(EVENT, separators=(",", ":")).encode()
    (in_batch,) = cloudevents.batched(b"[" + raw + b"]")
    events = (
        cloudevents.binary(BINARY, b'{"text":"a"}'),
        cloudevents.structured(raw),
        cloudevents.structured(in_batch),
    )
    assert len({cloudevents.submission(event) for event in events}) == 1


def test_source_and_id_do_not_run_into_each_other() -> None:
    one = cloudevents.submission(structured(EVENT | {"source": "/a:1", "id": "2"}))
    two = cloudevents.submission(structured(EVENT | {"source": "/a", "id": "1:2"}))
    assert one.key != two.key


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("%E8%B7%AF", "路"),
        ("%2541", "%41"),  # decoded once
        ("a%20b%22c", 'a b"c'),
        ("路".encode().decode("latin-1"), "路"),  # as it is, though it should be percent-encoded
        ('"1"', "1"),
        (r'"a\"b\\c\d"', r'a"b\cd'),
        (r'"\\\""', r"\""),
        ('"%E8%B7%AF"', "路"),  # unquoted first, then decoded
        ("%22a%22", '"a"'),  # and not the other way round
        ("100%", "100%"),
        ("%zz", "%zz"),
    ],
)
def test_an_attribute_in_a_header_is_unquoted_and_then_decoded_once(sent: str, meant: str) -> None:
    assert in_header(sent) == meant


@pytest.mark.parametrize("sent", ["%FF", "\xff", "%C0%AF", "%ED%A0%80", "%F4%90%80%80", "%E8%B7"])
def test_an_attribute_that_is_no_utf8_is_refused(sent: str) -> None:
    assert refused(in_header, sent).status == 400


@pytest.mark.parametrize("sent", ["%00", "a%0Ab", "%7F", "%C2%85", "%EF%BF%BF", "%EF%B7%90", ""])
def test_an_attribute_holds_no_control_characters_and_is_not_empty(sent: str) -> None:
    assert refused(in_header, sent).status == 400


def test_binary_mode_says_what_its_data_is_in_content_type_alone() -> None:
    given = BINARY | {"content-type": "application/json; charset=utf-8"}
    assert cloudevents.binary(given, b"{}").attributes["datacontenttype"] == given["content-type"]
    assert refused(cloudevents.binary, BINARY | {"ce-datacontenttype": "application/json"}, b"{}")


@pytest.mark.parametrize("name", ["ce-", "ce-my-own", "ce-data", "ce-data_base64", "ce-a.b", "ce-Ä"])
def test_a_header_that_names_no_attribute_is_refused(name: str) -> None:
    assert refused(cloudevents.binary, BINARY | {name: "x"}, b"{}").status == 400


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"specversion": "0.3"}, 400),
        ({"specversion": None}, 400),
        ({"id": ""}, 400),
        ({"id": 1}, 400),
        ({"id": "x" * 1025}, 400),
        ({"source": None}, 400),
        ({"type": ["opinion.submitted"]}, 400),
        ({"type": "opinion.rated"}, 422),
        ({"datacontenttype": "text/xml"}, 415),
        ({"datacontenttype": "application/json; charset=gbk"}, 415),
        ({"data": None}, 400),
        ({"data_base64": "e30="}, 400),
    ],
)
def test_an_event_that_brings_no_opinion_is_refused(change: dict[str, Any], status: int) -> None:
    assert refused_with(**change).status == status


@pytest.mark.parametrize(
    "content", ["application/json", "Application/JSON; charset=UTF-8", "text/x+json", None]
)
def test_data_may_be_of_any_media_type_that_is_json(content: str | None) -> None:
    assert cloudevents.submission(structured(EVENT | {"datacontenttype": content})).raw == b'{"text":"a"}'


def test_data_may_come_as_base64_instead() -> None:
    event = {**EVENT, "data_base64": base64.b64encode(b'{"text":"a"}').decode()}
    del event["data"]
    assert cloudevents.submission(structured(event)) == cloudevents.submission(structured(EVENT))
    for wrong in ("e3", "e30=\n", "路", 7, {}):
        assert refused(structured, event | {"data_base64": wrong}).status == 400


def test_data_is_handed_on_byte_for_byte() -> None:
    """What JSON in between would round or order anew would not be the sender's own words any more."""
    raw = b'{ "text":"\\u8def",  "location":{"lon":120.30000000000000001,"lat":31.0} }'
    event = json.dumps(EVENT).encode().replace(b'{"text": "a"}', raw)
    assert cloudevents.submission(cloudevents.structured(event)).raw == raw


def test_what_dataref_points_to_is_not_fetched_and_needs_the_data_beside_it() -> None:
    link = "https://files.example.org/路灯.jpg"
    assert cloudevents.submission(structured(EVENT | {"dataref": link})).raw == b'{"text":"a"}'
    assert refused_with(dataref=link, data=None).code == "dataref_not_fetched"
    assert refused_with(dataref="no link").status == 400


def test_an_event_may_name_its_own_trace() -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert cloudevents.submission(structured(EVENT | {"traceparent": trace})).traceparent == trace
    assert cloudevents.submission(structured(EVENT | {"traceparent": True})).traceparent is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'"x"',
        b"\xff",
        b'{"id":"\xff"}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert refused(cloudevents.structured, body).status == 400


@pytest.mark.parametrize("value", [b'"\\ud800"', b"1e999", b"9" * 5000, b"[[" * 50_000, b"NaN"])
def test_an_attribute_that_no_program_can_hold_is_refused(value: bytes) -> None:
    body = b'{"specversion":"1.0","id":"1","source":"/s","type":"opinion.submitted","x":' + value + b"}"
    assert refused(cloudevents.structured, body).status == 400


def test_a_batch_may_be_empty_and_has_a_bound() -> None:
    assert cloudevents.batched(b"[]") == []
    assert cloudevents.batched(b'[1, "x", {}]') == [b"1", b'"x"', b"{}"]  # judged each on its own
    assert refused(cloudevents.batched, b"[" + b",".join([b"{}"] * 501) + b"]").status == 413
    for no_list in (b"{}", b"null", b"", b"[,]", b"[" * 100_000):
        assert refused(cloudevents.batched, no_list).status == 400


def test_a_batch_beyond_its_bound_is_not_read_to_its_end() -> None:
    """8 MiB of small values would become 280 MB before they are counted."""
    assert refused(cloudevents.batched, b"[" + b"1," * 501 + b"no JSON").status == 413


def test_an_event_of_a_batch_is_no_larger_than_one_that_comes_alone() -> None:
    body = json.dumps(EVENT | {"data": {"text": "x" * opinion.MAX_BYTES}}).encode()
    assert refused(cloudevents.structured, body).status == 413


def test_an_event_of_64_kib_is_taken() -> None:
    assert structured(EVENT | {"comment": "x" * 64 * 1024}).attributes["comment"]
