"""From a batch as it was read to effects that are durable: decode, park, handle, put aside.

Nothing here knows how records are fetched or acknowledged. `Work.batch` returns True when every record of the
batch was handled or put aside durably, and only then may the batch be acknowledged.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from lianxin_chassis.exits import die
from lianxin_chassis.limits import DeadLetterLimits, FailureCount
from lianxin_chassis.logs import fault as fault_of
from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import BATCH_SECONDS, BATCH_SIZE, DEAD_LETTERS, OUTAGES
from lianxin_chassis.outages import Backoff, Outage, outage
from lianxin_chassis.parking import Aside, ParkingLot, State, dead_letter_record
from lianxin_chassis.publisher import Publisher, Unpublishable
from lianxin_chassis.records import Headers, Message, Record
from lianxin_contracts import codec
from lianxin_contracts.envelope import Event, Undecodable

log = get_logger(__name__)

Handle = Callable[[list[Message]], Awaitable[None]]
OnDeadLetter = Callable[[Record, str], Awaitable[None]]
Decode = Callable[[str, bytes, Headers], Event]
Key = tuple[str, bytes]


class Unprocessable(Exception):
    """Raised by a handler for one record that it can't handle: that record is put aside with `reason` (a
    short code, it becomes a label) and `detail`, its key is parked, and the rest of the batch is handled
    again."""

    def __init__(self, message: Message, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} at {message.record.topic}/{message.record.partition}")
        self.message = message
        self.reason = reason
        self.detail = detail


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
        self.parked: dict[Key, State] = {}
        self.outage: str | None = None  # what is waited for now
        self.progress = 0  # grows with every piece of work that went through
        self._abandon = asyncio.Event()
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

    async def adopt(
        self, partitions: frozenset[int], on_assigned: Callable[[frozenset[int]], Awaitable[None]] | None
    ) -> None:
        """Take over `partitions`: what is parked there, and what the service wants to know first. Raises
        `Abandoned` where an outage lasts until the consumer stops."""
        async with self._lock:
            self._begin()

            async def take_over() -> None:
                self.parked = await self._parking.parked(self.group, partitions)
                if on_assigned is not None:
                    await on_assigned(partitions)

            await self._through_outages(take_over)

    async def batch(self, records: Sequence[Record]) -> None:
        """Handle `records`, in offset order per partition. Returns when each was handled or put aside,
        durably.

        Raises `Abandoned`, or `TooManyDeadLetters` before it puts more aside than the limits allow.
        """
        started = time.perf_counter()
        async with self._lock:
            self._begin()
            aside: list[Aside] = []
            messages = self._sort(records, aside)
            if messages:
                await self._handle_all(messages, aside)
            if aside:
                await self._put_aside(aside)
            self._count.handled(len(records) - len(aside))
        self._seconds.observe(time.perf_counter() - started)
        self._size.observe(len(records))

    def give_up(self) -> None:
        """Have an outage that is being waited out end the piece of work in hand with `Abandoned`."""
        self._abandon.set()

    def stop(self) -> None:
        """As `give_up`, for whatever comes as well."""
        self._stopping = True
        self._abandon.set()

    def _begin(self) -> None:
        if not self._stopping:
            self._abandon.clear()

    def _sort(self, records: Sequence[Record], aside: list[Aside]) -> list[Message]:
        """The messages to handle; the others go to `aside`: what can't be read, and what follows a parked
        key."""
        messages: list[Message] = []
        failed: set[Key] = set()
        for record in records:
            key = (record.topic, record.key or b"")
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
            if isinstance(fault, Unprocessable):
                messages = _without(messages, Aside(fault.message.record, fault.reason, fault.detail), aside)
                continue
            log.warning(
                "a batch failed and is handled key by key", error=fault_of(fault), records=len(messages)
            )
            for of_one_key in _by_key(messages):
                await self._isolate(of_one_key, aside)
            return

    async def _isolate(self, messages: list[Message], aside: list[Aside]) -> None:
        """Handle one key's messages one by one; the first that fails twice is put aside, and the rest with
        it."""
        for place, message in enumerate(messages):
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
        """Make `aside` durable: in the parking lot, on the dead-letter topics, and with the service."""
        failures = [one for one in aside if not one.follows]
        self._count.failed(len(failures))
        aside.sort(key=lambda one: (one.record.topic, one.record.partition, one.record.offset))
        at = datetime.now(UTC)
        letters = [dead_letter_record(self.group, one, at) for one in aside]

        async def once() -> None:
            await self._parking.put(self.group, aside)
            try:
                await self._publisher.publish(letters, deadline_s=10.0)
            except Unpublishable:
                # Written by somebody with a larger limit than ours: whole in the parking lot, a stub here.
                await self._publisher.publish([replace(one, value=None) for one in letters], deadline_s=10.0)
            if self._on_dead_letter is not None:
                for one in aside:
                    await self._on_dead_letter(one.record, one.reason)

        await self._through_outages(once, patient=True)
        for one in aside:
            self.parked.setdefault((one.record.topic, one.record.key or b""), "parked")
            DEAD_LETTERS.labels(one.record.topic, one.reason).inc()
        for one in failures:
            where = f"{one.record.topic}/{one.record.partition}/{one.record.offset}"
            # Neither the key's text nor the detail: either may hold what a resident wrote.
            log.error("a record is put aside and its key parked", record=where, reason=one.reason)

    async def _through_outages(
        self, attempt: Callable[[], Awaitable[None]], *, patient: bool = False
    ) -> None:
        """Run `attempt` until no fault of the surroundings stops it; `patient` takes every fault as one."""
        backoff = Backoff()
        try:
            while True:
                try:
                    return await attempt()
                except Exception as error:
                    what = outage(error)
                    if what is None and not patient:
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

    async def refresh_parked(self, partitions: frozenset[int]) -> None:
        """Read again what is parked, and do what an operator marked. Raises PyMongo's errors, `Abandoned`."""
        async with self._lock:
            self._begin()
            self.parked = await self._parking.parked(self.group, partitions)
            for (topic, key), state in list(self.parked.items()):
                if state != "parked":
                    await self._release(topic, key, state)

    async def _release(self, topic: str, key: bytes, state: State) -> None:
        """Put back what waits behind one key, in order; the first that fails again stays first."""
        while waiting := await self._parking.waiting(self.group, topic, key):
            for record in waiting:
                if self._abandon.is_set():
                    raise Abandoned("the consumer stops or loses partitions")
                if state == "skip_all":
                    await self._parking.done(self.group, record)
                    continue
                if state == "skip":
                    await self._parking.done(self.group, record)
                    await self._parking.skipped_first(self.group, topic, key)
                    state = "retry"
                    continue
                read = self._read(record)
                if isinstance(read, Message):
                    aside: list[Aside] = []
                    await self._isolate([read], aside)
                    bad = aside[0] if aside else None
                else:
                    bad = read
                if bad is not None:
                    await self._parking.failed_again(self.group, topic, key, bad.reason, bad.detail)
                    self.parked[topic, key] = "parked"
                    log.warning("a retry failed again", topic=topic, reason=bad.reason)
                    return
                await self._parking.done(self.group, record)
        await self._parking.unpark(self.group, topic, key)
        self.parked.pop((topic, key), None)
        log.info("a parked key is released", topic=topic)


def _without(messages: list[Message], bad: Aside, aside: list[Aside]) -> list[Message]:
    """`messages` less the bad one and what follows it under its key; those go to `aside`."""
    kept: list[Message] = []
    found = False
    for message in messages:
        record = message.record
        if record == bad.record:
            found = True
            aside.append(bad)
        elif found and (record.topic, record.key) == (bad.record.topic, bad.record.key):
            aside.append(Aside(record, "parked"))
        else:
            kept.append(message)
    if not found:
        die("a handler blames a record that is not in its batch")
    return kept


def _by_key(messages: list[Message]) -> list[list[Message]]:
    keys: dict[Key, list[Message]] = {}
    for message in messages:
        keys.setdefault((message.record.topic, message.record.key or b""), []).append(message)
    return list(keys.values())
