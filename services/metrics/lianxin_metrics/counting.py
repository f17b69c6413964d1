"""The worker's effect: events into facts, facts into each partition's aggregate. Each event counts once.

A case's fact holds the number of its last event, so a repeated event is recognised; and an aggregate is
advanced only by facts that were saved. Three things could part them, and each ends in counting the
partition's facts again: a worker died between saving facts and the aggregate; saving failed half-way; a
worker that had lost the partition wrote a last batch after all. `store.Claim` says how these are told.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from prometheus_client import Counter

from lianxin_chassis.consumer import Message, Outage, Unprocessable
from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import PROJECTION_GAPS
from lianxin_contracts import topics
from lianxin_contracts.deliveries import Delivery
from lianxin_contracts.envelope import Event, milliseconds
from lianxin_metrics.aggregate import Aggregate
from lianxin_metrics.facts import Fact, FirstLevel, fold
from lianxin_metrics.store import PROJECTION, Claim, FactStore, Overtaken, Stamp, Step, Stored

log = get_logger(__name__)

RECOUNTS = Counter(
    "lianxin_partition_recounts_total", "Times that a partition's aggregate was counted again from its facts"
)
# A batch waits this long for a recount, seconds; then it is put off. Well below the chassis's batch deadline.
RECOUNT_WAIT_S = 10.0


class Recounting(Outage):
    """The facts of `partitions` partitions are being counted: the batch is to come again."""

    def __init__(self, partitions: int) -> None:
        super().__init__(f"{partitions} partitions are being counted again", what="recount")


@dataclass(slots=True)
class Ledger:
    """A partition that this worker owns: what it has published, and `included`, the facts of doubtful stamp
    that the recount has seen (case and its sequence then)."""

    claim: Claim
    aggregate: Aggregate
    included: dict[str, int] = field(default_factory=dict)

    def surely_contains(self, stored: Stored) -> bool:
        """Whether this fact is in the aggregate."""
        fact = stored.fact
        return self.claim.contains(stored.stamp) or self.included.get(fact.case) == fact.sequence


@dataclass(slots=True)
class Change:
    """What a batch does to one case. `before` None: the case is new."""

    partition: int
    before: Fact | None
    after: Fact


class Counting:
    """Handles batches of `opinions.lifecycle` and `alerts.deliveries`. Safe to repeat."""

    def __init__(self, store: FactStore, first_level: FirstLevel) -> None:
        self._store = store
        self._first_level = first_level
        self._ledgers: dict[int, Ledger] = {}
        self._opening: dict[int, asyncio.Task[Ledger]] = {}

    async def handle(self, messages: Sequence[Message]) -> None:
        """Apply a batch. Raises `Unprocessable` for a gap in a case's sequence or a record without an event,
        `Outage` where the batch is to come again."""
        lifecycle = [m for m in messages if m.record.topic == topics.LIFECYCLE]
        await self._store.record([_step(m) for m in messages if m.record.topic == topics.DELIVERIES])
        if lifecycle:
            await self._count(lifecycle)

    async def _count(self, messages: Sequence[Message]) -> None:
        ledgers = await self._open_all({m.record.partition for m in messages})
        stored = await self._store.load(m.key for m in messages)
        try:
            await self._write(messages, self._fold(messages, stored, ledgers), ledgers)
        except Unprocessable:
            raise  # nothing was written
        except BaseException:
            # Some of it may be written: what is in memory can't be trusted any more.
            self._forget(ledgers)
            raise

    async def _write(
        self, messages: Sequence[Message], changes: Sequence[Change], ledgers: dict[int, Ledger]
    ) -> None:
        stamps = {n: Stamp(ledger.claim.epoch, ledger.claim.batch + 1) for n, ledger in ledgers.items()}
        await self._store.save([(c.partition, c.before, c.after) for c in changes], stamps)
        for change in changes:
            ledgers[change.partition].aggregate.advance(change.before, change.after)
        for number, records in groupby(
            sorted((m.record for m in messages), key=lambda r: r.partition), key=lambda r: r.partition
        ):
            claim = ledgers[number].claim
            claim.batch += 1
            claim.next_offset = max(claim.next_offset, *(r.offset + 1 for r in records))
        await self._store.publish([(ledger.claim, ledger.aggregate) for ledger in ledgers.values()])

    def _fold(
        self, messages: Sequence[Message], stored: dict[str, Stored], ledgers: dict[int, Ledger]
    ) -> list[Change]:
        """The changes that new events make. Raises `Overtaken` for a case whose fact was written by somebody
        whose work the aggregate may not contain: its difference could not be told."""
        changes: dict[str, Change] = {}
        for message in messages:
            event = _event(message)
            case, partition = message.key, message.record.partition
            if (change := changes.get(case)) is None:
                known = stored.get(case)
                if known is not None and not ledgers[partition].surely_contains(known):
                    raise Overtaken(f"a case of partition {partition} was written by an owner before")
                before = None if known is None else known.fact
                change = Change(partition, before, before or Fact(case=case))
            sequence = event.sequence or 0
            if sequence <= change.after.sequence:
                continue
            if sequence > change.after.sequence + 1:
                PROJECTION_GAPS.labels(PROJECTION).inc()
                raise Unprocessable(
                    message, "sequence_gap", f"event {sequence} follows {change.after.sequence}"
                )
            change.after = fold(change.after, event, self._first_level)
            changes[case] = change
        return list(changes.values())

    # -- the partitions that are owned

    async def on_assigned(self, _: object) -> None:
        """The partitions that are owned may be others now. What is known of them goes, also of those that
        stay or come back: somebody else may have owned them in between."""
        opening = list(self._opening.values())
        self._opening.clear()
        self._ledgers.clear()
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)

    async def _open_all(self, partitions: Iterable[int]) -> dict[int, Ledger]:
        """The ledgers of `partitions`, claimed and exact. Raises `Recounting` where that takes long; it goes
        on meanwhile."""
        for number in partitions:
            if number not in self._ledgers and number not in self._opening:
                self._opening[number] = asyncio.create_task(self._open(number), name=f"open-{number}")
        opening = {number: self._opening[number] for number in partitions if number in self._opening}
        if opening:
            done, pending = await asyncio.wait(opening.values(), timeout=RECOUNT_WAIT_S)
            ended = [number for number, task in opening.items() if task in done]
            tasks = [self._opening.pop(number) for number in ended]
            failed = [error for task in tasks if (error := task.exception()) is not None]
            for number, task in zip(ended, tasks, strict=True):
                if task.exception() is None:
                    self._ledgers[number] = task.result()
            if failed:
                raise failed[0]
            if pending:
                raise Recounting(len(pending))
        return {number: self._ledgers[number] for number in partitions}

    async def _open(self, partition: int) -> Ledger:
        claim, aggregate = await self._store.claim(partition, time.time_ns() // 1_000_000)
        if not await self._store.has_uncounted(claim):
            return Ledger(claim, aggregate)
        RECOUNTS.inc()
        counted = Aggregate()
        included: dict[str, int] = {}
        async for stored in self._store.of_partition(partition):
            counted.advance(None, stored.fact)
            if not claim.contains(stored.stamp):
                included[stored.fact.case] = stored.fact.sequence
        log.info("partition counted again", partition=partition, cases=sum(counted.cases.values()))
        return Ledger(claim, counted, included)

    def _forget(self, partitions: Iterable[int]) -> None:
        for number in partitions:
            self._ledgers.pop(number, None)


def _event(message: Message) -> Event:
    if message.event is None:
        raise Unprocessable(message, "no_event", "a record without a value on a topic that is not compacted")
    return message.event


def _step(message: Message) -> Step:
    event = _event(message)
    data = event.data
    if not isinstance(data, Delivery):
        raise Unprocessable(message, "unexpected_type", event.type)
    return Step(
        alert=data.alert,
        opinion=data.opinion,
        channel=data.channel,
        at=milliseconds(event.time),
        attempt=data.attempt,
        status=data.status,
    )
