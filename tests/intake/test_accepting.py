"""Handing in opinions over HTTP, with a real broker behind it."""

import base64
import json
from uuid import uuid4

import pytest
from nacl.public import SealedBox

from lianxin_contracts import inbound, topics
from lianxin_intake.tracking import TrackingCodes
from tests.intake.running import PRIVATE_KEY, SECRET, Running
from tests.intake.small_city import DESK, GRID, NO_SCOPE, OTHER, REPLAY, REVOKED, SUBMIT
from tests.intake.topics import said_of
from tests.support.brokers import Broker


def submissions(broker: Broker, opinion: str) -> list[inbound.Submitted]:
    events = said_of(broker.bootstrap, topics.INBOUND, opinion)
    return [event.data for event in events if isinstance(event.data, inbound.Submitted)]


def test_an_accepted_opinion_is_in_the_log_with_everything_that_was_said(
    api: Running, city_broker: Broker
) -> None:
    body = {
        "text": "路灯坏了",
        "title": "路灯",
        "topic": "0101",
        "station": "S1",
        "grid": GRID,
        "location": {"lat": 31.57, "lon": 120.3, "crs": "gcj02"},
        "address": "金匮桥",
        "external_id": str(uuid4()),
        "language": "zh",
    }
    answer = api.submit(body, SUBMIT)
    assert answer.status_code == 202, answer.text
    receipt = answer.json()
    assert set(receipt) == {"id", "tracking_code", "status_url"}
    assert TrackingCodes(SECRET.encode()).opens(receipt["tracking_code"], receipt["id"])
    assert receipt["status_url"] == answer.headers["location"] == f"{api.url}/v1/opinions/{receipt['id']}"
    (said,) = submissions(city_broker, receipt["id"])
    assert (said.channel, said.text, said.title, said.topic) == ("app", "路灯坏了", "路灯", "0101")
    assert (said.station, said.grid, said.address) == ("S1", GRID, "金匮桥")
    assert said.place == inbound.Place(31.57, 120.3, "gcj02")
    assert said.external_id == body["external_id"]
    assert said.entry == "direct"


def test_the_contact_is_in_the_log_only_sealed(api: Running, city_broker: Broker) -> None:
    contact = {"name": "王女士", "phone": "+86 510 87654321", "email": "w@example.org"}
    receipt = api.submit({"text": "请回电", "contact": contact}, SUBMIT).json()
    (said,) = submissions(city_broker, receipt["id"])
    assert said.contact is not None
    # With it the tracking code, for messages to the resident: nobody else can open this.
    sealed = contact | {"code": receipt["tracking_code"]}
    assert json.loads(SealedBox(PRIVATE_KEY).decrypt(base64.b64decode(said.contact))) == sealed
    assert "87654321" not in repr(said)
    assert "87654321" not in api.log()


