"""The tracking projection in MongoDB: the only file of intake that knows it.

Collections of one generation: `tracking.g{n}`, one document per opinion id, and `words.g{n}`, one per part of
words. Both can be built anew from the log. Every write may be repeated. Both carry a mark (chassis `marks`):
where it is missing the collection was dropped, and every question raises `Lost` rather than say "unknown".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from pymongo import ASCENDING, DESCENDING, DeleteMany, DeleteOne, IndexModel, ReplaceOne
from pymongo.errors import BulkWriteError, PyMongoError

from lianxin_chassis.counting import DocumentCount
from lianxin_chassis.database import Collection, Database, Document
from lianxin_chassis.generations import collection_name
from lianxin_chassis.lookups import find_in
from lianxin_chassis.marks import BUILT, MARK, Lost, mark, mark_new, marked, state_of
from lianxin_chassis.outages import outage
from lianxin_contracts.lifecycle import Stage
from lianxin_contracts.words import key as words_key
from lianxin_intake.projection import Tracked
from lianxin_intake.tracking import TrackingCodes, fingerprint, normalised

TRACKING = "tracking"
WORDS = "words"
BASES = (TRACKING, WORDS)
# The shape of what is stored. Raised when a reader needs what older documents lack: a worker that finds a
# projection of another shape rebuilds it before it goes on, beside the one that is read.
SHAPE = 4
_DUPLICATE_KEY = 11000
_OWN = ("_id", "code")  # what a document has beside the fields of `Tracked`


@dataclass(frozen=True, slots=True)
class Selection:
    """Which opinions a list holds: submitted (or, for `changed`, last changed) from `start` to `end`, both
    included; of these topics and stages where any are named; at most `limit` after the first `skip`."""

    start: datetime
    end: datetime
    limit: int
    skip: int = 0
    topics: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()


class TrackingStore:
    """One generation of the projection. Raises PyMongo's errors, `Lost` where a collection was dropped."""

    def __init__(
        self, db: Database, generation: int, codes: TrackingCodes | None = None, *, unmade: bool = False
    ) -> None:
        """`codes` is needed to `save`. `unmade`: nobody has built anything yet, so a missing mark means that
        nothing is known."""
        self.generation = generation
        self.unmade = unmade
        self._codes = codes
        self._tracking = db[collection_name(TRACKING, generation)]
        self._words = db[collection_name(WORDS, generation)]
        self._count = DocumentCount(self._tracking)

    async def prepare(self) -> None:
        """Make the marks, of what is being built, and the indexes. Safe to repeat."""
        # Not opened, so that the mark is not counted: see `submitted`.
        await mark_new(self._tracking, opened=False, shape=SHAPE)
        await mark_new(self._words)
        await self._tracking.create_indexes(
            [
                IndexModel([("code", ASCENDING)], name="code"),
                IndexModel([("submitted_at", DESCENDING)], name="submitted_at"),
                IndexModel([("topic", ASCENDING), ("submitted_at", DESCENDING)], name="topic"),
                IndexModel([("updated_at", ASCENDING)], name="updated_at"),
                IndexModel([("street", ASCENDING), ("submitted_at", DESCENDING)], name="street"),
                # Few: ids that somebody rated or supported and nobody submitted. See `submitted`.
                IndexModel(
                    [("opened", ASCENDING)], name="unopened", partialFilterExpression={"opened": False}
                ),
            ]
        )
        await self._words.create_indexes([IndexModel([("opinion", ASCENDING)], name="opinion")])

    async def state(self) -> str | None:
        """`built`, `building`, or None where a collection was dropped or never made."""
        return await state_of((self._tracking, self._words))

    async def has_shape(self) -> bool:
        """Whether it was begun with the present `SHAPE`."""
        document = await self._tracking.find_one({"_id": MARK})
        return document is not None and document.get("shape") == SHAPE

    async def finish(self) -> None:
        """Everything that the log held is in here."""
        if await self.state() is None:
            raise Lost(TRACKING)
        for collection in (self._tracking, self._words):
            await mark(collection, BUILT)

    async def load(self, opinions: Iterable[str]) -> dict[str, Tracked]:
        """What is known of `opinions`, by id."""
        found = await self._marked_of(self._tracking, opinions)
        return {document["_id"]: _tracked(document) for document in found}

    async def find(self, opinion: str) -> Tracked | None:
        """What is known of `opinion`."""
        return (await self.load([opinion])).get(opinion)

    async def submitted_within(self, wanted: Selection, *, timelines: bool = True) -> list[Tracked]:
        """The opinions of `wanted` that are not erased, the newest submission first. `timelines` False
        leaves these empty: they are most of a document."""
        condition: dict[str, Any] = {"submitted_at": {"$gte": wanted.start, "$lte": wanted.end}}
        if wanted.topics:
            condition["topic"] = {"$in": list(wanted.topics)}
        if wanted.stages:
            condition["stage"] = {"$in": list(wanted.stages)}
        order = [("submitted_at", DESCENDING), ("_id", DESCENDING)]
        return await self._list(condition, order, wanted, timelines=timelines)

    async def changed_within(self, wanted: Selection) -> list[Tracked]:
        """The opinions, none erased, whose stage changed since `wanted.start` and that were there at
        `wanted.end`, in the order of their last change. Topics and stages are not looked at."""
        condition = {"updated_at": {"$gte": wanted.start}, "submitted_at": {"$lte": wanted.end}}
        return await self._list(condition, [("updated_at", ASCENDING), ("_id", ASCENDING)], wanted)

    async def submitted_in(self, street: str, wanted: Selection) -> list[Tracked]:
        """What was submitted in `street`, newest first, without timelines; topics and stages as `wanted`."""
        condition = {
            "street": street,
            "submitted_at": {"$gte": wanted.start, "$lte": wanted.end},
            "topic": {"$in": list(wanted.topics)},
            "stage": {"$in": list(wanted.stages)},
        }
        return await self._list(condition, [("submitted_at", DESCENDING)], wanted, timelines=False)

    async def _list(
        self,
        condition: Mapping[str, Any],
        order: Sequence[tuple[str, int]],
        wanted: Selection,
        *,
        timelines: bool = True,
    ) -> list[Tracked]:
        cursor = self._tracking.find(
            {**condition, "opened": True, "erased": False}, None if timelines else {"timeline": 0}
        )
        documents = await cursor.sort(list(order)).skip(wanted.skip).limit(wanted.limit).to_list(None)
        if not self.unmade and await marked(self._tracking) is None:
            raise Lost(TRACKING)
        return [_tracked(document) for document in documents]

    async def _marked_of(self, collection: Collection, ids: Iterable[str]) -> list[Document]:
        """The documents of `ids`. Raises `Lost` where the mark is not found with them."""
        found = await find_in(collection, "_id", ids, last=[MARK])
        documents = [document for document in found if document["_id"] != MARK]
        if len(documents) == len(found) and not self.unmade:
            raise Lost(TRACKING)
        return documents

    async def id_of_code(self, code: str) -> str | None:
        """The opinion that the tracking code `code`, as somebody typed it, belongs to."""
        plain = normalised(code)
        if plain is None:
            return None
        document = await self._tracking.find_one({"code": fingerprint(plain)}, {"_id": 1})
        if document is not None:
            return str(document["_id"])
        if not self.unmade and await marked(self._tracking) is None:
            raise Lost(TRACKING)
        return None

    async def save(self, changed: Iterable[Tracked]) -> None:
        """Write these states, each only over an older one of the same opinion."""
        operations = [
            ReplaceOne(
                {"_id": tracked.id, "sequence": {"$lt": tracked.sequence}},
                self._document(tracked),
                upsert=True,
            )
            for tracked in changed
        ]
        if not operations:
            return
        try:
            await self._tracking.bulk_write(operations, ordered=False)
        except BulkWriteError as error:
            # The id is there with this number or a later one: another worker was quicker.
            others = [e for e in error.details.get("writeErrors", ()) if e.get("code") != _DUPLICATE_KEY]
            if others or error.details.get("writeConcernErrors"):
                raise

    async def write_words(
        self, changes: Mapping[tuple[str, str], str | None], erased: Iterable[str] = ()
    ) -> None:
        """For each (opinion, part): its text, or None where it was deleted. Then delete all words of
        `erased`."""
        operations: list[Any] = []
        for (opinion, part), text in changes.items():
            id_ = words_key(opinion, part)
            if text is None:
                operations.append(DeleteOne({"_id": id_}))
            else:
                operations.append(
                    ReplaceOne({"_id": id_}, {"opinion": opinion, "part": part, "text": text}, upsert=True)
                )
        operations += [DeleteMany({"opinion": opinion}) for opinion in erased]
        if operations:
            await self._words.bulk_write(operations, ordered=True)

    async def words(self, opinion: str, parts: Sequence[str]) -> dict[str, str]:
        """The texts of `parts` of `opinion`, by part."""
        found = await self._marked_of(self._words, [words_key(opinion, part) for part in parts])
        return {document["part"]: document["text"] for document in found}

    async def released(self, tracked: Iterable[Tracked]) -> dict[str, str]:
        """What anybody may read of these opinions' words, by opinion id; absent where nothing is released."""
        wanted = [words_key(one.id, one.released_words) for one in tracked if one.released_words is not None]
        found = await self._marked_of(self._words, wanted) if wanted else []
        return {document["opinion"]: document["text"] for document in found}

    async def digests(self, opinions: Sequence[str]) -> dict[str, str]:
        """The digests of those of `opinions` that were submitted, by id."""
        found = await find_in(self._tracking, "_id", opinions, {"digest": 1})
        return {document["_id"]: document["digest"] for document in found if document.get("digest")}

    async def submitted(self) -> int:
        """How many opinions were submitted. Costs the same however many there are."""
        if await self.state() is None:
            raise Lost(TRACKING)
        everything = await self._count.now()
        return everything - await self._tracking.count_documents({"opened": False}, hint="unopened")

    def _document(self, tracked: Tracked) -> Document:
        if self._codes is None:
            raise ValueError("a store without tracking codes can't save")
        code = normalised(self._codes.of(tracked.id))
        assert code is not None  # a code that we made ourselves
        fields = msgspec.to_builtins(tracked, builtin_types=(datetime,))
        del fields["id"]
        return {"_id": tracked.id, "code": fingerprint(code), **fields}


def unreadable(error: Exception) -> bool:
    """Whether `error` says that the projection can't be read now: the database is away, or answers with a
    refusal (rotated credentials, a missing right, a wrong address). Neither keeps anybody from accepting."""
    return isinstance(error, PyMongoError) or outage(error) is not None


def _tracked(document: Document) -> Tracked:
    fields = {name: value for name, value in document.items() if name not in _OWN}
    return msgspec.convert({"id": document["_id"], **fields}, Tracked)
