"""The process that keeps the tracking projection: `python -m lianxin_intake.worker`.

With `--rebuild` it builds the next generation beside the live one, switches when it has caught up, and
exits 0; the workers then end and are started again on it by their supervisor. A worker that finds its
projection dropped rebuilds it in the same way before it does anything else.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from lianxin_chassis import logs, topics
from lianxin_chassis.consumer import Consumer
from lianxin_chassis.counting import keep_counting
from lianxin_chassis.database import Database, close_database, open_database
from lianxin_chassis.generations import Generations, committed, group_name, run_rebuild
from lianxin_chassis.marks import BUILT
from lianxin_chassis.metric_names import COUNTED_OPINIONS
from lianxin_chassis.parking import ParkingLot
from lianxin_chassis.patience import patiently
from lianxin_chassis.process import Worker, tell, work_or_rebuild
from lianxin_chassis.publisher import Publisher
from lianxin_intake.building import TOPICS, Builder
from lianxin_intake.generation import KEEP_OLD_S, POLL_S, PROJECTION
from lianxin_intake.photos.dropping import drop_unnamed
from lianxin_intake.photos.store import PhotoStore
from lianxin_intake.settings import IntakeSettings
from lianxin_intake.store import BASES, TrackingStore
from lianxin_intake.tracking import TrackingCodes

log = logs.get_logger(__name__)

T = TypeVar("T")


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
                lambda: _until_replaced(generations, store),
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
    """The live generation, built again first where something of it was dropped or has an older shape."""
    while True:
        store = _store(settings, db, await generations.live())
        if await _is_whole(settings, store):
            return store
        log.warning(
            "the tracking projection is not whole or of an older shape, and is rebuilt",
            generation=store.generation,
        )
        await _build(settings, db, publisher, log.info, linger_s=0)


async def _is_whole(settings: IntakeSettings, store: TrackingStore) -> bool:
    """True when everything was built in the present shape and nothing dropped; where there is nothing to
    build from, it is built now."""
    if await store.state() == BUILT and await store.has_shape():
        return True
    offsets = await committed(settings, group_name(settings.service, store.generation), TOPICS)
    if any(end > 0 for _, _, end in offsets.values()):
        return False
    await store.prepare()
    await store.finish()
    return True


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
    )


async def _until_replaced(generations: Generations, store: TrackingStore) -> None:
    """Return, and so end the worker, when another generation is live or a collection was dropped."""
    while True:
        await asyncio.sleep(POLL_S)
        live = await patiently(generations.live)
        if live != store.generation:
            log.info("the projection was rebuilt", was=store.generation, now=live)
            return
        if await patiently(store.state) is None:
            log.error("a collection was dropped; starting anew, to rebuild", generation=live)
            return


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
