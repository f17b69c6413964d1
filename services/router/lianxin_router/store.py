"""The router's cases in MongoDB: with `issue_store.py` the only file here that knows it.

One document per case holds the case itself (packed), the ids of every inbound record that it has answered,
and its outbox: the records that its last changes produced and that the broker has not confirmed yet. A change
of a case and its outbox are one write, by compare-and-set on the version `v`. What was folded from the log
may be `unfinished` (its last decision is published in part) or `stuck` (an event of it can't be read: nothing
may be decided on it). Beside it stand the few fields
that are asked for: who holds it while it is open, whether it still waits for its first assignment, when its
next clock runs out, and its issue.

Fields that don't apply are absent, and the indexes are sparse, so each covers what is open, not what was.

Each collection carries a mark (chassis `marks`), read together with the cases: where it is missing, somebody
has dropped the cases, and no router may decide as if they had never been. The marks also hold how far the log
is folded, so that this is forgotten together with what was folded.
"""

import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from bson import Binary
from pymongo import InsertOne, ReplaceOne

from lianxin_chassis.counting import DocumentCount
from lianxin_chassis.database import Collection, Database, Document
from lianxin_chassis.generations import collection_name
from lianxin_chassis.lookups import find_in, pieces
from lianxin_chassis.marks import BUILT, MARK, Lost, mark, mark_new, state_of
from lianxin_chassis.outages import Outage
from lianxin_contracts import codec, topics
from lianxin_contracts.envelope import OutRecord, to_record
from lianxin_contracts.ids import derived
from lianxin_contracts.inbound import Clock
from lianxin_router.domain.case import Case
from lianxin_router.domain.clocks import next_due
from lianxin_router.domain.unfinished import Unfinished
from lianxin_router.issue_store import IssueStore, write_all

COLLECTIONS = ("cases", "issues", "issue_keys")


