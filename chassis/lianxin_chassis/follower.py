"""The second way of reading: every partition from the start, in memory, with no group and no commits."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from lianxin_chassis.clients import close_quietly, no_leaked_cancellation, partitions_of, to_record
from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import FOLLOWER_CAUGHT_UP, OUTAGES
from lianxin_chassis.outages import Backoff
from lianxin_chassis.records import Record
from lianxin_chassis.settings import Settings

log = get_logger(__name__)

# A client that stays behind the broker's end for this long without reading a record is replaced, seconds.
# aiokafka has had several bugs that end so after a broker's restart.
STUCK_S = 15.0


class Follower:
    """Hands every record of `topics`, in order per partition, to `apply`.

    `apply` must not raise for a bad record; an exception of its ends `run`. With `from_end` only what comes
    after the start is read. A broker that goes away is waited for, and reading goes on where it stopped.
    """

    def __init__(
        self,
        settings: Settings,
        topics: Sequence[str],
        apply: Callable[[Record], None],
        *,
        from_end: bool = False,
    ) -> None:
        self._settings = settings
        self._topics = tuple(topics)
        self._apply = apply
        self._from_end = from_end
        self._next: dict[TopicPartition, int] = {}  # the next offset to be applied
        self._goal: dict[TopicPartition, int] | None = None  # the ends seen at start
        self._caught_up = asyncio.Event()
        self._stopping = asyncio.Event()
        self._reading = False

    @property
    def caught_up(self) -> bool:
        """True once everything that was there at the start has been applied."""
        return self._caught_up.is_set()

    @property
    def reading(self) -> bool:
        """True while connected to the broker."""
        return self._reading

    async def wait_caught_up(self, timeout_s: float) -> None:
        """Raises TimeoutError when the end is not reached within `timeout_s` seconds."""
        async with asyncio.timeout(timeout_s):
            await self._caught_up.wait()

    def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()

    async def run(self) -> None:
        """Follow until `stop` is called. Raises only what `apply` raises."""
        for topic in self._topics:
            FOLLOWER_CAUGHT_UP.labels(topic).set(0)
        backoff = Backoff(cap_s=5.0)
        while not self._stopping.is_set():
            try:
                async with no_leaked_cancellation():
                    await self._follow(backoff)
            except (KafkaError, OSError, TimeoutError) as error:
                OUTAGES.labels("broker").inc()
                log.warning("following is interrupted", topics=self._topics, error=repr(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), backoff.next())
            finally:
                self._reading = False

    async def _follow(self, backoff: Backoff) -> None:
        """One client's life."""
        client = AIOKafkaConsumer(
            **self._settings.kafka_client(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=self._settings.kafka_fetch_max_wait_ms,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            request_timeout_ms=15_000,
        )
        try:
            async with asyncio.timeout(20):
                await client.start()
                await self._position(client)
            self._reading = True
            self._note_progress()
            await self._read(client, backoff)
        finally:
            await close_quietly(client)

    async def _position(self, client: AIOKafkaConsumer) -> None:
        """Give `client` every partition, at the place where the last client stopped."""
        partitions = await partitions_of(self._settings, self._topics)
        client.assign(partitions)
        first = await client.beginning_offsets(partitions)
        end = await client.end_offsets(partitions)
        for tp in partitions:
            start = self._next.get(tp, end[tp] if self._from_end and self._goal is None else first[tp])
            if not first[tp] <= start <= end[tp]:
                # Deleted by retention or compaction, or the broker lost its memory: read all that there is.
                log.warning("the log moved under the follower", topic=tp.topic, was=start, now=first[tp])
                start = first[tp]
            client.seek(tp, start)
            self._next[tp] = start
        if self._goal is None:
            self._goal = end

    async def _read(self, client: AIOKafkaConsumer, backoff: Backoff) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        quiet_since = asyncio.get_running_loop().time()
        try:
            while not self._stopping.is_set():
                fetch = asyncio.create_task(client.getmany(timeout_ms=5_000, max_records=2_000))
                await asyncio.wait([fetch, stopping], return_when=asyncio.FIRST_COMPLETED)
                if not fetch.done():
                    fetch.cancel()
                    await asyncio.wait([fetch])
                    return
                now = asyncio.get_running_loop().time()
                if batches := fetch.result():
                    backoff.reset()
                    quiet_since = now
                    self._apply_all(batches)
                elif now - quiet_since > STUCK_S:
                    await self._refuse_to_be_stuck(client)
                    quiet_since = now
        finally:
            stopping.cancel()

    def _apply_all(self, batches: dict[TopicPartition, list[object]]) -> None:
        for tp, fetched in batches.items():
            for raw in fetched:
                record = to_record(raw)
                self._apply(record)
                self._next[tp] = record.offset + 1
        self._note_progress()

    def _note_progress(self) -> None:
        if self._caught_up.is_set() or self._goal is None:
            return
        if all(self._next.get(tp, 0) >= end for tp, end in self._goal.items()):
            self._caught_up.set()
            for topic in self._topics:
                FOLLOWER_CAUGHT_UP.labels(topic).set(1)

    async def _refuse_to_be_stuck(self, client: AIOKafkaConsumer) -> None:
        async with asyncio.timeout(10):
            ends = await client.end_offsets(list(self._next))
        for tp, end in ends.items():
            position = await client.position(tp)
            # A compacted topic may end in records that are gone or in markers: then position still moves.
            if position < end:
                raise KafkaError(f"stuck at {position} of {end} on {tp.topic}/{tp.partition}")
