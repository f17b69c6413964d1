"""Digests, weekly summaries and reminders of contact days: on a real database, log and mail server."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest
from pymongo import MongoClient

from lianxin_chassis.database import Database as Opened
from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.settings import Settings
from lianxin_contracts import ids, lifecycle, registry
from lianxin_contracts.deliveries import Delivery
from lianxin_contracts.registry import Snapshot
from lianxin_notifier.delivery_documents import Claimed
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.inbox import Opinion, apply
from lianxin_notifier.metric_names import NOTICES_LET_GO
from lianxin_notifier.notices import Times
from lianxin_notifier.noticing import NoticeClock, Noticing
from lianxin_notifier.preference_store import PreferenceStore
from lianxin_notifier.preferences import Digest, Preferences
from lianxin_notifier.store import ProjectionStore
from lianxin_notifier.summary_store import SummaryStore
from tests.notifier.conftest import DATABASE, QUICK
from tests.notifier.lifecycles import SUBMITTED, History, assigned, deputy, now
from tests.notifier.running import Running
from tests.notifier.small_city import RECORDS
from tests.notifier.supervised import Supervised
from tests.notifier.topics import deliveries, write
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.smtp import SmtpServer

ZONE = ZoneInfo("Asia/Shanghai")
MONDAY = datetime(2026, 11, 23, 8, 40, tzinfo=ZONE).astimezone(UTC)
CITY = Snapshot(
    version="v1",
    city=registry.City("wuxi", "无锡"),
    **{  # type: ignore[arg-type]
        plural: {r.id: r for k, r in RECORDS if k == kind}  # type: ignore[attr-defined]
        for kind, plural in (("deputy", "deputies"), ("duty", "duties"), ("station", "stations"))
    },
)
Result = TypeVar("Result")
Story = Callable[["Office"], Awaitable[None]]


class Office:
    """A database with inboxes in it, looked at by as many workers as one likes at a time of one's choice."""

    def __init__(self, db: Opened) -> None:
        self.db = db
        self.inboxes = ProjectionStore(db, 1)
        self.deliveries = DeliveryStore(db)
        self.preferences = PreferenceStore(db)

    async def open(self) -> None:
        for part in (self.inboxes, self.deliveries):
            await part.prepare()
            await part.set_state("built")

    async def happens(self, case: History, *steps: Any, at: datetime) -> None:
        before = Opinion(id=case.opinion)
        known = await self.inboxes.opinions([case.opinion])
        before = known.get(case.opinion, before)
        for step in steps:
            case.sequence += 1
            event = case.event(step, at=at)
            after, _ = apply(before, event)
            await self.inboxes.save([(before, after)], [], [], [event])
            before = after

    async def look(self, at: datetime) -> int:
        return await Noticing(
            NoticeClock(self.db),
            SummaryStore(self.db, 1),
            self.deliveries,
            self.preferences,
            lambda: CITY,
            times=Times(),
            now=lambda: at,
        ).look()

    async def queued(self) -> list[Claimed]:
        return await self.deliveries.claim("mail", 100, datetime(2027, 1, 1, tzinfo=UTC), 0.0)


@pytest.fixture
def play(database: Database) -> Callable[[Story], None]:
    """Plays a story in an office of its own."""

    def played(story: Story) -> None:
        async def run() -> None:
            settings = Settings(service="test", mongo_url=database.url, mongo_database=f"n{ids.fresh()[:30]}")
            db = open_database(settings)
            try:
                office = Office(db)
                await office.open()
                await story(office)
            finally:
                await close_database(db)

        asyncio.run(run())

    return played


def test_a_weekly_summary_tells_of_the_week_before_and_is_one_over_several_workers(
    play: Callable[[Story], None],
) -> None:
    async def story(office: Office) -> None:
        last_week = MONDAY - timedelta(days=4)
        done, open_ = History(), History()
        await office.happens(
            done,
            SUBMITTED,
            assigned("M1"),
            lifecycle.Resolved(deputy("M1"), "solved", "w", 1, now()),
            lifecycle.Rated("satisfied"),
            at=last_week,
        )
        await office.happens(open_, SUBMITTED, assigned("M1"), at=last_week)
        looks = await asyncio.gather(*(office.look(MONDAY) for _ in range(3)))
        assert max(looks) == 1
        await office.look(MONDAY + timedelta(seconds=20))
        (one,) = await office.queued()
        assert (one.due.receiver, one.due.entry.event, one.due.target) == (
            "M1",
            "notice.weekly",
            "m1@deputies.test",
        )
        wanted = {"new": 2, "resolved": 1, "satisfied": 1, "dissatisfied": 0, "open": 1}
        assert {name: one.due.counts[name] for name in wanted} == wanted

    play(story)


