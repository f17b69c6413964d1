"""What metrics keeps, in MongoDB: the only file here that knows it. All of it is a projection.

`facts.g{n}` has one document per case, `aggregates.g{n}` one per partition of `opinions.lifecycle`, and
`alerts.g{n}` one per alert. A partition's aggregate is written by one worker at a time, its owner, who bears
the number `epoch`; every fact is stamped with the epoch and the batch in which it was written. So anybody
can tell which facts an aggregate contains: those whose batch its epoch has saved (`Claim.contains`).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from pymongo import InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from lianxin_chassis.database import Database, Document
from lianxin_chassis.generations import collection_name
from lianxin_chassis.lookups import find_in
from lianxin_chassis.marks import BUILT, MARK, Lost, mark, mark_new, state_of
from lianxin_chassis.outages import Outage
from lianxin_metrics.aggregate import Aggregate, from_document, to_document
from lianxin_metrics.facts import Fact

PROJECTION = "facts"
COLLECTIONS = ("facts", "aggregates", "alerts")
AT_A_TIME = 500
"""Documents that a report reads in one piece."""
OPEN_END = 2**62
"""What `ends` holds while a case is open: later than any window."""
# How long a superseded owner may still have a write under way, ms. The chassis ends a process whose handler
# hangs or whose loop stands still well before (work.py, exits.py): minutes at most.
ZOMBIE_MS = 900_000
_DUPLICATE_KEY = 11_000
_COUNTED = ("sequence", "newest", "events", "stages", "placements", "ratings", "closings", "observed")


class Overtaken(Outage):
    """Another worker owns this partition by now, or wrote one of these cases first: claim, load and count
    again. Nothing was lost or counted twice."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, what="overtaken")


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who wrote a fact: which owner of its partition, in its how-manieth batch."""

    epoch: int
    batch: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A fact as it was read."""

    fact: Fact
    stamp: Stamp


@dataclass(slots=True)
class Claim:
    """The right to write one partition's aggregate. `batch` is the last one that this owner has saved, `past`
    maps earlier owners of whom it may lack something to the last batch that each has saved. `outdated`: the
    aggregate was saved by a version that counted less."""

    partition: int
    epoch: int
    batch: int = 0
    past: dict[int, int] = field(default_factory=dict)
    next_offset: int = 0
    outdated: bool = False

    def contains(self, stamp: Stamp) -> bool:
        """Whether the saved aggregate contains a fact with this stamp. True for owners long gone, False for
        later ones: then this claim has ended."""
        if stamp.epoch == self.epoch:
            return stamp.batch <= self.batch
        if stamp.epoch > self.epoch:
            return False
        return stamp.batch <= self.past.get(stamp.epoch, stamp.batch)


def doubtful(past: Sequence[Sequence[int]], batch: int) -> list[Sequence[int]]:
    """Those of `past`, owners as [epoch, last batch saved, when it ended (ms)], that the next owner must
    still look at, where the present one has saved `batch` batches.

    An owner is done with when the one after it could no longer miss a write of it, having begun `ZOMBIE_MS`
    after it ended, and has saved what it found. By the clock alone nobody is: what the dead have left may
    have waited for longer.
    """
    if not past or batch == 0:
        return list(past)
    begun = past[-1][2]
    return [owner for owner in past if owner[2] > begun - ZOMBIE_MS]


@dataclass(frozen=True, slots=True)
class Part:
    """One partition's aggregate as it is published. `next_offset` says how much of the log is in it."""

    partition: int
    next_offset: int
    aggregate: Aggregate


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an alert: what became of it at `at` (ms)."""

    alert: str
    opinion: str
    channel: str
    at: int
    attempt: int
    status: str


Alert = tuple[str, list[tuple[int, int, str]]]
"""An alert's channel and its steps: (ms, attempt, status)."""


