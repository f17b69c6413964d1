"""Which browsers take alerts, and pushing to them: on a real database, against a push service of our own."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from lianxin_chassis.database import Database as Handle
from lianxin_chassis.database import close_database, open_database, open_database_pymongo
from lianxin_chassis.settings import Settings
from lianxin_contracts.deliveries import InboxEntry
from lianxin_contracts.registry import City, Deputy, Region, Snapshot, Topic
from lianxin_notifier.alerts import Due
from lianxin_notifier.channel_push import PARTLY_ATTEMPTS, PushServices, PushSlot
from lianxin_notifier.device_store import MOST_DEVICES, Device, DeviceStore
from lianxin_notifier.posting import Allowed, Poster
from lianxin_notifier.retrying import SENT, Outcome
from lianxin_notifier.sessions import Sessions
from lianxin_notifier.web_push import Vapid, browser_of
from tests.notifier.conftest import PUSH_KEY
from tests.support.databases import Database
from tests.support.ports import free_port
from tests.support.push_service import PushService, Screen

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
CITY = Snapshot(
    version="v1",
    city=City("wuxi", "无锡"),
    topics={"0101": Topic("0101", "道路", "Roads", "01")},
    regions={"320213001": Region("320213001", "street", "金匮街道", parent="320213")},
    deputies={"D1": Deputy("D1", "代表", "street"), "E1": Deputy("E1", "Eve", "street", language="en")},
)


@pytest.fixture(params=[open_database, open_database_pymongo], ids=["motor", "pymongo"])
async def db(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Handle]:
    opening: Callable[[Settings], Handle] = request.param
    name = f"notifier_devices_{uuid.uuid4().hex[:12]}"
    opened = opening(Settings(service="notifier", mongo_url=database.url, mongo_database=name))
    yield opened
    await opened.client.drop_database(name)
    await close_database(opened)


@pytest.fixture
async def devices(db: Handle) -> DeviceStore:
    made = DeviceStore(db)
    await made.prepare()
    return made


@pytest.fixture
def service() -> Iterator[PushService]:
    made = PushService()
    yield made
    made.close()


@pytest.fixture
async def slot(devices: DeviceStore) -> AsyncIterator[PushSlot]:
    made = slot_of(devices)
    yield made
    await made.close()


def slot_of(devices: DeviceStore, allowed: str = "127.0.0.1,localhost", failures: int = 100) -> PushSlot:
    return PushSlot(
        Vapid(PUSH_KEY, "mailto:lianxin@example.org"),
        devices,
        PushServices(failures, timedelta(hours=1)),
        Poster(Allowed(allowed), 5.0),
        lambda: CITY,
        "https://lx.test",
    )


def due(alert: str = "a-1", event: str = "opinion.assigned", receiver: str = "D1", attempt: int = 1) -> Due:
    return Due(
        alert=alert,
        name="push",
        kind="push",
        target="",
        receiver=receiver,
        opinion="o-1",
        cause="e",
        raised=AT,
        entry=InboxEntry(event, "assigned", "open", topic="0101", due=AT),
        street="320213001",
        attempt=attempt,
    )


async def take(
    devices: DeviceStore, screen: Screen, person: str = "D1", session: str = "s", at: datetime = AT
) -> Device:
    given = screen.subscription()
    return await devices.add(person, session, browser_of(given["endpoint"], **given["keys"]), "Edge", at)


class TestDevices:
    async def test_a_person_may_have_several_and_removes_only_their_own(
        self, devices: DeviceStore, service: PushService
    ) -> None:
        first = await take(devices, service.screen())
        second = await take(devices, service.screen(), at=AT + timedelta(minutes=1))
        assert [one.id for one in await devices.of_person("D1")] == [second.id, first.id]
        assert not await devices.remove("D2", first.id)
        assert await devices.remove("D1", first.id)
        assert [one.id for one in await devices.of_person("D1")] == [second.id]

    async def test_a_browser_is_one_person_s_at_a_time(
        self, devices: DeviceStore, service: PushService
    ) -> None:
        screen = service.screen()
        await take(devices, screen)
        await take(devices, screen, "D2")
        assert await devices.of_person("D1") == []
        (one,) = await devices.of_person("D2")
        assert (one.browser.endpoint, one.browser.key) == (screen.endpoint, screen.public)

    async def test_a_new_one_takes_the_place_of_the_oldest_above_the_limit(
        self, devices: DeviceStore, service: PushService
    ) -> None:
        made = [
            await take(devices, service.screen(), at=AT + timedelta(minutes=n))
            for n in range(MOST_DEVICES + 1)
        ]
        assert {one.id for one in await devices.of_person("D1")} == {one.id for one in made[1:]}

    async def test_whoever_s_sign_in_is_revoked_gets_no_more_alerts_there(
        self, db: Handle, devices: DeviceStore, service: PushService
    ) -> None:
        sessions = Sessions(db)
        _, lost = await sessions.open("D1", "link", AT, timedelta(days=14))
        _, kept = await sessions.open("D1", "link", AT - timedelta(days=60), timedelta(days=14))
        await take(devices, service.screen(), session=lost.id)
        stays = await take(devices, service.screen(), session=kept.id)  # has run out, which is no revocation
        await sessions.revoke(lost.id, AT)
        assert [one.id for one in await devices.of_person("D1")] == [stays.id]
        assert await devices.first_of(["D1"]) == {"D1": AT}

    async def test_it_is_known_since_when_each_person_takes_alerts_in_a_browser(
        self, devices: DeviceStore, service: PushService
    ) -> None:
        await take(devices, service.screen(), at=AT + timedelta(hours=1))
        await take(devices, service.screen())
        assert await devices.first_of(["D1", "D2"]) == {"D1": AT}


class TestPushing:
    async def test_every_browser_shows_it_without_anybody_s_name_or_words(
        self, devices: DeviceStore, service: PushService, slot: PushSlot
    ) -> None:
        screens = [service.screen(), service.screen("localhost")]
        for screen in screens:
            await take(devices, screen)
        assert await slot.deliver(due()) == SENT
        assert service.refused == []
        expected = {
            "title": "【连心】有一件居民意见交给您（道路，金匮街道）",
            "body": "时限：2026年11月23日 星期一 09:00",
            "path": "/inbox/o-1",
            "tag": "o-1",
            "language": "zh-CN",
            "urgent": False,
        }
        assert [screen.shown for screen in screens] == [[expected], [expected]]

    async def test_what_is_urgent_says_so_and_news_of_a_case_replaces_what_was_not_delivered_of_it(
        self, devices: DeviceStore, service: PushService, slot: PushSlot
    ) -> None:
        await take(devices, service.screen())
        assert await slot.deliver(due()) == SENT
        assert await slot.deliver(due("a-2", "clock.breached")) == SENT
        (_, first), (_, second) = service.asked
        assert (first["urgency"], second["urgency"]) == ("normal", "high")
        assert first["topic"] == second["topic"]
        assert "o-1" not in str(service.asked)
        assert int(first["ttl"]) == 259_200

    async def test_a_deputy_who_reads_english_is_told_in_english(
        self, devices: DeviceStore, service: PushService, slot: PushSlot
    ) -> None:
        screen = service.screen()
        await take(devices, screen, "E1")
        assert await slot.deliver(due(receiver="E1")) == SENT
        assert screen.shown[0]["title"].startswith("[Lianxin] A resident's opinion was given to you")
        assert screen.shown[0]["language"] == "en"

    @pytest.mark.parametrize("status", [404, 410])
    async def test_a_browser_that_is_gone_is_forgotten_and_with_none_left_the_channel_is_skipped(
        self, devices: DeviceStore, service: PushService, slot: PushSlot, status: int
    ) -> None:
        kept, gone = service.screen(), service.screen()
        await take(devices, kept)
        await take(devices, gone)
        service.gone.add(gone.endpoint.removeprefix(service.origin))
        assert await slot.deliver(due()) == SENT
        (left,) = await devices.of_person("D1")
        assert left.browser.endpoint == kept.endpoint
        service.forced = [(status, {})]
        assert await slot.deliver(due("a-2")) == Outcome("skipped", "the browsers are gone")
        assert await slot.deliver(due("a-3")) == Outcome("skipped", "no browser takes alerts")

    async def test_what_one_push_service_has_taken_is_not_sent_there_again(
        self, devices: DeviceStore, service: PushService, slot: PushSlot
    ) -> None:
        screen, other = service.screen(), Screen(f"http://127.0.0.1:{free_port()}/push/x")
        await take(devices, screen)
        await take(devices, other)
        assert await slot.deliver(due()) == Outcome("retry", "ConnectError")
        assert await slot.deliver(due(attempt=2)) == Outcome("retry", "ConnectError")
        assert await slot.deliver(due(attempt=PARTLY_ATTEMPTS)) == SENT
        assert len(screen.shown) == 1

    async def test_a_push_service_in_trouble_is_spared_and_others_are_not(
        self, devices: DeviceStore, service: PushService
    ) -> None:
        slot = slot_of(devices, failures=1)
        away = f"127.0.0.1:{free_port()}"
        await take(devices, Screen(f"http://{away}/push/x"))
        assert await slot.deliver(due()) == Outcome("retry", "ConnectError")
        screen = service.screen()
        await take(devices, screen)
        assert await slot.deliver(due("a-2")) == Outcome("retry", "the push service is spared")
        assert len(screen.shown) == 1
        await slot.close()

    async def test_a_push_service_that_asks_for_time_gets_it(
        self, devices: DeviceStore, service: PushService, slot: PushSlot
    ) -> None:
        await take(devices, service.screen())
        service.forced = [(429, {"Retry-After": "40"}), (413, {})]
        assert await slot.deliver(due()) == Outcome("retry", "http 429", wait_s=40.0)
        assert await slot.deliver(due()) == Outcome("dead", "http 413")

    async def test_an_endpoint_inside_is_not_asked_whatever_a_browser_said(
        self, devices: DeviceStore, service: PushService
    ) -> None:
        slot = slot_of(devices, allowed="")
        await take(devices, service.screen())
        assert await slot.deliver(due()) == Outcome("dead", "address not allowed")
        assert service.asked == []
        await slot.close()
