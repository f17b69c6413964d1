"""Opinions as CloudEvents, over HTTP with a real broker."""

import json
from typing import Any
from uuid import uuid4

import httpx

from tests.intake.running import Running
from tests.intake.small_city import SUBMIT


def post(api: Running, content: Any, type_: str, **headers: str) -> httpx.Response:
    return api.http.post(
        "/v1/events",
        content=json.dumps(content).encode(),
        headers={"Authorization": f"Bearer {SUBMIT}", "Content-Type": type_, **headers},
    )


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
