"""An alert from channel to channel and from round to round, by several workers, on a real database: what is
queued, and what is not."""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest
from msgspec.structs import replace

from lianxin_chassis.database import Database as Handle
from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.marks import Lost
from lianxin_chassis.settings import Settings
from lianxin_contracts.deliveries import Delivery, DeliveryStatus, InboxEntry
from lianxin_contracts.registry import Calendar, City, Deputy, Snapshot
from lianxin_notifier.alerts import alert_id
from lianxin_notifier.choosing import Repeats
from lianxin_notifier.delivery_documents import Status
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.inbox import Alert, Opinion, Seat
from lianxin_notifier.preference_store import PreferenceStore
from lianxin_notifier.preferences import Digest, Preferences, Quiet
from lianxin_notifier.reaching import Reaching
from lianxin_notifier.reaching_store import ReachingStore
from tests.support.databases import Database

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)  # 9:00 of a Monday in the city
CITY = Snapshot(
    version="v1",
    city=City("wuxi", "无锡"),
    calendars={"2026": Calendar("2026", 2026)},
    deputies={"D1": Deputy("D1", "代表", "street", channels=("mail:d1@x.test", "sms:13800000000"))},
)
WAITING = Opinion(
    id="o1",
    sequence=2,
    stage="assigned",
    holder="D1",
    due_acknowledge=AT + timedelta(days=1),
    seats={"D1": Seat("holder", told=2)},
)


class World:
    """The stores, a clock that is set, the opinions as the projection has them, and workers."""

    def __init__(self, db: Handle, most: int = 2) -> None:
        self.now = AT
        self.known = {"o1": WAITING}
        self.deliveries = DeliveryStore(db)
        self.reaching = ReachingStore(db)
        self.preferences = PreferenceStore(db)
        self.repeats = Repeats(timedelta(hours=2), most)

    async def prepare(self) -> "World":
        for part in (self.deliveries, self.reaching):
            await part.prepare()
            await part.set_state("built")
        return self

    async def opinions(self, ids: set[str]) -> dict[str, Opinion]:
        return {id_: self.known[id_] for id_ in ids if id_ in self.known}

    def worker(self) -> Reaching:
        return Reaching(
            self.reaching,
            self.deliveries,
            self.preferences,
            self,
            lambda: CITY,
            self.repeats,
            now=lambda: self.now,
        )

    async def raised(self, alert: Alert | None = None) -> None:
        await self.reaching.add([alert or an_alert()], self.now)

    async def look(self) -> None:
        while await self.worker().look():
            pass

    async def end(self, status: Status) -> list[str]:
        """Every delivery that is due ends so; returns by what."""
        ended = []
        for kind in ("mail", "sms"):
            for claimed in await self.deliveries.claim(kind, 50, self.now, 30):
                done = await self.deliveries.finish(claimed, status, at=self.now)
                assert done is not None
                await self.worker().ended(claimed.due)
                await self.deliveries.recorded(done)
                ended.append(f"{claimed.due.name}/{claimed.due.again}")
        return ended

    async def step(self, status: Status) -> list[str]:
        await self.look()
        return await self.end(status)


def an_alert(event: str = "opinion.assigned", cause: str = "e2") -> Alert:
    return Alert(
        cause=cause,
        opinion="o1",
        receiver="D1",
        recorded=AT,
        entry=InboxEntry(event, "assigned", "open"),
        outside=True,
        sequence=2,
    )


@pytest.fixture
async def db(database: Database) -> AsyncIterator[Handle]:
    name = f"notifier_going_on_{uuid.uuid4().hex[:12]}"
    opened = open_database(Settings(service="notifier", mongo_url=database.url, mongo_database=name))
    yield opened
    await opened.client.drop_database(name)
    await close_database(opened)


@pytest.fixture
async def world(db: Handle) -> World:
    return await World(db).prepare()


