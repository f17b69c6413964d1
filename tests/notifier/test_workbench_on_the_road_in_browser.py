"""The workbench where the line comes and goes: photos as evidence, several cases at once, similar cases,
erasing. In a real browser; router and intake are played by hand."""

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from msgspec.structs import replace
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from lianxin_contracts import inbound, lifecycle, topics
from tests.intake.pictures import photograph
from tests.notifier.conftest import INTAKE_URL
from tests.notifier.lifecycles import EXPLANATION, SUBMITTED, History, assigned, deputy, triaged
from tests.notifier.running import Running
from tests.notifier.test_workbench_in_browser import (
    DEADLINE_MS,
    SIZES,
    TOP,
    aside,
    browser,
    case_for,
    commanded,
    context,
    enter,
    picture,
    put,
    pytestmark,
)
from tests.notifier.topics import read_all
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker

__all__ = ["SIZES", "browser", "context", "pytestmark"]  # fixtures and marks

PHOTO = {"name": "lamp.jpg", "mimeType": "image/jpeg", "buffer": photograph(900, 1200)}


def violations(page: Page) -> list[str]:
    """What axe finds on the page as it stands; only in a context without the pages' own policy."""
    told = Axe().run(page, options={"runOnly": {"type": "tag", "values": TOP}}).response["violations"]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in told]


def said_of(broker: Broker, case: History, type_: str) -> list[str]:
    """The ids of commands of one type, each once."""
    said = aside(lambda: read_all(broker.bootstrap, topics.INBOUND))
    return sorted({event.id for event in said if event.subject == case.opinion and event.type == type_})


def kept_by_the_worker(page: Page, *paths: str) -> Callable[[], bool]:
    """Whether the service worker has kept these pages."""

    def kept() -> bool:
        found = page.evaluate(
            "async () => (await (await caches.open('lianxin-pages')).keys())"
            ".map((one) => new URL(one.url).pathname)"
        )
        return set(paths) <= set(found)

    return kept


def controlled(page: Page) -> None:
    """Return when a service worker serves the page."""
    eventually(lambda: page.evaluate("navigator.serviceWorker.controller !== null"), timeout=30)


class PlayedIntake:
    """Answers uploads as intake would. The first `failing` of them don't get through."""

    def __init__(self, context: BrowserContext, failing: int = 0) -> None:
        self.keys: list[str] = []
        self.permits: list[str] = []
        self._failing = failing
        context.route(f"{INTAKE_URL}/**", self._answer)

    def _answer(self, route: Route) -> None:
        headers = route.request.headers
        self.keys.append(headers["idempotency-key"])
        self.permits.append(headers["lianxin-upload-permit"])
        if len(self.keys) <= self._failing:
            route.abort("connectionreset")
            return
        made = headers["idempotency-key"]
        route.fulfill(
            status=201,
            json={"id": f"{made}.{'m' * 20}", "width": 900, "height": 1200},
            headers={"Access-Control-Allow-Origin": "*"},
        )


def test_photos_go_to_intake_and_their_ids_with_the_action(
    context: BrowserContext, api: Running, city_broker: Broker
) -> None:
    intake = PlayedIntake(context, failing=1)
    case = case_for(city_broker, api, "D6")
    put(city_broker, case.next(lifecycle.Accepted(deputy("D6"))))
    page = enter(context, api, "D6")
    page.goto(f"/inbox/{case.opinion}")
    page.get_by_text("记录进展", exact=True).first.click()
    form = page.locator("form.action", has=page.locator("[name=action][value=progress]"))
    form.get_by_label("办了什么").fill("已到现场，两盏灯坏了。")
    form.locator("input[type=file]").set_input_files([PHOTO, {**PHOTO, "name": "lamp-2.jpg"}])
    expect(form.get_by_text("没传上")).to_be_visible()  # the line broke during the first
    expect(form.get_by_text("✓ 已上传")).to_have_count(1)
    picture(page, "evidence-failed")
    form.get_by_role("button", name="重试 1").click()
    expect(form.get_by_text("✓ 已上传")).to_have_count(2)
    assert intake.keys[0] == intake.keys[-1], "tried again under the same key"
    picture(page, "evidence")
    form.get_by_role("button", name="记录进展").click()
    command = commanded(city_broker, case, "case.progress")
    assert command.data == inbound.Progress(
        inbound.Actor("deputy", "D6"),
        "已到现场，两盏灯坏了。",
        tuple(f"{key}.{'m' * 20}" for key in dict.fromkeys(intake.keys)),
    )
    assert all(one.endswith(".D6") for one in intake.permits)


