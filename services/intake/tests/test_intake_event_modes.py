"""Any opinion, sent as an event in any of the three modes by the CloudEvents project's own SDK, is the same
record for the broker; and nothing that the route refuses gets there."""

import asyncio
import base64
import json
from collections.abc import Sequence
from typing import Any, cast

import httpx
import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from nacl.public import PrivateKey, SealedBox

from lianxin_chassis import problems
from lianxin_contracts import codec, inbound, registry, topics
from lianxin_contracts.envelope import OutRecord
from lianxin_contracts.registry import ChannelKey, hash_of_key
from lianxin_intake.attachments import AttachmentIds
from lianxin_intake.contact import ContactSealer
from lianxin_intake.context import Intake
from lianxin_intake.door import Door
from lianxin_intake.events import event_routes
from lianxin_intake.rates import Buckets
from lianxin_intake.recent import RecentCommands, RecentOpinions

PRIVATE = PrivateKey(b"\x05" * 32)
CITY = registry.Snapshot(
    version="1",
    city=registry.City("c", "C"),
    topics={"0101": registry.Topic("0101", "道路", "Roads")},
    channels={"app": registry.Channel("app", "App")},
    deputies={"D1": registry.Deputy("D1", "王芳", "street")},
)
AUTHORIZATION = {"authorization": "Bearer k"}


class Loaded:
    """A registry with one city and the keys `k`, which may submit, `r`, which may read, `f`, which may record
    visits, and `b`, which may do both."""

    current = CITY

    def channel_key(self, hash_: str) -> ChannelKey | None:
        scopes: dict[str, tuple[registry.Scope, ...]] = {
            hash_of_key("k"): ("submit",),
            hash_of_key("r"): ("read",),
            hash_of_key("f"): ("field",),
            hash_of_key("b"): ("submit", "field"),
        }
        return ChannelKey(hash_, "app", scopes[hash_]) if hash_ in scopes else None


class Broker:
    connected = True

    def __init__(self) -> None:
        self.written: list[OutRecord] = []

    async def publish(self, records: Sequence[OutRecord], deadline_s: float = 5.0) -> None:
        self.written += records


class Uploads(AttachmentIds):
    def claimed(self, attachments: Sequence[str]) -> None:
        raise AssertionError(attachments)


class Nothing:
    async def of(self, opinions: Sequence[str]) -> dict[str, str]:
        return {}


class Route:
    """`POST /v1/events` with a memory of its own; `broker` has what it published."""

    def __init__(self, rate: float = 1e6, burst: float = 1e6) -> None:
        self.broker = Broker()
        sealer = ContactSealer(base64.b64encode(bytes(PRIVATE.public_key)).decode())
        recent = RecentOpinions(100)
        intake = Intake(
            registry=Loaded(),
            publisher=self.broker,
            door=Door(b"secret", sealer, Uploads(b"secret"), self.broker, recent, Nothing(), deadline_s=1),
            recent=recent,
            commands=RecentCommands(1),
            tracking=cast(Any, None),  # the route reads no projection
            rates=Buckets(rate, burst, clock=lambda: 0.0),
            opening=cast(Any, None),
            page_posts=cast(Any, None),
            photos=cast(Any, None),
            photo_rates=cast(Any, None),
            public_url="http://intake",
            deadline_s=1,
        )
        self.app = FastAPI()
        problems.install(self.app)
        self.app.router.routes[:0] = event_routes(intake).routes

    def ask(self, method: str, headers: Any, body: bytes = b"") -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://intake") as client:
                return await client.request(method, "/v1/events", headers=headers, content=body)

        return asyncio.run(ask())

    def post(self, message: HTTPMessage) -> httpx.Response:
        return self.ask("POST", message.headers | AUTHORIZATION, message.body)


def sent(data: Any, **attributes: str) -> CloudEvent:
    return CloudEvent(
        {"id": "1", "source": "/desk", "type": "opinion.submitted", "specversion": "1.0",
         "datacontenttype": "application/json"} | attributes,
        data,
    )  # fmt: skip