async def test_the_second_channel_is_tried_only_when_the_first_has_ended_without_taking_it(
    world: World,
) -> None:
    await world.raised()
    assert await world.step("dead") == ["mail/0"]
    assert await world.step("sent") == ["sms/0"]
    assert await world.step("sent") == []


async def test_what_every_channel_refused_is_a_dead_letter_and_no_more(world: World) -> None:
    await world.raised()
    await world.step("dead")
    await world.step("dead")
    world.now += timedelta(days=7)
    assert await world.step("sent") == []
    letters = await world.deliveries.dead_letters(None, 10)
    assert {(one.channel, one.gone_on) for one in letters} == {("mail", True), ("sms", False)}


async def test_all_dead_letters_retried_leaves_alone_what_went_on_by_another_channel(world: World) -> None:
    await world.raised()
    await world.step("dead")
    await world.step("dead")
    assert await world.deliveries.revive(world.now) == 1
    assert await world.end("sent") == ["sms/0"]


async def test_an_alert_that_is_not_heeded_goes_again_by_the_next_channel_as_often_as_set(
    world: World,
) -> None:
    await world.raised()
    went = [await world.step("sent")]
    for _ in range(4):
        world.now += timedelta(hours=2)
        went.append(await world.step("sent"))
    assert went[:3] == [["mail/0"], ["sms/1"], []]  # 11:00; at 13:00 only one hour more was worked
    world.now += timedelta(days=1)
    went.append(await world.step("sent"))
    assert [name for names in went for name in names] == ["mail/0", "sms/1", "mail/2"]


async def test_a_repeat_has_an_id_of_its_own_for_each_channel_and_time(world: World) -> None:
    await world.raised()
    await world.step("sent")
    world.now += timedelta(hours=2)
    await world.look()
    (claimed,) = await world.deliveries.claim("sms", 9, world.now, 30)
    assert claimed.due.alert == alert_id("e2", "D1", "sms", 1) != alert_id("e2", "D1", "sms")


@pytest.mark.parametrize("seat", [Seat("holder", told=2, seen=3), Seat("holder", told=2, acted=3)])
async def test_nothing_goes_again_to_somebody_who_has_looked_or_acted(world: World, seat: Seat) -> None:
    await world.raised()
    await world.step("sent")
    world.known["o1"] = replace(WAITING, sequence=3, seats={"D1": seat})
    world.now += timedelta(days=3)
    assert await world.step("sent") == []


async def test_of_several_alerts_on_one_case_only_the_newest_goes_again(world: World) -> None:
    await world.raised()
    world.known["o1"] = replace(WAITING, sequence=3, seats={"D1": Seat("holder", told=3)})
    await world.raised(replace(an_alert("clock.reminded", "e3"), sequence=3))
    assert sorted(await world.step("sent")) == ["mail/0", "mail/0"]
    world.now += timedelta(days=1)
    assert await world.step("sent") == ["sms/1"]


async def test_what_is_held_through_the_night_goes_at_once_when_its_receiver_wishes_so(world: World) -> None:
    await world.preferences.save("D1", Preferences(quiet=Quiet("08:00", "20:00")))
    await world.raised()
    assert await world.step("sent") == []
    await world.preferences.save("D1", Preferences())
    await world.reaching.look_at_held("D1", world.now)
    assert await world.step("sent") == ["mail/0"]


async def test_a_person_s_own_order_counts_and_what_they_switched_off_is_not_used(world: World) -> None:
    await world.preferences.save("D1", Preferences(channels=("sms:13800000000",)))
    await world.raised()
    assert await world.step("dead") == ["sms/0"]
    assert await world.step("sent") == []


async def test_another_order_changes_no_alert_s_id(world: World) -> None:
    await world.preferences.save("D1", Preferences(channels=("sms:13800000000", "mail:d1@x.test")))
    await world.raised()
    await world.look()
    (claimed,) = await world.deliveries.claim("sms", 9, world.now, 30)
    assert claimed.due.alert == alert_id("e2", "D1", "sms")