def test_who_had_a_quiet_week_gets_no_summary(play: Callable[[Story], None]) -> None:
    async def story(office: Office) -> None:
        assert await office.look(MONDAY) == 0

    play(story)


def test_a_digest_comes_at_its_hour_or_when_enough_is_new_and_only_once_each(
    play: Callable[[Story], None],
) -> None:
    async def story(office: Office) -> None:
        await office.preferences.save("M2", Preferences(digest=Digest("08:00", or_when=2)))
        tuesday = MONDAY + timedelta(days=1)
        assert await office.look(tuesday) == 0
        for minute in (10, 20, 30):
            await office.happens(History(), SUBMITTED, assigned("M2"), at=tuesday + timedelta(minutes=minute))
            await office.look(tuesday + timedelta(minutes=minute + 1))
        assert [(o.due.counts["open"], o.due.counts["fresh"]) for o in await office.queued()] == [(2, 2)]
        await office.look(tuesday + timedelta(days=1))
        assert sorted(o.due.counts["open"] for o in await office.queued()) == [2, 3]

    play(story)


def test_hours_without_a_worker_lose_nothing_and_what_is_days_late_is_let_go_and_counted(
    play: Callable[[Story], None],
) -> None:
    async def story(office: Office) -> None:
        await office.preferences.save("M3", Preferences(digest=Digest("08:00")))
        await office.happens(History(), SUBMITTED, assigned("M3"), at=MONDAY - timedelta(days=1))
        await office.look(MONDAY)  # its slot was an hour ago: still sent
        assert len([o for o in await office.queued() if o.due.entry.event == "notice.digest"]) == 1
        before = NOTICES_LET_GO.labels("digest")._value.get()
        await office.look(MONDAY + timedelta(days=3))
        digests = [o for o in await office.queued() if o.due.entry.event == "notice.digest"]
        assert len(digests) == 2  # that of the day itself, and not those of the two days in between
        assert NOTICES_LET_GO.labels("digest")._value.get() == before + 2

    play(story)


def test_a_deputy_without_a_channel_of_their_own_is_not_written_to(play: Callable[[Story], None]) -> None:
    async def story(office: Office) -> None:
        await office.happens(History(), SUBMITTED, assigned("D2"), at=MONDAY - timedelta(days=4))
        assert await office.look(MONDAY) == 0

    play(story)


# -- with the whole worker


@pytest.fixture(scope="module")
def post_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmtpServer]:
    server = SmtpServer(tmp_path_factory.mktemp("notices-smtp"))
    server.start()
    yield server
    server.kill()


def test_a_digest_is_mailed_once_and_what_it_told_of_is_not_mailed_after_the_database_was_dropped(
    alone: None, city_broker: Broker, database: Database, post_office: SmtpServer, tmp_path: Path
) -> None:
    with MongoClient[dict[str, Any]](database.url) as client:
        wishes: dict[str, Any] = {"digest": {"at": "00:00", "or_when": 2}}
        client[DATABASE]["preferences"].replace_one({"_id": "M6"}, wishes, upsert=True)
    env = {
        "smtp_host": post_office.host,
        "smtp_port": str(post_office.port),
        "notices_every_s": "0.3",
        **QUICK,
    }
    workers = [
        Running("worker", tmp_path, city_broker, database.url, DATABASE, **env).start() for _ in range(2)
    ]
    try:
        for _ in range(wishes["digest"]["or_when"]):
            write(city_broker.bootstrap, History().steps(SUBMITTED, assigned("M6")))
        told = eventually(lambda: [d for d in notices(city_broker) if d.status == "sent"])
        assert [(d.receiver, d.opinion, d.cause, d.channel) for d in told] == [("M6", "", "", "mail")]
        (mail,) = mails_to_m6(post_office)
        assert mail["subject"].startswith("【连心】待办汇总：共 ")
        assert "https://lianxin.test/signin/" in mail["body"]
        assert mail["message_id"] == told[0].message_id
    finally:
        for worker in workers:
            worker.stop()
    with MongoClient[dict[str, Any]](database.url) as client:
        client.drop_database(DATABASE)  # and with it what M6 had wished
    with Supervised(Running("worker", tmp_path, city_broker, database.url, DATABASE, **env)) as again:
        again.ready()
        after = History()
        write(city_broker.bootstrap, after.steps(SUBMITTED, assigned("M6")))
        mails = eventually(lambda: found if len(found := mails_to_m6(post_office)) > 1 else None)
    assert [after.opinion in m["body"] for m in mails] == [False, True], "none of which the digest had told"


def mails_to_m6(post_office: SmtpServer) -> list[dict[str, Any]]:
    return [m for m in post_office.messages() if m["to"] == ["m6@deputies.test"]]


def notices(broker: Broker) -> list[Delivery]:
    return [d for d in deliveries(broker.bootstrap) if d.about == "notice.digest"]
