"""The whole loop in two browsers on the whole stack, the resident's and the deputy's: scan, say with a photo,
come live into the inbox, be taken up, see what was done, be dissatisfied, have it reopened, be satisfied. The
office acts through the notifier."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.end_to_end.surface import Addresses
from tests.intake.pictures import photograph
from tests.intake.test_pages_in_browser import SIZES, TOP, browser, picture
from tests.support.chromium import needs_chromium
from tests.support.stacks import LocalStack
from tests.support.wait import eventually

__all__ = ["browser"]  # a fixture

PATIENCE_S = 120.0
PATIENCE_MS = PATIENCE_S * 1000
SAID = "人民路188号王阿姨家门口的路灯坏了三天，晚上看不见路。"
REDACTED = "一处路灯坏了三天，晚上看不见路。"
OFFICE = "supervisor-city"
# The deputies of the station's community: one of them gets it, by load.
NEIGHBOURS = ("D0652", "D1416", "D2180")
PHOTO = {"name": "lamp.jpg", "mimeType": "image/jpeg", "buffer": photograph(900, 1200)}

pytestmark = needs_chromium


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


class Browsers:
    """Contexts of one size, and what their consoles complained of."""

    def __init__(self, browser: Browser, size: str) -> None:
        self._browser = browser
        self._width, self._height = SIZES[size]
        self.wrong: list[str] = []

    def open(self, url: str) -> Page:
        """A page in a context of its own."""
        page = self._context(base_url=url).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        return page

    def violations(self, page: Page, *addresses: str) -> list[str]:
        """What axe finds at `addresses` for whoever is signed in on `page`. It is injected, so the pages' own
        policy is set aside, here alone."""
        context = self._context(bypass_csp=True, storage_state=page.context.storage_state())
        again = context.new_page()
        found: list[str] = []
        for address in addresses:
            again.goto(address)
            again.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            told = (
                Axe().run(again, options={"runOnly": {"type": "tag", "values": TOP}}).response["violations"]
            )
            found += [f"{address}: {one['id']}: {[n['html'] for n in one['nodes']]}" for one in told]
        context.close()
        return found

    def _context(self, **more: Any) -> BrowserContext:
        viewport: Any = {"width": self._width, "height": self._height}
        return self._browser.new_context(viewport=viewport, **more)


def signed_in(browsers: Browsers, notifier: str, link: str) -> Page:
    """The inbox of whom `link` signs in, open and following what comes."""
    page = browsers.open(notifier)
    with page.expect_request("**/v1/alerts/stream*"):
        page.goto(link)
        page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("heading", name="我的意见")).to_be_visible(timeout=PATIENCE_MS)
    return page


def act(page: Page, action: str, photos: int = 0, **fields: str) -> None:
    """Fill in and send a case's form, and wait until the router has applied it."""
    form = page.locator("form.action", has=page.locator(f'[name=action][value="{action}"]'))
    if not form.get_by_role("button").last.is_visible():
        form.locator("xpath=ancestor::details[1]/summary").click()
    for name, value in fields.items():
        field = form.locator(f'[name="{name}"]')
        if name == "outcome":
            field.select_option(value)
        else:
            field.fill(value)
    if photos:
        form.locator("input[type=file]").set_input_files([PHOTO] * photos)
        expect(form.get_by_text("✓ 已上传")).to_have_count(photos, timeout=PATIENCE_MS)
    picture(page, f"loop-form-{action}")
    form.locator("button[type=submit]").click()
    expect(page.locator("#answer")).to_have_text("已登记。", timeout=PATIENCE_MS)
    expect(page.locator("#pending")).to_be_empty(timeout=PATIENCE_MS)


def whole(page: Page, count: int) -> None:
    """Return when `count` photos are drawn on the page, and not just named by it."""
    shown = page.locator("main img")
    expect(shown).to_have_count(count, timeout=PATIENCE_MS)
    for image in shown.all():
        image.scroll_into_view_if_needed()
    drawn = "all => all.every((image) => image.complete && image.naturalWidth > 0)"
    eventually(lambda: shown.evaluate_all(drawn), PATIENCE_S)