class FactStore:
    """The facts and aggregates of one generation. Every method raises PyMongo's errors where the database is
    away."""

    def __init__(self, db: Database, generation: int) -> None:
        self.generation = generation
        self._facts = db[collection_name("facts", generation)]
        self._aggregates = db[collection_name("aggregates", generation)]
        self._alerts = db[collection_name("alerts", generation)]

    async def prepare(self) -> None:
        """Create the marks, of what is being built, and the indexes; repeating it changes nothing."""
        for collection in (self._facts, self._aggregates, self._alerts):
            await mark_new(collection)
        await self._facts.create_index([("partition", 1), ("epoch", 1), ("batch", 1)], name="stamp")
        # Both bounds of a window in one index, so that no case outside is fetched: an old window is found
        # from the one side, a recent one from the other.
        await self._facts.create_index([("submitted", 1), ("ends", 1)], name="submitted_ends")
        await self._facts.create_index([("ends", 1), ("submitted", 1)], name="ends_submitted")
        await self._alerts.create_index([("at", 1)], name="at")

    async def state(self) -> str | None:
        """`built`, `building`, or None where a collection was dropped or never made."""
        return await state_of((self._facts, self._aggregates, self._alerts))

    async def finish(self) -> None:
        """Everything that the log held is in here. Raises `Lost` where something was dropped meanwhile."""
        await self._require_whole()
        for collection in (self._facts, self._aggregates, self._alerts):
            await mark(collection, BUILT)

    async def _require_whole(self) -> None:
        # After a reading, not before it: what is dropped meanwhile looks like the end of what there is.
        if await self.state() is None:
            raise Lost(PROJECTION)

    # -- facts

    async def load(self, cases: Iterable[str]) -> dict[str, Stored]:
        """The facts of those of `cases` that have one. Raises `Lost` where the facts were dropped."""
        found = {d["_id"]: d for d in await find_in(self._facts, "_id", cases, last=[MARK])}
        if found.pop(MARK, None) is None:
            raise Lost("facts")
        return {id_: _stored(document) for id_, document in found.items()}

    async def save(
        self, changed: Sequence[tuple[int, Fact | None, Fact]], stamps: Mapping[int, Stamp]
    ) -> None:
        """Write facts, given as (partition, the fact as loaded or None, the fact now).

        Raises `Overtaken` where one of them was written by somebody else in between; some may be written
        then.
        """
        operations: list[Any] = []
        for partition, before, after in changed:
            document = _document(after, partition, stamps[partition])
            if before is None:
                operations.append(InsertOne(document))
            else:
                same = {"_id": after.case, "sequence": before.sequence}
                operations.append(ReplaceOne(same, document))
        if not operations:
            return
        try:
            result = await self._facts.bulk_write(operations, ordered=False)
        except BulkWriteError as error:
            if any(e["code"] != _DUPLICATE_KEY for e in error.details["writeErrors"]):
                raise
            raise Overtaken("a new case was written by another worker") from error
        if result.inserted_count + result.matched_count != len(operations):
            raise Overtaken("a case was changed by another worker")

    async def of_partition(self, partition: int) -> AsyncIterator[Stored]:
        """Every fact of `partition`, with as much in it as an aggregate needs. Raises `Lost` at the end where
        something was dropped meanwhile."""
        fields = dict.fromkeys((*_COUNTED, "epoch", "batch"), 1)
        async for document in self._facts.find({"partition": partition}, fields).batch_size(2_000):
            yield _stored(document)
        await self._require_whole()

    async def touching(self, begin: int, end: int) -> AsyncIterator[list[Fact]]:
        """Every case that a question about the instants from `begin` to `end` (ms, inclusive) may be about:
        submitted by `end`, and then either open, or with an event or a due time at `begin` or later. Without
        what no report reads: `events` and `observed`. In pieces, each made ready in a thread, so that other
        requests go on. Raises `Lost` at the end where something was dropped meanwhile."""
        window = {"submitted": {"$lte": end}, "ends": {"$gte": begin}}
        unread = {"events": 0, "observed": 0}
        cursor = self._facts.find(window, unread).batch_size(AT_A_TIME)
        while documents := await cursor.to_list(AT_A_TIME):
            yield await asyncio.to_thread(_facts, documents)
        await self._require_whole()

    # -- aggregates

    async def claim(self, partition: int, now_ms: int) -> tuple[Claim, Aggregate]:
        """Become the owner of `partition`; the aggregate is as its last owner has saved it."""
        while True:
            document = await self._aggregates.find_one({"_id": partition})
            if document is None:
                if await self._first_claim(partition):
                    return Claim(partition, epoch=1), Aggregate()
                continue
            ended = [document["epoch"], document["batch"], now_ms]
            past = [*doubtful(document["past"], document["batch"]), ended]
            epoch = document["epoch"] + 1
            done = await self._aggregates.update_one(
                {"_id": partition, "epoch": document["epoch"], "batch": document["batch"]},
                {"$set": {"epoch": epoch, "batch": 0, "past": past}},
            )
            if done.matched_count:
                saved = {number: batch for number, batch, _ in past}
                claim = Claim(
                    partition,
                    epoch,
                    past=saved,
                    next_offset=document["next_offset"],
                    outdated="ratings" not in document,
                )
                return claim, from_document(document)

    async def _first_claim(self, partition: int) -> bool:
        empty = {"_id": partition, "epoch": 1, "batch": 0, "past": [], "next_offset": 0}
        try:
            await self._aggregates.insert_one(empty | to_document(Aggregate()))
        except DuplicateKeyError:
            return False
        return True

    async def has_uncounted(self, claim: Claim) -> bool:
        """Whether facts exist that the aggregate saved for this claim does not contain: an owner died between
        saving facts and saving the aggregate, or counted less of them."""
        if claim.outdated:
            return True
        for epoch, batch in claim.past.items():
            late = {"partition": claim.partition, "epoch": epoch, "batch": {"$gt": batch}}
            if await self._facts.find_one(late, {"_id": 1}) is not None:
                return True
        return False

    async def publish(self, owned: Sequence[tuple[Claim, Aggregate]]) -> None:
        """Save the aggregates of claims, each with its `batch` and `next_offset`. Raises `Overtaken` where a
        partition has another owner by now, which leaves that owner's aggregate as it is."""
        operations = [
            UpdateOne(
                {"_id": claim.partition, "epoch": claim.epoch},
                {"$set": {"batch": claim.batch, "next_offset": claim.next_offset} | to_document(aggregate)},
            )
            for claim, aggregate in owned
        ]
        if not operations:
            return
        result = await self._aggregates.bulk_write(operations, ordered=False)
        if result.matched_count != len(operations):
            raise Overtaken("a partition was claimed by another worker")

    async def parts(self) -> list[Part]:
        """Every partition's aggregate; none where the aggregates were dropped or never made."""
        found = {document["_id"]: document async for document in self._aggregates.find({})}
        if found.pop(MARK, None) is None:
            return []
        return [Part(id_, d["next_offset"], from_document(d)) for id_, d in found.items()]

    # -- alerts

    async def record(self, steps: Sequence[Step]) -> None:
        """Add what became of alerts. Adding the same step again changes nothing."""
        operations = [
            UpdateOne(
                {"_id": step.alert},
                {
                    "$setOnInsert": {"opinion": step.opinion, "channel": step.channel},
                    "$min": {"at": step.at},
                    "$addToSet": {"steps": [step.at, step.attempt, step.status]},
                },
                upsert=True,
            )
            for step in steps
        ]
        if operations:
            await self._alerts.bulk_write(operations, ordered=True)

    async def alerts_begun(self, start: int, end: int) -> AsyncIterator[list[Alert]]:
        """Every alert whose first step lies in [start, end), in pieces. Raises `Lost` at the end where
        something was dropped meanwhile."""
        cursor = self._alerts.find({"at": {"$gte": start, "$lt": end}}).batch_size(AT_A_TIME)
        while documents := await cursor.to_list(AT_A_TIME):
            yield [(d["channel"], [tuple(step) for step in d["steps"]]) for d in documents]
        await self._require_whole()


def _document(fact: Fact, partition: int, stamp: Stamp) -> Document:
    document: Document = msgspec.to_builtins(fact)
    document["_id"] = document.pop("case")
    # As pairs: type names have dots, and a field's name must not.
    document["events"] = sorted(fact.events.items())
    document |= {"partition": partition, "epoch": stamp.epoch, "batch": stamp.batch, "ends": _ends(fact)}
    return document


def _ends(fact: Fact) -> int:
    """The last instant that a window can find anything of this case in."""
    if fact.stage != "closed":
        return OPEN_END
    return max(fact.newest, *(max(d.acknowledge, d.first_response, d.resolve) for d in fact.dues), 0)


def _facts(documents: Iterable[Document]) -> list[Fact]:
    return [_stored(document).fact for document in documents]


def _stored(document: Document) -> Stored:
    stamp = Stamp(document.pop("epoch"), document.pop("batch"))
    document["case"] = document.pop("_id")
    document["events"] = dict(document.get("events", ()))
    return Stored(msgspec.convert(document, Fact), stamp)
