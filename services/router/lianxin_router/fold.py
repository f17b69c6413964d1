"""The cases follow from the log: reading `opinions.lifecycle` back into the store.

Used to rebuild beside the live generation, after a loss of the database, and whenever partitions change
hands, to be sure that the cases are where the log is before anything new is decided. Evolves what was decided
and never decides again; publishes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from lianxin_chassis.clients import close_quietly, partitions_of, to_record
from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import PROJECTION_GAPS
from lianxin_chassis.records import Record
from lianxin_chassis.settings import Settings
from lianxin_contracts import codec, topics, words
from lianxin_contracts.envelope import Event, Undecodable
from lianxin_router.domain.evolve import evolve
from lianxin_router.routing import cluster
from lianxin_router.store import CaseStore, ConcurrentWrite, Held, Issue, cause_bytes

log = get_logger(__name__)

BATCH = 1_000
START_S = 20.0

Progress = Callable[[int, int], None]


class LogReader:
    """Reads partitions from given offsets to the ends that the broker tells at the start. Joins no group."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def ends(self, topic: str, partitions: Iterable[int] | None = None) -> dict[int, int]:
        """The end offset (exclusive) of each partition of `topic`, or of those named."""
        client = await self._client()
        try:
            found = await self._assign(client, topic, partitions)
            return {tp.partition: end for tp, end in (await client.end_offsets(found)).items()}
        finally:
            await close_quietly(client)

    async def read(
        self,
        topic: str,
        apply: Callable[[list[Record]], Awaitable[None]],
        *,
        since: Mapping[int, int],
        partitions: Iterable[int] | None = None,
        progress: Progress | None = None,
    ) -> dict[int, int]:
        """Await `apply` with batches in order per partition; returns the offsets (exclusive) reached.

        `since` may leave partitions out (then from their first record). Raises aiokafka's errors.
        """
        client = await self._client()
        try:
            found = await self._assign(client, topic, partitions)
            first = await client.beginning_offsets(found)
            ends = await client.end_offsets(found)
            at = {tp: max(first[tp], min(since.get(tp.partition, 0), ends[tp])) for tp in found}
            total = sum(ends[tp] - at[tp] for tp in found)
            for tp in found:
                client.seek(tp, at[tp])
            while any(at[tp] < ends[tp] for tp in found):
                fetched = await client.getmany(timeout_ms=1_000, max_records=BATCH)
                records = [to_record(raw) for tp in fetched for raw in fetched[tp]]
                if records:
                    await apply(records)
                for tp in found:
                    at[tp] = max(at[tp], await client.position(tp))
                if progress is not None:
                    progress(total - sum(max(0, ends[tp] - at[tp]) for tp in found), total)
            return {tp.partition: at[tp] for tp in found}
        finally:
            await close_quietly(client)

    async def _client(self) -> AIOKafkaConsumer:
        client = AIOKafkaConsumer(
            **self._settings.kafka_client(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=min(100, self._settings.kafka_fetch_max_wait_ms),
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        try:
            async with asyncio.timeout(START_S):
                await client.start()
        except BaseException:  # a broker that is away must not cost a client at each try
            await close_quietly(client)
            raise
        return client

    async def _assign(
        self, client: AIOKafkaConsumer, topic: str, partitions: Iterable[int] | None
    ) -> list[TopicPartition]:
        if partitions is None:
            found = await partitions_of(self._settings, [topic])
        else:
            found = [TopicPartition(topic, number) for number in sorted(partitions)]
        client.assign(found)
        return found


class Fold:
    """Folds the log into the cases of one store."""

    def __init__(self, store: CaseStore, reader: LogReader) -> None:
        self._store = store
        self._reader = reader

    async def lifecycle(
        self,
        partitions: Iterable[int] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Bring the cases of `partitions` (all by default) up to the log's end."""
        since = await self._store.positions(topics.LIFECYCLE)
        reached = await self._reader.read(
            topics.LIFECYCLE, self._apply, since=since, partitions=partitions, progress=progress
        )
        await self._store.note_positions(topics.LIFECYCLE, reached)

    async def issues(self, progress: Progress | None = None) -> None:
        """File the issues again, from the words that still exist. Needs the cases to be folded before."""
        since = await self._store.positions(topics.WORDS)
        reached = await self._reader.read(topics.WORDS, self._file, since=since, progress=progress)
        await self._store.note_positions(topics.WORDS, reached)

    async def _apply(self, records: Sequence[Record]) -> None:
        events = [event for record in records if (event := _decoded(record)) is not None]
        while True:
            held = await self._store.load(event.subject for event in events)
            for event in events:
                _fold_one(held[event.subject], event)
            try:
                await self._store.save(list(held.values()))
            except ConcurrentWrite:  # another router folds, or decides, the same cases: one of us was first
                continue
            return

    async def _file(self, records: Sequence[Record]) -> None:
        said = [
            event.data
            for record in records
            if (event := _decoded(record)) is not None
            and isinstance(event.data, words.Words)
            and event.data.part == words.OPINION_PART
        ]
        held = await self._store.load(w.opinion for w in said)
        new = []
        for w in said:
            case = held[w.opinion].case
            if case is None or case.grid is None or case.opened is None:
                continue
            text = cluster.fingerprints_of(w.title, w.text)
            if text is None:
                continue
            issue = cluster.new_issue(case.grid, text, case.opened)
            if issue.id == case.issue:  # the case that the issue began with
                filing, _ = cluster.keys(case.grid, text, case.opened)
                new.append((Issue(issue.id, issue.grid, issue.signature, issue.length), filing))
        await self._store.add_issues(new)


def _decoded(record: Record) -> Event | None:
    if record.value is None:
        return None
    try:
        return codec.decode(record.topic, record.value, record.headers)
    except Undecodable as error:
        # The router wrote it itself; a newer version may have. Its case stays at the number before.
        log.error("a record of our own log can't be read", at=record.offset, error=str(error))
        return None


def _fold_one(h: Held, event: Event) -> None:
    at = h.case.sequence if h.case is not None else 0
    if event.sequence is None or event.sequence <= at:
        return
    if event.sequence > at + 1:
        PROJECTION_GAPS.labels(topics.LIFECYCLE).inc()
        log.error("a gap in a case's own log", case=h.id, after=at, found=event.sequence)
        return
    h.case = evolve(h.case, event)
    if event.causationid is not None:
        h.causes.add(cause_bytes(event.causationid))
    h.changed = True
