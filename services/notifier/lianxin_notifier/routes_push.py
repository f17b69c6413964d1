"""Alerts in a browser: the key that a subscription is made with, and the subscriptions of whoever asks."""

from datetime import UTC, datetime

import msgspec
from fastapi import APIRouter, Request, Response

from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_notifier.context import Notifier, json_response
from lianxin_notifier.device_store import Device
from lianxin_notifier.documentation import DEVICE, DEVICE_REMOVED, DEVICES, PUSH_KEY, SUBSCRIPTION
from lianxin_notifier.people import Person
from lianxin_notifier.routes_actions import json_body
from lianxin_notifier.web_push import Subscription, browser_of

log = get_logger(__name__)

# By what a browser calls itself, the first that fits: Edge says Chrome, too, and Chrome says Safari.
_BROWSERS = (
    ("MicroMessenger/", "微信"),
    ("Edg", "Edge"),
    ("HuaweiBrowser/", "华为浏览器"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("OpenHarmony", "HarmonyOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def push_routes(notifier: Notifier) -> APIRouter:
    """`/v1/push/…`: for whoever is signed in, about their own browsers."""
    router = APIRouter(tags=["push"])

    @router.get(
        "/v1/push/key",
        summary="The key that a browser subscribes with (VAPID, RFC 8292)",
        responses=PUSH_KEY,
        openapi_extra={"security": []},
    )
    async def key() -> Response:
        return json_response(200, {"key": _key(notifier)})

    @router.get(
        "/v1/push/subscriptions", summary="The own browsers that take alerts, newest first", responses=DEVICES
    )
    async def known(request: Request) -> Response:
        person, _ = await _person(notifier, request)
        return json_response(
            200, {"items": [_shown(one) for one in await notifier.devices.of_person(person.id)]}
        )

    @router.post(
        "/v1/push/subscriptions",
        status_code=201,
        summary="Take alerts in this browser",
        openapi_extra=SUBSCRIPTION,
        responses=DEVICE,
    )
    async def add(request: Request) -> Response:
        """What the browser's `PushManager.subscribe()` gave. One that is known already is renewed."""
        _key(notifier)
        person, session = await _person(notifier, request, writing=True)
        try:
            given = msgspec.json.decode(await json_body(request), type=Subscription)
            browser = browser_of(given.endpoint, given.keys.p256dh, given.keys.auth)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
            raise ProblemError(422, "invalid", "This is no subscription of a browser", str(error)) from None
        label = label_of(request.headers.get("user-agent", ""))
        device = await notifier.devices.add(person.id, session, browser, label, datetime.now(UTC))
        log.info("a browser takes alerts", person=person.id, device=device.id)
        return json_response(201, _shown(device))

    @router.delete(
        "/v1/push/subscriptions/{device}",
        summary="No more alerts in one of the own browsers",
        responses=DEVICE_REMOVED,
    )
    async def remove(device: str, request: Request) -> Response:
        person, _ = await _person(notifier, request, writing=True)
        if not await notifier.devices.remove(person.id, device):
            raise ProblemError(404, "device_unknown", "None of your browsers has this id")
        log.info("a browser takes no more alerts", person=person.id, device=device)
        return json_response(200, {"removed": 1})

    return router


def label_of(user_agent: str) -> str:
    """Which browser on what, in the words that its user knows it by; no more of it is kept."""
    names = (
        next((name for mark, name in marks if mark in user_agent), "") for marks in (_BROWSERS, _SYSTEMS)
    )
    return " · ".join(filter(None, names)) or "?"


def _key(notifier: Notifier) -> str:
    if notifier.push_key is None:
        raise ProblemError(404, "push_not_set_up", "Web push is not set up here")
    return notifier.push_key


async def _person(notifier: Notifier, request: Request, *, writing: bool = False) -> tuple[Person, str]:
    """Who is signed in, and by which sign-in. Raises 403 for a key: a browser is a person's."""
    caller = await notifier.caller(request, "act", writing=writing)
    if caller.person is None or caller.session is None:
        raise ProblemError(403, "person_needed", "Alerts are taken in by whoever is signed in, not by a key")
    return caller.person, caller.session


def _shown(device: Device) -> dict[str, object]:
    return {"id": device.id, "label": device.label, "created": device.created}
