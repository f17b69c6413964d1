"""The issues in MongoDB, beside the cases of `store.py`: the two files here that know it.

An issue's document holds what its first text left for comparing, whose text that was, which issue it was
joined to (`into`), and when it was last said to be hot. Each of these follows from one fact of one case, and
whichever is told first, the same document comes of it. Under `text/{opinion}` lies what the text of an
opinion left that belongs to no issue, because nobody is sure of its place yet.

Erasing an opinion takes all that its text left: the issue that it began stays without.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from bson import Binary
from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from lianxin_chassis.database import Collection, Document
from lianxin_chassis.lookups import find_in
from lianxin_contracts import lifecycle
from lianxin_contracts.envelope import Event
from lianxin_router.routing.cluster import Fingerprints, Signature, filing_keys

DUPLICATE_KEY = 11000


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as the cluster step needs it: its first case's grid and text signature (opaque numbers), and
    the period in which it began. `surged`: when (UTC) the case `surged_by` was opened that made it hot."""

    id: str
    grid: str
    signature: Signature
    length: int
    period: int = 0
    into: str | None = None
    surged: datetime | None = None
    surged_by: str | None = None


class Filed(NamedTuple):
    """A new issue, the keys to file it under, and the opinion that it begins with."""

    issue: Issue
    keys: Sequence[str]
    opinion: str


class Found(NamedTuple):
    """Issues, and which of the keys that were asked for are taken: the issue's id of each."""

    issues: list[Issue]
    taken: Mapping[str, str]