def test_without_a_line_the_list_and_opened_cases_are_there_and_an_action_waits_and_goes_once(
    context: BrowserContext, api: Running, city_broker: Broker
) -> None:
    case = case_for(city_broker, api, "D5", "没有信号的地方也要能办。")
    page = enter(context, api, "D5")
    controlled(page)
    page.goto(f"/inbox/{case.opinion}")
    page.goto("/inbox")
    eventually(kept_by_the_worker(page, "/inbox", f"/inbox/{case.opinion}"), timeout=30)
    context.set_offline(True)
    page.goto("/inbox")
    expect(page.locator("#kept")).to_contain_text("没有网络：这是")
    page.locator(f'[data-id="{case.opinion}"] a').click()
    expect(page.get_by_text("没有信号的地方也要能办。")).to_be_visible()
    picture(page, "offline-case")
    page.get_by_role("button", name="接办").click()
    expect(page.locator("#pending")).to_contain_text("已保存在这台设备上", timeout=DEADLINE_MS)
    expect(page.locator("#outbox li")).to_contain_text("待发送", timeout=DEADLINE_MS)
    picture(page, "offline-waits")
    page.goto("/inbox")
    expect(page.locator(f'[data-id="{case.opinion}"] .waits')).to_have_text("待发送")
    picture(page, "offline-list")
    page.goto("/inbox/00000000-0000-4000-8000-000000000000")
    expect(page.get_by_role("heading", name="没有网络")).to_be_visible()
    page.goto("/inbox")
    assert said_of(city_broker, case, "case.accept") == []
    context.set_offline(False)
    command = commanded(city_broker, case, "case.accept")
    put(city_broker, case.next(lifecycle.Accepted(deputy("D5")), cause=command.id))
    expect(page.locator("#outbox")).to_be_hidden(timeout=DEADLINE_MS)
    page.reload()
    expect(page.locator(f'[data-id="{case.opinion}"]')).to_contain_text("已接办", timeout=DEADLINE_MS)
    assert said_of(city_broker, case, "case.accept") == [command.id]


@pytest.mark.parametrize("context", ["phone"], indirect=True)  # nothing in it depends on the size
def test_what_is_refused_once_it_was_sent_is_explained_in_the_list(
    context: BrowserContext, api: Running, city_broker: Broker
) -> None:
    case = case_for(city_broker, api, "D4")
    page = enter(context, api, "D4")
    controlled(page)
    page.goto(f"/inbox/{case.opinion}")
    page.goto("/inbox")
    eventually(kept_by_the_worker(page, f"/inbox/{case.opinion}"), timeout=30)
    context.set_offline(True)
    page.goto(f"/inbox/{case.opinion}")
    page.get_by_role("button", name="接办").click()
    expect(page.locator("#pending")).to_contain_text("已保存在这台设备上", timeout=DEADLINE_MS)
    page.goto("/inbox")
    context.set_offline(False)
    command = commanded(city_broker, case, "case.accept")
    put(city_broker, case.next(lifecycle.CommandRefused("case.accept", "not_your_case"), cause=command.id))
    expect(page.locator("#outbox .bad")).to_contain_text("这件意见现在不在您手中", timeout=DEADLINE_MS)
    picture(page, "offline-refused")
    page.get_by_role("button", name="知道了").click()
    expect(page.locator("#outbox")).to_be_hidden(timeout=DEADLINE_MS)