@pytest.mark.parametrize("size", SIZES)
def test_a_resident_and_a_deputy_play_the_whole_loop_live(
    stack: LocalStack, browser: Browser, size: str
) -> None:
    with ThreadPoolExecutor(len(NEIGHBOURS)) as aside:  # Playwright's thread has a running loop
        addresses = Addresses.of_status(aside.submit(stack.status).result())
        signins = {who: aside.submit(stack.lianxin, "signin", who) for who in NEIGHBOURS}
        links = {who: made.result().stdout.strip() for who, made in signins.items()}
    browsers = Browsers(browser, size)
    inboxes = {who: signed_in(browsers, addresses.notifier, link) for who, link in links.items()}

    page = browsers.open(addresses.intake)
    page.goto("/s/S0100")
    page.get_by_label("您想反映什么？").fill(SAID)
    page.locator("#photos").set_input_files([PHOTO])
    page.get_by_role("button", name="发送").click()
    page.wait_for_url("**/t/**")
    opinion = page.evaluate("new URLSearchParams(location.search).get('id')")
    code = page.evaluate("location.pathname.split('/').pop()")
    picture(page, "loop-1-received")
    office = Office(addresses, opinion)
    holder = office.holder(code)
    assert holder in NEIGHBOURS, "it went to a deputy of the station's community"
    deputy = inboxes.pop(holder)
    for other in inboxes.values():
        other.context.close()
    line = deputy.locator(f'[data-id="{opinion}"]')
    expect(line).to_contain_text("新交办", timeout=PATIENCE_MS)  # without a reload
    picture(deputy, "loop-2-inbox")
    look_until(page, "代表在办")
    holding = page.locator(".now").get_by_text("代表在办").inner_text()

    line.get_by_role("link").click()
    expect(deputy.get_by_text("路灯坏了三天", exact=False).first).to_be_visible()
    whole(deputy, 1)
    act(deputy, "accept")
    assert office.public() is None
    office.act("publish", OFFICE, text=REDACTED)
    eventually(lambda: office.public() == REDACTED, PATIENCE_S)
    act(deputy, "progress", photos=2, text="已到现场，两盏灯坏了。")
    whole(deputy, 3)
    picture(deputy, "loop-3-progress")
    act(deputy, "resolve", photos=1, outcome="solved", text="已换新灯，今晚会亮。")
    picture(deputy, "loop-4-resolved-deputy")
    look_until(page, "已换新灯，今晚会亮。")
    look_until(page, "已隐去个人信息，公开如下")
    expect(page.get_by_role("heading", name="已办结，请您评价")).to_be_visible()
    whole(page, 5)  # the evidence of the answer stands beside it and in the timeline
    picture(page, "loop-4-resolved")

    deputy.goto("/inbox")
    expect(line).to_contain_text("已答复，待评价", timeout=PATIENCE_MS)
    page.get_by_label("不满意，请重新办理").check()
    page.get_by_label("想补充什么（可不填）").fill("今晚还是不亮。")
    page.get_by_role("button", name="提交评价").click()
    expect(page.get_by_role("status")).to_contain_text("已收到您的评价", timeout=PATIENCE_MS)
    picture(page, "loop-5-rated")
    expect(line).to_contain_text("办理中", timeout=PATIENCE_MS)  # reopened, without a reload
    picture(deputy, "loop-5-reopened-inbox")
    look_until(page, "已重新办理。")
    expect(page.get_by_role("heading", name="正在办理")).to_be_visible()
    expect(page.locator(".now")).to_contain_text(holding.partition("，")[0])
    expect(page.locator(".now")).to_contain_text("答复您")
    expect(page.get_by_text("今晚还是不亮。")).to_be_visible()
    picture(page, "loop-5-reopened")

    line.get_by_role("link").click()
    expect(deputy.get_by_text("今晚还是不亮。")).to_be_visible()
    act(deputy, "resolve", photos=1, outcome="solved", text="线路也换了，今晚看过，亮了。")
    deputy.goto("/inbox")
    look_until(page, "线路也换了，今晚看过，亮了。")
    page.get_by_label("满意", exact=True).check()
    page.get_by_role("button", name="提交评价").click()
    expect(page.get_by_role("status")).to_contain_text("已收到您的评价", timeout=PATIENCE_MS)
    deputy.goto("/inbox?stage=closed")

    def archived() -> bool:
        deputy.reload()
        return line.count() == 1

    eventually(archived, PATIENCE_S, every=0.5)
    deputy.goto(f"/inbox/{opinion}")
    expect(deputy.get_by_text("归档：")).to_be_visible()
    picture(deputy, "loop-6-closed-deputy")
    look_until(page, "满意")
    picture(page, "loop-6-closed")

    office.act("unpublish", OFFICE)
    eventually(lambda: office.public() is None, PATIENCE_S)
    for one in (page, deputy):
        assert one.locator("body").evaluate("body => body.scrollWidth <= innerWidth"), "nothing sticks out"
    assert browsers.wrong == []
    seen = [f"{addresses.notifier}{path}" for path in ("/inbox", "/inbox?stage=closed", f"/inbox/{opinion}")]
    seen += [f"{addresses.intake}/s/S0100", page.url, f"{addresses.notifier}/duty/S0100"]
    assert browsers.violations(deputy, *seen) == []
    for one in (page, deputy):
        one.context.close()
