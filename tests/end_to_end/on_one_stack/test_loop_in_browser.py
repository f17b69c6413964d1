"""The whole loop as a resident lives it, in a browser on the whole stack: scan, say, follow, be answered, be
dissatisfied, see it reopened. The deputy and the office act through the notifier."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.surface import Addresses
from tests.intake.pictures import photograph
from tests.intake.test_pages_in_browser import CHROMIUM, SIZES, browser, picture
from tests.support.stacks import LocalStack
from tests.support.wait import eventually

__all__ = ["browser"]  # a fixture

PATIENCE_S = 120.0
SAID = "人民路188号王阿姨家门口的路灯坏了三天，晚上看不见路。"
REDACTED = "一处路灯坏了三天，晚上看不见路。"
OFFICE = "supervisor-city"

pytestmark = pytest.mark.skipif(CHROMIUM is None and "CI" not in os.environ, reason="needs Debian's chromium")


@dataclass(frozen=True)
class Office:
    """What deputies and staff do with one opinion, and what anybody may read of it."""

    addresses: Addresses
    opinion: str

    def act(self, action: str, as_: str, **fields: Any) -> None:
        """Do it, and return when the router has applied it."""
        headers = {"Authorization": f"Bearer {self.addresses.staff_key}", "Idempotency-Key": str(uuid4())}
        path = f"{self.addresses.notifier}/v1/cases/{self.opinion}/actions"
        answer = httpx.post(path, json={"action": action, "as": as_, **fields}, headers=headers)
        assert answer.status_code == 202, answer.text
        command = f"{self.addresses.notifier}/v1/commands/{answer.json()['command_id']}"

        def decided() -> str | None:
            status: str = httpx.get(command, headers=headers).json()["status"]
            return None if status == "pending" else status

        assert eventually(decided, PATIENCE_S) == "applied"

    def holder(self, code: str) -> str:
        """The deputy who has it, once somebody has."""
        url = f"{self.addresses.intake}/v1/opinions/{self.opinion}"
        return str(eventually(lambda: httpx.get(url, params={"code": code}).json()["holder"], PATIENCE_S))

    def public(self) -> str | None:
        """The words that anybody may read."""
        (shown,) = httpx.get(f"{self.addresses.intake}/open311/v2/requests/{self.opinion}.json").json()
        words: str | None = shown["description"]
        return words


def look_until(page: Page, text: str) -> None:
    """Look again, as an impatient resident does, until the page says `text`."""

    def says() -> bool:
        page.reload()
        return page.locator("main", has_text=text).count() > 0

    eventually(says, PATIENCE_S, every=0.5)


@pytest.mark.parametrize("size", SIZES)
def test_a_resident_scans_follows_rates_dissatisfied_and_sees_who_has_it_again(
    stack: LocalStack,
    browser: Browser,
    size: str,
) -> None:
    with ThreadPoolExecutor(1) as aside:  # Playwright's thread has a running loop
        addresses = Addresses.of_status(aside.submit(stack.status).result())
    width, height = SIZES[size]
    page = browser.new_context(
        base_url=addresses.intake, viewport={"width": width, "height": height}
    ).new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)

    page.goto("/s/S0100")
    page.get_by_label("您想反映什么？").fill(SAID)
    page.get_by_role("button", name="发送").click()
    page.wait_for_url("**/t/**")
    opinion = page.evaluate("new URLSearchParams(location.search).get('id')")
    code = page.evaluate("location.pathname.split('/').pop()")
    picture(page, "loop-1-received")
    office = Office(addresses, opinion)
    deputy = office.holder(code)
    look_until(page, "代表在办")
    holding = page.locator(".now").get_by_text("代表在办").inner_text()
    picture(page, "loop-2-with-deputy")

    office.act("accept", deputy)
    assert office.public() is None
    office.act("publish", OFFICE, text=REDACTED)
    eventually(lambda: office.public() == REDACTED, PATIENCE_S)
    office.act("resolve", deputy, outcome="solved", text="已换新灯，今晚会亮。")
    look_until(page, "已换新灯，今晚会亮。")
    look_until(page, "已隐去个人信息，公开如下")
    expect(page.get_by_role("heading", name="已办结，请您评价")).to_be_visible()
    picture(page, "loop-3-resolved")

    page.get_by_label("不满意，请重新办理").check()
    page.get_by_label("想补充什么（可不填）").fill("今晚还是不亮。")
    page.get_by_role("button", name="提交评价").click()
    expect(page.get_by_role("status")).to_contain_text("已收到您的评价")
    picture(page, "loop-4-rated")
    look_until(page, "已重新办理。")
    expect(page.get_by_role("heading", name="正在办理")).to_be_visible()
    expect(page.locator(".now")).to_contain_text(holding.partition("，")[0])
    expect(page.locator(".now")).to_contain_text("答复您")
    expect(page.get_by_text("今晚还是不亮。")).to_be_visible()
    picture(page, "loop-5-reopened")

    office.act("unpublish", OFFICE)
    eventually(lambda: office.public() is None, PATIENCE_S)
    assert page.locator("body").evaluate("body => body.scrollWidth <= innerWidth"), "nothing sticks out"
    assert wrong == []
    page.context.close()


def test_a_deputy_sees_in_the_workbench_the_photos_that_a_resident_sent(
    stack: LocalStack, browser: Browser
) -> None:
    with ThreadPoolExecutor(1) as aside:
        addresses = Addresses.of_status(aside.submit(stack.status).result())
        headers = {"Authorization": f"Bearer {addresses.submit_key}"}
        photo = httpx.post(
            f"{addresses.intake}/v1/attachments",
            content=photograph(900, 1200),
            headers={**headers, "Content-Type": "image/jpeg"},
        ).json()["id"]
        said = {"text": SAID, "station": "S0100", "attachments": [photo]}
        receipt = httpx.post(f"{addresses.intake}/v1/opinions", json=said, headers=headers).json()
        deputy = Office(addresses, receipt["id"]).holder(receipt["tracking_code"])
        link = aside.submit(stack.lianxin, "signin", deputy).result().stdout.strip()
    page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.goto(link)
    page.get_by_role("button").first.click()
    page.wait_for_url("**/inbox**")
    page.goto(f"{addresses.notifier}/inbox/{receipt['id']}")
    shown = page.locator(".photos img")
    expect(shown).to_have_count(1)
    shown.scroll_into_view_if_needed()
    eventually(lambda: shown.evaluate("image => image.complete && image.naturalWidth > 0"), PATIENCE_S)
    picture(page, "workbench-photo")
    assert wrong == []
    page.context.close()
