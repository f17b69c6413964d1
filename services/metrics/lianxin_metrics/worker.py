"""The process that keeps the facts: `python -m lianxin_metrics.worker`.

With `--rebuild` it builds the next generation from the log beside the live one, switches when it has caught
up and exits 0; the workers then end and are started again on it by their supervisor. Until the new
generation contains as much as the old one, every process exports the old one's figures: no counter falls. A
worker that finds its facts dropped rebuilds them in the same way, and exports nothing until they are whole.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from prometheus_client import REGISTRY

from lianxin_chassis import logs, topics
from lianxin_chassis.consumer import Consumer, Message, Outage, unhurried_source
from lianxin_chassis.database import Database, close_database, open_database
from lianxin_chassis.generations import Generations, group_name, run_rebuild
from lianxin_chassis.marks import BUILT
from lianxin_chassis.parking import ParkingLot
from lianxin_chassis.patience import patiently
from lianxin_chassis.process import Worker, tell, work_or_rebuild
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.registry import RegistryFollower
from lianxin_chassis.wholeness import until_replaced, whole_store
from lianxin_contracts.topics import DELIVERIES, LIFECYCLE
from lianxin_metrics.counting import Counting
from lianxin_metrics.exporter import Exporter, Refresher
from lianxin_metrics.settings import MetricsSettings
from lianxin_metrics.store import COLLECTIONS, PROJECTION, FactStore

log = logs.get_logger(__name__)

TOPICS = (LIFECYCLE, DELIVERIES)
# How long a generation that was replaced and overtaken stays for reports under way, seconds.
KEEP_OLD_S = 60.0


@asynccontextmanager
async def start(settings: MetricsSettings) -> AsyncIterator[Worker]:
    """The parts of the worker, on the generation that is live now."""
    async with _surroundings(settings) as (db, publisher):
        generations = Generations(db, PROJECTION)
        store = await patiently(lambda: _whole_store(settings, db, publisher, generations))
        live = store.generation
        await patiently(store.prepare)
        parking = ParkingLot(db)
        await patiently(parking.prepare)
        registry = RegistryFollower(settings)
        exporter = Exporter()
        refresher = Refresher(db, exporter)
        consumer = _consumer(
            settings, parking, publisher, store, registry, group_name(settings.service, live)
        )
        REGISTRY.register(exporter)
        try:
            yield Worker(
                consumers=[consumer],
                followers=[registry],
                tasks=[
                    refresher.run,
                    lambda: until_replaced(generations, live, lambda: _lost(store)),
                    lambda: _drop_old(generations, refresher, live),
                ],
                checks={"consumer": consumer.check, "figures": exporter.check},
            )
        finally:
            REGISTRY.unregister(exporter)


async def rebuild(settings: MetricsSettings) -> None:
    """Build the next generation and switch to it. No outside effect; what is exported meanwhile is the old
    one."""
    async with _surroundings(settings) as (db, publisher):
        await _build(settings, db, publisher, tell, settings.rebuild_handover_s)


async def _build(
    settings: MetricsSettings, db: Database, publisher: Publisher, say: Callable[[str], None], linger_s: float
) -> None:
    generations = Generations(db, PROJECTION)
    registry = RegistryFollower(settings)
    following = asyncio.create_task(registry.run(), name="registry")
    parking = ParkingLot(db)
    await parking.prepare()

    async def make(number: int, group: str) -> Consumer:
        say(f"building generation {number} of the facts")
        store = FactStore(db, number)
        await store.prepare()
        return _consumer(settings, parking, publisher, store, registry, group)

    async def before_switch(number: int) -> None:
        store = FactStore(db, number)
        applied = sum(part.aggregate.events.total() for part in await store.parts())
        await store.finish()
        say(f"generation {number} has caught up: {applied} events")

    try:
        number = await run_rebuild(
            settings,
            generations,
            settings.service,
            TOPICS,
            make,
            before_switch=before_switch,
            linger_s=linger_s,
        )
    finally:
        registry.stop()
        following.cancel()
    say(f"generation {number} is live")


@asynccontextmanager
async def _surroundings(settings: MetricsSettings) -> AsyncIterator[tuple[Database, Publisher]]:
    db = open_database(settings)
    publisher = Publisher(settings)
    await publisher.start()
    try:
        await topics.ensure(settings)
        yield db, publisher
    finally:
        await publisher.stop()
        await close_database(db)


def _consumer(
    settings: MetricsSettings,
    parking: ParkingLot,
    publisher: Publisher,
    store: FactStore,
    registry: RegistryFollower,
    group: str,
) -> Consumer:
    def first_level(topic: str) -> str:
        """For events that don't say it themselves: the topic's parent in the registry in force."""
        known = registry.current.topics.get(topic) if registry.current is not None else None
        return known.parent or known.id if known is not None else topic

    counting = Counting(store, first_level)

    async def handle(messages: list[Message]) -> None:
        if not registry.caught_up:
            try:
                await registry.wait_caught_up(10)
            except TimeoutError as error:
                raise Outage("the registry is not read yet", what="registry") from error
        await counting.handle(messages)

    return Consumer(
        settings,
        group=group,
        topics=TOPICS,
        handle=handle,
        parking=parking,
        publisher=publisher,
        on_assigned=counting.on_assigned,
        make_source=unhurried_source,
    )


async def _whole_store(
    settings: MetricsSettings, db: Database, publisher: Publisher, generations: Generations
) -> FactStore:
    async def make() -> FactStore:
        return FactStore(db, await generations.live())

    async def built(store: FactStore) -> bool:
        return await store.state() == BUILT

    async def build() -> None:
        await _build(settings, db, publisher, log.info, linger_s=0)

    return await whole_store(settings, TOPICS, make, built, build)


async def _lost(store: FactStore) -> bool:
    return await store.state() is None


async def _drop_old(generations: Generations, refresher: Refresher, live: int) -> None:
    """Drop what earlier generations left, once nobody exports it any more; then wait for ever."""
    await refresher.settled(live)
    await asyncio.sleep(KEEP_OLD_S)
    if dropped := await patiently(lambda: generations.drop_old(COLLECTIONS, keep=live)):
        log.info("old generations dropped", collections=dropped)
    await asyncio.Event().wait()


def main() -> None:
    """Run until stopped, or rebuild and exit."""
    work_or_rebuild(MetricsSettings(), start, rebuild)


if __name__ == "__main__":
    main()
