"""Signing in by a provider of others in a real browser, with its own page in between."""

from pathlib import Path

import oidc_provider_mock
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from tests.notifier.conftest import DATABASE
from tests.notifier.running import Running
from tests.notifier.test_workbench_in_browser import DEADLINE_MS, PICTURES, SIZES, TOP, aside
from tests.notifier.test_workbench_in_browser import pytestmark as pytestmark  # the same conditions
from tests.support.brokers import Broker
from tests.support.chromium import launched
from tests.support.databases import Database


def shown(page: Page, name: str) -> None:
    """The page breaks no rule, and is kept for whoever wants to look at it."""
    found = Axe().run(page, options={"runOnly": TOP})
    assert found.violations_count == 0, found.generate_report()
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def play(context: BrowserContext, size: str) -> None:
    context.set_default_timeout(DEADLINE_MS)
    page = context.new_page()
    page.goto("/inbox")
    shown(page, f"signin-oidc-{size}")
    page.get_by_role("link", name="用“梁溪政务认证”登录").click()
    page.locator("input[name=sub]").fill("u-1")  # the provider's own page
    page.get_by_role("button", name="Authorize").click()
    expect(page.get_by_role("heading", name="我的意见")).to_be_visible()
    assert page.url.endswith("/inbox")
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Lax" for cookie in context.cookies(page.url))
    page.get_by_role("button", name="退出").click()
    expect(page.get_by_role("link", name="在身份认证平台也退出")).to_be_visible()
    shown(page, f"signin-oidc-out-{size}")
    page.goto("/signin?fault=oidc_nobody&lang=en")
    expect(page.get_by_role("alert")).to_be_visible()
    shown(page, f"signin-oidc-fault-{size}")


def test_a_deputy_clicks_the_button_signs_in_there_and_lands_in_the_inbox(
    city_broker: Broker, database: Database, tmp_path: Path
) -> None:
    users = [oidc_provider_mock.User(sub="u-1", claims={"preferred_username": "D2"})]
    with oidc_provider_mock.run_server_in_thread(user_claims=users) as server:
        api = Running(
            "api",
            tmp_path,
            city_broker,
            database.url,
            DATABASE,
            oidc_issuer=f"http://localhost:{server.server_port}",
            oidc_client_id="workbench",
            oidc_client_secret="anything",
            oidc_name="梁溪政务认证",
        ).start()
        try:
            with sync_playwright() as playwright:
                browser = launched(playwright)
                for size, (width, height) in SIZES.items():
                    viewport = {"width": width, "height": height}
                    context = browser.new_context(base_url=api.url, viewport=viewport)  # type: ignore[arg-type]
                    play(context, size)
                    context.close()
                browser.close()
        finally:
            aside(api.stop)
