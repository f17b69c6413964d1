"""Photos on the residents' pages, in a real browser at a phone's size."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    FilePayload,
    Locator,
    Page,
    expect,
    sync_playwright,
)

from lianxin_contracts import lifecycle, topics
from lianxin_contracts.envelope import to_record
from lianxin_contracts.inbound import Submitted
from tests.intake.lifecycles import DEPUTY, START, decided
from tests.intake.pictures import photograph
from tests.intake.running import Running
from tests.intake.test_pages_in_browser import DEADLINE_MS, TOP, picture, submitted
from tests.intake.test_photos import CODES, named, upload
from tests.intake.topics import write
from tests.support.brokers import Broker
from tests.support.chromium import launched, needs_chromium
from tests.support.wait import eventually

T = TypeVar("T")
MOST_TAPS = 5
# Inside the phone's own camera: the shutter, and "use this photo".
CAMERA_TAPS = 2

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, api: Running) -> Iterator[BrowserContext]:
    context = browser.new_context(
        base_url=api.url, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    context.set_default_timeout(DEADLINE_MS)
    yield context
    context.close()


def taken(name: str = "a.jpg", shade: int = 90) -> FilePayload:
    return {"name": name, "mimeType": "image/jpeg", "buffer": photograph(3000, 4000, shade=shade)}


def choose(page: Page, *files: FilePayload, press: Callable[[Locator], None] = Locator.tap) -> None:
    with page.expect_file_chooser() as chooser:
        press(page.locator("#add-photo"))
    chooser.value.set_files(files)


def received(page: Page, broker: Broker) -> tuple[str, Submitted]:
    """The opinion that the page has just sent, which was said once."""
    expect(page.get_by_role("heading", name="已收到")).to_be_visible(timeout=DEADLINE_MS)
    opinion = str(page.evaluate("new URLSearchParams(location.search).get('id')"))
    events = submitted(broker, opinion)
    assert len({event.id for event in events}) == 1
    data = events[0].data
    assert isinstance(data, Submitted)
    return opinion, data


def violations(page: Page) -> list[str]:
    options = {"runOnly": {"type": "tag", "values": TOP}}
    return [one["id"] for one in Axe().run(page, options=options).response["violations"]]


def test_from_the_scan_to_the_receipt_with_a_photo_it_takes_five_taps(
    context: BrowserContext, city_broker: Broker, record_testsuite_property: Callable[[str, object], None]
) -> None:
    taps: list[str] = []

    def tap(what: Locator) -> None:
        taps.append(str(what))
        what.tap()

    page = context.new_page()
    began = time.monotonic()
    page.goto("/s/S1")
    tap(page.get_by_label("您想反映什么？"))
    page.keyboard.type("路灯坏了三天，晚上看不见路。", delay=20)
    choose(page, taken(), press=tap)
    tap(page.get_by_role("button", name="发送"))
    _, said = received(page, city_broker)
    record_testsuite_property("seconds_from_scan_to_receipt", round(time.monotonic() - began, 2))
    assert len(said.attachments) == 1
    assert len(taps) + CAMERA_TAPS <= MOST_TAPS


def test_photos_chosen_without_a_line_are_sent_once_when_it_is_back(
    context: BrowserContext, city_broker: Broker
) -> None:
    page = context.new_page()
    page.goto("/s/S1")
    context.set_offline(True)
    page.get_by_label("您想反映什么？").fill("没有信号的地方也要能拍")
    choose(page, taken(), taken("b.jpg", 200))
    expect(page.locator("#photo-list .state")).to_have_text(["等网络", "等网络"])
    page.get_by_role("button", name="发送").tap()
    expect(page.locator("#message")).to_contain_text("联网后会自动发送")
    picture(page, "photos-offline")
    context.set_offline(False)
    _, said = received(page, city_broker)
    assert len(set(said.attachments)) == 2
    page.goto("/s/S1")
    expect(page.locator("#photo-list")).to_be_hidden()


def test_photos_that_wait_outlive_a_reload(context: BrowserContext, city_broker: Broker) -> None:
    page = context.new_page()
    page.goto("/s/S1")
    page.route("**/v1/attachments*", lambda route: route.abort())
    page.get_by_label("您想反映什么？").fill("信号断了")
    choose(page, taken())
    expect(page.locator("#photo-list .state")).to_have_text(["等网络"])
    page.get_by_role("button", name="发送").tap()
    expect(page.locator("#message")).to_contain_text("联网后会自动发送")
    page.unroute("**/v1/attachments*")
    page.reload()
    _, said = received(page, city_broker)
    assert len(said.attachments) == 1


def test_photos_are_shown_removed_and_at_most_nine(browser: Browser, api: Running) -> None:
    context = browser.new_context(
        base_url=api.url, viewport={"width": 390, "height": 844}, bypass_csp=True, has_touch=True
    )
    page = context.new_page()
    page.goto("/s/S1")
    choose(page, *[taken(f"{n}.jpg", 20 * n) for n in range(1, 11)])
    expect(page.get_by_text("最多 9 张照片，多出的没有加上。")).to_be_visible()
    expect(page.locator("#photo-list .state")).to_have_text(["已上传"] * 9, timeout=DEADLINE_MS)
    expect(page.locator("#add-photo")).to_be_disabled()
    picture(page, "photos-nine")
    assert violations(page) == []
    page.get_by_role("button", name="去掉第 1 张照片").tap()
    expect(page.locator("#photo-list li")).to_have_count(8)
    choose(page, {"name": "x.jpg", "mimeType": "image/jpeg", "buffer": b"no image at all"})
    expect(page.get_by_text("这个文件不是能用的照片")).to_be_visible()
    expect(page.locator("#photo-list li")).to_have_count(8)
    page.reload()
    expect(page.locator("#photo-list li img")).to_have_count(8)
    context.close()


def test_without_a_script_photos_go_with_the_form(
    browser: Browser, api: Running, city_broker: Broker
) -> None:
    context = browser.new_context(
        base_url=api.url, viewport={"width": 390, "height": 844}, java_script_enabled=False
    )
    page = context.new_page()
    page.goto("/s/S1")
    page.get_by_label("您想反映什么？").fill("灯坏了")
    page.get_by_label("照片").set_input_files([taken(), taken("b.jpg", 200)])
    picture(page, "photos-plain")
    page.get_by_role("button", name="发送").click()
    expect(page.get_by_role("heading", name="已收到")).to_be_visible()
    opinion = page.url.split("id=")[1].split("&")[0]
    (said,) = submitted(city_broker, opinion)
    assert isinstance(said.data, Submitted)
    assert len(said.data.attachments) == 2
    context.close()


def test_evidence_appears_by_itself_and_nothing_that_was_typed_or_read_is_lost(
    context: BrowserContext, api: Running, worker: Running, city_broker: Broker
) -> None:
    photo, evidence = (upload(api, photograph(shade=shade)).json()["id"] for shade in (60, 200))
    resolved = lifecycle.Resolved(DEPUTY, "solved", "w", times=1, rate_until=START)
    visit = lifecycle.Visited(DEPUTY, START, evidence=(evidence,))
    steps = (lifecycle.Accepted(DEPUTY), resolved)
    opinion = aside(lambda: named(api, city_broker, photo, *steps))
    code = CODES.of(opinion)
    eventually(lambda: "rating" in api.http.get(f"/t/{code}").text, timeout=120)
    page = context.new_page()
    page.clock.install()
    page.goto(f"/t/{code}")
    page.get_by_label("基本满意").check()
    page.locator("#comment").fill("灯亮了，晚上再看看")
    history_shown = page.locator('[data-part="history"] img')
    expect(history_shown).to_have_count(1)
    page.locator("#comment").scroll_into_view_if_needed()
    place = page.locator("#comment").bounding_box()
    added = to_record(decided(opinion, 5, visit), topics.LIFECYCLE, opinion)
    aside(lambda: write(city_broker.bootstrap, [added]))
    eventually(lambda: evidence in api.http.get(f"/t/{code}").text, timeout=120)
    page.clock.run_for(31_000)
    expect(history_shown).to_have_count(2)
    expect(page.get_by_text("到现场走访")).to_be_visible()
    expect(page.locator("#comment")).to_have_value("灯亮了，晚上再看看")
    expect(page.get_by_label("基本满意")).to_be_checked()
    assert page.locator("#comment").bounding_box() == place
    picture(page, "tracking-visited")


def aside(work: Callable[[], T]) -> T:
    """On another thread: Playwright's own has a running loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()
