"""The page where a resident stops the messages about an opinion, in a real browser."""

import pytest
from playwright.sync_api import Browser, expect

from lianxin_contracts import ids
from lianxin_notifier.stop_links import StopLinks
from tests.notifier.running import SIGNIN_SECRET, Running
from tests.notifier.test_workbench_in_browser import DEADLINE_MS, SIZES, aside, browser, picture, pytestmark
from tests.notifier.test_workbench_on_the_road_in_browser import violations
from tests.notifier.topics import deliveries
from tests.support.brokers import Broker

__all__ = ["browser", "pytestmark"]  # a fixture and marks


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_opening_it_stops_nothing_its_button_does_and_axe_finds_nothing(
    browser: Browser, api: Running, city_broker: Broker, size: str, scheme: str
) -> None:
    opinion = ids.fresh()
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        bypass_csp=True,  # axe is injected
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    context.set_default_timeout(DEADLINE_MS)
    page = context.new_page()
    page.goto(StopLinks(SIGNIN_SECRET.encode(), api.url).address(opinion))
    expect(page.get_by_role("heading", level=1)).to_have_text("停止这件意见的通知")
    assert violations(page) == []
    picture(page, f"stop-{scheme}")
    assert aside(lambda: deliveries(city_broker.bootstrap, opinion)) == []
    page.get_by_role("button", name="停止通知").click()
    expect(page.get_by_role("status")).to_be_visible()
    assert violations(page) == []
    picture(page, f"stopped-{scheme}")
    (told,) = aside(lambda: deliveries(city_broker.bootstrap, opinion))
    assert (told.status, told.receiver) == ("skipped", "resident")
    context.close()
