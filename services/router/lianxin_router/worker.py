"""The router's process: `python -m lianxin_router.worker`, or with `--rebuild` to build its cases anew.

The only file here that puts the parts together and reads settings. Health and metrics are on the worker's
port; nothing else is. A worker that finds its cases dropped folds them again before it decides anything.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from pydantic import Field, SecretStr

from lianxin_chassis import logs
from lianxin_chassis.consumer import Consumer
from lianxin_chassis.counting import keep_counting
from lianxin_chassis.database import Database, close_database, open_database
from lianxin_chassis.generations import Generations
from lianxin_chassis.marks import BUILT
from lianxin_chassis.metric_names import COUNTED_OPINIONS
from lianxin_chassis.outages import Backoff, outage
from lianxin_chassis.parking import ParkingLot
from lianxin_chassis.patience import patiently
from lianxin_chassis.process import Worker, tell, work_or_rebuild
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.records import Message, Record
from lianxin_chassis.registry import RegistryFollower
from lianxin_chassis.settings import Settings
from lianxin_chassis.wholeness import until_replaced
from lianxin_contracts import ids, topics
from lianxin_contracts.envelope import parse_time
from lianxin_router.city import CityInForce
from lianxin_router.deletions import Deletions
from lianxin_router.domain.ports import unreadable
from lianxin_router.fold import Fold, LogReader
from lianxin_router.handle import CaseHandler, Stuck
from lianxin_router.review import Reviews
from lianxin_router.routing.cluster import Fingerprinter
from lianxin_router.store import COLLECTIONS, CaseStore
from lianxin_router.timers import Timers

log = logs.get_logger(__name__)

GROUP = "router"
POSITIONS_EVERY_S = 30.0
# About a millisecond and a half each of a core of its own; on a machine that is ten times overbooked a batch
# still ends long before the deadline, which would otherwise end the process again and again.
MAX_BATCH = 200
BATCH_DEADLINE_S = 60.0
# A worker that is still on the generation before ends within 25 s of the switch (process.STOP_S).
KEEP_OLD_S = 60.0


class RouterSettings(Settings):
    """Environment variables `LIANXIN_*` of the router. The secret has no default: a made-up one would be
    another on each router."""

    service: str = "router"
    # What is kept of texts is hashed with it, so that the words can't be tried out. With another one, what
    # was said before and after is no longer recognised as the same matter.
    issue_secret: SecretStr = Field(min_length=16)

    def fingerprinter(self) -> Fingerprinter:
        """What makes fingerprints under the secret."""
        return Fingerprinter(self.issue_secret.get_secret_value().encode())


class Router:
    """The live router: one generation of cases, until another generation is switched to."""

    def __init__(
        self, settings: RouterSettings, db: Database, store: CaseStore, publisher: Publisher
    ) -> None:
        self._settings = settings
        self._db = db
        self._store = store
        self._publisher = publisher
        self._reader = LogReader(settings)
        self._owned: frozenset[int] = frozenset()
        self._clean = asyncio.Lock()
        self.registry = RegistryFollower(settings)
        self.reviews = Reviews(store, publisher, self._settled)
        self.city = CityInForce(self.reviews.accept, settings.fingerprinter())
        self.handler = CaseHandler(store, publisher, lambda: self.city.current)
        self.timers = Timers(store, publisher)
        self.deletions = Deletions(store, publisher)
        self.registry.on_switch(self.city.accept)

    def consumer(self, parking: ParkingLot) -> Consumer:
        """The consumer of `opinions.inbound`, whose effects are decisions."""
        return Consumer(
            self._settings,
            group=GROUP,
            topics=[topics.INBOUND],
            handle=self._handle,
            parking=parking,
            publisher=self._publisher,
            max_batch=MAX_BATCH,
            batch_deadline_s=BATCH_DEADLINE_S,
            on_assigned=self._take_over,
            on_dead_letter=self._show_in_triage,
        )

    async def _handle(self, batch: list[Message]) -> None:
        async with self._clean:
            await self.handler.handle(batch)

    async def _take_over(self, owned: frozenset[tuple[str, int]]) -> None:
        """Before anything of the `owned` partitions is decided, the cases must be where their log is."""
        partitions = frozenset(number for _, number in owned)
        fold = Fold(self._store, self._reader, self._settings.fingerprinter())
        async with self._clean:  # no position is noted before it is reached
            self._owned = frozenset()
            await fold.lifecycle(partitions)
            if not await self._store.issues_are_whole():
                await fold.issues()
            self._owned = partitions

    async def _settled(self) -> None:
        """Returns when the batch in hand, if there is one, is done."""
        async with self._clean:
            pass

    async def _show_in_triage(self, record: Record, reason: str) -> None:
        """A submission was answered with 202, so it shows in triage even where it can't be read."""
        type_ = dict(record.headers).get("ce_type", b"")
        if type_ != b"opinion.submitted" or not record.key or reason in ("parked", "stuck"):
            return
        try:
            opinion = record.key.decode()
        except UnicodeDecodeError:
            log.error("a dead submission's key is no opinion id", offset=record.offset)
            return
        cause = ids.derived("dead_letter", record.topic, str(record.partition), str(record.offset))
        recorded = datetime.fromtimestamp(record.timestamp_ms / 1000, UTC)
        try:
            await self.handler.apply([unreadable(opinion, cause, recorded, reason, said=_said_at(record))])
        except Stuck as stuck:  # there is a case; it waits for a router that can read its log
            log.error("a dead submission can't be shown", case=opinion, why=stuck.why)

    async def note_positions(self) -> None:
        """Remember how far the log is folded, so that a take-over reads little; for ever."""
        await _repeat(self._note_positions, POSITIONS_EVERY_S)

    async def _note_positions(self) -> None:
        async with self._clean:  # between batches nothing of the owned partitions is unconfirmed
            owned = self._owned
            if owned:
                ends = await self._reader.ends(topics.LIFECYCLE, owned)
                await self._store.note_positions(topics.LIFECYCLE, ends)

    async def count(self) -> None:
        """Keep the counts on `/metrics` fresh; for ever."""
        await keep_counting(self._count)

    async def _count(self) -> None:
        assigned, waiting = await self._store.counts()
        COUNTED_OPINIONS.labels("assigned").set(assigned)
        COUNTED_OPINIONS.labels("triage").set(waiting)


