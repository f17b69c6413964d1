"""The workbench in a real browser, at a phone's width and at a desk's. The router is played by hand."""

import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
import zxingcpp
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

from lianxin_contracts import inbound, lifecycle, topics
from lianxin_contracts.envelope import Event
from tests.notifier.conftest import INTAKE_URL
from tests.notifier.lifecycles import SUBMITTED, History, assigned, deputy, triaged
from tests.notifier.running import Running
from tests.notifier.topics import read_all, write
from tests.notifier.visitors import link_for
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.chromium import launched, needs_chromium

SIZES = {"phone": (390, 844), "desk": (1280, 800)}
DEADLINE_MS = 30_000
TOP = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# Where the screenshots go that somebody wants to look at.
PICTURES = os.environ.get("LIANXIN_TEST_PICTURES")

pytestmark = [
    needs_chromium,
    pytest.mark.usefixtures("worker"),
]
T = TypeVar("T")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


@pytest.fixture(params=SIZES)
def context(request: pytest.FixtureRequest, browser: Browser, api: Running) -> Iterator[BrowserContext]:
    width, height = SIZES[request.param]
    context = browser.new_context(base_url=api.url, viewport={"width": width, "height": height})
    context.set_default_timeout(DEADLINE_MS)
    yield context
    context.close()


