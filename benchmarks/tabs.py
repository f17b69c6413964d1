"""Deputies' inboxes in a real browser: Chromium without a window, the page `/inbox`, signed in by a link.

The page's own `EventSource` is watched from inside the page: each alert is stamped there, in the order
that the page itself hears of it, with `performance.timeOrigin + performance.now()`.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from benchmarks.hops import BROWSER, Watch
from playwright.async_api import Browser, Page, async_playwright

# The page's script makes an EventSource; this one is the same and takes note before the page's own listeners.
STAMPING = """
(() => {
  const Plain = window.EventSource;
  window.arrivals = [];
  window.begun = false;
  window.EventSource = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener('ready', () => { window.begun = true; });
      this.addEventListener('alert', (event) => {
        const at = performance.timeOrigin + performance.now();
        window.arrivals.push([JSON.parse(event.data).id, at]);
      });
    }
  };
})();
"""
EXCHANGES = 30


@dataclass(frozen=True, slots=True)
class Clock:
    """How a page's clock stands to this process's: `offset` is to be added to the page's seconds, and is
    wrong by at most `within` seconds."""

    offset: float
    within: float


class Tabs:
    """One open tab for each deputy."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self.pages = pages
        self.clocks: dict[str, Clock] = {}

    async def set_clocks(self) -> float:
        """Compare every page's clock with this process's; returns how wrong the worst may be, seconds.

        The page is asked for its time again and again; in the quickest exchange its answer lies between our
        two readings, so the middle of these is wrong by at most half of that exchange. Wall clocks don't
        enter: one that is set meanwhile changes nothing, since the page's time runs on from its origin."""
        for deputy, page in self.pages.items():
            self.clocks[deputy] = await _compare(page)
        return max(clock.within for clock in self.clocks.values())

    async def drift(self) -> float:
        """By how much the worst clock has moved against ours since `set_clocks`, seconds."""
        now = {deputy: await _compare(page) for deputy, page in self.pages.items()}
        return max(abs(now[deputy].offset - self.clocks[deputy].offset) for deputy in now)

    async def collect(self, watch: Watch, seconds: float = 60.0) -> None:
        """Tell `watch` what has arrived in the tabs, once everything has or `seconds` are over."""
        deadline = time.perf_counter() + seconds
        while True:
            for deputy, page in self.pages.items():
                offset = self.clocks[deputy].offset
                for opinion, at_ms in await page.evaluate("window.arrivals"):
                    watch.passed(opinion, BROWSER, at_ms / 1000 + offset)
            if not watch.missing(BROWSER) or time.perf_counter() > deadline:
                return
            await asyncio.sleep(0.5)


async def _compare(page: Page) -> Clock:
    found = []
    for _ in range(EXCHANGES):
        asked = time.perf_counter()
        told = await page.evaluate("performance.timeOrigin + performance.now()") / 1000
        answered = time.perf_counter()
        found.append(Clock((asked + answered) / 2 - told, (answered - asked) / 2))
    return min(found, key=lambda clock: clock.within)


@asynccontextmanager
async def tabs(notifier: str, deputies: Iterable[str], staff: Mapping[str, str]) -> AsyncIterator[Tabs]:
    """A tab with the inbox of each of `deputies`, its event stream begun. `staff`: the headers of a key that
    may hand out links. Ends the run where there is no Chromium."""
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("Debian's chromium is needed; --tabs 0 measures without a browser")
    async with async_playwright() as playwright, httpx.AsyncClient(base_url=notifier) as http:
        browser = await playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
        )
        pages = {}
        for deputy in sorted(deputies):
            answer = await http.post("/v1/signins", params={"person": deputy}, headers=dict(staff))
            answer.raise_for_status()
            pages[deputy] = await _open(browser, answer.json()["link"])
        yield Tabs(pages)
        await browser.close()


async def _open(browser: Browser, link: str) -> Page:
    context = await browser.new_context(viewport={"width": 390, "height": 844})
    page = await context.new_page()
    page.set_default_timeout(60_000)
    await page.add_init_script(STAMPING)
    await page.goto(link)
    await page.get_by_role("button", name="登录").click()
    await page.wait_for_url("**/inbox")
    # Looked at from here: waiting inside the page needs `eval`, which the page's policy forbids.
    deadline = time.perf_counter() + 60
    while not await page.evaluate("window.begun"):
        if time.perf_counter() > deadline:
            raise SystemExit("a tab's event stream did not begin")
        await asyncio.sleep(0.05)
    return page
