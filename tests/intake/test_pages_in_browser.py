"""The residents' pages in a real browser, at a phone's width and at a desk's."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from lianxin_contracts import topics
from lianxin_contracts.envelope import Event
from tests.intake.running import Running
from tests.intake.topics import said_of
from tests.support.brokers import Broker
from tests.support.chromium import launched, needs_chromium

SIZES = {"phone": (390, 844), "desk": (1280, 800)}
DEADLINE_MS = 30_000
TOP = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# Where the screenshots go that somebody wants to look at.
PICTURES = os.environ.get("LIANXIN_TEST_PICTURES")

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture(params=SIZES)
def context(request: pytest.FixtureRequest, browser: Browser, api: Running) -> Iterator[BrowserContext]:
    width, height = SIZES[request.param]
    context = browser.new_context(
        base_url=api.url, viewport={"width": width, "height": height}, bypass_csp=False
    )
    context.set_default_timeout(DEADLINE_MS)
    yield context
    context.close()


def submitted(broker: Broker, opinion: str) -> list[Event]:
    """What was said of `opinion`. On another thread: Playwright's has a running loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(said_of, broker.bootstrap, topics.INBOUND, opinion).result()


def picture(page: Page, name: str) -> None:
    """A screenshot for whoever asked for them."""
    if PICTURES is not None:
        width = (page.viewport_size or {})["width"]
        page.screenshot(path=Path(PICTURES) / f"{name}-{width}.png", full_page=True)


def violations(browser: Browser, url: str, address: str, scheme: str) -> list[str]:
    """What axe finds on the page at `address`; it is injected, so the page's own policy is set aside."""
    context = browser.new_context(
        base_url=url, viewport={"width": 390, "height": 844}, bypass_csp=True, color_scheme=scheme
    )
    page = context.new_page()
    page.goto(address)
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": TOP}}).response["violations"]
    context.close()
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]


def test_a_resident_scans_says_and_follows(context: BrowserContext, city_broker: Broker) -> None:
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.goto("/s/S1")
    picture(page, "station")
    expect(page.get_by_label("您想反映什么？")).to_be_focused()
    page.keyboard.type("路灯坏了三天，晚上看不见路。")
    page.get_by_role("button", name="发送").click()
    expect(page.get_by_role("heading", name="已收到")).to_be_visible(timeout=DEADLINE_MS)
    picture(page, "received")
    opinion = page.evaluate("new URLSearchParams(location.search).get('id')")
    said = submitted(city_broker, opinion)
    assert [event.data.text for event in said] == ["路灯坏了三天，晚上看不见路。"]
    assert wrong == []


def test_what_is_sent_without_a_line_goes_once_when_it_is_back(
    context: BrowserContext, city_broker: Broker
) -> None:
    page = context.new_page()
    page.goto("/s/S1")
    context.set_offline(True)
    page.get_by_label("您想反映什么？").fill("没有信号的地方也要能说")
    page.get_by_role("button", name="发送").click()
    expect(page.locator("#message")).to_contain_text("联网后会自动发送")
    picture(page, "offline")
    context.set_offline(False)
    expect(page.get_by_role("heading", name="已收到")).to_be_visible(timeout=DEADLINE_MS)
    opinion = page.evaluate("new URLSearchParams(location.search).get('id')")
    assert len({event.id for event in submitted(city_broker, opinion)}) == 1
    page.goto("/s/S1")
    expect(page.get_by_label("您想反映什么？")).to_have_value("")


def test_what_waits_for_the_line_outlives_a_reload(context: BrowserContext, city_broker: Broker) -> None:
    page = context.new_page()
    page.goto("/s/S1")
    page.route("**/s/S1", lambda route: route.abort())
    page.get_by_label("您想反映什么？").fill("信号断了")
    page.get_by_role("button", name="发送").click()
    expect(page.locator("#message")).to_contain_text("联网后会自动发送")
    page.unroute("**/s/S1")
    page.reload()
    expect(page.get_by_role("heading", name="已收到")).to_be_visible(timeout=DEADLINE_MS)
    opinion = page.evaluate("new URLSearchParams(location.search).get('id')")
    assert [event.data.text for event in submitted(city_broker, opinion)] == ["信号断了"]


def test_a_draft_outlives_a_reload_without_the_contact(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto("/s/S1")
    page.get_by_label("您想反映什么？").fill("写到一半")
    page.get_by_text("类别、联系方式").click()
    page.get_by_label("电话").fill("13800000000")
    page.reload()
    expect(page.get_by_label("您想反映什么？")).to_have_value("写到一半")
    page.get_by_text("类别、联系方式").click()
    expect(page.get_by_label("电话")).to_have_value("")


def test_a_mistake_is_told_at_its_field_and_mended(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto("/s/S1")
    page.get_by_label("您想反映什么？").fill("灯坏了")
    page.get_by_text("类别、联系方式").click()
    page.get_by_label("电话").fill("不知道")
    page.get_by_role("button", name="发送").click()
    expect(page.get_by_text("电话号码不对，请只写数字。")).to_be_visible()
    expect(page.get_by_label("电话")).to_be_focused()
    picture(page, "mistake")
    page.get_by_label("电话").fill("0510 12345678")
    page.get_by_role("button", name="发送").click()
    expect(page.get_by_role("heading", name="已收到")).to_be_visible(timeout=DEADLINE_MS)


def test_without_a_script_it_works_too(browser: Browser, api: Running) -> None:
    context = browser.new_context(base_url=api.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/s/S1?lang=en&size=large")
    page.get_by_label("What would you like to say?").fill("The lamp is broken")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="Received")).to_be_visible()
    picture(page, "plain-english-large")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ["/s/S1", "/s/S1?lang=en&size=large", "/t", "/t?code=x", "/t/123"])
def test_axe_finds_nothing(browser: Browser, api: Running, address: str, scheme: str) -> None:
    assert violations(browser, api.url, address, scheme) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_what_follows_an_opinion(browser: Browser, api: Running, scheme: str) -> None:
    page = browser.new_page(base_url=api.url)
    page.goto("/s/S1")
    page.get_by_label("您想反映什么？").fill("x")
    page.get_by_role("button", name="发送").click()
    expect(page.get_by_role("heading", name="已收到")).to_be_visible(timeout=DEADLINE_MS)
    address = page.evaluate("location.pathname + location.search")
    page.close()
    assert violations(browser, api.url, address, scheme) == []
