"""The scenarios of the CloudEvents project's conformance suite, as steps in our own words: its feature of
the HTTP protocol binding, and its lists of good and bad events and batches in the JSON format.

They speak of events of any type, so they are held against what reads events, before the type is asked for.
The suite: https://github.com/cloudevents/conformance, features/http-protocol-binding.feature, format/json.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from lianxin_chassis.problems import ProblemError
from lianxin_intake import cloudevents
from lianxin_intake.cloudevents import CloudEvent

ATTRIBUTES = {
    "specversion": "1.0",
    "type": "org.example.lamp.dark",
    "source": "/lamps/yangming",
    "id": "lamp-17",
    "time": "2026-11-23T08:15:30Z",
}
LEAST = {name: ATTRIBUTES[name] for name in ("specversion", "type", "source", "id")}
DATA = {"lamp": 17}


def parsed(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    """When a request is parsed, in whatever mode it says."""
    lower = {name.lower(): value for name, value in headers.items()}
    if cloudevents.mode_of(lower) == "binary":
        return cloudevents.binary(lower, body)
    return cloudevents.structured(body)


def read(event: Any) -> CloudEvent:
    return cloudevents.structured(json.dumps(event).encode())


def taken_from(batch: list[Any]) -> list[bool]:
    """For each event of a batch, whether it is one."""
    found = []
    for one in cloudevents.batched(json.dumps(batch).encode()):
        try:
            cloudevents.structured(one)
        except ProblemError:
            found.append(False)
        else:
            found.append(True)
    return found


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_http_binding_binary_mode_the_attributes_come_from_headers(content_type: str) -> None:
    headers = {f"ce-{name}": value for name, value in ATTRIBUTES.items()} | {"Content-Type": content_type}
    event = parsed(headers, json.dumps(DATA, indent=2).encode())
    assert event.attributes == ATTRIBUTES | {"datacontenttype": content_type}
    assert json.loads(event.data or b"") == DATA


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"]
)
def test_http_binding_structured_mode_the_attributes_come_from_the_body(content_type: str) -> None:
    attributes = ATTRIBUTES | {"datacontenttype": "application/json"}
    event = parsed({"Content-Type": content_type}, json.dumps(attributes | {"data": DATA}, indent=2).encode())
    assert event.attributes == attributes
    assert json.loads(event.data or b"") == DATA


@pytest.mark.parametrize(
    "further",
    [
        pytest.param({}, id="nothing beside what is required"),
        pytest.param({"datacontenttype": "text/plain", "dataschema": "https://example.org/lamp",
                      "subject": "17", "time": "2026-11-23T08:15:30Z"}, id="every attribute"),
        pytest.param({"time": "2026-11-23T08:15:30.123456789Z"}, id="nanoseconds"),
        pytest.param({"time": "2026-11-23T16:15:30+08:00"}, id="east of Greenwich"),
        pytest.param({"time": "2026-11-23T03:15:30-05:00"}, id="west of Greenwich"),
        pytest.param({"time": "2016-12-31T23:59:60Z"}, id="a leap second"),
        pytest.param({"source": "#lamps"}, id="a source that is a fragment"),
        pytest.param({"datacontenttype": "text/plain", "data": "dark"}, id="text as data"),
        pytest.param({"whole": 17, "truth": False, "text": "x", "uri": "https://example.org",
                      "reference": "//example.org/x", "moment": "2026-11-23T08:15:30Z", "bytes": "bHg="},
                     id="extensions of every type"),
    ],
)  # fmt: skip
def test_json_format_a_good_event_is_read_as_it_is(further: dict[str, Any]) -> None:
    expected = LEAST | {name: value for name, value in further.items() if name != "data"}
    assert read(LEAST | further).attributes == expected


def test_json_format_null_means_that_an_attribute_is_not_there() -> None:
    nulls = dict.fromkeys(("datacontenttype", "dataschema", "subject", "time"))
    assert read(LEAST | nulls).attributes == LEAST


@pytest.mark.parametrize("missing", LEAST)
def test_json_format_a_required_attribute_is_there_and_not_empty(missing: str) -> None:
    for event in ({name: value for name, value in LEAST.items() if name != missing}, LEAST | {missing: ""}):
        with pytest.raises(ProblemError) as caught:
            read(event)
        assert (caught.value.status, caught.value.code) == (400, "bad_event")
        assert missing in caught.value.detail


@pytest.mark.parametrize(
    "further",
    [
        *({"time": time} for time in (
            "teatime", "2026-11-23", "2026-11-23T08:15Z", "2026-11-23T08:15:30", "2026-11-23T08:15:30Y",
            "2026-11-23T08:15:30+24:00", "2026-11-23T08:15:30+08:60", "2026-11-23T08:15:30+ab:00",
            "2026-11-23T08:15:30+08", "2026-13-23T08:15:30Z", "2026-02-30T08:15:30Z", "2026-11-23 08:15:30Z",
            "2026-11-23T08:15:30Z\n", "２026-11-23T08:15:30Z", 1795421730,
        )),
        *({"specversion": version} for version in ("0.9", "1", "1.0.0", 1)),
        *({"datacontenttype": type_} for type_ in ("", "abc", "/json", "a b/c")),
        *({"dataschema": schema} for schema in ("", "/relative", "https://ex ample.org")),
        *({"source": source} for source in ("a b", "/a%2", "7:x", "https://<x>", "https:")),
        {"subject": ""},
        {"id": 17},
        {"id": {"a": "b"}},
        {"MyOwn": "x"},
        {"my.own": "x"},
        {"my_own": "x"},
        {"": "x"},
        {"fraction": 1.5},
        {"large": 2**31},
        {"list": ["x"]},
        {"control": "a\tb"},
        {"data": "x", "data_base64": "eA=="},
    ],
    ids=repr,
)  # fmt: skip
def test_json_format_a_bad_event_is_refused(further: dict[str, Any]) -> None:
    with pytest.raises(ProblemError) as caught:
        read(LEAST | further)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "batch",
    [
        [],
        [LEAST],
        [LEAST, LEAST],
        [LEAST, ATTRIBUTES | {"datacontenttype": "text/plain", "subject": "17"}],
        [LEAST, LEAST | {"whole": 17, "truth": True}],
    ],
)
def test_json_format_every_event_of_a_good_batch_is_taken(batch: list[Any]) -> None:
    assert taken_from(batch) == [True] * len(batch)


@pytest.mark.parametrize(
    ("batch", "taken"),
    [
        ([LEAST, LEAST | {"specversion": "0.9"}], [True, False]),
        ([{"specversion": "1.0"}, LEAST], [False, True]),
        (["no event", LEAST, 17, None, []], [False, True, False, False, False]),
    ],
)
def test_json_format_a_bad_event_of_a_batch_is_refused_alone(batch: list[Any], taken: list[bool]) -> None:
    """The suite calls such a batch bad; our answer to it says so of each event that is."""
    assert taken_from(batch) == taken
