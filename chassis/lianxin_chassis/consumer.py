"""The first way of reading: one group, effects, offsets. Every record at least once, in order per key.

A service gives a handler for whole batches. Decoding, waiting out outages, dead letters and what is parked
behind them, deadlines, committing and measuring are done here, the same for all.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Protocol

import aiokafka.util

from lianxin_chassis.batches import Unprocessable
from lianxin_chassis.exits import LoopWatchdog
from lianxin_chassis.kafka_source import Duties, KafkaSource, Partition
from lianxin_chassis.lag import LagMonitor
from lianxin_chassis.limits import DeadLetterLimits, TooManyDeadLetters
from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Backoff, Outage, outage
from lianxin_chassis.parking import ParkingLot
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.records import Message, Record
from lianxin_chassis.settings import Settings
from lianxin_chassis.work import Abandoned, Decode, Handle, OnAssigned, OnDeadLetter, Work
from lianxin_contracts import codec

__all__ = ["Consumer", "DeadLetterLimits", "Handle", "Message", "Outage", "Unprocessable"]

log = get_logger(__name__)


class Source(Protocol):
    """What feeds a consumer; see `KafkaSource`."""

    @property
    def joined(self) -> bool:
        """True while this member has an assignment."""

    def stop(self) -> None:
        """Make `run` return."""

    async def run(self) -> None:
        """Consume until stopped."""


MakeSource = Callable[[Settings, str, tuple[str, ...], Duties, int], Source]


def kafka_source(
    settings: Settings, group: str, topics: tuple[str, ...], duties: Duties, max_batch: int
) -> Source:
    """The source of every consumer that somebody waits for."""
    return KafkaSource(settings, group, topics, duties, max_batch=max_batch)


def unhurried_source(
    settings: Settings, group: str, topics: tuple[str, ...], duties: Duties, max_batch: int
) -> Source:
    """The source of a consumer for which a quarter of a second is nothing: it takes fewer and larger batches,
    and leaves the machine to those that somebody waits for."""
    return KafkaSource(settings, group, topics, duties, max_batch=max_batch, gather_ms=250)


class Consumer:
    """Consumes `topics` in `group` and hands batches to `handle`, until `stop`.

    `handle` gets up to `max_batch` messages, in offset order per partition (topics may mix), and returns when
    their effects are durable; it must be idempotent. It may raise `Unprocessable` for one message. An
    `Outage` or a driver's error for a database or broker that is away is waited out, and the batch handled
    again. For any other exception the culprit is found key by key and put aside.

    `batch_deadline_s`: a handler that takes longer is taken to hang and the process ends (exit 70), nothing
    committed. `watchdog_s`: so it does when the broker tells of lag and nothing moves for so long.
    `on_assigned` gets all partitions now owned, (topic, number) each, before any of their records is handled.
    Of several topics, one number may be owned by different workers.
    `on_dead_letter` gets each record that is put aside and the reason (`parked` for one that only follows),
    before it is parked; it may get one again. Where it fails for another reason than an outage, again and
    again, the process ends (70): the record would be lost to the service.
    Raises RuntimeError where aiokafka's C extension is missing.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        group: str,
        topics: Sequence[str],
        handle: Handle,
        parking: ParkingLot,
        publisher: Publisher,
        max_batch: int = 500,
        batch_deadline_s: float = 20.0,
        watchdog_s: float = 120.0,
        on_assigned: OnAssigned | None = None,
        on_dead_letter: OnDeadLetter | None = None,
        limits: DeadLetterLimits | None = None,
        decode: Decode = codec.decode,
        make_source: MakeSource = kafka_source,
    ) -> None:
        if aiokafka.util.NO_EXTENSIONS:
            raise RuntimeError("aiokafka's C extension is missing: it would read 20 times slower")
        self.group = group
        self.problem: str | None = None
        self._topics = tuple(topics)
        self._parking = parking
        self._on_assigned = on_assigned
        self._assigned: frozenset[Partition] = frozenset()  # taken over, or being taken over
        self._positions: dict[Partition, int] = {}
        self._seen_progress = 0
        self._stopping = asyncio.Event()
        self._work = Work(
            group,
            handle,
            parking,
            publisher,
            decode=decode,
            batch_deadline_s=batch_deadline_s,
            on_dead_letter=on_dead_letter,
            limits=limits,
        )
        duties = Duties(adopt=self._adopt, take=self._take, give_up=self._give_up, settled=self._work.settled)
        self._source = make_source(settings, group, self._topics, duties, max_batch)
        self._lag = LagMonitor(settings, group, self._topics, watchdog_s=watchdog_s, excused=self._excused)
        self._loop_watchdog = LoopWatchdog(batch_deadline_s)

    @property
    def ready(self) -> bool:
        """False until the group is joined, while an outage is waited out, and for good when too much
        failed."""
        return self.check() is True

    def check(self) -> bool | str:
        """For readiness: True, or what is waited for or wrong."""
        if self.problem is not None:
            return self.problem
        if self._work.outage is not None:
            return f"waiting for the {self._work.outage}"
        if not self._lag.reachable:
            return "waiting for the broker"
        if not self._source.joined:
            return "joining the group"
        return not self._stopping.is_set()

    def positions(self) -> dict[Partition, int]:
        """For each (topic, partition) worked on so far, the next offset whose effects are not durable yet."""
        return dict(self._positions)

    def stop(self) -> None:
        """Make `run` finish the batch in hand, commit and return. A batch that waits for an outage is given
        up."""
        self._stopping.set()
        self._work.stop()
        self._source.stop()

    async def run(self) -> None:
        """Consume until `stop`. Raises what `on_assigned` raises but for outages; may end the process
        (70)."""
        self._loop_watchdog.start()
        parts = [
            asyncio.create_task(self._consume(), name=f"{self.group}-consume"),
            asyncio.create_task(self._lag.run(lambda: self._assigned), name=f"{self.group}-lag"),
            asyncio.create_task(self._tend_parked(), name=f"{self.group}-parked"),
            asyncio.create_task(self._beat(), name=f"{self.group}-beat"),
        ]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = [part for part in parts if part.done()]
            asked = self._stopping.is_set()
            self.stop()
            # The batch in hand is finished, unless this is torn down: then nobody waits for a handler.
            task = asyncio.current_task()
            torn_down = task is not None and task.cancelling() > 0
            for part in parts if torn_down else parts[1:]:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            self._lag.forget()
            self._loop_watchdog.stop()
        for part in ended:
            if part.cancelled() or (part.exception() is None and not asked):
                raise RuntimeError(f"{part.get_name()} ended by itself")
            part.result()

    async def _consume(self) -> None:
        await self._source.run()
        if self.problem is not None:
            # Out of the group, up and not ready, to be looked at: started again, it would do the same again.
            await self._stopping.wait()

    def _give_up(self) -> None:
        self._assigned = frozenset()
        self._work.give_up()

    async def _adopt(self, owned: frozenset[Partition]) -> bool:
        self._assigned = owned
        try:
            await self._work.adopt(owned, self._on_assigned)
        except Abandoned:
            return False
        return True

    async def _take(self, records: list[Record]) -> bool:
        try:
            await self._work.batch(records)
        except Abandoned as reason:
            log.warning("a batch is given up, uncommitted", group=self.group, reason=str(reason))
            return False
        except TooManyDeadLetters as reason:
            self.problem = f"stopped: {reason}: the code is wrong, not the data"
            log.critical("too many dead letters, the consumer stops", group=self.group, reason=str(reason))
            self._source.stop()
            return False
        for record in records:
            self._positions[record.topic, record.partition] = record.offset + 1
        return True

    def _excused(self) -> bool:
        """True where nothing committed is no sign of being stuck: an outage, or a batch that does move."""
        moved = self._work.progress != self._seen_progress
        self._seen_progress = self._work.progress
        return moved or self._work.outage is not None or self.problem is not None

    async def _beat(self) -> None:
        while True:
            self._loop_watchdog.beat()
            await asyncio.sleep(0.5)

    async def _tend_parked(self) -> None:
        """Every second: what an operator marked among the keys of this worker's partitions."""
        backoff = Backoff(first_s=1.0, cap_s=10.0)
        pause = 1.0
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
                return
            if not self._work.owned or self.problem is not None:
                continue
            try:
                await self._work.refresh_parked()
                await self._parking.measure(self.group, self._topics)
                pause = 1.0
                backoff.reset()
            except Abandoned:
                continue
            except Exception as error:
                if outage(error) is None:
                    raise
                pause = backoff.next()
