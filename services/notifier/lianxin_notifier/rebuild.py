"""Building the inboxes anew from the log, without any outside effect.

First `alerts.deliveries` is read to its end: every alert found there counts as sent and keeps its number.
Then lifecycle, words and contacts fill a new generation beside the live one. What has no record is held back,
and looked at by the worker of the new generation when it is live.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from pymongo.errors import DuplicateKeyError

from lianxin_chassis.consumer import Consumer
from lianxin_chassis.database import Database
from lianxin_chassis.generations import Generations, committed, group_name, run_rebuild
from lianxin_chassis.logs import fault, get_logger
from lianxin_chassis.marks import BUILDING, BUILT
from lianxin_chassis.outages import Outage, outage
from lianxin_chassis.parking import ParkingLot
from lianxin_chassis.patience import patiently
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.records import Message
from lianxin_chassis.settings import Settings
from lianxin_chassis.wholeness import nothing_written
from lianxin_contracts import ids, topics
from lianxin_contracts.deliveries import Delivery
from lianxin_notifier.alerts import INBOX, Numbered
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.ledger import NumberLedger
from lianxin_notifier.projector import TOPICS, Projector
from lianxin_notifier.reaching_store import ReachingStore
from lianxin_notifier.store import ProjectionStore

log = get_logger(__name__)

SERVICE = "notifier"
LOCKS = "locks"
LOCK_S = 30.0
# A worker that lost its database may still be publishing what it had numbered before: the publisher's
# deadline, 5 s, and a little more.
SETTLE_S = 6.0
Say = Callable[[str], None]
MakeProjector = Callable[[ProjectionStore, bool], Projector]
"""(store, whether `reaching` was lost) → the projector of the generation that is built."""


async def is_whole(db: Database, generation: int) -> bool:
    """True when everything that the worker of `generation` needs was built and nothing was dropped since."""
    states = await asyncio.gather(
        ProjectionStore(db, generation).state(),
        NumberLedger(db).state(),
        DeliveryStore(db).state(),
        ReachingStore(db).state(),
    )
    return set(states) == {BUILT}


async def begin_empty(settings: Settings, db: Database, generation: int) -> bool:
    """Mark everything as built where there is nothing to build from, no record on any topic; else False."""
    if not await nothing_written(settings, group_name(SERVICE, generation), [*TOPICS, topics.DELIVERIES]):
        return False
    for part in (ProjectionStore(db, generation), NumberLedger(db), DeliveryStore(db), ReachingStore(db)):
        await part.prepare()
        await part.set_state(BUILT)
    return True


class Rebuild:
    """One rebuild. Only one runs at a time; one that died is gone on with."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        publisher: Publisher,
        make_projector: MakeProjector,
        say: Say,
        handover_s: float,
        settle_s: float = SETTLE_S,
        end_after_s: float = 40.0,
    ) -> None:
        """`handover_s`: how long to go on after the switch, until the workers are back, seconds.
        `end_after_s`: how long an attempt may still be in hand somewhere, seconds."""
        self._settings = settings
        self._db = db
        self._publisher = publisher
        self._make_projector = make_projector
        self._say = say
        self._handover_s = handover_s
        self._settle_s = settle_s
        self._end_after_s = end_after_s
        self._generations = Generations(db, SERVICE)
        self._ledger = NumberLedger(db)
        self._deliveries = DeliveryStore(db)
        self._reaching = ReachingStore(db)
        self._handled = 0

    async def run(self, *, unless: Callable[[], Awaitable[bool]] | None = None) -> int | None:
        """Rebuild and switch; returns the new generation. None where `unless` holds once it is our turn."""
        async with self._alone():
            if unless is not None and await patiently(unless):
                return None
            telling = asyncio.create_task(self._tell_progress())
            try:
                await self._restore_records()
                reaching_lost = await patiently(self._note_whether_reaching_was_lost)
                await patiently(self._abandon_what_was_dropped)
                self._handled = 0
                number = await run_rebuild(
                    self._settings,
                    self._generations,
                    SERVICE,
                    TOPICS,
                    partial(self._consumer, reaching_lost=reaching_lost),
                    before_switch=self._mark_as_built,
                    linger_s=self._handover_s,
                )
            finally:
                telling.cancel()
            self._say(f"generation {number} of the inboxes is live")
            return number

    async def _note_whether_reaching_was_lost(self) -> bool:
        """A rebuild that dies on the way leaves the mark to the one that goes on with it."""
        if await self._reaching.state() == BUILT:
            return False
        await self._reaching.set_state(BUILDING)
        return True

    async def _mark_as_built(self, generation: int) -> None:
        """What has to be gone on with is held back in the new generation, so nothing is missing any more."""
        await self._reaching.prepare()
        await self._reaching.set_state(BUILT)
        await ProjectionStore(self._db, generation).set_state(BUILT)

    async def _restore_records(self) -> None:
        """Read `alerts.deliveries` to its end."""
        states = [await patiently(self._ledger.state), await patiently(self._deliveries.state)]
        lost = None in states
        if lost:
            self._say("the record of alerts was lost, reading all of it back")
            await self._clear_records()
        group = await patiently(self._reading_group)
        consumer = Consumer(
            self._settings,
            group=group,
            topics=[topics.DELIVERIES],
            handle=self._take_records,
            parking=ParkingLot(self._db),
            publisher=self._publisher,
        )
        running = asyncio.create_task(consumer.run(), name="rebuild-deliveries")
        try:
            await self._reach_the_end(group, [topics.DELIVERIES], consumer, running)
        finally:
            consumer.stop()
            await asyncio.gather(running, return_exceptions=True)
        for part in (self._ledger, self._deliveries):
            await patiently(lambda part=part: part.set_state(BUILT))  # type: ignore[misc]
        await patiently(self._forget_reading_group)
        self._say(f"{self._handled} records of alerts read")

    async def _clear_records(self) -> None:
        """Empty ledger and deliveries, to be filled from their log. A worker that has not noticed yet may be
        writing a last batch: what it still publishes is read back, what it only writes is cleared away."""
        parts = (self._ledger, self._deliveries)
        for part in (*parts, self._reaching):
            await patiently(part.clear)
        await asyncio.sleep(self._settle_s)
        for part in (*parts, self._reaching):
            await patiently(part.clear)
        await patiently(self._forget_reading_group)  # it may have read part of the log into what is gone
        for part in parts:
            await patiently(lambda part=part: part.set_state(BUILDING))  # type: ignore[misc]

    async def _take_records(self, messages: list[Message]) -> None:
        inbox: list[Numbered] = []
        outside: list[tuple[Delivery, datetime]] = []
        for message in messages:
            if message.event is None or not isinstance(message.event.data, Delivery):
                continue
            delivery = message.event.data
            if delivery.channel != INBOX:
                outside.append((delivery, message.event.recordedtime))
            elif delivery.number is not None and delivery.entry is not None:
                inbox.append(_numbered(delivery, delivery.number, message.event.recordedtime))
        try:
            await self._ledger.restore(inbox)
            await self._deliveries.restore(outside, datetime.now(UTC) + timedelta(seconds=self._end_after_s))
        except Exception as error:
            if outage(error) is not None:
                raise
            # A record that is put aside would count as never sent, and its alert would be sent again.
            log.error("records of alerts can't be restored", error=fault(error))
            raise Outage("records of alerts can't be restored", what="restoration") from error
        self._handled += len(messages)

    async def _reach_the_end(
        self,
        group: str,
        of: Sequence[str],
        consumer: Consumer,
        running: asyncio.Task[None] | None = None,
    ) -> None:
        """Return when `consumer` has handled everything that is on the topics at the time of this call."""
        offsets = await patiently(lambda: committed(self._settings, group, of))
        while True:
            positions = consumer.positions()
            short = [
                tp
                for tp, (done, first, end) in offsets.items()
                if max(positions.get((tp.topic, tp.partition), first), done or first) < end
            ]
            if not short:
                return
            if consumer.problem is not None:
                raise RuntimeError(consumer.problem)
            if running is not None and running.done():
                await running
                raise RuntimeError("reading ended before the end")
            await asyncio.sleep(0.1)

    async def _abandon_what_was_dropped(self) -> None:
        """Begin anew where what a rebuild that died had built is no longer whole."""
        number = await self._generations.building()
        if number is not None and await ProjectionStore(self._db, number).state() is None:
            await self._generations.abandon(number)

    async def _consumer(self, number: int, group: str, *, reaching_lost: bool) -> Consumer:
        self._say(f"building generation {number} of the inboxes")
        store = ProjectionStore(self._db, number)
        if await patiently(store.state) is None:
            await patiently(store.clear)
            await patiently(lambda: store.set_state(BUILDING))
        projector = self._make_projector(store, reaching_lost)

        async def handle(messages: list[Message]) -> None:
            await projector.handle(messages)
            self._handled += len(messages)

        return Consumer(
            self._settings,
            group=group,
            topics=TOPICS,
            handle=handle,
            parking=ParkingLot(self._db),
            publisher=self._publisher,
        )

    async def _tell_progress(self) -> None:
        while True:
            await asyncio.sleep(2.0)
            self._say(f"{self._handled} records handled")

    async def _reading_group(self) -> str:
        """A group that has read nothing yet, or the one that a rebuild which died had begun to read with."""
        locks = self._db[LOCKS]
        found = await locks.find_one({"_id": "reading"})
        if found is None:
            found = {"_id": "reading", "group": f"{SERVICE}-deliveries-{ids.fresh()}"}
            await locks.insert_one(found)
        return str(found["group"])

    async def _forget_reading_group(self) -> None:
        await self._db[LOCKS].delete_one({"_id": "reading"})

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Wait until no other process rebuilds, and keep others from it."""
        owner = ids.fresh()
        told = False
        while not await patiently(lambda: self._lock(owner)):
            if not told:
                self._say("waiting for a rebuild that is running")
                told = True
            await asyncio.sleep(1.0)
        keeping = asyncio.create_task(self._keep_lock(owner))
        try:
            yield
        finally:
            keeping.cancel()
            with contextlib.suppress(Exception):
                await self._db[LOCKS].delete_one({"_id": "rebuild", "owner": owner})

    async def _keep_lock(self, owner: str) -> None:
        while True:
            await asyncio.sleep(LOCK_S / 4)
            if not await patiently(lambda: self._lock(owner)):
                log.error("the rebuild's lock was lost")

    async def _lock(self, owner: str) -> bool:
        """Take or keep the lock: an `_id` that is free, ours, or past its time."""
        now = datetime.now(UTC)
        mine = {"_id": "rebuild", "owner": owner, "until": now + timedelta(seconds=LOCK_S)}
        locks = self._db[LOCKS]
        try:
            await locks.replace_one(
                {"_id": "rebuild", "$or": [{"owner": owner}, {"until": {"$lt": now}}]}, mine, upsert=True
            )
        except DuplicateKeyError:
            return False
        return True


def _numbered(delivery: Delivery, number: int, at: datetime) -> Numbered:
    assert delivery.entry is not None
    return Numbered(
        receiver=delivery.receiver,
        number=number,
        alert=delivery.alert,
        cause=delivery.cause,
        opinion=delivery.opinion,
        at=at,
        entry=delivery.entry,
        latency_ms=delivery.latency_ms,
    )