async def test_what_comes_together_in_a_summary_is_not_sent_singly_but_what_is_urgent_is(
    world: World,
) -> None:
    await world.preferences.save("D1", Preferences(digest=Digest(), paused_until=date(2027, 1, 1)))
    await world.raised()
    await world.raised(an_alert("clock.breached", "e3"))
    await world.look()
    (claimed,) = await world.deliveries.claim("mail", 9, world.now, 30)
    assert claimed.due.entry.event == "clock.breached"


@pytest.mark.parametrize("seed", range(3))
async def test_any_number_of_workers_some_of_them_killed_queue_each_step_once_and_one_at_a_time(
    world: World, seed: int
) -> None:
    chance = random.Random(seed)
    alerts = [an_alert(cause=f"c{n}") for n in range(30)]
    await world.reaching.add(alerts, world.now)
    made: Counter[str] = Counter()
    for _ in range(40):
        looking = [asyncio.create_task(world.worker().look()) for _ in range(4)]
        await asyncio.sleep(chance.uniform(0, 0.02))
        for task in chance.sample(looking, 2):
            task.cancel()  # killed in the middle
        await asyncio.gather(*looking, return_exceptions=True)
        open_now = [
            (one.cause, one.receiver)
            for several in (await world.deliveries.made_for(["o1"])).values()
            for one in several
            if one.status not in ("sent", "dead", "skipped")
        ]
        assert len(open_now) == len(set(open_now))
        made.update(await world.end("sent" if chance.random() < 0.5 else "dead"))
        world.now += timedelta(minutes=chance.choice([1, 40, 300]))
    made.update(await world.step("sent"))
    every = await world.deliveries.made_for(["o1"])
    assert len(every) == len(alerts)
    assert sum(made.values()) == sum(len(several) for several in every.values())
    for several in every.values():
        rounds = Counter(one.again for one in several if one.status == "sent")
        assert set(rounds.values()) <= {1}


def record(status: DeliveryStatus, channel: str = "mail", again: int = 0, **more: str) -> Delivery:
    id_ = alert_id("e2", "D1", channel, again)
    return Delivery(id_, "e2", "o1", "D1", channel, status, 1, again=again, **more)  # type: ignore[arg-type]


class TestAfterTheDatabaseWasDropped:
    async def restored(self, world: World, *records: Delivery) -> None:
        await world.deliveries.restore([(one, AT) for one in records], AT)
        await world.raised()  # as the rebuild does for what still waits

    async def test_what_a_channel_has_taken_is_not_sent_again_but_a_repeat_falls_due(
        self, world: World
    ) -> None:
        await self.restored(world, record("dead"), record("sent", "sms"))
        assert await world.step("sent") == []
        world.now += timedelta(hours=2)
        assert await world.step("sent") == ["mail/1"]

    async def test_where_all_used_channels_are_dead_the_next_is_tried(self, world: World) -> None:
        await self.restored(world, record("dead"))
        assert await world.step("sent") == ["sms/0"]

    async def test_what_lacks_an_end_is_gone_on_with_when_it_was_given_one(self, world: World) -> None:
        await self.restored(world, record("failed"))
        assert await world.step("sent") == []
        await world.deliveries.ended(record("dead"), AT)
        await world.reaching.look_at("e2", "D1", world.now)
        assert await world.step("sent") == ["sms/0"]

    async def test_nobody_goes_on_with_what_was_raised_again_since_the_drop(self, world: World) -> None:
        await world.reaching.clear()
        await world.raised()
        with pytest.raises(Lost):
            await world.worker().look()

    async def test_repeats_that_are_on_the_log_count(self, world: World) -> None:
        await self.restored(world, record("sent"), record("sent", "sms", 1), record("sent", "mail", 2))
        world.now += timedelta(days=7)
        assert await world.step("sent") == []