@pytest.mark.parametrize("context", ["phone"], indirect=True)  # nothing in it depends on the size
def test_signing_out_forgets_what_was_kept_and_a_contact_is_never_kept(
    context: BrowserContext, api: Running, city_broker: Broker
) -> None:
    case = case_for(city_broker, api, "D3")
    page = enter(context, api, "D3")
    controlled(page)
    page.goto(f"/inbox/{case.opinion}")
    eventually(kept_by_the_worker(page, f"/inbox/{case.opinion}"), timeout=30)
    page.get_by_text("更多操作").click()
    page.get_by_text("查看联系方式").first.click()
    page.get_by_role("button", name="查看联系方式").click()
    command = commanded(city_broker, case, "case.reveal_contact")
    put(city_broker, case.next(lifecycle.ContactRevealed(deputy("D3")), cause=command.id))
    expect(page.get_by_text("13800000000")).to_be_visible()
    page.reload()
    expect(page.get_by_text("13800000000")).to_be_visible()
    everything = """async () => {
      let all = '';
      for (const name of await caches.keys()) {
        const cache = await caches.open(name);
        for (const one of await cache.keys()) all += await (await cache.match(one)).text();
      }
      return all;
    }"""
    kept = page.evaluate(everything)
    assert "小区门口的路灯坏了三天" in kept
    assert "13800000000" not in kept
    page.get_by_role("button", name="退出").click()
    expect(page.get_by_role("heading", name="登录")).to_be_visible()
    assert "小区门口的路灯坏了三天" not in page.evaluate(everything)


def test_staff_assign_several_at_once_each_with_its_own_result(
    context: BrowserContext, api: Running, city_broker: Broker
) -> None:
    first = lifecycle.Candidate("D2", "street", 3, 10, 1.0)
    explained = replace(EXPLANATION, candidates=(first, lifecycle.Candidate("D3", "street", 5, 10, 0.5)))
    cases = [History() for _ in range(3)]
    for one, explanation in zip(cases, (explained, explained, EXPLANATION), strict=True):
        waits = replace(triaged("T1"), explanation=explanation, topic="0101")
        put(city_broker, one.words("不知道归谁管"), *one.steps(SUBMITTED, waits))
    page = enter(context, api, "T1")
    page.get_by_role("link", name="批量分派").click()
    for one in cases:
        expect(page.locator(f'[data-id="{one.opinion}"]')).to_be_visible()
    expect(page.locator("#send")).to_be_disabled()
    chosen = [page.locator(f'[data-id="{one.opinion}"]') for one in cases]
    chosen[0].get_by_role("link").focus()
    page.keyboard.press("x")
    for line in chosen[1:]:
        line.get_by_role("checkbox").check()
    expect(page.locator("#chosen")).to_have_text("已选 3 件")
    picture(page, "triage-several")
    page.get_by_role("button", name="分派所选").click()
    results = page.locator("#results > li")
    expect(results).to_have_count(3)
    commands = [commanded(city_broker, one, "case.assign") for one in cases[:2]]
    assert [command.data.to for command in commands] == ["D2", "D2"]
    assert said_of(city_broker, cases[2], "case.assign") == []
    put(city_broker, cases[0].next(assigned("D2", by="triage"), cause=commands[0].id))
    refusal = lifecycle.CommandRefused("case.assign", "no_mandate")
    put(city_broker, cases[1].next(refusal, cause=commands[1].id))
    result = [page.locator(f'#results [data-id="{one.opinion}"]') for one in cases]
    expect(result[0]).to_contain_text("已登记", timeout=DEADLINE_MS)
    expect(result[1]).to_contain_text("不负责这个地点或类别", timeout=DEADLINE_MS)
    expect(result[2]).to_contain_text("没有首选代表，没有分派", timeout=DEADLINE_MS)
    picture(page, "triage-results")


def test_similar_cases_are_shown_to_whoever_may_see_them(
    context: BrowserContext, api: Running, city_broker: Broker
) -> None:
    mine = case_for(city_broker, api, "D1", "路灯坏了。")
    same, near, others = (case_for(city_broker, api, who) for who in ("D1", "D1", "D2"))
    put(
        city_broker,
        mine.next(lifecycle.IssueJoined(mine.opinion, 1.0)),
        mine.next(lifecycle.Supported("s", 2)),
        same.next(lifecycle.IssueJoined(mine.opinion, 0.9, mine.opinion)),
        others.next(lifecycle.IssueJoined(mine.opinion, 0.9, mine.opinion)),
    )
    page = enter(context, api, "D1")

    def shown() -> bool:
        page.goto(f"/inbox/{mine.opinion}")
        return page.locator("#alike", has_text="同一问题").count() == 1

    eventually(shown, timeout=30)
    there = page.locator("#alike a").evaluate_all("all => all.map((one) => one.pathname.split('/').pop())")
    assert there[0] == same.opinion
    assert others.opinion not in there
    assert near.opinion in there
    expect(page.get_by_text("另有 2 位居民也反映")).to_be_visible()
    picture(page, "alike")
    supervisor = enter(context, api, "S1")
    supervisor.goto(f"/inbox/{mine.opinion}")
    expect(supervisor.locator(f'#alike a[href*="{others.opinion}"]')).to_be_visible()


