"""The station's page in a real browser: place, topic, nearby, offline, kiosk and slip, at two sizes."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from lianxin_contracts import inbound, topics
from lianxin_contracts.registry import City, Snapshot, Topic
from lianxin_intake.pages.beside import topic_words
from lianxin_intake.pages.rendering import Look
from lianxin_intake.tracking import TrackingCodes
from lianxin_router.routing.city import CityIndex
from lianxin_router.routing.classify import CERTAIN_ENOUGH, classify_by_rules
from tests.intake import test_pages_in_browser as pages
from tests.intake.running import SECRET, Running
from tests.intake.small_city import EAST, GRID
from tests.intake.test_pages_in_browser import DEADLINE_MS, picture, submitted, violations
from tests.intake.topics import read_all
from tests.support.brokers import Broker

browser, context, pytestmark = pages.browser, pages.context, pages.pytestmark
ASK = "您想反映什么？"
TOPICS = Path(__file__).parents[2] / "registry" / "wuxi-sample" / "topics.ndjson"
ALIKE = {"opinion": "o", "token": "t", "line": "道路 · 梁溪区金匮街道 · 约 200 米 · 已交给代表"}


def opened(context: BrowserContext, address: str = "/s/S1") -> Page:
    page = context.new_page()
    page.goto(address)
    return page


def test_a_tap_on_the_map_says_where(context: BrowserContext, city_broker: Broker) -> None:
    page = opened(context)
    page.get_by_role("button", name="在地图上点一下").click()
    svg = page.locator("#map svg")
    box = svg.bounding_box()
    assert box is not None
    svg.click(position={"x": box["width"] / 2, "y": box["height"] / 2})  # the middle of three grids in a row
    expect(page.get_by_text("已选：通江社区第一网格")).to_be_visible()
    expect(page.get_by_label("在哪一片")).to_have_value(EAST)
    picture(page, "map")
    page.get_by_label("在哪一片").select_option("崇安社区第一网格")
    expect(page.locator("#lat")).to_have_value("")
    svg.click(position={"x": box["width"] / 2, "y": box["height"] / 2})
    page.get_by_label(ASK).fill("灯坏了")
    page.get_by_role("button", name="发送").click()
    expect(page.get_by_role("heading", name="已收到")).to_be_visible(timeout=DEADLINE_MS)
    (said,) = submitted(city_broker, page.evaluate("new URLSearchParams(location.search).get('id')"))
    data: Any = said.data
    assert data.grid == EAST
    assert (round(data.place.lat, 2), round(data.place.lon, 3)) in {(31.57, 120.315), (31.58, 120.315)}


def test_the_phones_position_chooses_on_the_map(context: BrowserContext) -> None:
    context.grant_permissions(["geolocation"])
    context.set_geolocation({"latitude": 31.575, "longitude": 120.305})
    page = opened(context)
    page.get_by_label("在哪一片").select_option("通江社区第一网格")
    page.get_by_role("button", name="在地图上点一下").click()
    page.get_by_role("button", name="用我现在的位置").click()
    expect(page.get_by_label("在哪一片")).to_have_value(GRID)


def test_a_position_that_was_there_before_the_map_chooses_on_it_too(context: BrowserContext) -> None:
    context.grant_permissions(["geolocation"])
    context.set_geolocation({"latitude": 31.575, "longitude": 120.305})
    page = opened(context)
    page.get_by_role("button", name="用我现在的位置").click()
    expect(page.locator("#lat")).not_to_have_value("")
    page.get_by_role("button", name="在地图上点一下").click()
    expect(page.get_by_label("在哪一片")).to_have_value(GRID)


def test_a_topic_is_offered_and_taken_or_left(context: BrowserContext) -> None:
    page = opened(context)
    page.get_by_label(ASK).fill("路灯坏了，路面有个坑")
    expect(page.get_by_text("像是“道路”")).to_be_visible()
    expect(page.locator("#topic")).to_have_value("")
    picture(page, "topic")
    page.get_by_role("button", name="选这一类").click()
    expect(page.locator("#topic")).to_have_value("0101")
    expect(page.get_by_text("已选“道路”")).to_be_visible()


def test_who_finds_the_same_nearby_says_me_too(context: BrowserContext) -> None:
    page = opened(context)
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.post_data or "")
        route.fulfill(status=202, json={"shown": "已替您记上。"})

    page.route("**/s/S1/nearby?*", lambda route: route.fulfill(json={"items": [ALIKE]}))
    page.route("**/s/S1/support", answer)
    page.get_by_label(ASK).fill("路灯坏了，路面有个坑")
    expect(page.get_by_text("附近有人反映过类似的事")).to_be_visible()
    picture(page, "nearby")
    page.get_by_role("button", name="我也有同样的问题").click()
    expect(page.get_by_text("已替您记上。")).to_be_visible()
    assert "opinion=o&token=t&supporter=" in asked[0]
    assert len(asked) == 1


def test_the_page_goes_on_without_what_it_only_offers(browser: Browser, api: Running) -> None:
    context = browser.new_context(base_url=api.url, service_workers="block")  # it would ask past the routes
    page = opened(context)
    for beside in ("topics", "nearby?*", "map"):
        page.route(f"**/s/S1/{beside}", lambda route: route.abort())
    page.get_by_label(ASK).fill("路灯坏了，路面有个坑")
    page.get_by_role("button", name="在地图上点一下").click()
    expect(page.get_by_text("地图没有打开")).to_be_visible()
    page.get_by_role("button", name="发送").click()
    expect(page.get_by_role("heading", name="已收到")).to_be_visible(timeout=DEADLINE_MS)
    context.close()


def test_the_page_opens_without_a_line_after_one_visit(context: BrowserContext, api: Running) -> None:
    page = opened(context)
    expect(page.locator("html[data-kept]")).to_have_count(1, timeout=DEADLINE_MS)
    context.set_offline(True)
    page.goto("/s/S1?lang=zh")
    page.get_by_label(ASK).fill("没有信号也能打开")
    page.get_by_role("button", name="发送").click()
    expect(page.locator("#message")).to_contain_text("联网后会自动发送")
    context.set_offline(False)
    expect(page.get_by_role("heading", name="已收到")).to_be_visible(timeout=DEADLINE_MS)
    kept = page.evaluate(
        "(async () => { const all = []; for (const name of await caches.keys())"
        " for (const one of await (await caches.open(name)).keys()) all.push(new URL(one.url).pathname);"
        " return all; })()"
    )
    assert "/s/S1" in kept
    assert [path for path in kept if path.startswith("/t")] == []


def test_a_kiosk_shows_the_slip_and_is_empty_for_the_next_person(context: BrowserContext) -> None:
    page = context.new_page()
    page.clock.install()
    page.goto("/s/S1?kiosk=1")
    picture(page, "kiosk")
    page.get_by_label(ASK).fill("我家楼下的秘密")
    page.get_by_text("类别、联系方式").click()
    page.get_by_label("电话").fill("13800000000")
    page.get_by_role("button", name="发送").click()
    expect(page.get_by_role("heading", name="意见已收到")).to_be_visible(timeout=DEADLINE_MS)
    expect(page.get_by_text("60 秒后回到首页")).to_be_visible()
    picture(page, "kiosk-slip")
    page.get_by_role("button", name="再给我一分钟").click()
    for _ in range(7):
        page.clock.run_for(10_000)
    expect(page.get_by_label(ASK)).to_have_value("", timeout=DEADLINE_MS)
    assert "kiosk=1" in page.url
    assert page.evaluate("JSON.stringify(localStorage)").count("秘密") == 0


def test_a_kiosk_asks_who_is_idle_and_then_clears(context: BrowserContext) -> None:
    page = context.new_page()
    page.clock.install()
    page.goto("/s/S1?kiosk=1")
    page.get_by_label(ASK).fill("写到一半就走了")
    page.clock.run_for(91_000)
    expect(page.get_by_text("您还在写吗？")).to_be_visible()
    picture(page, "kiosk-idle")
    page.get_by_role("button", name="还在写").click()
    expect(page.get_by_label(ASK)).to_have_value("写到一半就走了")
    page.clock.run_for(119_000)
    with page.expect_navigation():
        page.clock.run_for(1_500)
    expect(page.get_by_label(ASK)).to_have_value("")
    assert page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})").count("写到") == 0


def test_what_a_kiosk_could_not_send_goes_later_and_nobody_sees_it(
    context: BrowserContext, city_broker: Broker
) -> None:
    page = context.new_page()
    page.route("**/s/S1/codes", lambda route: route.abort())  # never had a line to fetch codes by
    page.goto("/s/S1?kiosk=1")
    page.route(
        "**/s/S1?kiosk=1",
        lambda route: route.abort() if route.request.method == "POST" else route.continue_(),
    )
    two = sorted(f"{who}说的 {uuid4()}" for who in ("第一位", "第二位"))
    for words in two:
        page.get_by_label(ASK).fill(words)
        page.get_by_role("button", name="发送").click()
        expect(page.get_by_text("联网后自动发送，后面的人看不到")).to_be_visible()
        expect(page.get_by_label(ASK)).to_have_value("")
    expect(page.get_by_text("本机有 2 条意见")).to_be_visible()
    page.unroute("**/s/S1?kiosk=1")
    page.reload()
    expect(page.get_by_label(ASK)).to_have_value("")
    expect(page.locator("#kiosk-waiting")).to_have_text("", timeout=DEADLINE_MS)
    with ThreadPoolExecutor(1) as thread:  # Playwright's own has a running loop
        log = thread.submit(read_all, city_broker.bootstrap, topics.INBOUND).result()
    said = {event.id: event.data.text for event in log if isinstance(event.data, inbound.Submitted)}
    assert sorted(text for text in said.values() if text in two) == two


def test_without_a_line_a_kiosk_gives_a_code_that_opens_once_the_line_is_back(
    context: BrowserContext, city_broker: Broker
) -> None:
    page = context.new_page()
    with page.expect_response("**/s/S1/codes"):
        page.goto("/s/S1?kiosk=1")
    page.route(
        "**/s/S1?kiosk=1",
        lambda route: route.abort() if route.request.method == "POST" else route.continue_(),
    )
    codes: list[str] = []
    two = [f"{who}的话 {uuid4()}" for who in ("第一位", "第二位")]
    for words in two:
        page.get_by_label(ASK).fill(words)
        page.get_by_role("button", name="发送").click()
        expect(page.get_by_role("heading", name="已存在本机，联网后自动发送")).to_be_visible()
        expect(page.get_by_label(ASK)).to_be_hidden()
        codes.append(page.locator("#kept-big").inner_text())
        if len(codes) == 1:
            picture(page, "kiosk-code-without-a-line")
        with page.expect_navigation():
            page.get_by_role("button", name="记好了").click()
        expect(page.get_by_label(ASK)).to_be_visible()
        assert codes[-1] not in page.content()
    assert len(set(codes)) == 2
    left = page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")
    assert [code for code in codes if code in left] == []
    page.unroute("**/s/S1?kiosk=1")
    with page.expect_response(lambda answer: answer.request.method == "POST" and answer.status == 202):
        page.reload()
    expect(page.locator("#kiosk-waiting")).to_have_text("", timeout=DEADLINE_MS)
    log = said_by_now(city_broker)
    for code, words in zip(codes, two, strict=True):
        (opinion,) = {event.subject for event in log if event.data.text == words}  # said again at most
        assert TrackingCodes(SECRET.encode()).opens(code, opinion)


def said_by_now(broker: Broker) -> list[Any]:
    """Every submission in the log."""
    with ThreadPoolExecutor(1) as thread:  # Playwright's own has a running loop
        log = thread.submit(read_all, broker.bootstrap, topics.INBOUND).result()
    return [event for event in log if isinstance(event.data, inbound.Submitted)]


@pytest.mark.parametrize("address", ["/s/S1", "/s/S1?kiosk=1"])
def test_in_the_other_language_everything_that_was_typed_is_there(
    context: BrowserContext, address: str
) -> None:
    page = opened(context, address)
    page.get_by_label(ASK).fill("灯坏了")
    page.get_by_label("地点（可不填）").fill("金匮桥")
    page.get_by_text("类别、联系方式").click()
    page.get_by_label("电话").fill("13800000000")
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#text")).to_have_value("灯坏了")
    expect(page.locator("#address")).to_have_value("金匮桥")
    expect(page.locator("#phone")).to_have_value("13800000000")
    expect(page.locator("#phone")).to_be_visible()
    assert "13800000000" not in page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")


def test_a_slip_is_reached_from_the_page_that_follows(context: BrowserContext) -> None:
    page = opened(context)
    page.get_by_label(ASK).fill("x")
    page.get_by_role("button", name="发送").click()
    page.get_by_role("link", name="打印或保存小票").click()
    expect(page.get_by_role("img", name="查询页面的二维码")).to_be_visible()
    picture(page, "slip")
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="打印")).to_be_hidden()


def test_a_button_for_speaking_is_only_where_the_browser_can_listen(browser: Browser, api: Running) -> None:
    for kind, can in (("undefined", False), ("class { start() {} stop() {} }", True)):
        page = browser.new_page(base_url=api.url)
        page.add_init_script(f"window.SpeechRecognition = window.webkitSpeechRecognition = {kind};")
        page.goto("/s/S1")
        page.wait_for_load_state("load")
        expect(page.locator("#dictate")).to_be_visible(visible=can)
        page.close()


def test_the_page_finds_the_topic_that_the_rules_would(browser: Browser, api: Running) -> None:
    rows = [json.loads(line) for line in TOPICS.read_text("utf-8").splitlines()]
    known = {
        row["id"]: Topic(**{key: value for key, value in row.items() if key != "record"}) for row in rows
    }
    city = Snapshot("1", City("wuxi", "无锡"), topics=known)
    index = CityIndex.of(city)
    drawn = random.Random(4)
    words = sorted({word for topic in known.values() for word in topic.words})
    texts = [
        "，".join(drawn.sample(words, drawn.randint(1, 6))) + "。" * drawn.randint(0, 300) for _ in range(300)
    ]
    page = browser.new_page(base_url=api.url)
    page.goto("/s/S1")
    found = page.evaluate(
        "async ([rows, texts]) => { const m = await import('/static/topic_words.js');"
        " const index = m.indexed(rows); return texts.map((text) => m.topicOf(text, index)); }",
        [topic_words(city, Look()), texts],
    )
    page.close()
    for text, by_page in zip(texts, found, strict=True):
        by_rules = classify_by_rules("", text, index)
        assert by_page["code"] == by_rules.topic, text
        assert abs(by_page["certainty"] - by_rules.confidence) < 0.001
    assert sum(one["certainty"] >= CERTAIN_ENOUGH for one in found) > 50


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ["/s/S1?kiosk=1", "/s/S1?kiosk=1&lang=en"])
def test_axe_finds_nothing_at_a_kiosk(browser: Browser, api: Running, address: str, scheme: str) -> None:
    assert violations(browser, api.url, address, scheme) == []