@pytest.mark.parametrize("by", ["idempotency_key", "external_id"])
def test_the_same_request_twice_is_one_opinion_answered_alike(
    api: Running, city_broker: Broker, by: str
) -> None:
    name = str(uuid4())
    body = {"text": "噪音"} | ({"external_id": name} if by == "external_id" else {})
    key = name if by == "idempotency_key" else None
    first, second = (api.submit(body, SUBMIT, key) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    events = said_of(city_broker.bootstrap, topics.INBOUND, first.json()["id"])
    assert len({event.id for event in events}) == 1


def test_the_same_key_from_two_channels_means_two_opinions(api: Running) -> None:
    key = str(uuid4())
    assert (
        api.submit({"text": "x"}, SUBMIT, key).json()["id"]
        != api.submit({"text": "x"}, OTHER, key).json()["id"]
    )


def test_the_idempotency_key_goes_before_the_external_id(api: Running) -> None:
    external = str(uuid4())
    one = api.submit({"text": "x", "external_id": external}, SUBMIT, str(uuid4())).json()["id"]
    two = api.submit({"text": "x", "external_id": external}, SUBMIT, str(uuid4())).json()["id"]
    assert one != two


def test_another_body_under_the_same_key_is_refused_and_not_written(
    api: Running, city_broker: Broker
) -> None:
    key = str(uuid4())
    first = api.submit({"text": "one"}, SUBMIT, key).json()
    second = api.submit({"text": "two"}, SUBMIT, key)
    assert second.status_code == 409
    assert second.json()["code"] == "idempotency_conflict"
    assert [said.text for said in submissions(city_broker, first["id"])] == ["one"]


def test_another_contact_under_the_same_key_is_a_repeat(api: Running) -> None:
    key = str(uuid4())
    first = api.submit({"text": "one", "contact": {"phone": "110"}}, SUBMIT, key)
    second = api.submit({"text": "one", "contact": {"phone": "119"}}, SUBMIT, key)
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] == second.json()["id"]


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 401, "unauthorized"),
        ("unknown", 401, "unauthorized"),
        (REVOKED, 401, "unauthorized"),
        (NO_SCOPE, 403, "scope_missing"),
    ],
)
def test_only_a_known_key_with_the_scope_may_submit(
    api: Running, key: str | None, status: int, code: str
) -> None:
    answer = api.post("/v1/opinions", {"text": "x"}, key)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"text": "x", "topic": "9999"}, "topic", "unknown_topic"),
        ({"text": "x", "station": "S9"}, "station", "unknown_station"),
        ({"text": "x", "grid": "1"}, "grid", "unknown_grid"),
        ({"text": "x", "attachments": ["a"]}, "attachments", "unknown_attachment"),
        ({"text": " "}, "text", "missing"),
        ({}, "text", "missing"),
        ({"text": "x" * 10_001}, "text", "too_long"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field(
    api: Running, body: dict[str, object], field: str, code: str
) -> None:
    answer = api.submit(body, SUBMIT)
    assert answer.status_code == 422
    assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [(field, code)]


def test_an_earlier_time_needs_the_scope_backdate(api: Running, city_broker: Broker) -> None:
    body = {"text": "x", "occurred_at": "2020-01-01T08:00:00+08:00"}
    assert api.submit(body, SUBMIT).status_code == 403
    assert api.submit(body, DESK).json()["code"] == "too_long_ago"
    accepted = api.submit(body, REPLAY)
    assert accepted.status_code == 202
    (event,) = said_of(city_broker.bootstrap, topics.INBOUND, accepted.json()["id"])
    assert event.time.isoformat() == "2020-01-01T00:00:00+00:00"
    assert event.recordedtime.year > 2020


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{", {"Content-Type": "application/json"}, 400, "malformed"),
        (b'{"text": 1}', {"Content-Type": "application/json"}, 400, "wrong_type"),
        (b'{"text": "x", "colour": 1}', {"Content-Type": "application/json"}, 400, "unknown_field"),
        (b'{"text": "x"}', {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b'{"text": "x"}', {}, 415, "unsupported_media_type"),
        (b'{"text": "' + b"x" * 262_144 + b'"}', {"Content-Type": "application/json"}, 413, "too_large"),
        (b'{"text": "x"}', {"Content-Type": "application/json", "Idempotency-Key": "k" * 300}, 400,
         "bad_idempotency_key"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_words(
    api: Running, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = api.http.post(
        "/v1/opinions", content=content, headers={"Authorization": f"Bearer {SUBMIT}", **headers}
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["detail"]


def test_a_body_without_an_announced_length_is_cut_off_at_the_limit(api: Running) -> None:
    def endless():  # type: ignore[no-untyped-def]
        yield b'{"text": "'
        for _ in range(64):
            yield b"x" * 16_384

    headers = {"Authorization": f"Bearer {SUBMIT}", "Content-Type": "application/json"}
    assert api.http.post("/v1/opinions", content=endless(), headers=headers).status_code == 413


def test_the_documentation_shows_how_to_submit(api: Running) -> None:
    document = api.http.get("/openapi.json").json()
    submit = document["paths"]["/v1/opinions"]["post"]
    assert submit["requestBody"]["content"]["application/json"]["examples"]
    assert submit["responses"]["202"]["content"]["application/json"]["example"]["tracking_code"]
    assert "OpinionBody" in document["components"]["schemas"]
    assert api.http.get("/docs").status_code == 200