@pytest.mark.parametrize("context", ["phone"], indirect=True)  # nothing in it depends on the size
def test_an_administrator_erases_by_typing_the_word_and_the_case_says_so(
    context: BrowserContext, api: Running, city_broker: Broker
) -> None:
    case = case_for(city_broker, api, "D2", "请把我写的都删掉。")
    page = enter(context, api, "A1")
    page.goto(f"/inbox/{case.opinion}")
    expect(page.get_by_text("请把我写的都删掉。")).to_be_visible()
    page.get_by_text("更多操作").click()
    page.get_by_text("永久删除内容").first.click()
    form = page.locator("form.action", has=page.locator("[value=erase]"))
    form.get_by_label("原因").select_option("resident_asked")
    form.get_by_label("请输入“删除”以确认").fill("算了")
    picture(page, "erase")
    form.get_by_role("button").click()
    expect(page.locator("#pending")).to_contain_text("请照提示输入确认的字", timeout=DEADLINE_MS)
    assert said_of(city_broker, case, "opinion.erasure_requested") == []
    form.get_by_label("请输入“删除”以确认").fill("删除")
    form.get_by_role("button").click()
    command = commanded(city_broker, case, "opinion.erasure_requested")
    assert command.data == inbound.ErasureRequested(inbound.Actor("staff", "A1"), "resident_asked")
    erased = lifecycle.Erased(inbound.Actor("staff", "A1"), "resident_asked")
    put(city_broker, case.next(erased, cause=command.id), case.deleted(topics.WORDS))
    expect(page.get_by_text("内容、照片和联系方式已按要求删除")).to_be_visible(timeout=DEADLINE_MS)
    expect(page.get_by_text("内容已删除：管理员（居民来电或当面要求）")).to_be_visible()
    assert page.get_by_text("请把我写的都删掉。").count() == 0
    picture(page, "erased")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_where_photos_are_chosen_and_actions_wait(
    browser: Browser, api: Running, city_broker: Broker, size: str, scheme: str
) -> None:
    case = case_for(city_broker, api, "D6")
    put(city_broker, case.next(lifecycle.Accepted(deputy("D6"))))
    waits = History()
    put(city_broker, *waits.steps(SUBMITTED, triaged("T1")))
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=api.url,
        viewport={"width": width, "height": height},
        bypass_csp=True,
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    PlayedIntake(context, failing=1)
    page = enter(context, api, "D6")
    page.goto(f"/inbox/{case.opinion}")
    page.get_by_text("记录进展", exact=True).first.click()
    form = page.locator("form.action", has=page.locator("[name=action][value=progress]"))
    form.locator("input[type=file]").set_input_files([PHOTO, PHOTO])
    expect(form.get_by_text("没传上")).to_be_visible()
    found = violations(page)
    form.get_by_label("办了什么").fill("等一等再发")
    posting = re.compile("/inbox/[0-9a-f-]{36}$")
    context.route(posting, lambda route: route.abort())
    form.get_by_role("button", name="记录进展").click()
    expect(page.locator("#outbox li")).to_contain_text("待发送", timeout=DEADLINE_MS)
    found += violations(page)
    picture(page, f"waits-{scheme}")
    context.unroute(posting)
    staff = enter(context, api, "T1")
    staff.goto("/triage")
    staff.get_by_role("checkbox").first.check()
    found += violations(staff)
    administrator = enter(context, api, "A1")
    administrator.goto(f"/inbox/{case.opinion}")
    expect(administrator.get_by_text("永久删除内容").first).to_be_attached()
    administrator.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    found += violations(administrator)
    context.close()
    assert found == []
