"""Batches by aiokafka's group consumer: fetch, work, and only then commit.

An offset is committed only when every record before it was handled. What is handled is committed every second
and, so that the next owner repeats nothing, whenever partitions are given back.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import CommitFailedError, KafkaError

from lianxin_chassis.clients import close_quietly, no_leaked_cancellation, to_record
from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import OUTAGES, RESTARTS
from lianxin_chassis.outages import Backoff
from lianxin_chassis.records import Record
from lianxin_chassis.settings import Settings

log = get_logger(__name__)

Partition = tuple[str, int]
Fetched = dict[TopicPartition, list[Any]]

COMMIT_EVERY_S = 1.0
# A client that stays behind the broker's end for this long without reading a record is replaced, seconds.
STUCK_S = 15.0
# So much is not waited for to become more, bytes.
MANY_BYTES = 64 * 1024
# How long leaving the group may wait for what is in hand, seconds.
LEAVE_S = 5.0


@dataclass(frozen=True, slots=True)
class Duties:
    """What a source calls. `adopt` is given the partitions now owned, before any record of theirs; `take` a
    batch in offset order per partition. Both return True when done, durably, and are called one at a time.
    `give_up` says that the partitions are lost or to be given back: what is running returns soon, done or
    not, and nothing is begun before the next `adopt`. `settled` returns when nothing of theirs runs, whoever
    began it."""

    adopt: Callable[[frozenset[Partition]], Awaitable[bool]]
    take: Callable[[list[Record]], Awaitable[bool]]
    give_up: Callable[[], None]
    settled: Callable[[], Awaitable[None]]


class KafkaSource:
    """Feeds `duties` with the group's records, and commits what was taken.

    `gather_ms`: how long the broker may let records gather before it answers, unless they are many,
    milliseconds. None: it answers with the first.
    """

    def __init__(
        self,
        settings: Settings,
        group: str,
        topics: tuple[str, ...],
        duties: Duties,
        *,
        max_batch: int,
        gather_ms: int | None = None,
    ) -> None:
        self._settings = settings
        self._group = group
        self._topics = topics
        self._duties = duties
        self._max_batch = max_batch
        self._gather_ms = gather_ms
        self._stopping = asyncio.Event()
        # Set between "assigned" and "revoked": no fetch spans a rebalance, so that no record of one
        # assignment is taken for one of the next.
        self._assigned = asyncio.Event()
        self._assignment = 0  # its number; an end of one counts as well
        self._adopted = 0
        self._fetching: asyncio.Task[Fetched] | None = None
        # What may be committed, of the present assignment only: the offset after the last one handled.
        self._handled: dict[TopicPartition, int] = {}

    @property
    def joined(self) -> bool:
        """True while this member has an assignment and has taken it over (it may be empty)."""
        return self._assigned.is_set() and self._adopted == self._assignment

    def stop(self) -> None:
        """Make `run` finish the batch in hand, commit and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Consume until `stop`. A broker that is away is waited for. Raises what a duty raises."""
        backoff = Backoff(cap_s=5.0)
        while not self._stopping.is_set():
            try:
                async with no_leaked_cancellation():
                    await self._consume(backoff)
            except (KafkaError, OSError, TimeoutError) as error:
                OUTAGES.labels("broker").inc()
                RESTARTS.labels(self._group, type(error).__name__).inc()
                log.warning("consuming is interrupted", group=self._group, error=repr(error))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), backoff.next())

    async def _consume(self, backoff: Backoff) -> None:
        """One client's life."""
        client = self._client()
        try:
            async with asyncio.timeout(20):
                await client.start()
            client.subscribe(self._topics, listener=_Listener(self, client))
            committing = asyncio.create_task(self._commit_regularly(client))
            try:
                await self._work(client, backoff)
            finally:
                committing.cancel()
                await asyncio.wait([committing])
            await self._commit(client)
        finally:
            self._end_assignment()
            # Leaving the group gives the partitions away, so nothing of them may run on.
            await self._settle(LEAVE_S)
            await close_quietly(client)

    def _client(self) -> AIOKafkaConsumer:
        settings = self._settings
        return AIOKafkaConsumer(
            **settings.kafka_client(),
            group_id=self._group,
            group_instance_id=settings.kafka_group_instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            session_timeout_ms=settings.kafka_session_timeout_ms,
            heartbeat_interval_ms=settings.kafka_heartbeat_ms,
            rebalance_timeout_ms=settings.kafka_rebalance_timeout_ms,
            # An outage may keep a batch in hand for days, and our own deadlines see a handler that hangs.
            max_poll_interval_ms=7 * 86_400_000,
            fetch_min_bytes=1 if self._gather_ms is None else MANY_BYTES,
            fetch_max_wait_ms=self._gather_ms or settings.kafka_fetch_max_wait_ms,
            request_timeout_ms=max(15_000, settings.kafka_session_timeout_ms + 5_000),
        )

    async def _work(self, client: AIOKafkaConsumer, backoff: Backoff) -> None:
        stopping = asyncio.create_task(self._stopping.wait())
        quiet_since = time.monotonic()
        try:
            while not self._stopping.is_set():
                if not self._assigned.is_set():
                    await self._wait_for_assignment(stopping)
                    quiet_since = time.monotonic()
                elif self._adopted != self._assignment:
                    await self._adopt(client)
                elif fetched := await self._fetch(client, stopping):
                    backoff.reset()
                    await self._take(client, fetched)
                    quiet_since = time.monotonic()
                elif time.monotonic() - quiet_since > STUCK_S:
                    await self._refuse_to_be_stuck(client)
                    quiet_since = time.monotonic()
        finally:
            stopping.cancel()

    async def _wait_for_assignment(self, stopping: asyncio.Task[bool]) -> None:
        """Raises KafkaError where the group gives none for so long that the client must be stuck outside."""
        waiting = asyncio.create_task(self._assigned.wait())
        longest = 2 * self._settings.kafka_rebalance_timeout_ms / 1000
        done, _ = await asyncio.wait(
            [waiting, stopping], timeout=longest, return_when=asyncio.FIRST_COMPLETED
        )
        waiting.cancel()
        if not done:
            raise KafkaError(f"no assignment in {longest:g} s")

    async def _adopt(self, client: AIOKafkaConsumer) -> None:
        assignment = self._assignment
        owned = frozenset((tp.topic, tp.partition) for tp in client.assignment())
        if await self._duties.adopt(owned) and assignment == self._assignment:
            self._adopted = assignment

    async def _fetch(self, client: AIOKafkaConsumer, stopping: asyncio.Task[bool]) -> Fetched | None:
        """What has arrived; None where there is nothing, or where the assignment ends meanwhile: then what
        was read comes again, here or with another member."""
        fetch: asyncio.Task[Fetched] = asyncio.create_task(
            client.getmany(timeout_ms=5_000, max_records=self._max_batch)
        )
        self._fetching = fetch
        await asyncio.wait([fetch, stopping], return_when=asyncio.FIRST_COMPLETED)
        self._fetching = None
        if not fetch.done():
            fetch.cancel()
            await asyncio.wait([fetch])
        if fetch.cancelled() or not self._assigned.is_set():
            return None
        return fetch.result()

    async def _take(self, client: AIOKafkaConsumer, fetched: Fetched) -> None:
        assignment = self._assignment
        records = [to_record(raw) for of_partition in fetched.values() for raw in of_partition]
        done = await self._duties.take(records)
        if assignment != self._assignment:
            return  # too late: whoever owns them now handles them again
        for tp, of_partition in fetched.items():
            if done:
                self._handled[tp] = of_partition[-1].offset + 1
            elif self._assigned.is_set():
                # Given up, yet still ours: read it again from where it stands.
                client.seek(tp, of_partition[0].offset)

    async def _commit_regularly(self, client: AIOKafkaConsumer) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            await self._commit(client)

    async def _commit(self, client: AIOKafkaConsumer) -> None:
        """Commit what is handled. What can't be committed now comes with the next, or is done again."""
        owned = client.assignment()
        offsets = {tp: offset for tp, offset in self._handled.items() if tp in owned}
        if not offsets:
            return
        try:
            async with asyncio.timeout(5), no_leaked_cancellation():
                await client.commit(offsets)
        except CommitFailedError:
            log.info("a commit came too late: the group has moved on", group=self._group)
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("a commit failed", group=self._group, error=repr(error))
            return
        for tp, offset in offsets.items():
            if self._handled.get(tp) == offset:
                del self._handled[tp]

    async def _refuse_to_be_stuck(self, client: AIOKafkaConsumer) -> None:
        """Raises KafkaError where the broker has records for us that don't arrive: aiokafka has had several
        bugs that end so after a broker's restart."""
        partitions = list(client.assignment())
        if not partitions:
            return
        async with asyncio.timeout(10):
            ends = await client.end_offsets(partitions)
            for tp, end in ends.items():
                if await client.position(tp) < end:
                    raise KafkaError(f"no record arrives of {tp.topic}/{tp.partition}")

    # -- rebalances

    async def give_back(self, client: AIOKafkaConsumer) -> None:
        """Finish or give up what is in hand and commit, before another member gets the partitions."""
        self._assigned.clear()
        if self._fetching is not None:
            self._fetching.cancel()
        # Two thirds: the rest is for committing and joining before the broker counts us out.
        self._duties.give_up()
        await self._settle(self._settings.kafka_rebalance_timeout_ms / 1000 * 2 / 3)
        await self._commit(client)
        self._end_assignment()

    async def _settle(self, deadline_s: float) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                await self._duties.settled()
        except TimeoutError:
            log.warning("partitions are given back with work in hand", group=self._group)

    def receive(self, count: int) -> None:
        """`count` partitions are ours from now on."""
        self._assignment += 1
        self._assigned.set()
        log.info("partitions assigned", group=self._group, count=count)

    def _end_assignment(self) -> None:
        self._assigned.clear()
        self._assignment += 1
        self._handled.clear()
        self._duties.give_up()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, source: KafkaSource, client: AIOKafkaConsumer) -> None:
        self._source = source
        self._client = client

    async def on_partitions_revoked(self, _revoked: set[TopicPartition]) -> None:
        # Also where nothing was ours: a fetch may be waiting, and must not last into the next assignment.
        await self._source.give_back(self._client)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._source.receive(len(assigned))