def _said_at(record: Record) -> datetime | None:
    """When a record that can't be read was said, as far as its header tells."""
    try:
        return parse_time((dict(record.headers).get("ce_time") or b"").decode())
    except ValueError:
        return None


async def _repeat(step: Callable[[], Awaitable[None]], every_s: float) -> None:
    backoff = Backoff()
    while True:
        try:
            await step()
            backoff.reset()
            wait = every_s
        except Exception as error:
            if outage(error) is None:
                raise
            wait = max(every_s, backoff.next())
        await asyncio.sleep(wait)


@asynccontextmanager
async def live(settings: RouterSettings) -> AsyncIterator[Worker]:
    """The live router's parts, started; stopped when left."""
    db = open_database(settings)
    publisher = Publisher(settings)
    await publisher.start()
    try:
        generations = Generations(db, GROUP)
        generation = await patiently(generations.live)
        store = CaseStore(db, generation)
        await patiently(store.prepare)
        reader, fingerprinter = LogReader(settings), settings.fingerprinter()
        if await patiently(store.state) != BUILT:
            filling = Fold(CaseStore(db, generation, filling=True), reader, fingerprinter)
            await patiently(lambda: filling.everything(_log_progress))
        parking = ParkingLot(db)
        await patiently(parking.prepare)
        router = Router(settings, db, store, publisher)
        consumer = router.consumer(parking)
        yield Worker(
            consumers=[consumer],
            followers=[router.registry],
            tasks=[
                router.city.run,
                router.reviews.run,
                router.timers.run,
                router.deletions.run,
                router.note_positions,
                router.count,
                lambda: until_replaced(generations, generation, lambda: _lost(store)),
                lambda: _drop_old(generations, generation, Fold(store, reader, fingerprinter)),
            ],
            checks={
                "registry": router.registry.check,
                "city": lambda: True if router.city.current is not None else "indexing the city",
                "consumer": consumer.check,
            },
        )
    finally:
        await publisher.stop()
        await close_database(db)


async def _lost(store: CaseStore) -> bool:
    return await store.state() != BUILT  # another router may be at folding them already


async def _drop_old(generations: Generations, live: int, fold: Fold) -> None:
    """Take over and drop what earlier generations left, when no router is on them any more; then wait for
    ever."""
    await asyncio.sleep(KEEP_OLD_S)
    await patiently(fold.missing_issues)
    if dropped := await patiently(lambda: generations.drop_old(COLLECTIONS, keep=live)):
        log.info("old generations dropped", collections=dropped)
    await asyncio.Event().wait()


async def rebuild(settings: RouterSettings) -> None:
    """Build the next generation of cases beside the live one, and switch to it when it has caught up.

    What is decided between the last read and the switch is folded by the workers, which start again on the
    new generation and take their partitions over.
    """
    db = open_database(settings)
    try:
        generations = Generations(db, GROUP)
        number = await generations.begin()
        tell(f"building generation {number} of the cases")
        store = CaseStore(db, number, filling=True)
        await store.prepare()
        await Fold(store, LogReader(settings), settings.fingerprinter()).everything(_say_progress)
        assigned, waiting = await store.counts()
        tell(f"generation {number} has caught up: {assigned} assigned, {waiting} in triage")
        await generations.switch(number)
        tell(f"generation {number} is live")
    finally:
        await close_database(db)


def _log_progress(what: str, done: int, total: int) -> None:
    log.info("folding", what=what, done=done, total=total)


def _say_progress(what: str, done: int, total: int) -> None:
    tell(f"{what}: {done} of {total} records")


def main() -> None:
    """Run until stopped, or rebuild and exit."""
    settings = RouterSettings()  # type: ignore[call-arg]  # from the environment
    work_or_rebuild(settings, live, rebuild)


if __name__ == "__main__":
    main()
