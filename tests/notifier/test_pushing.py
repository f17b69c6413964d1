"""Web push from the button to the screen: the API, the worker and a push service of our own."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from lianxin_contracts.deliveries import Delivery
from tests.notifier.lifecycles import SUBMITTED, History, assigned
from tests.notifier.running import Running
from tests.notifier.topics import deliveries, write
from tests.notifier.visitors import Visitor, signed_in
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.documented import require_as_shown
from tests.support.push_service import PushService, Screen

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def service() -> Iterator[PushService]:
    made = PushService()
    yield made
    made.close()


def token_of(visitor: Visitor) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', visitor.http.get("/inbox").text)
    assert found is not None
    return found[1]


def subscribe(visitor: Visitor, screen: Screen) -> dict[str, Any]:
    answer = visitor.http.post(
        "/v1/push/subscriptions",
        json=screen.subscription(),
        headers={"X-CSRF-Token": token_of(visitor), "User-Agent": "Chrome/140.0 Edg/140.0 (Windows NT)"},
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert isinstance(made, dict)
    return made


def assign(broker: Broker, who: str) -> str:
    case = History()
    write(broker.bootstrap, case.steps(SUBMITTED, assigned(who)))
    return case.opinion


def pushes_of(broker: Broker, opinion: str) -> list[Delivery]:
    return [d for d in deliveries(broker.bootstrap, opinion) if d.channel == "push"]


def test_whoever_pressed_the_button_gets_the_next_alert_on_the_screen(
    city_broker: Broker, api: Running, service: PushService
) -> None:
    screen = service.screen()
    assert subscribe(signed_in(api, "D6"), screen)["label"] == "Edge · Windows"
    opinion = assign(city_broker, "D6")
    (shown,) = eventually(lambda: screen.shown)
    assert (shown["path"], shown["tag"]) == (f"/inbox/{opinion}", opinion)
    steps = eventually(lambda: [d for d in pushes_of(city_broker, opinion) if d.status == "sent"])
    assert (len(steps), steps[0].attempt) == (1, 1)
    assert service.refused == []


def test_with_every_browser_gone_the_record_says_so_and_the_next_alert_goes_elsewhere(
    city_broker: Broker, api: Running, service: PushService
) -> None:
    deputy, screen = signed_in(api, "D4"), service.screen()
    subscribe(deputy, screen)
    service.gone.add(screen.endpoint.removeprefix(service.origin))
    opinion = assign(city_broker, "D4")
    (end,) = eventually(lambda: [d for d in pushes_of(city_broker, opinion) if d.status == "skipped"])
    assert end.error == "the browsers are gone"
    assert deputy.http.get("/v1/push/subscriptions").json() == {"items": []}
    later = assign(city_broker, "D4")
    eventually(lambda: deliveries(city_broker.bootstrap, later))
    assert pushes_of(city_broker, later) == []


def test_own_browsers_are_listed_without_where_they_are_and_removed_by_a_form(
    api: Running, service: PushService
) -> None:
    deputy, other = signed_in(api, "M1"), signed_in(api, "M2")
    screen = service.screen()
    made = subscribe(deputy, screen)
    page = deputy.http.get("/inbox").text
    assert made["label"] in page
    for text in (page, deputy.http.get("/v1/push/subscriptions").text):
        assert screen.endpoint not in text
    assert other.http.get("/v1/push/subscriptions").json() == {"items": []}
    form = {"csrf": token_of(other), "device": made["id"]}
    assert other.http.post("/devices", data=form).status_code == 303
    assert len(deputy.http.get("/v1/push/subscriptions").json()["items"]) == 1
    form = {"csrf": token_of(deputy), "device": made["id"], "page": "https://elsewhere.example"}
    answer = deputy.http.post("/devices", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/inbox#push")
    assert deputy.http.get("/v1/push/subscriptions").json() == {"items": []}


def test_a_browser_is_removed_over_the_api_by_its_owner_alone(api: Running, service: PushService) -> None:
    deputy, other = signed_in(api, "M3"), signed_in(api, "M4")
    path = f"/v1/push/subscriptions/{subscribe(deputy, service.screen())['id']}"
    assert other.http.delete(path, headers={"X-CSRF-Token": token_of(other)}).status_code == 404
    assert deputy.http.delete(path).status_code == 403
    assert deputy.http.delete(path, headers={"X-CSRF-Token": token_of(deputy)}).status_code == 200
    assert deputy.http.delete(path, headers={"X-CSRF-Token": token_of(deputy)}).status_code == 404


def test_nobody_subscribes_without_being_signed_in_and_on_our_page(
    api: Running, service: PushService
) -> None:
    given, deputy = service.screen().subscription(), signed_in(api, "D1")
    assert Visitor(api).http.post("/v1/push/subscriptions", json=given).status_code == 401
    assert deputy.http.post("/v1/push/subscriptions", json=given).status_code == 403
    answer = api.http.post("/v1/push/subscriptions", json=given)  # a key, which is nobody's browser
    assert (answer.status_code, answer.json()["code"]) == (403, "person_needed")
    assert deputy.http.post("/devices", data={"device": "x"}).status_code == 403


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"endpoint": "https://push.example/x", "keys": {"p256dh": "AA", "auth": "AA"}},
        {"endpoint": "file:///etc/passwd", "keys": {"p256dh": "AA", "auth": "AA"}},
    ],
)
def test_what_is_no_subscription_is_refused(api: Running, given: dict[str, Any]) -> None:
    deputy = signed_in(api, "D1")
    answer = deputy.http.post(
        "/v1/push/subscriptions", json=given, headers={"X-CSRF-Token": token_of(deputy)}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_the_key_to_subscribe_with_is_the_public_half_of_what_the_worker_signs_with(api: Running) -> None:
    key = api.http.get("/v1/push/key").json()["key"]
    assert len(key) == 87  # 65 bytes in base64url
    assert key.startswith("B")  # 0x04: an uncompressed point


def test_what_is_answered_is_what_the_document_shows(api: Running, service: PushService) -> None:
    paths = api.http.get("/openapi.json").json()["paths"]
    deputy, of = signed_in(api, "M6"), paths["/v1/push/subscriptions"]
    token = {"X-CSRF-Token": token_of(deputy)}
    given = service.screen().subscription()
    made = deputy.http.post("/v1/push/subscriptions", json=given, headers=token)
    require_as_shown(of["post"], made)
    require_as_shown(of["get"], deputy.http.get("/v1/push/subscriptions"))
    require_as_shown(paths["/v1/push/key"]["get"], deputy.http.get("/v1/push/key"))
    removed = deputy.http.delete(f"/v1/push/subscriptions/{made.json()['id']}", headers=token)
    require_as_shown(paths["/v1/push/subscriptions/{device}"]["delete"], removed)
