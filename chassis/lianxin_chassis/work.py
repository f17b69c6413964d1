"""From a batch as it was read to effects that are durable: decode, park, handle, put aside.

Nothing here knows how records are fetched or acknowledged. `Work.batch` returns True when every record of the
batch was handled or put aside durably, and only then may the batch be acknowledged.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from lianxin_chassis.batches import Unprocessable, by_key, outcomes_of, without
from lianxin_chassis.exits import die
from lianxin_chassis.limits import DeadLetterLimits, FailureCount
from lianxin_chassis.logs import fault as fault_of
from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import BATCH_SECONDS, BATCH_SIZE, DEAD_LETTERS, OUTAGES
from lianxin_chassis.outages import Backoff, Outage, outage
from lianxin_chassis.parking import Aside, Key, ParkingLot, Partition, State, dead_letter_record, key_of
from lianxin_chassis.publisher import Publisher, Unpublishable
from lianxin_chassis.records import Headers, Message, Record
from lianxin_contracts import codec
from lianxin_contracts.envelope import Event, OutRecord, Undecodable

log = get_logger(__name__)

Handle = Callable[[list[Message]], Awaitable[None]]
OnDeadLetter = Callable[[Record, str], Awaitable[None]]
Decode = Callable[[str, bytes, Headers], Event]
OnAssigned = Callable[[frozenset[Partition]], Awaitable[None]]

# A fault that is no outage, where a dead letter is made durable, is tried so often before the process ends.
TRIES = 5


class Abandoned(Exception):
    """The batch was given up while an outage was waited out, because the consumer stops or lost the
    partitions. Nothing of it may be acknowledged."""


class Work:
    """One consumer's handling of batches. Batches and retries are strictly one after the other."""

    def __init__(
        self,
        group: str,
        handle: Handle,
        parking: ParkingLot,
        publisher: Publisher,
        *,
        decode: Decode = codec.decode,
        batch_deadline_s: float = 20.0,
        on_dead_letter: OnDeadLetter | None = None,
        limits: DeadLetterLimits | None = None,
    ) -> None:
        self.group = group
        self.owned: frozenset[Partition] = frozenset()  # whose records and parked keys are ours to handle
        self.parked: dict[Key, State] = {}
        self.outage: str | None = None  # what is waited for now
        self.progress = 0  # grows with every piece of work that went through
        self._abandon = asyncio.Event()
        self._given_up = 0  # how often
        self._stopping = False
        self._handle = handle
        self._parking = parking
        self._publisher = publisher
        self._decode = decode
        self._deadline = batch_deadline_s
        self._on_dead_letter = on_dead_letter
        self._count = FailureCount(limits or DeadLetterLimits())
        self._lock = asyncio.Lock()
        self._seconds = BATCH_SECONDS.labels(group)
        self._size = BATCH_SIZE.labels(group)

    async def adopt(self, owned: frozenset[Partition], on_assigned: OnAssigned | None) -> None:
        """Take over `owned`: what is parked there, and what the service wants to know first. Raises
        `Abandoned` where they are given up meanwhile, or where an outage lasts until the consumer stops."""
        before = self._given_up
        async with self._lock:
            if self._given_up != before or self._stopping:
                raise Abandoned("the partitions are lost again")
            self._abandon.clear()

            async def take_over() -> None:
                self.parked = await self._parking.parked(self.group, owned)
                if on_assigned is not None:
                    await on_assigned(owned)

            await self._through_outages(take_over)
            self._go_on()
            self.owned = owned

    async def batch(self, records: Sequence[Record]) -> None:
        """Handle `records`, in offset order per partition. Returns when each was handled or put aside,
        durably.

        Raises `Abandoned`, or `TooManyDeadLetters` before it puts more aside than the limits allow.
        """
        started = time.perf_counter()
        async with self._lock:
            self._go_on()
            aside: list[Aside] = []
            messages = self._sort(records, aside)
            if messages:
                await self._handle_all(messages, aside)
            if aside:
                outcomes = outcomes_of(records, aside)
                self._count.weigh(outcomes)
                await self._put_aside(aside)
                self._count.note(outcomes)
            else:
                self._count.handled(len(records))
        self._seconds.observe(time.perf_counter() - started)
        self._size.observe(len(records))

    def give_up(self) -> None:
        """The partitions are lost, or to be given back. Nothing of theirs is begun until the next `adopt`,
        and the piece of work in hand ends with `Abandoned` where it waits for an outage, handles key by key,
        puts aside or retries. `settled` returns when it has ended."""
        self.owned = frozenset()
        self._given_up += 1
        self._abandon.set()

    async def settled(self) -> None:
        """Return when nothing is in hand."""
        async with self._lock:
            return

    def stop(self) -> None:
        """As `give_up`, for good."""
        self._stopping = True
        self.give_up()

    def _go_on(self) -> None:
        if self._abandon.is_set():
            raise Abandoned("the consumer stops or loses partitions")

    def _sort(self, records: Sequence[Record], aside: list[Aside]) -> list[Message]:
        """The messages to handle; the others go to `aside`: what can't be read, and what follows a parked
        key."""
        messages: list[Message] = []
        failed: set[Key] = set()
        for record in records:
            key = key_of(record)
            if key in self.parked or key in failed:
                aside.append(Aside(record, "parked"))
                continue
            decoded = self._read(record)
            if isinstance(decoded, Message):
                messages.append(decoded)
            else:
                failed.add(key)
                aside.append(decoded)
        return messages

    def _read(self, record: Record) -> Message | Aside:
        try:
            key = (record.key or b"").decode()
            if record.value is None:
                return Message(record, None, key)
            return Message(record, self._decode(record.topic, record.value, record.headers), key)
        except Undecodable as error:
            return Aside(record, "undecodable", str(error))
        except Exception as error:  # noqa: BLE001 - whatever a decoder raises, the record is what it choked on
            return Aside(record, "undecodable", f"{type(error).__name__}: {error}")

    async def _handle_all(self, messages: list[Message], aside: list[Aside]) -> None:
        """Handle `messages` at once; where that fails, find whose fault it is and leave those out."""
        while messages:
            fault = await self._attempt(messages)
            if fault is None:
                return
            self._go_on()
            if isinstance(fault, Unprocessable):
                messages = without(messages, Aside(fault.message.record, fault.reason, fault.detail), aside)
                continue
            log.warning(
                "a batch failed and is handled key by key", error=fault_of(fault), records=len(messages)
            )
            for of_one_key in by_key(messages):
                await self._isolate(of_one_key, aside)
            return

    async def _isolate(self, messages: list[Message], aside: list[Aside]) -> None:
        """Handle one key's messages one by one; the first that fails twice is put aside, and the rest with
        it."""
        for place, message in enumerate(messages):
            self._go_on()
            fault = await self._attempt([message])
            if fault is not None and not isinstance(fault, Unprocessable):
                fault = await self._attempt([message])
            if fault is None:
                continue
            if isinstance(fault, Unprocessable):
                bad = Aside(message.record, fault.reason, fault.detail)
            else:
                bad = Aside(message.record, "error", f"{fault_of(fault)}: {fault}")
            aside.append(bad)
            aside.extend(Aside(later.record, "parked") for later in messages[place + 1 :])
            return

    async def _attempt(self, messages: list[Message]) -> Exception | None:
        """Run the handler, through outages; returns what is wrong with the messages, None when all is
        well."""
        fault: Exception | None = None

        async def once() -> None:
            nonlocal fault
            fault = None
            task = asyncio.ensure_future(self._handle(messages))
            try:
                done, _ = await asyncio.wait([task], timeout=self._deadline)
            except asyncio.CancelledError:
                task.cancel()
                raise
            if not done:
                die("a handler hangs", group=self.group, seconds=self._deadline, records=len(messages))
            if task.cancelled():
                raise Outage("the handler was cancelled from within", what="handler")
            error = task.exception()
            if error is None:
                return
            if not isinstance(error, Exception) or outage(error) is not None:
                raise error
            fault = error

        await self._through_outages(once)
        self.progress += 1
        return fault

    async def _put_aside(self, aside: list[Aside]) -> None:
        """Make `aside` durable: with the service, on the dead-letter topics, and last in the parking lot.

        Last, because a record that comes again while its key is parked only follows: where this is cut short
        before, it comes again as the failure that it is, and the service and the letter hear of that.
        """
        aside.sort(key=lambda one: (one.record.topic, one.record.partition, one.record.offset))
        at = datetime.now(UTC)
        try:
            if self._on_dead_letter is not None:
                for one in aside:
                    await self._keep(partial(self._on_dead_letter, one.record, one.reason))
            await self._publish_letters([dead_letter_record(self.group, one, at) for one in aside])
            await self._keep(partial(self._parking.put, self.group, aside))
        except Abandoned:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, going on would lose the record
            die("a dead letter can't be kept", group=self.group, error=fault_of(error))
        for one in aside:
            self.parked.setdefault(key_of(one.record), "parked")
            DEAD_LETTERS.labels(one.record.topic, one.reason).inc()
            if not one.follows:
                where = f"{one.record.topic}/{one.record.partition}/{one.record.offset}"
                # Neither the key's text nor the detail: either may hold what a resident wrote.
                log.error("a record is put aside and its key parked", record=where, reason=one.reason)

    async def _publish_letters(self, letters: list[OutRecord]) -> None:
        try:
            await self._keep(partial(self._publisher.publish, letters, deadline_s=10.0))
            return
        except Unpublishable:
            log.warning("dead letters are published one by one: one is too large", letters=len(letters))
        for letter in letters:
            try:
                await self._keep(partial(self._publisher.publish, [letter], deadline_s=10.0))
            except Unpublishable:
                # Written by somebody with a larger limit than ours: whole in the parking lot, a stub here.
                stub = replace(letter, value=None)
                await self._keep(partial(self._publisher.publish, [stub], deadline_s=10.0))

    async def _keep(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """One step of making a dead letter durable, unless the partitions are lost meanwhile."""
        self._go_on()
        await self._through_outages(attempt, tries=TRIES)

    async def _through_outages(self, attempt: Callable[[], Awaitable[None]], *, tries: int = 1) -> None:
        """Run `attempt` until no fault of the surroundings stops it. Any other fault is raised when it has
        come `tries` times."""
        backoff = Backoff()
        faults = 0
        try:
            while True:
                try:
                    return await attempt()
                except Unpublishable:
                    raise
                except Exception as error:
                    what = outage(error)
                    if what is None:
                        faults += 1
                        if faults >= tries:
                            raise
                    self.outage = what or "chassis"
                    OUTAGES.labels(self.outage).inc()
                    log.warning("work waits", group=self.group, what=self.outage, error=fault_of(error))
                try:
                    await asyncio.wait_for(self._abandon.wait(), backoff.next())
                except TimeoutError:
                    continue
                raise Abandoned(f"the {self.outage} was away")
        finally:
            self.outage = None

    # -- retry of what is parked

    async def refresh_parked(self) -> None:
        """Read again what is parked, and do what an operator marked. Raises PyMongo's errors, `Abandoned`."""
        async with self._lock:
            if not self.owned:
                return
            self.parked = await self._parking.parked(self.group, self.owned)
            for key in [key for key, state in self.parked.items() if state != "parked"]:
                self._go_on()
                try:
                    await self._release(key)
                except Exception as error:
                    if isinstance(error, Abandoned) or outage(error) is not None:
                        raise
                    # One key that can't be released must not hold up the others.
                    log.error("a retry broke off", topic=key[0], error=fault_of(error))
                    await self._parking.failed_again(self.group, key, "error", fault_of(error))
                    self.parked[key] = "parked"

    async def _release(self, key: Key) -> None:
        """Put back what waits behind one key, in order; the first that fails again stays first."""
        while mark := await self._parking.mark(self.group, key):
            if mark.state == "parked":
                return
            waiting = await self._parking.waiting(self.group, key)
            if not waiting:
                await self._parking.unpark(self.group, key, mark.version)
                continue
            skip = mark.skip
            if mark.state == "skip":
                skip = waiting[0].offset
                await self._parking.skip(self.group, key, skip)
            for record in waiting:
                self._go_on()
                if (
                    mark.state != "skip_all"
                    and record.offset != skip
                    and not await self._handled(key, record)
                ):
                    return
                await self._parking.done(self.group, record)
        self.parked.pop(key, None)
        log.info("a parked key is released", topic=key[0])

    async def _handled(self, key: Key, record: Record) -> bool:
        """Handle a record that was put aside; where it fails again its key is parked again."""
        read = self._read(record)
        if isinstance(read, Message):
            aside: list[Aside] = []
            await self._isolate([read], aside)
            if not aside:
                return True
            read = aside[0]
        await self._parking.failed_again(self.group, key, read.reason, read.detail)
        self.parked[key] = "parked"
        log.warning("a retry failed again", topic=record.topic, reason=read.reason)
        return False