def in_batch(*events: CloudEvent) -> HTTPMessage:
    """A batch, which the SDK can't make itself, of what it makes."""
    bodies = b",".join(to_structured_event(event).body for event in events)
    return HTTPMessage({"content-type": "application/cloudevents-batch+json"}, b"[" + bodies + b"]")


def as_base64(event: CloudEvent) -> HTTPMessage:
    message = to_structured_event(event)
    body = json.loads(message.body)
    body["data_base64"] = base64.b64encode(json.dumps(body.pop("data")).encode()).decode()
    return HTTPMessage(message.headers, json.dumps(body).encode())


def record_of(message: HTTPMessage) -> tuple[Any, ...]:
    """What is in the broker after `message`, but for times, traces and the seal of the contact."""
    route = Route()
    answer = route.post(message)
    assert answer.status_code in (200, 202), answer.text
    (record,) = route.broker.written
    event = codec.decode(topics.INBOUND, record.value or b"", record.headers)
    said = event.data
    assert isinstance(said, inbound.Submitted)
    contact = said.contact and SealedBox(PRIVATE).decrypt(base64.b64decode(said.contact))
    names = [name for name, _ in record.headers]
    return record.topic, record.key, names, event.id, event.source, event.subject, contact, {
        name: getattr(said, name) for name in said.__struct_fields__ if name != "contact"
    }  # fmt: skip


def words(longest: int) -> st.SearchStrategy[str]:
    """Text that is more than blanks, without control characters and what is no character."""
    characters = st.characters(exclude_categories=("Cc", "Cs", "Cn", "Zl", "Zp"))
    return st.text(characters, min_size=1, max_size=longest).filter(lambda text: not text.isspace())


OPINIONS = st.fixed_dictionaries(
    {"text": words(300)},
    optional={
        "title": words(20),
        "topic": st.just("0101"),
        "address": words(20),
        "external_id": words(20),
        "language": st.sampled_from(["zh", "en", "zh-Hans"]),
        "location": st.fixed_dictionaries(
            {"lat": st.floats(-90, 90), "lon": st.floats(-180, 180)},
            optional={"crs": st.sampled_from(["wgs84", "gcj02", "bd09"])},
        ),
        "contact": st.fixed_dictionaries(
            {"name": words(20)}, optional={"phone": st.just("+86 510 12345678")}
        ),
    },
)
SOURCES = st.from_regex(
    r"(https://[a-z]{1,9}\.example)?(/[A-Za-z0-9._~路灯-]{1,9}){1,3}(%2[05])?", fullmatch=True
)
ATTRIBUTES = st.fixed_dictionaries({"id": words(40), "source": SOURCES}, optional={"subject": words(20)})


@given(data=OPINIONS, attributes=ATTRIBUTES)
def test_an_opinion_is_the_same_record_in_whatever_mode_it_comes(
    data: dict[str, Any], attributes: dict[str, str]
) -> None:
    event = sent(data, **attributes)
    records = [
        record_of(message)
        for message in (to_binary_event(event), to_structured_event(event), as_base64(event), in_batch(event))
    ]
    assert records == [records[0]] * 4


@given(data=OPINIONS, one=ATTRIBUTES, other=ATTRIBUTES)
def test_source_and_id_alone_say_what_is_sent_again(
    data: dict[str, Any], one: dict[str, str], other: dict[str, str]
) -> None:
    route = Route()
    first, again = (route.post(to_binary_event(sent(data, **names))).json()["id"] for names in (one, other))
    same = (one["source"], one["id"]) == (other["source"], other["id"])
    assert (first == again) == same


def test_another_opinion_under_the_same_name_is_a_conflict_in_any_mode() -> None:
    route = Route()
    assert route.post(to_binary_event(sent({"text": "路"}))).status_code == 202
    assert route.post(to_structured_event(sent({"text": "灯"}))).status_code == 409
    (result,) = route.post(in_batch(sent({"text": "灯"}))).json()["results"]
    assert (result["status"], result["problem"]["code"]) == (409, "idempotency_conflict")
    assert len(route.broker.written) == 1