def aside(work: Callable[[], T]) -> T:
    """On another thread: Playwright's has a running loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def put(broker: Broker, *records: object) -> None:
    aside(lambda: write(broker.bootstrap, list(records)))  # type: ignore[arg-type]


def case_for(broker: Broker, api: Running, who: str, text: str = "小区门口的路灯坏了三天。") -> History:
    """A case that has come to this deputy."""
    case = History()
    put(broker, case.words(text), case.contact("13800000000"), *case.steps(SUBMITTED, assigned(who)))
    aside(lambda: eventually(lambda: any(i["id"] == case.opinion for i in api.inbox(who, limit=500))))
    return case


def commanded(broker: Broker, case: History, type_: str) -> Event:
    """The command that the page has sent."""

    def found() -> Event | None:
        said = read_all(broker.bootstrap, topics.INBOUND)
        return next((e for e in said if e.subject == case.opinion and e.type == type_), None)

    event = aside(lambda: eventually(found))
    assert isinstance(event, Event)
    return event


def enter(context: BrowserContext, api: Running, who: str) -> Page:
    """`who`, signed in by a link."""
    page = context.new_page()
    page.goto(urlsplit(link_for(api, who)).path)
    picture(page, f"signin-{who}")
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", name="我的意见")).to_be_visible()
    page.wait_for_load_state()  # its scripts run by then: a key pressed before leads nowhere
    return page


def picture(page: Page, name: str) -> None:
    if PICTURES is not None:
        width = (page.viewport_size or {})["width"]
        page.screenshot(path=Path(PICTURES) / f"{name}-{width}.png", full_page=True)


def test_a_deputy_sees_a_new_case_come_and_accepts_it(
    context: BrowserContext, api: Running, city_broker: Broker
) -> None:
    page = enter(context, api, "D5")
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    case = case_for(city_broker, api, "D5")
    line = page.locator(f'[data-id="{case.opinion}"]')
    expect(line).to_be_visible()  # without a reload
    expect(line).to_contain_text("新交办")
    picture(page, "inbox")
    line.get_by_role("link").click()
    expect(page.get_by_text("小区门口的路灯坏了三天。")).to_be_visible()
    expect(page.get_by_role("img", name="网格地图")).to_be_visible()
    picture(page, "case")
    seen = commanded(city_broker, case, "opinion.seen")
    assert seen.data == inbound.Seen(inbound.Actor("deputy", "D5"))
    page.get_by_role("button", name="接办").click()
    expect(page.locator("#pending")).to_contain_text("秒后发出")
    picture(page, "pending")
    page.get_by_role("button", name="撤销").click()
    expect(page.locator("#pending")).to_have_text("已撤销，没有发出。")
    page.get_by_role("button", name="接办").click()
    command = commanded(city_broker, case, "case.accept")
    put(city_broker, case.next(lifecycle.Accepted(deputy("D5")), cause=command.id))
    expect(page.locator("#answer")).to_have_text("已登记。")
    expect(page.locator("#board")).to_have_attribute("data-stage", "accepted")
    picture(page, "accepted")
    assert wrong == []


@pytest.mark.parametrize("context", ["phone"], indirect=True)  # nothing in it depends on the size
@pytest.mark.parametrize(
    ("decision", "answer", "stage"),
    [
        (lifecycle.Accepted(deputy("D5")), "已登记。", "accepted"),
        (lifecycle.CommandRefused("case.accept", "not_your_case"), "这件意见现在不在您手中", "assigned"),
    ],
    ids=["applied", "refused"],
)
def test_what_is_decided_late_is_shown_without_a_reload(
    decision: lifecycle.Accepted | lifecycle.CommandRefused,
    answer: str,
    stage: str,
    context: BrowserContext,
    api: Running,
    city_broker: Broker,
) -> None:
    case = case_for(city_broker, api, "D5")
    page = enter(context, api, "D5")
    page.goto(f"/inbox/{case.opinion}")
    page.get_by_role("button", name="接办").click()
    command = commanded(city_broker, case, "case.accept")
    expect(page.locator("#answer")).to_contain_text("正在登记", timeout=DEADLINE_MS)
    expect(page.locator("#board")).to_have_attribute("data-stage", "assigned")
    picture(page, "late")
    put(city_broker, case.next(decision, cause=command.id))
    expect(page.locator("#answer")).to_contain_text(answer, timeout=DEADLINE_MS)
    expect(page.locator("#board")).to_have_attribute("data-stage", stage)
    expect(page.locator("#outbox .bad")).to_have_count(0 if stage == "accepted" else 1)


@pytest.mark.parametrize("context", ["phone"], indirect=True)  # nothing in it depends on the size
def test_a_refusal_is_explained_in_words_and_what_was_typed_stays(
    context: BrowserContext, api: Running, city_broker: Broker
) -> None:
    case = case_for(city_broker, api, "D6")
    put(city_broker, case.next(lifecycle.Accepted(deputy("D6"))))
    page = enter(context, api, "D6")
    page.goto(f"/inbox/{case.opinion}")
    page.get_by_text("办结", exact=True).first.click()
    page.get_by_label("结果").select_option("solved")
    page.get_by_label("给居民的答复").fill("已经修好")
    picture(page, "resolve")
    page.get_by_role("button", name="办结").click()
    command = commanded(city_broker, case, "case.resolve")
    refusal = lifecycle.CommandRefused("case.resolve", "evidence_needed")
    put(city_broker, case.next(refusal, cause=command.id))
    expect(page.locator("#pending")).to_contain_text("需要附证明材料")
    expect(page.get_by_label("给居民的答复")).to_have_value("已经修好")
    picture(page, "refused")
    # The next try is another command, not a repeat of the one that was refused.
    page.get_by_label("给居民的答复").fill("已经修好，照片随后附上")
    page.get_by_role("button", name="办结").click()

    def again() -> bool:
        said = [e for e in read_all(city_broker.bootstrap, topics.INBOUND) if e.subject == case.opinion]
        return len({e.id for e in said if e.type == "case.resolve"}) == 2

    aside(lambda: eventually(again))


@pytest.mark.parametrize("context", ["phone"], indirect=True)  # nothing in it depends on the size
def test_the_contact_is_shown_once_it_is_on_record(
    context: BrowserContext, api: Running, city_broker: Broker
) -> None:
    case = case_for(city_broker, api, "D4")
    page = enter(context, api, "D4")
    page.goto(f"/inbox/{case.opinion}")
    page.get_by_text("更多操作").click()
    page.get_by_text("查看联系方式").first.click()
    page.get_by_role("button", name="查看联系方式").click()
    command = commanded(city_broker, case, "case.reveal_contact")
    expect(page.get_by_text("13800000000")).to_have_count(0)
    put(city_broker, case.next(lifecycle.ContactRevealed(deputy("D4")), cause=command.id))
    expect(page.get_by_text("13800000000")).to_be_visible()
    picture(page, "contact")


def test_without_a_script_a_case_is_acted_on_too(browser: Browser, api: Running, city_broker: Broker) -> None:
    case = case_for(city_broker, api, "D3")
    context = browser.new_context(base_url=api.url, java_script_enabled=False)
    context.set_default_timeout(DEADLINE_MS)
    page = enter(context, api, "D3")
    page.goto(f"/inbox/{case.opinion}?lang=en&size=large")
    picture(page, "plain-english-large")
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("#answer")).to_be_visible()
    command = commanded(city_broker, case, "case.accept")
    put(city_broker, case.next(lifecycle.Accepted(deputy("D3")), cause=command.id))

    def shown() -> bool:
        page.reload()
        return "Done and on record" in (page.locator("#answer").text_content() or "")

    eventually(shown)
    context.close()


def test_keys_lead_through_the_list_on_a_desk(browser: Browser, api: Running, city_broker: Broker) -> None:
    cases = [case_for(city_broker, api, "D2") for _ in range(2)]
    context = browser.new_context(base_url=api.url, viewport={"width": 1280, "height": 800})
    page = enter(context, api, "D2")
    for case in cases:
        expect(page.locator(f'[data-id="{case.opinion}"]')).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.evaluate("document.activeElement.closest('[data-id]').dataset.id")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.closest('[data-id]').dataset.id") != second
    page.keyboard.press("?")
    expect(page.get_by_text("j 下一件")).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="返回列表")).to_be_visible()
    page.wait_for_load_state()
    page.keyboard.press("u")
    expect(page.get_by_role("heading", name="我的意见")).to_be_visible()
    context.close()


def test_a_key_pressed_while_the_list_is_fetched_anew_still_leads(
    browser: Browser, api: Running, city_broker: Broker
) -> None:
    first = case_for(city_broker, api, "D4")
    context = browser.new_context(base_url=api.url, viewport={"width": 1280, "height": 800})
    page = enter(context, api, "D4")
    expect(page.locator(f'[data-id="{first.opinion}"]')).to_be_visible()
    fetched: list[Route] = []

    def hold(route: Route) -> None:
        fetched.append(route)

    page.route(lambda url: urlsplit(url).path in ("/", "/inbox"), hold)
    with page.expect_request(lambda asked: asked.resource_type == "fetch"):
        second = case_for(city_broker, api, "D4")
    page.keyboard.press("j")
    focused = page.evaluate("document.activeElement.closest('[data-id]').dataset.id")
    for route in fetched:
        route.continue_()
    expect(page.locator(f'[data-id="{second.opinion}"]')).to_be_visible()
    assert page.evaluate("document.activeElement.closest('[data-id]')?.dataset.id") == focused
    context.close()


def test_staff_assign_what_waits_in_triage(
    context: BrowserContext, api: Running, city_broker: Broker
) -> None:
    case = History()
    put(city_broker, case.words("不知道归谁管"), *case.steps(SUBMITTED, triaged("T1")))
    page = enter(context, api, "T1")
    expect(page.locator(f'[data-id="{case.opinion}"]')).to_contain_text("待分派")
    page.goto(f"/inbox/{case.opinion}")
    picture(page, "triage")
    page.get_by_label("更正网格").fill("320213001001001")
    page.get_by_role("button", name="分派").click()
    event = commanded(city_broker, case, "case.assign")
    assert event.data == inbound.Assign(inbound.Actor("staff", "T1"), grid="320213001001001")
    page.goto("/supervision")
    picture(page, "supervision")


def test_the_duty_screen_shows_orders_without_anything_personal(
    context: BrowserContext, api: Running, city_broker: Broker
) -> None:
    case = History()
    here = lifecycle.Submitted(channel="workbench", digest="d", station="P1", words="text")
    put(city_broker, case.words("我家住三号楼"), *case.steps(here, assigned("D1")))
    aside(lambda: eventually(lambda: any(i["id"] == case.opinion for i in api.inbox("D1", limit=500))))
    page = context.new_page()
    page.goto("/duty/P1")
    expect(page.get_by_role("heading", name="金匮街道代表之家")).to_be_visible()
    expect(page.get_by_text("代表1")).to_be_visible()
    expect(page.get_by_text("道路").first).to_be_visible()
    assert "三号楼" not in page.content()
    picture(page, "duty")
    # A tenth of three metres on a screen of 55 inches, and what a phone's camera makes of it from there.
    code = page.locator(".scan img")
    height = (page.viewport_size or {})["height"]
    box = code.bounding_box()
    assert box is not None
    seen = Image.open(io.BytesIO(code.screenshot())).convert("L")
    if (page.viewport_size or {})["width"] > height:
        assert box["height"] >= 0.44 * height
    small = seen.resize((140, 140))
    (read,) = zxingcpp.read_barcodes(small)
    assert read.text == f"{INTAKE_URL}/s/P1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, api: Running, city_broker: Broker, scheme: str) -> None:
    """axe is injected, so the pages' own policy is set aside."""
    case = case_for(city_broker, api, "D1")
    put(city_broker, *case.steps(lifecycle.Accepted(deputy("D1")), lifecycle.Supported("s", 2)))
    found: list[str] = []
    for width, height in SIZES.values():
        context = browser.new_context(
            base_url=api.url,
            viewport={"width": width, "height": height},
            bypass_csp=True,
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        page = enter(context, api, "D1")
        for address in (
            "/inbox",
            "/inbox?stage=closed",
            f"/inbox/{case.opinion}",
            f"/inbox/{case.opinion}?lang=en&size=large",
            "/inbox/away",
            "/signin",
            "/signin/none",
            "/duty/P1",
        ):
            page.goto(address)
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            told = Axe().run(page, options={"runOnly": {"type": "tag", "values": TOP}}).response["violations"]
            found += [f"{address}: {one['id']}: {[n['html'] for n in one['nodes']]}" for one in told]
            if scheme == "dark":
                picture(page, f"dark{address.replace('/', '-').partition('?')[0][:12]}")
        context.close()
    assert found == []
