"""The process that keeps the inboxes and sends alerts: `python -m lianxin_notifier.worker`.

With `--rebuild` it builds the next generation of the inboxes beside the live one, switches when it has caught
up, and exits 0; the workers then end and are started again on it by their supervisor. A worker that finds its
database dropped rebuilds before it does anything else.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, time, timedelta
from functools import partial

from lianxin_chassis import logs, topics
from lianxin_chassis.consumer import Consumer
from lianxin_chassis.counting import keep_counting
from lianxin_chassis.database import Database, close_database, open_database
from lianxin_chassis.generations import Generations, group_name
from lianxin_chassis.metric_names import COUNTED_OPINIONS
from lianxin_chassis.outages import Outage
from lianxin_chassis.parking import ParkingLot
from lianxin_chassis.patience import patiently
from lianxin_chassis.process import Worker, tell, work_or_rebuild
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.registry import RegistryFollower
from lianxin_chassis.wholeness import until_replaced
from lianxin_contracts.deliveries import Delivery
from lianxin_contracts.registry import Snapshot
from lianxin_notifier.alerts import delivery_record, given_up
from lianxin_notifier.channels import senders_of, vapid_of
from lianxin_notifier.choosing import Repeats
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.device_store import DeviceStore
from lianxin_notifier.ledger import NumberLedger
from lianxin_notifier.metric_names import DELIVERIES
from lianxin_notifier.notices import Times
from lianxin_notifier.noticing import NoticeClock, Noticing
from lianxin_notifier.preference_store import PreferenceStore
from lianxin_notifier.projector import TOPICS, Projector
from lianxin_notifier.reaching import Reaching
from lianxin_notifier.reaching_store import ReachingStore
from lianxin_notifier.rebuild import SERVICE, Rebuild, begin_empty, is_whole
from lianxin_notifier.residents import Residents, resident_channels
from lianxin_notifier.settings import NotifierSettings
from lianxin_notifier.store import BASES, ProjectionStore
from lianxin_notifier.summary_store import SummaryStore
from lianxin_notifier.workers import Workers

log = logs.get_logger(__name__)

LOOK_EVERY_S = 1.0
SETTLE_EVERY_S = 5.0
# Readers look for another generation every second: after this long none is on the old one any more, seconds.
KEEP_OLD_S = 30.0


class Parts:
    """What the live worker and the rebuild have in common."""

    def __init__(self, settings: NotifierSettings, db: Database, publisher: Publisher) -> None:
        self.settings = settings
        self.db = db
        self.publisher = publisher
        self.registry = RegistryFollower(settings)
        self.ledger = NumberLedger(db)
        self.deliveries = DeliveryStore(db)
        self.reaching = ReachingStore(db)
        self.devices = DeviceStore(db)
        self.generations = Generations(db, SERVICE)

    def city(self) -> Snapshot:
        """The city in force. Raises `Outage` before there is one."""
        if self.registry.current is None:
            raise Outage("the registry is not read yet", what="registry")
        return self.registry.current

    def projector(
        self,
        store: ProjectionStore,
        *,
        live: bool,
        reaching_lost: bool = False,
        queued: Callable[[], None] = lambda: None,
    ) -> Projector:
        """A projector for one generation."""
        return Projector(
            store,
            self.ledger,
            self.deliveries,
            self.reaching,
            self.publisher,
            live=live,
            reaching_lost=reaching_lost,
            requeue=timedelta(hours=self.settings.requeue_hours),
            queued=queued,
            resident_channels=resident_channels(self.settings),
            linger=timedelta(minutes=self.settings.resident_linger_minutes),
        )

    def reach(self, store: ProjectionStore, queued: Callable[[], None]) -> Reaching:
        """What goes on with the alerts of one generation."""
        hours, most = self.settings.repeat_after_hours, self.settings.repeats_limit
        return Reaching(
            self.reaching,
            self.deliveries,
            PreferenceStore(self.db),
            store,
            lambda: self.registry.current,
            Repeats(timedelta(hours=hours), most),
            self.devices if vapid_of(self.settings) else None,
            queued,
        )

    def rebuild(self, say: Callable[[str], None], handover_s: float) -> Rebuild:
        """A rebuild of everything."""
        return Rebuild(
            self.settings,
            self.db,
            self.publisher,
            lambda store, lost: self.projector(store, live=False, reaching_lost=lost),
            say,
            handover_s,
            end_after_s=self.settings.delivery_lease_s,
        )


@asynccontextmanager
async def start(settings: NotifierSettings) -> AsyncIterator[Worker]:
    """The parts of the worker: the live one, or a rebuild where something was dropped."""
    async with _surroundings(settings) as parts:
        generation = await patiently(parts.generations.live)
        whole = await patiently(lambda: is_whole(parts.db, generation))
        if whole or await patiently(lambda: begin_empty(settings, parts.db, generation)):
            yield await _live(parts, generation)
        else:
            log.warning("the inboxes are not whole and are rebuilt", generation=generation)
            yield _rebuilding(parts)


async def rebuild(settings: NotifierSettings) -> None:
    """Build the next generation and switch to it. No outside effect."""
    async with _surroundings(settings) as parts:
        following = asyncio.create_task(parts.registry.run())
        try:
            await parts.rebuild(tell, settings.rebuild_handover_s).run()
        finally:
            parts.registry.stop()
            await asyncio.gather(following, return_exceptions=True)


async def _live(parts: Parts, generation: int) -> Worker:
    """The worker on a whole generation."""
    store = ProjectionStore(parts.db, generation)
    for part in (store, parts.ledger, parts.deliveries, parts.reaching, parts.devices):
        await patiently(part.prepare)
    workers = Workers(parts.db, parts.settings.instance)

    def wake_senders() -> None:
        for sender in senders:
            sender.wake()

    reaching = parts.reach(store, wake_senders)
    residents = Residents(parts.settings, store, parts.deliveries, parts.city)
    senders = senders_of(
        parts.settings,
        parts.deliveries,
        parts.publisher,
        parts.city,
        parts.devices,
        lambda: workers.count,
        reaching,
        residents,
    )
    projector = parts.projector(store, live=True, queued=reaching.wake)
    parking = ParkingLot(parts.db)
    await patiently(parking.prepare)
    consumer = Consumer(
        parts.settings,
        group=group_name(SERVICE, generation),
        topics=TOPICS,
        handle=projector.handle,
        parking=parking,
        publisher=parts.publisher,
    )
    await patiently(SummaryStore(parts.db, generation).prepare)
    return Worker(
        consumers=[consumer],
        followers=[parts.registry],
        tasks=[
            reaching.run,
            _noticing(parts, generation, wake_senders).run,
            *(partial(_once_there_is_a_city, parts.registry, sender.run) for sender in senders),
            workers.run,
            lambda: until_replaced(parts.generations, generation, lambda: _lost(parts, generation)),
            lambda: _settle(projector),
            lambda: _end_what_was_lost(parts),
            lambda: keep_counting(lambda: _count(store)),
            lambda: _drop_old(parts.generations, generation),
        ],
        checks={"consumer": consumer.check, "registry": parts.registry.check},
    )


def _noticing(parts: Parts, generation: int, queued: Callable[[], None]) -> Noticing:
    """What goes out by the clock."""
    settings = parts.settings
    return Noticing(
        NoticeClock(parts.db),
        SummaryStore(parts.db, generation),
        parts.deliveries,
        PreferenceStore(parts.db),
        lambda: parts.registry.current,
        times=Times(time.fromisoformat(settings.weekly_at), time.fromisoformat(settings.contact_day_at)),
        every_s=settings.notices_every_s,
        queued=queued,
    )


def _rebuilding(parts: Parts) -> Worker:
    """The worker until everything is whole again; then it ends, and is started anew."""

    async def whole() -> bool:
        return await is_whole(parts.db, await parts.generations.live())

    async def run() -> None:
        # Without handover: this very process is the worker that is waited for.
        await parts.rebuild(log.info, 0.0).run(unless=whole)

    return Worker(
        followers=[parts.registry],
        tasks=[run],
        checks={"inboxes": lambda: "being rebuilt"},
    )


@asynccontextmanager
async def _surroundings(settings: NotifierSettings) -> AsyncIterator[Parts]:
    db = open_database(settings)
    publisher = Publisher(settings)
    await publisher.start()
    try:
        await patiently(lambda: topics.ensure(settings))
        yield Parts(settings, db, publisher)
    finally:
        await publisher.stop()
        await close_database(db)


async def _once_there_is_a_city(registry: RegistryFollower, run: Callable[[], Awaitable[None]]) -> None:
    """Messages name places and people of the city, and a wait for it is no attempt that could fail."""
    known = asyncio.Event()
    registry.on_switch(lambda _: known.set())
    await known.wait()
    await run()


async def _lost(parts: Parts, generation: int) -> bool:
    return not await is_whole(parts.db, generation)


async def _settle(projector: Projector) -> None:
    """Look at what a rebuild held back, again and again: its last batch may come after the switch."""
    while True:
        settled = await patiently(projector.settle_held_back)
        if settled:
            log.info("alerts held back by the rebuild are settled", alerts=settled)
        await asyncio.sleep(SETTLE_EVERY_S)


async def _end_what_was_lost(parts: Parts) -> None:
    """Give an end to deliveries whose records lack one since the database was dropped. Several workers may:
    the record's id is the same."""
    while True:
        lost = await patiently(lambda: parts.deliveries.without_end(datetime.now(UTC), 200))
        if lost:
            await _give_up(parts, lost)
            log.warning("deliveries were lost with the database and are given up", deliveries=len(lost))
        await asyncio.sleep(LOOK_EVERY_S)


async def _give_up(parts: Parts, lost: Sequence[Delivery]) -> None:
    at = datetime.now(UTC)
    ends = [given_up(delivery) for delivery in lost]
    await patiently(lambda: parts.publisher.publish([delivery_record(end, at) for end in ends]))
    for delivery in ends:
        await patiently(partial(parts.deliveries.ended, delivery, at))
        await patiently(partial(parts.reaching.look_at, delivery.cause, delivery.receiver, at))
        DELIVERIES.labels(delivery.channel, "dead").inc()


async def _count(store: ProjectionStore) -> None:
    COUNTED_OPINIONS.labels("alerted").set(await store.alerted())


async def _drop_old(generations: Generations, live: int) -> None:
    """Drop what earlier generations left, when no reader is on it any more; then wait for ever."""
    await asyncio.sleep(KEEP_OLD_S)
    if dropped := await patiently(lambda: generations.drop_old(BASES, keep=live)):
        log.info("old generations dropped", collections=dropped)
    await asyncio.Event().wait()


def main() -> None:
    """Run until stopped, or rebuild and exit."""
    work_or_rebuild(NotifierSettings(), start, rebuild)


if __name__ == "__main__":
    main()
