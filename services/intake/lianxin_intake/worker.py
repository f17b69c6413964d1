"""The process that keeps the tracking projection: `python -m lianxin_intake.worker`.

With `--rebuild` it builds the next generation beside the live one, switches when it has caught up, and
exits 0; the workers then end and are started again on it by their supervisor. A worker that finds its
projection dropped rebuilds it in the same way before it does anything else.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from lianxin_chassis import logs, topics
from lianxin_chassis.consumer import Consumer, unhurried_source
from lianxin_chassis.counting import keep_counting
from lianxin_chassis.database import Database, close_database, open_database
from lianxin_chassis.generations import Generations, group_name, run_rebuild
from lianxin_chassis.marks import BUILT
from lianxin_chassis.metric_names import COUNTED_OPINIONS
from lianxin_chassis.parking import ParkingLot
from lianxin_chassis.patience import patiently
from lianxin_chassis.process import Worker, tell, work_or_rebuild
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.wholeness import until_replaced, whole_store
from lianxin_intake.building import TOPICS, Builder
from lianxin_intake.generation import KEEP_OLD_S, PROJECTION
from lianxin_intake.photos.dropping import drop_unnamed
from lianxin_intake.photos.store import PhotoStore
from lianxin_intake.settings import IntakeSettings
from lianxin_intake.store import BASES, TrackingStore
from lianxin_intake.tracking import TrackingCodes

log = logs.get_logger(__name__)


@asynccontextmanager
async def start(settings: IntakeSettings) -> AsyncIterator[Worker]:
    """The parts of the worker, on the generation that is live now."""
    async with _surroundings(settings) as (db, publisher):
        generations = Generations(db, PROJECTION)
        store = await patiently(lambda: _whole_store(settings, db, publisher, generations))
        live = store.generation
        photos = PhotoStore(db)
        await patiently(store.prepare)
        await patiently(photos.prepare)
        await patiently(ParkingLot(db).prepare)
        consumer = _consumer(settings, db, publisher, store, group_name(settings.service, live))
        yield Worker(
            consumers=[consumer],
            tasks=[
                lambda: until_replaced(generations, live, lambda: _lost(store)),
                lambda: keep_counting(lambda: _count(store)),
                lambda: _drop_old(generations, live),
                lambda: drop_unnamed(photos),
            ],
            checks={"consumer": consumer.check},
        )


async def rebuild(settings: IntakeSettings) -> None:
    """Build the next generation and switch to it. No outside effect."""
    async with _surroundings(settings) as (db, publisher):
        await _build(settings, db, publisher, tell, settings.rebuild_handover_s)


async def _build(
    settings: IntakeSettings, db: Database, publisher: Publisher, say: Callable[[str], None], linger_s: float
) -> None:
    generations = Generations(db, PROJECTION)

    async def make(number: int, group: str) -> Consumer:
        say(f"building generation {number} of the tracking projection")
        store = _store(settings, db, number)
        await store.prepare()
        return _consumer(settings, db, publisher, store, group)

    async def before_switch(number: int) -> None:
        store = _store(settings, db, number)
        count = await store.submitted()
        await store.finish()
        say(f"generation {number} has caught up with {count} opinions and goes live; handing over")

    number = await run_rebuild(
        settings,
        generations,
        settings.service,
        TOPICS,
        make,
        before_switch=before_switch,
        linger_s=linger_s,
    )
    say(f"generation {number} is live")


async def _whole_store(
    settings: IntakeSettings, db: Database, publisher: Publisher, generations: Generations
) -> TrackingStore:
    async def make() -> TrackingStore:
        return _store(settings, db, await generations.live())

    async def built(store: TrackingStore) -> bool:
        return await store.state() == BUILT and await store.has_shape()

    async def build() -> None:
        await _build(settings, db, publisher, log.info, linger_s=0)

    return await whole_store(settings, TOPICS, make, built, build)


async def _lost(store: TrackingStore) -> bool:
    return await store.state() is None


@asynccontextmanager
async def _surroundings(settings: IntakeSettings) -> AsyncIterator[tuple[Database, Publisher]]:
    db = open_database(settings)
    publisher = Publisher(settings)
    await publisher.start()
    try:
        await topics.ensure(settings)
        yield db, publisher
    finally:
        await publisher.stop()
        await close_database(db)


def _store(settings: IntakeSettings, db: Database, generation: int) -> TrackingStore:
    secret = settings.tracking_secret.get_secret_value().encode()
    return TrackingStore(db, generation, TrackingCodes(secret))


def _consumer(
    settings: IntakeSettings, db: Database, publisher: Publisher, store: TrackingStore, group: str
) -> Consumer:
    return Consumer(
        settings,
        group=group,
        topics=TOPICS,
        handle=Builder(store, PhotoStore(db)).handle,
        parking=ParkingLot(db),
        publisher=publisher,
        make_source=unhurried_source,
    )


async def _count(store: TrackingStore) -> None:
    COUNTED_OPINIONS.labels("submitted").set(await store.submitted())


async def _drop_old(generations: Generations, live: int) -> None:
    """Drop what earlier generations left, as soon as no reader can be on it any more; then wait for ever."""
    await asyncio.sleep(KEEP_OLD_S)
    dropped = await patiently(lambda: generations.drop_old(BASES, keep=live))
    if dropped:
        log.info("old generations dropped", collections=dropped)
    await asyncio.Event().wait()


def main() -> None:
    """Run until stopped, or rebuild and exit."""
    settings = IntakeSettings()  # type: ignore[call-arg]  # from the environment
    work_or_rebuild(settings, start, rebuild)


if __name__ == "__main__":
    main()
