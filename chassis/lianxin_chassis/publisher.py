"""Writing records: acknowledged by all in-sync replicas, by a deadline, with a bound on what is in flight."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)

from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import PUBLISHED, UNCONFIRMED
from lianxin_chassis.outages import Backoff, NotConfirmed, Overloaded, outage
from lianxin_chassis.settings import Settings
from lianxin_contracts.envelope import OutRecord
from lianxin_contracts.topics import dead_letter

log = get_logger(__name__)

# The broker's default limit for a batch of records (message.max.bytes), in bytes.
MAX_REQUEST_BYTES = 1_048_576
# What a record may hold in key, value and headers together, bytes: as a dead letter it must still fit.
MAX_RECORD_BYTES = MAX_REQUEST_BYTES - 16_384
DEAD_LETTER_SUFFIX = dead_letter("")
# What ends a producer whose sender still runs: the broker takes nothing more from it.
FATAL = (
    OutOfOrderSequenceNumber,
    ProducerFenced,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    UnknownProducerId,
    ProducerClosed,
)


class Unpublishable(Exception):
    """The broker would refuse this record for ever (too large): publishing it again can't help."""


class _Link:
    """One producer and the number of its records that are in flight: what it still owes goes when it goes."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self.owed = 0
        self.gone = False

    def broken_by(self, error: BaseException | None) -> bool:
        """Whether it will never deliver again: its sender has ended, or the broker has done with it. An error
        of one topic or partition (not authorised, no leader) is neither."""
        sender = self.producer._sender.sender_task
        return isinstance(error, FATAL) or (sender is not None and sender.done())


# A record handed over: the acknowledgement to come, and the producer that owes it.
Sent = tuple[asyncio.Future[Any], _Link]


class Publisher:
    """One producer for the whole process. Order is kept per key, also over a retry by the caller.

    `start` returns at once: it connects in the background, again and again. `max_in_flight` bounds the
    records that were handed over and not acknowledged yet.
    """

    def __init__(self, settings: Settings, *, max_in_flight: int = 5_000) -> None:
        self._settings = settings
        self._max = max_in_flight
        self._link: _Link | None = None
        self._ready = asyncio.Event()
        self._connecting: asyncio.Task[None] | None = None
        self._in_flight = 0
        self._reserved = 0
        self._room = asyncio.Event()
        self._failing = False
        self._meter = _Meter()
        # Records whose deadline passed while the client still tries to deliver them. aiokafka can't take a
        # record back, so publishing the same one again waits for the first instead of queueing a second.
        self._late: dict[OutRecord, Sent] = {}

    @property
    def connected(self) -> bool:
        """True while the broker is reached and the newest publish was acknowledged in time."""
        return self._ready.is_set() and not self._failing

    @property
    def in_flight(self) -> int:
        """Records handed over and not acknowledged yet."""
        return self._in_flight

    @property
    def taken(self) -> int:
        """How much of `max_in_flight` is in use: records in flight and those that wait to be handed over."""
        return self._in_flight + self._reserved

    async def start(self) -> None:
        """Begin to connect. Never raises for a broker that is away."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect(), name="publisher-connect")

    async def stop(self, flush_s: float = 5.0) -> None:
        """Deliver what is in flight for at most `flush_s` seconds, then close."""
        if self._connecting is not None:
            self._connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._connecting
            self._connecting = None
        self._ready.clear()
        link, self._link = self._link, None
        if link is not None:
            await _close(link.producer, flush_s)

    async def publish(self, records: Sequence[OutRecord], deadline_s: float = 5.0) -> None:
        """Write `records`; returns when every one of them is acknowledged.

        Raises `NotConfirmed` when `deadline_s` seconds pass first (treat those records as maybe written),
        `Overloaded` when there is no room to hand them over in that time (a call of more records than the
        bound may have written some), and `Unpublishable` for a record of more than `MAX_RECORD_BYTES`
        (nothing of this call was sent) or one that the broker refuses.
        """
        for record in records:
            if not record.topic.endswith(DEAD_LETTER_SUFFIX):
                _check_size(record)
        deadline = time.monotonic() + deadline_s
        sent: list[Sent | None] = [None] * len(records)
        try:
            async with asyncio.timeout(deadline_s):
                for start in range(0, len(records), self._max):
                    part = range(start, min(start + self._max, len(records)))
                    await self._reserve(len(part), deadline)
                    await self._hand_over(records, sent, part)
                for one in sent:
                    if one is not None and not one[0].done():
                        await asyncio.wait([one[0]])
        except TimeoutError:
            pass  # _settle tells what is missing
        self._settle(records, sent, deadline_s)

    async def _hand_over(self, records: Sequence[OutRecord], sent: list[Sent | None], part: range) -> None:
        """Give `part` of `records` to the producer, in order; stops at the first that it won't take."""
        reserved = len(part)
        link: _Link | None = None
        try:
            await self._ready.wait()
            link = self._link
            if link is None:
                return
            send = link.producer.send
            for i in part:
                record = records[i]
                if self._late and (late := self._late.get(record)) is not None:
                    sent[i] = late
                    continue
                future = await send(
                    record.topic,
                    record.value,
                    record.key,
                    timestamp_ms=record.timestamp_ms,
                    headers=list(record.headers),
                )
                reserved -= 1
                self._reserved -= 1
                self._owe(link, future)
                sent[i] = (future, link)
        except MessageSizeTooLargeError as error:
            raise Unpublishable(str(error)) from error
        except KafkaError as error:
            log.warning("the producer took no more records", error=repr(error))
            if link is not None:
                self._replace_if_broken(link, error)
        finally:
            self._reserved -= reserved
            if reserved:
                self._room.set()

    def _owe(self, link: _Link, future: asyncio.Future[Any]) -> None:
        link.owed += 1
        self._in_flight += 1

        def answered(future: asyncio.Future[Any]) -> None:
            if link.gone:
                return
            link.owed -= 1
            self._in_flight -= 1
            self._room.set()
            if not future.cancelled() and future.exception() is None:
                self._failing = False
                self._meter.count()

        future.add_done_callback(answered)

    def _settle(self, records: Sequence[OutRecord], sent: Sequence[Sent | None], deadline_s: float) -> None:
        """Count what was acknowledged and raise for what was not."""
        missing: list[OutRecord] = []
        reasons: set[str] = set()
        refused: BaseException | None = None
        published: dict[str, int] = {}
        for record, one in zip(records, sent, strict=True):
            if one is None or one[0].cancelled():
                reasons.add("not handed over")
            elif not (future := one[0]).done():
                reasons.add(f"no acknowledgement in {deadline_s:g} s")
                self._remember(record, one)
            elif (error := future.exception()) is None:
                published[record.topic] = published.get(record.topic, 0) + 1
                continue
            elif isinstance(error, Exception) and outage(error) is None:
                refused = error
            else:
                reasons.add(repr(error))
                self._replace_if_broken(one[1], error)
            missing.append(record)
            UNCONFIRMED.labels(record.topic).inc()
        for topic, count in published.items():
            PUBLISHED.labels(topic).inc(count)
        if refused is not None:
            raise Unpublishable(f"{type(refused).__name__}: {refused}") from refused
        if missing:
            self._failing = True
            raise NotConfirmed(
                missing,
                f"{len(missing)} of {len(records)}: {'; '.join(sorted(reasons))}",
                unsent=[record for record, future in zip(records, sent, strict=True) if future is None],
            )

    def _remember(self, record: OutRecord, one: Sent) -> None:
        future, link = one
        if record not in self._late and not link.gone:
            self._late[record] = one
            future.add_done_callback(lambda _: self._forget(record, one))

    def _forget(self, record: OutRecord, one: Sent) -> None:
        if self._late.get(record) is one:
            del self._late[record]

    async def _reserve(self, count: int, deadline: float) -> None:
        """Wait for room for `count` records; `Overloaded` as soon as it is clear that it comes too late."""
        while (taken := self.taken) and taken + count > self._max:
            left = deadline - time.monotonic()
            needed = (taken + count - self._max) / max(self._meter.per_second(), 0.001)
            if needed > left or not self.connected:
                raise Overloaded(f"{taken} records in flight")
            self._room.clear()
            await self._room.wait()  # publish's own deadline ends this wait, as NotConfirmed
        self._reserved += count

    async def _connect(self) -> None:
        backoff = Backoff(cap_s=5.0)
        while True:
            producer = self._new_producer()
            try:
                await producer.start()
            except asyncio.CancelledError:
                await _close(producer, 0)
                raise
            except (KafkaError, OSError) as error:
                log.warning("the broker can't be reached", error=repr(error))
                await _close(producer, 0)
                await asyncio.sleep(backoff.next())
                continue
            self._link = _Link(producer)
            self._failing = False
            self._ready.set()
            return

    def _new_producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **self._settings.kafka_client(),
            acks="all",
            enable_idempotence=self._settings.kafka_idempotent,
            compression_type="lz4",
            linger_ms=self._settings.kafka_linger_ms,
            max_batch_size=131_072,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=15_000,
            retry_backoff_ms=100,
        )

    def _replace_if_broken(self, link: _Link, error: BaseException | None) -> None:
        """Start a new producer where `link` will never deliver again: aiokafka's sender ends for good on some
        answers, and after others the broker refuses all that follows."""
        if link.gone or not link.broken_by(error):
            return
        log.error("the producer is broken and is replaced", error=repr(error))
        link.gone = True
        self._in_flight -= link.owed
        self._late.clear()
        self._ready.clear()
        self._link = None
        self._room.set()
        self._connecting = asyncio.create_task(self._reconnect(link.producer), name="publisher-reconnect")

    async def _reconnect(self, old: AIOKafkaProducer) -> None:
        await _abandon(old)
        await self._connect()


