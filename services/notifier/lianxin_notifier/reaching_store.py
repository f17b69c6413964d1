"""Which alerts have to be looked at, and when. Alone reads and writes the collection `reaching`.

A reminder and no more: what is to be done follows from the alert's deliveries, so one that is looked at
twice, or put here again, does no harm. An alert that nothing more has to be done about is taken out.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct
from pymongo import DeleteOne, InsertOne, UpdateOne

from lianxin_chassis.database import Database, Document
from lianxin_chassis.lookups import find_in
from lianxin_chassis.marks import MARK, mark, marked, whole
from lianxin_contracts import ids
from lianxin_notifier.choosing import Held
from lianxin_notifier.documents import write_again
from lianxin_notifier.inbox import Alert

REACHING = "reaching"


class Looked(Struct, frozen=True, kw_only=True):
    """An alert in this worker's hands until its lease ends. `held`: why it was held back before."""

    alert: Alert
    version: int
    held: Held | None = None


class Later(Struct, frozen=True):
    """Look at it again at `at`; `held` where it is held back until then."""

    looked: Looked
    at: datetime
    held: Held | None = None


class ReachingStore:
    """Raises PyMongo's errors, and `Lost` where the collection was dropped."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._reaching = db[REACHING]

    async def prepare(self) -> None:
        """Make the indexes. May be called again."""
        await self._reaching.create_index([("due_at", 1)], name="due", sparse=True)
        await self._reaching.create_index([("receiver", 1)], name="receiver")

    async def state(self) -> str | None:
        """`built`, `building`, or None where the collection was dropped."""
        return await marked(self._reaching)

    async def set_state(self, state: str) -> None:
        """Mark the collection."""
        await mark(self._reaching, state)

    async def clear(self) -> None:
        """Drop everything: before a rebuild puts back what has to be looked at."""
        await self._db.drop_collection(REACHING)
        await self.prepare()

    async def add(self, alerts: Sequence[Alert], at: datetime) -> None:
        """Have each of `alerts` looked at; one that is here already stays as it is."""
        await write_again(
            self._reaching,
            [
                InsertOne(
                    {"_id": _id(alert.cause, alert.receiver), **_fields(alert), "version": 0, "due_at": at}
                )
                for alert in alerts
            ],
        )

    async def claim(self, limit: int, now: datetime, lease_s: float) -> list[Looked]:
        """Take up to `limit` alerts that are due for a look, for `lease_s` seconds: nobody else gets them."""
        due = self._reaching.find({"due_at": {"$lte": now}}, {"version": 1})
        candidates = await due.sort([("due_at", 1)]).limit(limit).to_list(limit)
        if not candidates:
            return []
        token = ids.fresh()
        until = now + timedelta(seconds=lease_s)
        await self._reaching.bulk_write(
            [
                UpdateOne(
                    {"_id": one["_id"], "version": one["version"]},
                    {"$set": {"due_at": until, "claim": token}, "$inc": {"version": 1}},
                )
                for one in candidates
            ],
            ordered=False,
        )
        ids_ = [one["_id"] for one in candidates]
        # What was put here since a drop may have been done with before it.
        found = whole(await find_in(self._reaching, "_id", ids_, last=[MARK]), REACHING)
        return [_looked(document) for document in found if document.get("claim") == token]

    async def settle(self, done: Sequence[Looked], later: Sequence[Later]) -> None:
        """Take out what is `done`, and put off the rest. What was to be looked at anew meanwhile stays so."""
        requests: list[Any] = [DeleteOne(_this(one)) for one in done]
        requests += [
            UpdateOne(
                _this(one.looked), {"$set": {"due_at": one.at, "held": one.held}, "$inc": {"version": 1}}
            )
            for one in later
        ]
        if requests:
            await self._reaching.bulk_write(requests, ordered=False)

    async def look_at(self, cause: str, receiver: str, now: datetime) -> None:
        """Something became of this alert: it is to be looked at now, if it is still here."""
        await self._reaching.update_one(
            {"_id": _id(cause, receiver)}, {"$set": {"due_at": now}, "$inc": {"version": 1}}
        )

    async def look_at_held(self, receiver: str, now: datetime) -> None:
        """This person wishes to be reached otherwise: what was held back is to be looked at now."""
        await self._reaching.update_many(
            {"receiver": receiver, "held": {"$in": ["quiet", "paused"]}},
            {"$set": {"due_at": now}, "$inc": {"version": 1}},
        )


def _id(cause: str, receiver: str) -> str:
    return f"{cause}/{receiver}"


def _this(looked: Looked) -> Document:
    return {"_id": _id(looked.alert.cause, looked.alert.receiver), "version": looked.version}


def _fields(alert: Alert) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(alert, builtin_types=(datetime,))
    return fields


def _looked(document: Document) -> Looked:
    return Looked(
        alert=msgspec.convert(document, Alert), version=document["version"], held=document.get("held")
    )
