"""Alerts in a real browser. Chromium's push service is Google's, so one of our own stands in for it: the
subscription is made up, and what the worker sends is handed to the browser by its debugger."""

import json
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.notifier.running import Running
from tests.notifier.test_workbench_in_browser import (
    DEADLINE_MS,
    SIZES,
    TOP,
    aside,
    browser,  # noqa: F401 - a fixture
    case_for,
    enter,
    picture,
)
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.chromium import needs_chromium
from tests.support.push_service import PushService

pytestmark = [
    needs_chromium,
    pytest.mark.usefixtures("worker"),
]
BUTTON = "在本机接收提醒"

# What Chromium can't do without Google: subscribe. And permission is counted, to see when it is asked for.
STAND_IN = """
  self.askedFor = 0;
  const ask = Notification.requestPermission.bind(Notification);
  Notification.requestPermission = () => { self.askedFor += 1; return ask(); };
  PushManager.prototype.subscribe = async (options) => {
    self.key = options.applicationServerKey.length;
    return { toJSON: () => (SUBSCRIPTION) };
  };
"""
# Opening a window takes a real press, which the debugger has none of; so it is told instead.
CLICK = """async () => {
  const opened = [];
  self.clients.openWindow = async (address) => { opened.push(address); };
  const [notification] = await self.registration.getNotifications();
  const event = new NotificationEvent('notificationclick', { notification });
  const done = [];
  event.waitUntil = (promise) => done.push(promise);
  self.dispatchEvent(event);
  await Promise.all(done);
  return opened;
}"""


@pytest.fixture
def service() -> Iterator[PushService]:
    made = PushService()
    yield made
    made.close()


@pytest.fixture(params=SIZES)
def context(request: pytest.FixtureRequest, browser: Browser, api: Running) -> Iterator[BrowserContext]:  # noqa: F811
    width, height = SIZES[request.param]
    made = browser.new_context(base_url=api.url, viewport={"width": width, "height": height})
    made.set_default_timeout(DEADLINE_MS)
    yield made
    made.close()


def registration_of(context: BrowserContext, page: Page) -> tuple[object, str]:
    """The debugger, and the worker's id there."""
    debugger = context.new_cdp_session(page)
    found: list[str] = []

    def told(event: dict[str, list[dict[str, object]]]) -> None:
        found.extend(str(one["registrationId"]) for one in event["registrations"])

    debugger.on("ServiceWorker.workerRegistrationUpdated", told)
    debugger.send("ServiceWorker.enable")
    page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
    assert found
    return debugger, found[0]


def test_a_press_takes_alerts_on_this_device_and_pressing_an_alert_opens_its_case(
    context: BrowserContext, api: Running, city_broker: Broker, service: PushService
) -> None:
    screen = service.screen()
    context.add_init_script(STAND_IN.replace("SUBSCRIPTION", json.dumps(screen.subscription())))
    context.grant_permissions(["notifications"], origin=api.url)
    page = enter(context, api, "D3")
    button = page.get_by_role("button", name=BUTTON)
    expect(button).to_be_visible()
    assert page.evaluate("self.askedFor") == 0
    button.click()
    expect(page.get_by_text("本机已接收提醒。")).to_be_visible()
    assert (page.evaluate("self.askedFor"), page.evaluate("self.key")) == (1, 65)
    expect(page.get_by_role("button", name="移除 Chrome · Linux").first).to_be_visible()
    picture(page, "push")
    told = Axe().run(page, options={"runOnly": {"type": "tag", "values": TOP}}).response["violations"]
    assert [one["id"] for one in told] == []

    case = case_for(city_broker, api, "D3")
    (alert,) = aside(lambda: eventually(lambda: screen.shown))
    debugger, registration = registration_of(context, page)
    debugger.send(  # type: ignore[attr-defined]
        "ServiceWorker.deliverPushMessage",
        {"origin": api.url, "registrationId": registration, "data": json.dumps(alert, ensure_ascii=False)},
    )
    shown = page.wait_for_function(
        """async () => {
          const [one] = await (await navigator.serviceWorker.ready).getNotifications();
          return one && [one.title, one.body, one.tag];
        }"""
    ).json_value()
    assert shown == [alert["title"], alert["body"], case.opinion]
    (worker,) = context.service_workers
    (opened,) = worker.evaluate(CLICK)
    page.goto(opened)
    expect(page.get_by_text("小区门口的路灯坏了三天。")).to_be_visible()

    page.goto("/inbox")
    page.get_by_role("button", name="移除 Chrome · Linux").first.click()
    expect(page.get_by_role("heading", name="已接收提醒的浏览器")).to_have_count(0)


def test_whoever_does_not_allow_it_is_told_where_to_and_gets_none(
    context: BrowserContext, api: Running, service: PushService
) -> None:
    context.add_init_script("Notification.requestPermission = async () => 'denied';")
    page = enter(context, api, "D2")
    page.get_by_role("button", name=BUTTON).click()
    expect(page.get_by_text("浏览器不允许本站发送通知")).to_be_visible()
    picture(page, "push-denied")


def test_a_push_service_out_of_reach_is_told_in_words(context: BrowserContext, api: Running) -> None:
    context.grant_permissions(["notifications"], origin=api.url)
    page = enter(context, api, "D2")  # Chromium itself, without Google's push service
    page.get_by_role("button", name=BUTTON).click()
    expect(page.get_by_text("浏览器的推送服务可能连接不上")).to_be_visible()