def _check_size(record: OutRecord) -> None:
    size = len(record.key) + len(record.value or b"")
    size += sum(len(name) + len(value or b"") for name, value in record.headers)
    if size > MAX_RECORD_BYTES:
        raise Unpublishable(f"{size} bytes for {record.topic}, at most {MAX_RECORD_BYTES}")


class _Meter:
    """Acknowledgements per second over about the last half second."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._counted = 0
        self._rate = 1_000.0  # a guess until something is known, records/s

    def count(self) -> None:
        self._counted += 1
        if time.monotonic() - self._since > 0.5:
            self._rate = self.per_second()
            self._since = time.monotonic()
            self._counted = 0

    def per_second(self) -> float:
        elapsed = time.monotonic() - self._since
        return self._rate if elapsed < 0.5 else self._counted / elapsed


async def _close(producer: AIOKafkaProducer, flush_s: float) -> None:
    """Close within `flush_s` seconds and a little more: aiokafka's own stop has no end with a dead broker."""
    try:
        async with asyncio.timeout(flush_s + 0.5):
            await producer.stop()
    except TimeoutError:
        log.warning("the producer was closed with records in flight")
        await _abandon(producer)
    except Exception as error:  # noqa: BLE001 - closing is best effort; the records were never confirmed
        log.warning("the producer did not close cleanly", error=repr(error))


async def _abandon(producer: AIOKafkaProducer) -> None:
    """Have `producer` write nothing more, within about two seconds. aiokafka's stop delivers what it holds: a
    producer that is replaced would write behind its successor, an older state after a newer one."""
    sender = producer._sender.sender_task
    if sender is not None:
        sender.cancel()
    try:
        async with asyncio.timeout(1.0):
            # First the connections: the sender, when cancelled, waits for answers to what is on its way.
            await producer.client.close()
            if sender is not None:
                await asyncio.wait([sender])
            await producer.stop()
    except TimeoutError:
        log.warning("a producer did not end in time")
    except Exception as error:  # noqa: BLE001 - it is thrown away whatever closing says
        log.warning("a producer did not end cleanly", error=repr(error))
    producer._message_accumulator.fail_all(ProducerClosed())