class IssueStore:
    """The issues of one generation. Every method raises PyMongo's errors where the database is away."""

    def __init__(self, issues: Collection, keys: Collection) -> None:
        self._issues = issues
        self._keys = keys

    async def prepare(self) -> None:
        """Create the indexes; repeating it changes nothing."""
        await self._issues.create_index([("first", 1)], name="first", sparse=True)

    async def find(self, keys: Iterable[str], ids: Iterable[str] = ()) -> Found:
        """The issues filed under any of the look-up `keys` of the cluster step or named by `ids`, and those
        that they were joined to."""
        named = set(ids)
        taken, read = await asyncio.gather(self._filed_under(keys), self._read(named))
        found = {issue.id: issue for issue in read}
        wanted = (set(taken.values()) - named) | _joined_to(read) - found.keys()
        while wanted:
            read = await self._read(wanted)
            found.update((issue.id, issue) for issue in read)
            wanted = _joined_to(read) - found.keys()
        return Found(list(found.values()), taken)

    async def _filed_under(self, keys: Iterable[str]) -> dict[str, str]:
        return {row["_id"]: row["issue"] for row in await find_in(self._keys, "_id", keys)}

    async def _read(self, ids: Iterable[str]) -> list[Issue]:
        documents = await find_in(self._issues, "_id", sorted(ids), where={"grid": {"$exists": True}})
        return [_unpack(document) for document in documents]

    async def add(self, filed: Sequence[Filed]) -> set[str]:
        """File new issues under their look-up keys. Of what several file under one id or key the first stays:
        routers that see twins at once agree, because the issue's id follows from (grid, fingerprint). Returns
        the other issues that hold some of the keys."""
        if not filed:
            return set()
        await write_all(self._issues, [_file(one) for one in filed])
        keys = [(key, one.issue.id) for one in filed for key in one.keys]
        if not keys:
            return set()
        written = await write_all(self._keys, [InsertOne({"_id": key, "issue": id_}) for key, id_ in keys])
        taken = [keys[failed["index"]][0] for failed in written["writeErrors"]]
        if not taken:
            return set()
        return set((await self._filed_under(taken)).values()) - {one.issue.id for one in filed}

    async def join(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Each first issue of `pairs` goes on in the second, or in a lower one that was told before."""
        operations = [UpdateOne({"_id": left}, {"$min": {"into": into}}, upsert=True) for left, into in pairs]
        if operations:
            await write_all(self._issues, operations)

    async def claim_surge(self, issue: str, at: datetime, opinion: str, again: timedelta) -> bool:
        """Whether `opinion`, opened at `at` (UTC), may say that `issue` is hot: not when another opinion has
        said so since `again` before. The same opinion may ask again."""
        free = [{"surged": {"$exists": False}}, {"surged": {"$lte": at - again}}, {"surged_by": opinion}]
        try:
            await self._issues.update_one(
                {"_id": issue, "$or": free}, {"$set": {"surged": at, "surged_by": opinion}}, upsert=True
            )
        except DuplicateKeyError:
            return False
        return True

    async def keep_texts(self, texts: Mapping[str, Fingerprints]) -> None:
        """Keep what is left of the texts of these opinions, until they are placed."""
        if texts:
            await write_all(
                self._issues,
                [
                    UpdateOne(
                        {"_id": _text_id(opinion)},
                        {
                            "$set": {
                                "exact": text.exact,
                                "text": _packed(text.signature),
                                "length": text.length,
                            }
                        },
                        upsert=True,
                    )
                    for opinion, text in texts.items()
                ],
            )

    async def texts(self, opinions: Iterable[str]) -> dict[str, Fingerprints]:
        """What was kept of the texts of `opinions`."""
        ids = {_text_id(opinion): opinion for opinion in opinions}
        found = await find_in(self._issues, "_id", sorted(ids))
        return {ids[d["_id"]]: Fingerprints(d["exact"], _unpacked(d["text"]), d["length"]) for d in found}

    async def drop_texts(self, opinions: Iterable[str]) -> None:
        """These opinions are placed."""
        if ids := [_text_id(opinion) for opinion in opinions]:
            await self._issues.delete_many({"_id": {"$in": ids}})

    async def forget(self, opinions: Sequence[str]) -> None:
        """Take away whatever the texts of these opinions left."""
        if not opinions:
            return
        await self.drop_texts(opinions)
        for document in await find_in(self._issues, "first", opinions):
            issue = _unpack(document)
            keys = filing_keys(issue.grid, issue.signature, issue.period)
            await self._keys.delete_many({"_id": {"$in": list(keys)}, "issue": issue.id})
            await self._issues.update_one(
                {"_id": issue.id}, {"$unset": {"signature": "", "length": "", "period": "", "first": ""}}
            )

    async def fold(self, events: Iterable[Event]) -> None:
        """What decided `events` say about issues."""
        pairs: list[tuple[str, str]] = []
        surges: dict[str, tuple[datetime, str]] = {}
        erased: list[str] = []
        for event in events:
            if isinstance(event.data, lifecycle.IssueMerged):
                pairs.append((event.data.left, event.data.issue))
            elif isinstance(event.data, lifecycle.IssueSurged):
                said = (event.time, event.subject)
                surges[event.data.issue] = max(surges.get(event.data.issue, said), said)
            elif isinstance(event.data, lifecycle.Erased):
                erased.append(event.subject)
        await self.join(pairs)
        for issue, (at, opinion) in surges.items():
            await self.claim_surge(issue, at, opinion, timedelta())
        await self.forget(erased)


async def write_all(collection: Collection, operations: Sequence[Any]) -> dict[str, Any]:
    """Write all that can be written; a duplicate key means that somebody else has inserted it."""
    try:
        written = (await collection.bulk_write(operations, ordered=False)).bulk_api_result
    except BulkWriteError as error:
        others = [e for e in error.details["writeErrors"] if e["code"] != DUPLICATE_KEY]
        if others:
            raise
        written = error.details
    return dict(written)


def _joined_to(issues: Iterable[Issue]) -> set[str]:
    return {issue.into for issue in issues if issue.into is not None}


def _file(filed: Filed) -> UpdateOne:
    issue = filed.issue
    return UpdateOne(
        {"_id": issue.id, "first": {"$exists": False}},
        {
            "$set": {
                "grid": issue.grid,
                "signature": _packed(issue.signature),
                "length": issue.length,
                "period": issue.period,
                "first": filed.opinion,
            }
        },
        upsert=True,
    )


def _unpack(document: Document) -> Issue:
    signature = document.get("signature")
    return Issue(
        document["_id"],
        document["grid"],
        () if signature is None else _unpacked(signature),
        document.get("length", 0),
        document.get("period", 0),
        document.get("into"),
        document.get("surged"),
        document.get("surged_by"),
    )


def _packed(signature: Signature) -> Binary:
    return Binary(msgspec.msgpack.encode(signature))


def _unpacked(packed: bytes) -> Signature:
    return tuple(msgspec.msgpack.decode(packed))


def _text_id(opinion: str) -> str:
    return f"text/{opinion}"
