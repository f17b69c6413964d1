"""Opinions as CloudEvents, over HTTP with a real broker."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from lianxin_contracts import topics
from tests.intake.running import Running
from tests.intake.small_city import FIELD, NO_SCOPE, SUBMIT
from tests.intake.topics import read_all
from tests.support.brokers import Broker


def post(api: Running, content: Any, type_: str, **headers: str) -> httpx.Response:
    return api.http.post(
        "/v1/events",
        content=json.dumps(content).encode(),
        headers={"Authorization": f"Bearer {SUBMIT}", "Content-Type": type_, **headers},
    )


def value_type(value: Any) -> str | None:
    """The event type that an example gives in its body; None in binary mode and of a batch."""
    return value.get("type") if isinstance(value, dict) else None


def event(id_: str, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": id_,
        "source": "/desk",
        "type": "opinion.submitted",
        "data": {"text": "路灯坏了"} | data,
    }


def test_one_event_in_any_mode_is_one_opinion(api: Running) -> None:
    id_ = str(uuid4())
    attributes = {"ce-specversion": "1.0", "ce-id": id_, "ce-source": "/desk", "ce-type": "opinion.submitted"}
    answers = [
        post(api, event(id_), "application/cloudevents+json"),
        post(api, {"text": "路灯坏了"}, "application/json", **attributes),
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    batch = post(api, [event(id_)], "application/cloudevents-batch+json")
    assert batch.status_code == 200
    (result,) = batch.json()["results"]
    assert answers[0].json() == answers[1].json() == {k: v for k, v in result.items() if k != "status"}


def test_each_event_of_a_batch_is_judged_on_its_own(api: Running) -> None:
    good, bad = event(str(uuid4())), event(str(uuid4()), text="")
    results = post(api, [good, bad, {}], "application/cloudevents-batch+json").json()["results"]
    assert [result["status"] for result in results] == [202, 422, 400]


def test_another_body_under_the_same_source_and_id_is_a_conflict(api: Running) -> None:
    id_ = str(uuid4())
    post(api, event(id_), "application/cloudevents+json")
    again = post(api, event(id_, title="x"), "application/cloudevents+json")
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_conflict")


@pytest.mark.parametrize("send", [to_binary_event, to_structured_event])
def test_an_outside_sender_is_understood_and_its_event_is_in_the_log(
    api: Running, city_broker: Broker, send: Any
) -> None:
    attributes = {
        "id": f"路 %41 {uuid4()}",
        "source": "/热线",
        "type": "opinion.submitted",
        "subject": '"灯"',
    }
    message = send(
        CloudEvent(
            attributes | {"specversion": "1.0", "datacontenttype": "application/json"}, {"text": "路灯坏了"}
        )
    )
    key = {"Authorization": f"Bearer {SUBMIT}"}
    answer = api.http.post("/v1/events", content=message.body, headers=message.headers | key)
    assert answer.status_code == 202, answer.text
    assert answer.json()["id"] in {event.subject for event in read_all(city_broker.bootstrap, topics.INBOUND)}
    # Another SDK sends Chinese in headers as it is: the same event.
    raw = {f"ce-{name}".encode(): value.replace("%", "%25").encode() for name, value in attributes.items()}
    raw |= {b"ce-specversion": b"1.0", b"content-type": b"application/json"}
    again = api.http.post(
        "/v1/events",
        content='{"text": "路灯坏了"}'.encode(),
        headers=[*raw.items(), (b"authorization", key["Authorization"].encode())],
    )
    assert (again.status_code, again.json()) == (202, answer.json())


def test_the_examples_of_the_documentation_are_accepted(api: Running) -> None:
    described = api.http.get("/openapi.json").json()["paths"]["/v1/events"]["post"]
    headers = {one["name"]: one["example"] for one in described["parameters"]} | {"ce-id": str(uuid4())}
    for type_, content in described["requestBody"]["content"].items():
        binary = headers if type_ == "application/json" else {}
        for name, example in content["examples"].items():
            value = json.loads(json.dumps(example["value"]).replace("transport.road", "0101"))
            key = {"Authorization": f"Bearer {FIELD}"} if value_type(value) == "visit.recorded" else {}
            answer = post(api, value, type_, **binary, **key)
            assert answer.status_code == (200 if "batch" in type_ else 202), (name, answer.text)
            if "batch" in type_:
                assert [one["status"] for one in answer.json()["results"]] == [202, 422][
                    : len(example["value"])
                ]


def test_the_handshake_grants_an_origin_to_who_may_submit(api: Running) -> None:
    asked = {"WebHook-Request-Origin": "events.example.org"}
    granted = api.http.options("/v1/events", headers=asked | {"Authorization": f"Bearer {SUBMIT}"})
    assert granted.status_code == 204
    assert granted.headers["webhook-allowed-origin"] == "events.example.org"
    assert int(granted.headers["webhook-allowed-rate"]) > 0
    refused = api.http.options("/v1/events", headers=asked | {"Authorization": f"Bearer {NO_SCOPE}"})
    assert (refused.status_code, "webhook-allowed-origin" in refused.headers) == (403, False)
    assert api.http.get("/v1/events").status_code == 405
