"""The settings in a real browser, at a phone's width and at a desk's: set with two taps, read in words."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests.notifier.running import Running
from tests.notifier.test_workbench_in_browser import (
    DEADLINE_MS,
    SIZES,
    TOP,
    enter,
    picture,
    pytestmark,
)
from tests.support.chromium import launched

__all__ = ["pytestmark"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = launched(playwright)
        yield opened
        opened.close()


@pytest.fixture(params=SIZES)
def context(request: pytest.FixtureRequest, browser: Browser, api: Running) -> Iterator[BrowserContext]:
    width, height = SIZES[request.param]
    context = browser.new_context(base_url=api.url, viewport={"width": width, "height": height})
    context.set_default_timeout(DEADLINE_MS)
    yield context
    context.close()


def test_a_deputy_puts_mail_first_and_sees_in_words_what_that_means(
    context: BrowserContext, api: Running
) -> None:
    page = enter(context, api, "F2")
    page.get_by_role("link", name="设置").click()
    now = page.locator("p.message", has_text="现在怎样提醒您")
    expect(now).to_contain_text("先用")
    if "先用邮件" not in now.inner_text():
        page.get_by_role("button", name="上移：邮件 f2@deputies.test").click()
        expect(page.get_by_role("status")).to_have_text("已保存。")
    expect(now).to_contain_text("先用邮件 f2@deputies.test，不行再用短信")
    page.get_by_label("从", exact=True).fill("00:00")
    page.get_by_label("到", exact=True).fill("23:59")
    page.get_by_label("这段时间不提醒").check()
    page.get_by_role("button", name="保存").last.click()
    expect(now).to_contain_text("现在是免打扰时间")
    told = Axe().run(page, options={"runOnly": {"type": "tag", "values": TOP}}).response["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in told] == []
    picture(page, "preferences")
    page.get_by_label("这段时间不提醒").uncheck()
    page.get_by_role("button", name="上移：短信 13800000002").click()
    expect(now).to_contain_text("先用短信 13800000002")
    page.goto("/preferences?lang=en")
    expect(page.get_by_role("heading", name="Settings")).to_be_visible()
    picture(page, "preferences-en")