def test_what_fails_in_a_batch_fails_alone() -> None:
    route = Route()
    good, bad, other = (
        sent({"text": "路"}),
        sent({"text": ""}, id="2"),
        sent({"text": "路"}, type="visit.recorded"),
    )
    message = in_batch(good, bad, other)
    mixed = HTTPMessage(message.headers, message.body[:-1] + b', 17, {"id": "4"}, {"text": 1}]')
    answer = route.post(mixed)
    results = answer.json()["results"]
    assert answer.status_code == 200
    assert [result["status"] for result in results] == [202, 422, 403, 400, 400, 400]
    assert all("problem" in result for result in results[1:])
    assert len(route.broker.written) == 1


def test_an_event_that_is_too_large_does_not_take_its_neighbours_with_it() -> None:
    route = Route()
    large = sent({"text": "路", "title": "x" * 300_000}, id="2")
    results = route.post(in_batch(sent({"text": "路"}), large)).json()["results"]
    assert [result["status"] for result in results] == [202, 413]


def test_an_empty_batch_is_answered_with_no_results() -> None:
    route = Route()
    answer = route.post(in_batch())
    assert (answer.status_code, answer.json(), route.broker.written) == (200, {"results": []}, [])


@pytest.mark.parametrize("message", [to_binary_event, to_structured_event, in_batch])
def test_too_large_a_request_is_refused_whole(message: Any) -> None:
    route = Route()
    assert route.post(message(sent({"text": "x" * 9_000_000}))).status_code == 413
    assert route.broker.written == []


def test_beyond_the_keys_rate_it_says_when_to_come_back() -> None:
    route = Route(rate=0.25, burst=2)
    results = route.post(in_batch(*(sent({"text": "路"}, id=str(n)) for n in range(3)))).json()["results"]
    assert [result["status"] for result in results] == [202, 202, 429]
    assert results[2]["problem"]["retry_after"] == 4
    late = route.post(to_binary_event(sent({"text": "路"}, id="4")))
    assert (late.status_code, late.headers["retry-after"]) == (429, "4")
    assert len(route.broker.written) == 2


@pytest.mark.parametrize("name", ["ce-id", "CE-Source", "content-type"])
def test_a_header_of_the_event_is_there_once(name: str) -> None:
    route = Route()
    message = to_binary_event(sent({"text": "路"}))
    headers = [*message.headers.items(), *AUTHORIZATION.items(), (name, "application/json")]
    assert route.ask("POST", headers, message.body).status_code == 400
    assert route.broker.written == []


@pytest.mark.parametrize("authorization", ["", "Bearer x", "Basic k", "Bearer r"])
def test_no_event_is_read_without_a_key_that_may_submit(authorization: str) -> None:
    route = Route()
    message = to_binary_event(sent({"text": "路"}))
    answer = route.ask("POST", message.headers | {"authorization": authorization}, message.body)
    assert answer.status_code in (401, 403)
    assert route.broker.written == []


def test_who_holds_a_key_is_granted_its_origin_and_told_the_keys_rate() -> None:
    asked = {"WebHook-Request-Origin": "events.example.org", "WebHook-Request-Rate": "120"}
    answer = Route(rate=2.5).ask("OPTIONS", asked | AUTHORIZATION)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["allow"] == "OPTIONS, POST"
    assert answer.headers["webhook-allowed-origin"] == "events.example.org"
    assert answer.headers["webhook-allowed-rate"] == "150"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"WebHook-Request-Origin": "events.example.org"}, 401),
        ({"WebHook-Request-Origin": "events.example.org", "authorization": "Bearer r"}, 403),
        ({"WebHook-Request-Origin": "", **AUTHORIZATION}, 400),
        ({"WebHook-Request-Origin": "a b", **AUTHORIZATION}, 400),
        ({"WebHook-Request-Origin": "*", **AUTHORIZATION}, 400),
        ({}, 204),
    ],
)
def test_nobody_else_is_granted_an_origin(headers: dict[str, str], status: int) -> None:
    answer = Route().ask("OPTIONS", headers)
    assert answer.status_code == status
    assert "webhook-allowed-origin" not in answer.headers
