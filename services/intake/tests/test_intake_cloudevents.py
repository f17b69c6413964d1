"""CloudEvents 1.0 over HTTP: which mode a request is in, and which opinion an event means."""

from typing import Any

import pytest

from lianxin_chassis.problems import ProblemError
from lianxin_intake import cloudevents

CE = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "opinion.submitted"}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "1",
    "source": "/s",
    "type": "opinion.submitted",
    "data": {"text": "a"},
}


def refused(call: Any, *arguments: Any) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        call(*arguments)
    return caught.value


@pytest.mark.parametrize(
    ("headers", "mode"),
    [
        ({"content-type": "application/cloudevents-batch+json; charset=utf-8"}, "batch"),
        ({"content-type": "Application/CloudEvents+JSON"}, "structured"),
        ({"content-type": "application/json", **CE}, "binary"),
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
        ({"content-type": "application/cloudevents+avro"}, 415),
        ({"content-type": "application/cloudevents-batch+xml"}, 415),
        ({"content-type": "text/plain", **CE}, 415),
        ({"content-type": "application/json", "ce-id": "1"}, 400),
    ],
)
def test_what_is_no_event_of_a_known_format_is_refused(headers: dict[str, str], status: int) -> None:
    assert refused(cloudevents.mode_of, headers).status == status


def test_the_three_modes_of_one_event_mean_one_opinion() -> None:
    from_binary = cloudevents.binary(CE, b'{"text":"a"}')
    from_structured = cloudevents.structured(
        b'{"specversion":"1.0","id":"1","source":"/s","type":"opinion.submitted","data":{"text":"a"}}'
    )
    assert from_binary == from_structured == cloudevents.from_json(EVENT)


def test_source_and_id_do_not_run_into_each_other() -> None:
    one = cloudevents.from_json(EVENT | {"source": "/a:1", "id": "2"})
    two = cloudevents.from_json(EVENT | {"source": "/a", "id": "1:2"})
    assert one.key != two.key


def test_attributes_in_headers_are_unquoted_and_decoded_once() -> None:
    encoded = cloudevents.binary(CE | {"ce-id": "%E8%B7%AF%2541"}, b"{}")
    assert encoded.key.endswith(":路%41")
    assert cloudevents.binary(CE | {"ce-id": '"1"'}, b"{}") == cloudevents.binary(CE, b"{}")
    raw = "路".encode().decode("latin-1")
    assert cloudevents.binary(CE | {"ce-id": raw}, b"{}").key.endswith(":路")
    assert refused(cloudevents.binary, CE | {"ce-id": "%FF"}, b"{}").status == 400


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"specversion": "0.3"}, 400),
        ({"id": ""}, 400),
        ({"id": 1}, 400),
        ({"source": None}, 400),
        ({"type": "opinion.rated"}, 422),
        ({"data": "text"}, 400),
        ({"data_base64": "e30="}, 400),
        ({"datacontenttype": "text/xml"}, 400),
    ],
)
def test_an_incomplete_event_is_refused(change: dict[str, Any], status: int) -> None:
    assert refused(cloudevents.from_json, EVENT | change).status == status


def test_a_batch_may_be_empty_and_has_a_bound() -> None:
    assert cloudevents.batched(b"[]") == []
    assert refused(cloudevents.batched, b"[" + b",".join([b"{}"] * 501) + b"]").status == 413
    assert refused(cloudevents.batched, b"{}").status == 400
