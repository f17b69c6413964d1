"""The desk in a real browser: a call by keyboard alone, at a desk's width and at a phone's."""

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.intake.running import Running
from tests.intake.small_city import DESK
from tests.intake.test_pages_in_browser import (
    SIZES,
    TOP,
    Axe,
    browser,
    context,
    picture,
    pytestmark,
)

__all__ = ["browser", "context", "pytestmark"]


def signed_in(page: Page, address: str = "/desk") -> None:
    page.goto(address)
    page.locator("#channel_key").fill(DESK)
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_be_focused()


def test_a_call_goes_by_keyboard_alone_and_the_next_one_can_come(context: BrowserContext) -> None:
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.goto("/desk")
    expect(page.get_by_label("渠道密钥")).to_be_focused()
    picture(page, "desk-sign-in")
    signed_in(page)
    page.keyboard.type("路灯坏了三天，晚上看不见路。")
    page.keyboard.press("Tab")
    expect(page.locator("#place")).to_be_focused()
    page.keyboard.type("jkjddb")
    expect(page.locator("#places .choice").first).to_contain_text("金匮街道代表之家")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("金匮街道代表之家")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.type("3号楼")
    picture(page, "desk-form")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="已收到，请把编号念给居民")).to_be_visible()
    expect(page.get_by_text("金匮街道代表之家 3号楼")).to_be_visible()
    picture(page, "desk-receipt")
    expect(page.get_by_role("link", name="接下一位")).to_be_focused()
    page.emulate_media(media="print")
    picture(page, "desk-slip")
    expect(page.locator(".taken")).to_be_hidden()
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.get_by_role("link", name="接下一位")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_be_focused()
    expect(page.locator("#text")).to_have_value("")
    page.keyboard.type("下一位")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("heading", name="已收到，请把编号念给居民")).to_be_visible()
    assert wrong == []


def test_without_a_script_the_server_asks_which_place(browser: Browser, api: Running) -> None:
    context = browser.new_context(base_url=api.url, java_script_enabled=False)
    page = context.new_page()
    signed_in(page, "/desk?lang=en")
    page.keyboard.type("The lamp is broken")
    page.locator("#place").fill("jk")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Which one?").first).to_be_visible()
    picture(page, "desk-which")
    page.get_by_label("金匮街道代表之家").check()
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="Received: read this code out")).to_be_visible()
    context.close()


def test_in_the_other_language_everything_that_was_written_down_is_there(context: BrowserContext) -> None:
    page = context.new_page()
    signed_in(page)
    page.keyboard.type("路灯坏了三天")
    page.locator("#place").fill("jkjddb")
    page.locator("#address").fill("3号楼")
    page.locator("#phone").fill("13800000000")
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    for field, value in (("text", "路灯坏了三天"), ("address", "3号楼"), ("phone", "13800000000")):
        expect(page.locator(f"#{field}")).to_have_value(value)
    expect(page.locator("#places .choice").first).to_contain_text("金匮街道代表之家")
    assert "13800000000" not in page.evaluate("JSON.stringify({...localStorage, ...sessionStorage})")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_at_the_desk(browser: Browser, api: Running, scheme: str) -> None:
    for width, height in SIZES.values():
        context = browser.new_context(
            base_url=api.url,
            viewport={"width": width, "height": height},
            bypass_csp=True,
            color_scheme=scheme,  # type: ignore[arg-type]
        )
        page = context.new_page()
        seen = []
        page.goto("/desk")
        seen.append(violations_on(page))
        signed_in(page)
        page.locator("#place").fill("jk")
        expect(page.locator("#places .choice").first).to_be_visible()
        seen.append(violations_on(page))
        page.locator("#text").fill("x")
        page.locator("#phone").fill("不知道")
        page.locator("#send").click()
        expect(page.locator(".mistake, #found.mistake").first).to_be_visible()
        picture(page, f"desk-mistake-{scheme}")
        seen.append(violations_on(page))
        page.get_by_label("按原话记录").check()
        page.locator("#phone").fill("")
        page.locator("#send").click()
        expect(page.locator(".groups")).to_be_visible()
        picture(page, f"desk-receipt-{scheme}")
        seen.append(violations_on(page))
        context.close()
        assert seen == [[]] * 4


def violations_on(page: Page) -> list[str]:
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": TOP}}).response["violations"]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]