class ConcurrentWrite(Outage):
    """Another router wrote one of these cases in between: load again and apply again. Nothing was lost, what
    was saved is recognised."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, what="concurrent_write")


def cause_bytes(cause: str) -> bytes:
    """An event id as 16 bytes; an id that is no UUID (another system's) through UUIDv5."""
    try:
        return uuid.UUID(cause).bytes
    except ValueError:
        return uuid.UUID(derived("cause", cause)).bytes


@dataclass(slots=True)
class Held:
    """A case as it was loaded, and what has been done to it since. `version` 0: not stored yet.

    `unfinished`: `case` is in the midst of a decision, as the log is. `stuck`: why nothing may be decided on
    `case`, which is not where its log is. `deletions`: what was deleted at `deleted` and is to be once more.
    """

    id: str
    case: Case | None = None
    version: int = 0
    causes: set[bytes] = field(default_factory=set)
    outbox: list[OutRecord] = field(default_factory=list)
    changed: bool = False
    unfinished: Unfinished | None = None
    stuck: str | None = None
    deletions: list[OutRecord] = field(default_factory=list)
    deleted: datetime | None = None


class CaseStore:
    """The cases of one generation. Every method raises PyMongo's errors where the database is away.

    `filling`: for whoever fills it from the log, who alone may use it before it is built.
    """

    def __init__(self, db: Database, generation: int, *, filling: bool = False) -> None:
        self.generation = generation
        self._filling = filling
        self._cases = db[collection_name("cases", generation)]
        self._issues = db[collection_name("issues", generation)]
        self._issue_keys = db[collection_name("issue_keys", generation)]
        self.issues = IssueStore(self._issues, self._issue_keys)
        self._count = DocumentCount(self._cases)
        self._marked = (self._cases, self._issues, self._issue_keys)

    async def prepare(self) -> None:
        """Create the indexes; repeating it changes nothing."""
        for name in ("holder", "waiting", "stray", "due", "issue", "deleted"):
            await self._cases.create_index([(name, 1)], name=name, sparse=True)

    async def state(self) -> str | None:
        """`built`, `building`, or None where a collection was dropped or never made."""
        return await state_of(self._marked)

    async def begin(self) -> None:
        """Get ready to be filled from the log: what has a mark is gone on with, what has none is begun. What
        routers that had not noticed yet have written into it meanwhile is right, and stays."""
        await mark_new(self._cases, stray=True)  # it counts among the strays, see `counts`
        await mark_new(self._issues)
        if await mark_new(self._issue_keys):
            await self._issues.update_one({"_id": MARK}, {"$unset": {"positions": "", "whole": ""}})

    async def issues_are_whole(self) -> bool:
        """Whether no issue can be missing any more that was filed in an earlier generation."""
        return await self._issues.find_one({"_id": MARK, "whole": True}) is not None

    async def say_issues_are_whole(self) -> None:
        """Remember what `issues_are_whole` returns."""
        await self._issues.update_one({"_id": MARK}, {"$set": {"whole": True}})

    async def finish(self) -> None:
        """Everything that the log held is in here. Raises `Lost` where something was dropped meanwhile."""
        if await self.state() is None:
            raise Lost("cases")
        for collection in self._marked:
            await mark(collection, BUILT)

    async def load(self, ids: Iterable[str]) -> dict[str, Held]:
        """Every named case, a fresh `Held` where there is none yet. Raises `Lost` where the cases were
        dropped, or are not built again yet."""
        wanted = list(dict.fromkeys(ids))
        held = {id_: Held(id_) for id_ in wanted}
        whole = False
        for document in await find_in(self._cases, "_id", wanted, last=[MARK]):
            if document["_id"] == MARK:
                whole = self._filling or document["state"] == BUILT
            else:
                held[document["_id"]] = _unpack(document)
        if not whole:
            raise Lost("cases")
        return held

    async def save(self, held: Sequence[Held]) -> None:
        """Write every changed case with its outbox. Raises `ConcurrentWrite` if another router was first."""
        changed = [h for h in held if h.changed]
        if not changed:
            return
        operations: list[Any] = []
        for h in changed:
            document = _pack(h)
            operations.append(
                InsertOne(document) if h.version == 0 else ReplaceOne({"_id": h.id, "v": h.version}, document)
            )
        result = await write_all(self._cases, operations)
        updates = sum(h.version > 0 for h in changed)
        if result["nMatched"] != updates or result["nInserted"] != len(changed) - updates:
            raise ConcurrentWrite(f"{len(changed)} cases written, some of them changed by another router")
        for h in changed:
            h.version += 1
            h.changed = False

    async def confirm(self, held: Sequence[Held]) -> None:
        """The broker has acknowledged these cases' outboxes: empty them."""
        sent = [h for h in held if h.outbox]
        if not sent:
            return
        by_version: dict[int, list[str]] = {}
        for h in sent:
            by_version.setdefault(h.version, []).append(h.id)
        emptied = 0
        for version, ids in by_version.items():
            for piece in pieces(ids):
                done = await self._cases.update_many(
                    {"_id": {"$in": piece}, "v": version}, {"$unset": {"outbox": ""}}
                )
                emptied += done.matched_count
        if emptied != len(sent):
            raise ConcurrentWrite("a case was changed by another router while its outbox was published")
        for h in sent:
            h.outbox = []

    async def loads(self, deputies: Iterable[str]) -> dict[str, int]:
        """How many open cases each of `deputies` holds; those with none are absent."""
        loads: dict[str, int] = {}
        for piece in pieces(deputies):
            counted = self._cases.aggregate(
                [
                    {"$match": {"holder": {"$in": piece}}},
                    {"$group": {"_id": "$holder", "open": {"$sum": 1}}},
                ]
            )
            loads.update({row["_id"]: row["open"] async for row in counted})
        return loads

    async def due(self, until: datetime, page: int) -> AsyncIterator[list[tuple[str, Clock, datetime]]]:
        """Cases whose next clock ran out by `until`, in pages: (case, clock, instant), the longest overdue
        first. Cases on replayed time are never among them."""
        cursor = self._cases.find({"due": {"$lte": until}}, {"clock": 1, "due": 1}).sort("due", 1)
        while rows := await cursor.to_list(page):
            yield [(row["_id"], row["clock"], row["due"]) for row in rows]

    async def deleted_by(self, until: datetime, limit: int) -> list[tuple[str, list[OutRecord]]]:
        """Cases whose words and contacts were deleted by `until` and not once more since: (case, the
        deletions)."""
        cursor = self._cases.find({"deleted": {"$lte": until}}, {"deletions": 1}).limit(limit)
        return [(row["_id"], _unpack_records(row["deletions"])) async for row in cursor]

    async def forget_deletions(self, cases: Iterable[str]) -> None:
        """The deletions of `cases` were repeated."""
        gone = {"deleted": "", "deletions": ""}
        await self._cases.update_many({"_id": {"$in": list(cases)}}, {"$unset": gone})

    async def held_by(self, deputies: Iterable[str]) -> list[str]:
        """The open cases of `deputies`."""
        return [row["_id"] for row in await find_in(self._cases, "holder", deputies, {"_id": 1})]

    async def holders(self) -> list[str]:
        """Every deputy who holds an open case."""
        return [str(holder) for holder in await self._cases.distinct("holder") if holder]

    async def counts(self) -> tuple[int, int]:
        """(opinions ever assigned, opinions never assigned so far); costs what waits in triage and what was
        said of unknown opinions, not what was ever opened. Raises `Lost` where the cases were dropped."""
        documents = await self._count.now()
        strays = await self._cases.count_documents({"stray": True})  # the mark is one
        if not strays:
            raise Lost("cases")
        waiting = await self._cases.count_documents({"waiting": True})
        return documents - strays - waiting, waiting

    async def openings(
        self, issues: Iterable[str], since: datetime, until: datetime
    ) -> dict[str, list[datetime]]:
        """When the cases of `issues` were opened, those after `since` and until `until` (UTC)."""
        found: dict[str, list[datetime]] = {}
        fields = {"_id": 0, "issue": 1, "opened": 1}
        opened = {"opened": {"$gt": since, "$lte": until}}
        for row in await find_in(self._cases, "issue", issues, fields, where=opened):
            found.setdefault(row["issue"], []).append(row["opened"])
        return found

    async def cases_in(self, issues: Iterable[str], limit: int) -> dict[str, str]:
        """Cases of `issues`, at most `limit`: the issue of each."""
        cursor = self._cases.find({"issue": {"$in": list(issues)}}, {"issue": 1}).limit(limit)
        return {row["_id"]: row["issue"] async for row in cursor}

    async def positions(self, topic: str) -> dict[int, int]:
        """Up to which offset (exclusive) of each partition of `topic` everything is folded in here."""
        found = await self._folded(topic).find_one({"_id": MARK}, {"positions": 1})
        known = {} if found is None else found.get("positions", {})
        return {int(partition): int(offset) for partition, offset in known.items()}

    async def note_positions(self, topic: str, offsets: dict[int, int]) -> None:
        """Remember what `positions` returns; an offset never goes back. Does nothing where the collection was
        dropped."""
        if offsets:
            noted = {f"positions.{partition}": offset for partition, offset in offsets.items()}
            await self._folded(topic).update_one({"_id": MARK}, {"$max": noted})

    def _folded(self, topic: str) -> Collection:
        """Which collection `topic` is folded into."""
        return self._issues if topic == topics.WORDS else self._cases


def _pack(h: Held) -> Document:
    case = h.case
    document: Document = {"_id": h.id, "v": h.version + 1, "causes": Binary(b"".join(h.causes))}
    if h.deletions:
        document["deleted"] = h.deleted
        document["deletions"] = Binary(msgspec.msgpack.encode(h.deletions))
    if h.stuck is not None:
        document["stuck"] = h.stuck
    if h.unfinished is not None:
        published = [to_record(event, topics.LIFECYCLE, h.id) for event in h.unfinished.published]
        document["unfinished"] = Binary(msgspec.msgpack.encode((h.unfinished.before, published)))
    if h.outbox:
        document["outbox"] = Binary(msgspec.msgpack.encode(h.outbox))
    if case is not None:
        document["state"] = Binary(msgspec.msgpack.encode(case))
    if case is None or case.opened is None:
        document["stray"] = True
        return document
    document["opened"] = case.opened
    if case.is_open and case.assignee is not None:
        document["holder"] = case.assignee
    if case.assignments == 0:
        document["waiting"] = True
    if case.issue is not None and not case.erased:  # nothing is said to an erased case any more
        document["issue"] = case.issue
    if not case.replayed and (due := _due(h, case)) is not None:
        document["clock"], document["due"] = due
    return document


def _due(h: Held, case: Case) -> tuple[Clock, datetime] | None:
    """When to knock. For what is unfinished at once: should its command never come again, the knock, which
    stands behind it, has it ended. Never for what is stuck."""
    if h.stuck is not None:
        return None
    return next_due(case) if h.unfinished is None else ("resolve", case.updated)


def _unpack(document: Document) -> Held:
    causes = bytes(document["causes"])
    state, outbox = document.get("state"), document.get("outbox")
    unfinished = document.get("unfinished")
    return Held(
        id=document["_id"],
        case=None if state is None else msgspec.msgpack.decode(state, type=Case),
        version=document["v"],
        causes={causes[at : at + 16] for at in range(0, len(causes), 16)},
        outbox=[] if outbox is None else _unpack_records(outbox),
        unfinished=None if unfinished is None else _unpack_unfinished(unfinished),
        stuck=document.get("stuck"),
        deletions=_unpack_records(document["deletions"]) if "deletions" in document else [],
        deleted=document.get("deleted"),
    )


def _unpack_records(packed: bytes) -> list[OutRecord]:
    return msgspec.msgpack.decode(packed, type=list[OutRecord])


def _unpack_unfinished(packed: bytes) -> Unfinished:
    before, published = msgspec.msgpack.decode(packed, type=tuple[Case | None, list[OutRecord]])
    return Unfinished(
        before, tuple(codec.decode(topics.LIFECYCLE, r.value or b"", r.headers) for r in published)
    )
