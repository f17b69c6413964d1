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
from lianxin_router.domain.unfinished import Unfinished
from lianxin_router.issue_store import Filed, Issue
from lianxin_router.routing import cluster
from lianxin_router.routing.cluster import Fingerprinter, Fingerprints
from lianxin_router.store import CaseStore, ConcurrentWrite, Held, cause_bytes

log = get_logger(__name__)

BATCH = 1_000
# So many records, and what is decided meanwhile goes on.
BREATHE_EVERY = 10
START_S = 20.0

Progress = Callable[[int, int], None]
Told = Callable[[str, int, int], None]


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

    def __init__(self, store: CaseStore, reader: LogReader, fingerprinter: Fingerprinter) -> None:
        self._store = store
        self._reader = reader
        self._fingerprinter = fingerprinter

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
        await self._reader.read(topics.WORDS, self._file, since=since, progress=progress)

    async def everything(self, told: Told) -> None:
        """Fill the store from the log alone. `told` gets what is read, how many records, and of how many."""

        def progress(what: str) -> Progress:
            return lambda done, total: told(what, done, total)

        await self._store.begin()
        written = await self._reader.ends(topics.WORDS)
        await self.lifecycle(progress=progress("lifecycle"))
        await self.issues(progress=progress("words"))
        # What was decided meanwhile: little, so that taking over takes no longer than it must.
        await self.lifecycle()
        # Words that came meanwhile may have been read before their case was there: they are read again.
        await self._store.note_positions(topics.WORDS, written)
        await self._store.finish()
        if self._store.generation == 1 and not any(written.values()):
            await self._store.say_issues_are_whole()  # nobody can have filed any before

    async def missing_issues(self) -> None:
        """File what routers on an earlier generation have filed there since this one was filled. To be called
        when they have ended; does nothing after that."""
        if not await self._store.issues_are_whole():
            await self.lifecycle()
            await self.issues()
            await self._store.say_issues_are_whole()

    async def _apply(self, records: Sequence[Record]) -> None:
        read = []
        for at, record in enumerate(records):
            read.append((_key(record), _decoded(record), record))
            await _breathe(at)
        while True:
            held = await self._store.load(key for key, _, _ in read)
            for at, (key, event, record) in enumerate(read):
                if event is not None:
                    fold_one(held[key], event)
                else:
                    _unreadable(held[key], record)
                await _breathe(at)
            try:
                await self._store.save(list(held.values()))
            except ConcurrentWrite:  # another router folds, or decides, the same cases: one of us was first
                continue
            await self._store.issues.fold(event for _, event, _ in read if event is not None)
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
        new: list[Filed] = []
        unplaced: dict[str, Fingerprints] = {}
        for at, w in enumerate(said):
            await _breathe(at)
            case = held[w.opinion].case
            text = self._fingerprinter.of(w.title, w.text)
            if text is None or case is None or case.opened is None or case.erased:
                continue
            if case.first_issue is None:
                unplaced[w.opinion] = text
            elif case.issue_grid is not None:
                begun = cluster.new_issue(case.issue_grid, text, case.opened)
                if begun.id == case.first_issue:  # the case that the issue began with
                    period = cluster.period(case.opened)
                    issue = Issue(begun.id, begun.grid, begun.signature, begun.length, period)
                    filing, _ = cluster.keys(case.issue_grid, text, case.opened)
                    new.append(Filed(issue, filing, w.opinion))
        await self._store.issues.add(new)
        await self._store.issues.keep_texts(unplaced)


async def _breathe(at: int) -> None:
    if at % BREATHE_EVERY == BREATHE_EVERY - 1:
        await asyncio.sleep(0)


def _key(record: Record) -> str:
    """The opinion's id, which the router wrote itself."""
    return (record.key or b"").decode(errors="replace")


def _decoded(record: Record) -> Event | None:
    """The event of a record of the router's own; None where there is none that this version can read."""
    if record.value is None:
        return None
    try:
        return codec.decode(record.topic, record.value, record.headers)
    except Undecodable as error:
        log.error("a record of our own can't be read", topic=record.topic, at=record.offset, error=str(error))
        return None


def fold_one(h: Held, event: Event) -> None:
    """Apply the next event of its log to `h`; what it has applied before changes nothing.

    A decision that is published in part is kept as unfinished: its command is not answered, until the rest
    follows or the events of another.
    """
    at = h.case.sequence if h.case is not None else 0
    if h.stuck is not None or event.sequence is None or event.sequence <= at:
        return
    if event.sequence > at + 1:
        _stick(h, "gap", event.sequence)
        return
    if h.unfinished is not None and h.unfinished.cause != event.causationid:
        h.causes.add(cause_bytes(h.unfinished.cause))
        h.unfinished = None
    if event.continues:
        begun = h.unfinished or Unfinished(h.case, ())
        h.unfinished = Unfinished(begun.before, (*begun.published, event))
    else:
        h.unfinished = None
        if event.causationid is not None:
            h.causes.add(cause_bytes(event.causationid))
    h.case = evolve(h.case, event)
    h.changed = True


def _unreadable(h: Held, record: Record) -> None:
    """An event of `h` that we can't read: nothing may be decided as if it had not been."""
    number = dict(record.headers).get("ce_sequence") or b""
    at = h.case.sequence if h.case is not None else 0
    if not number.isdigit() or int(number) > at:
        _stick(h, "undecodable", at + 1)


def _stick(h: Held, why: str, found: int) -> None:
    PROJECTION_GAPS.labels(topics.LIFECYCLE).inc()
    at = h.case.sequence if h.case is not None else 0
    log.error("a case stands still: its own log can't be followed", case=h.id, why=why, after=at, found=found)
    h.stuck = why
    h.changed = True
