"""The state of every delivery by an outside channel. Alone reads and writes the collection `deliveries`.

    queued ──claim──► (leased) ──begin──► attempting ──finish──► sent | dead | skipped
       ▲                                                └──────► failed ──(retry_at)──► leased …

An own record whose log is `alerts.deliveries`. Whatever still has to be done has a `due_at`: a lease is
nothing but a `due_at` in the future, so what a dead worker had in hand comes up again by itself. Beside it
`queue` repeats the kind, and goes with it: so the index of what is due holds nothing that has ended. Every
change compares the `version` on the document's `_id`: a worker that was too slow changes nothing.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace
from pymongo import InsertOne, UpdateOne

from lianxin_chassis.database import Database, Document
from lianxin_chassis.lookups import find_in
from lianxin_chassis.marks import BUILT, MARK, Lost, mark, marked, whole
from lianxin_contracts import ids
from lianxin_contracts.deliveries import Delivery
from lianxin_notifier.alerts import DIGEST, OUTSIDE, Due, Outside
from lianxin_notifier.delivery_documents import (
    RESTORED,
    Claimed,
    DeadLetter,
    Made,
    Status,
    about_of,
    builtins_of,
    claimed_of,
    dead_letter_of,
    fields_of,
    made_of,
)
from lianxin_notifier.documents import write_again
from lianxin_notifier.joint_writes import JointWrites

DELIVERIES = "deliveries"
UNFINISHED = ("attempting", "failed")
NOT_DUE = {"due_at": "", "queue": ""}  # to be unset where nothing has to be done any more


class DeliveryStore:
    """Raises PyMongo's errors, and `Lost` where the collection was dropped."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._deliveries = db[DELIVERIES]
        self._joint = JointWrites(self._deliveries)

    async def prepare(self) -> None:
        """Make the indexes. May be called again."""
        await self._deliveries.create_index([("queue", 1), ("due_at", 1)], name="queue_due", sparse=True)
        await self._deliveries.create_index([("status", 1), ("raised", -1)], name="status_raised")
        await self._deliveries.create_index([("opinion", 1)], name="opinion")

    async def state(self) -> str | None:
        """`built`, `building`, or None where the collection was dropped."""
        return await marked(self._deliveries)

    async def set_state(self, state: str) -> None:
        """Mark the collection."""
        await mark(self._deliveries, state)

    async def clear(self) -> None:
        """Drop everything: before the state is restored from its log."""
        await self._db.drop_collection(DELIVERIES)
        await self.prepare()

    async def require(self) -> None:
        """Raises `Lost` unless the collection is whole: what is not in it may have been delivered."""
        if await self.state() != BUILT:
            raise Lost(DELIVERIES)

    async def queue(self, dues: Sequence[Due], at: datetime) -> None:
        """Have each of `dues` delivered; one that is known already stays as it is."""
        if not dues:
            return
        await self.require()
        await write_again(
            self._deliveries,
            [
                InsertOne(
                    {"_id": due.alert, **fields_of(due), "status": "queued", "version": 0}
                    | {"queue": due.kind, "due_at": at}
                )
                for due in dues
            ],
        )

    async def made_for(self, opinions: Iterable[str]) -> dict[tuple[str, str], list[Made]]:
        """Every delivery about these opinions (ids), by the lifecycle event that led to it and receiver."""
        made: dict[tuple[str, str], list[Made]] = {}
        for document in await find_in(self._deliveries, "opinion", opinions):
            one = made_of(document)
            made.setdefault((one.cause, one.receiver), []).append(one)
        await self.require()  # neither dropped meanwhile, nor still incomplete when it was read
        return made

    async def digests_since(self, since: datetime) -> dict[str, datetime]:
        """Up to when digests that were sent since `since` (UTC) have told their receivers of their cases. To
        be asked seldom: it looks at everything that was sent since."""
        sent = self._deliveries.find({"status": "sent", "raised": {"$gte": since}, "opinion": ""})
        told: dict[str, datetime] = {}
        async for document in sent:
            if about_of(document) == DIGEST and made_of(document).status == "sent":
                until: datetime = document.get("began") or document["raised"]
                told[document["receiver"]] = max(until, told.get(document["receiver"], until))
        await self.require()
        return told

    async def known(self, alerts: Sequence[str]) -> set[str]:
        """Those of `alerts` (ids) that there is any state of."""
        found = await find_in(self._deliveries, "_id", alerts, {"_id": 1})
        return {str(document["_id"]) for document in found}

    async def gone_on(self, alerts: Sequence[str]) -> None:
        """These were given up, and another channel was tried instead."""
        if alerts:
            await self._deliveries.update_many(
                {"_id": {"$in": list(alerts)}, "status": "dead"}, {"$set": {"gone_on": True}}
            )

    async def claim(
        self, kind: Outside, limit: int, now: datetime, lease_s: float, *, others: bool = False
    ) -> list[Claimed]:
        """Take up to `limit` deliveries that are due, for `lease_s` seconds: nobody else gets them. `others`:
        only those for which there is another channel."""
        condition: Document = {"queue": kind, "due_at": {"$lte": now}} | ({"others": True} if others else {})
        due = self._deliveries.find(condition, {"version": 1})
        candidates = await due.sort([("due_at", 1)]).limit(limit).to_list(limit)
        if not candidates:
            return []
        token = ids.fresh()
        until = now + timedelta(seconds=lease_s)
        await self._deliveries.bulk_write(
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
        # What was queued since a drop may have been delivered before it: only the log knows.
        found = whole(await find_in(self._deliveries, "_id", ids_, last=[MARK]), DELIVERIES)
        return [claimed_of(document) for document in found if document.get("claim") == token]

    async def begin(self, claimed: Claimed, now: datetime, lease_s: float) -> Claimed | None:
        """Note that an attempt is being made, before it is; None where the delivery is no longer ours.

        The attempt is a repeat where an earlier one never had a result: its process died, or its connection
        broke when the message was out.
        """
        repeated = claimed.status == "attempting" or claimed.due.repeated
        due = replace(claimed.due, attempt=claimed.due.attempt + 1, repeated=repeated)
        changed = await self._change(
            claimed,
            {
                "status": "attempting",
                "attempt": due.attempt,
                "repeated": repeated,
                "due_at": now + timedelta(seconds=lease_s),
            },
        )
        return changed and replace(changed, due=due, status="attempting")

    async def put_back(self, begun: Claimed, before: Due, at: datetime) -> None:
        """The attempt that was begun is not made (the broker did not confirm its record): the delivery comes
        up again at `at`, as it was `before`."""
        fields = {"status": "failed", "attempt": before.attempt, "repeated": begun.due.repeated, "due_at": at}
        await self._change(begun, fields)

    async def release(self, claimed: Sequence[Claimed], at: datetime) -> None:
        """Give back what was claimed and not begun."""
        if claimed:
            await self._deliveries.bulk_write(
                [
                    UpdateOne(
                        {"_id": one.due.alert, "version": one.version},
                        {"$set": {"due_at": at}, "$inc": {"version": 1}},
                    )
                    for one in claimed
                ],
                ordered=False,
            )

    async def finish(
        self,
        claimed: Claimed,
        status: Status,
        error: str | None = None,
        retry_at: datetime | None = None,
        unknown: bool = False,
        at: datetime | None = None,
    ) -> Claimed | None:
        """Note an attempt's result, known since `at`, which then has to be published; None where it is no
        longer ours."""
        changed = await self._change(
            claimed,
            {
                "status": status,
                "error": error,
                "retry_at": retry_at,
                "ended": at,
                # An answer to this attempt says nothing of an earlier one that had none.
                "repeated": unknown or claimed.due.repeated,
                "unrecorded": True,
            },
        )
        return changed and replace(
            changed, status=status, error=error, retry_at=retry_at, unrecorded=True, due=claimed.due
        )

    async def forgotten(self, alert: str) -> bool:
        """Whether nobody will go on with this delivery, nor has ended it: it was dropped, and at most a
        record is back that is no end."""
        found = await self._deliveries.find_one({"_id": alert}, {"restored": 1, "last_record": 1})
        return found is None or (found.get("restored") is True and found["last_record"] in UNFINISHED)

    async def recorded(self, claimed: Claimed) -> None:
        """The result is on the log: the delivery rests, until `retry_at` or for good."""
        rest: Document = {"$set": {"unrecorded": False}}
        if claimed.status == "failed" and claimed.retry_at is not None:
            rest["$set"]["due_at"] = claimed.retry_at
        else:
            rest["$unset"] = NOT_DUE
        await self._joint.change(claimed.due.alert, claimed.version, rest)

    async def restore(self, records: Sequence[tuple[Delivery, datetime]], end_at: datetime) -> None:
        """Take over what `alerts.deliveries` says was done: each alert found there counts as sent. What is
        here already from other sources stays as it is, and so does the end of an attempt whose beginning
        comes after it. One whose records lack an end is due for one at `end_at`: by then no attempt that was
        in hand when the database went is still being made."""
        newest = {delivery.alert: (delivery, at) for delivery, at in records}
        began: dict[str, datetime] = {}
        for delivery, at in records:
            began[delivery.alert] = min(at, began.get(delivery.alert, at))
        await write_again(
            self._deliveries,
            [
                UpdateOne(
                    {"_id": alert, "restored": True} | _not_after_its_end(delivery),
                    {
                        "$set": {
                            "status": delivery.status if delivery.status in ("dead", "skipped") else "sent",
                            "last_record": delivery.status,
                            "attempt": delivery.attempt,
                            "receiver": delivery.receiver,
                            "opinion": delivery.opinion,
                            "cause": delivery.cause,
                            "error": delivery.error,
                            "raised": at,
                            "version": 0,
                            "kind": RESTORED,
                            "record": builtins_of(delivery),
                        }
                        | ({"queue": RESTORED, "due_at": end_at} if delivery.status in UNFINISHED else {}),
                        "$unset": {} if delivery.status in UNFINISHED else NOT_DUE,
                        "$min": {"began": began[alert]},
                    },
                    upsert=True,
                )
                for alert, (delivery, at) in newest.items()
            ],
        )

    async def dead_letters(self, channel: str | None, limit: int) -> list[DeadLetter]:
        """What was given up by `channel` (None: by any), the newest first, at most `limit`."""
        condition: Document = {"status": "dead", "due_at": {"$exists": False}}
        if channel is not None:
            condition["$or"] = [{"kind": channel}, {"record.channel": channel}]
        found = await self._deliveries.find(condition).sort([("raised", -1)]).limit(limit).to_list(limit)
        return [dead_letter_of(document) for document in found]

    async def revive(
        self, now: datetime, *, channel: str | None = None, alerts: Sequence[str] | None = None
    ) -> int:
        """Have what was given up attempted once more: `alerts`, or all for which no other channel was tried;
        by `channel`, or by any. Returns how many. What is known from its records alone stays as it is."""
        condition: Document = {"status": "dead", "due_at": {"$exists": False}}
        condition |= {"gone_on": {"$ne": True}} if alerts is None else {"_id": {"$in": list(alerts)}}
        revived = 0
        for kind in (channel,) if channel is not None else OUTSIDE:
            done = await self._deliveries.update_many(
                condition | {"kind": kind},
                {"$set": {"status": "failed", "queue": kind, "due_at": now}, "$inc": {"version": 1}},
            )
            revived += int(done.modified_count)
        return revived

    async def without_end(self, now: datetime, limit: int) -> list[Delivery]:
        """The last records, at most `limit`, of deliveries that were restored and lack an end on the log."""
        found = self._deliveries.find({"queue": RESTORED, "due_at": {"$lte": now}}, {"record": 1})
        documents = await found.sort([("due_at", 1)]).limit(limit).to_list(limit)
        return [msgspec.convert(document["record"], Delivery) for document in documents]

    async def ended(self, end: Delivery, at: datetime) -> None:
        """A delivery that was dropped has its end on the log, since `at`. Its beginning may be restored
        later: whoever reads the log may not come as far as this end."""
        await self.restore([(end, at)], at)

    async def _change(self, claimed: Claimed, values: Document) -> Claimed | None:
        done = await self._joint.change(claimed.due.alert, claimed.version, {"$set": values})
        return replace(claimed, version=claimed.version + 1) if done else None


def _not_after_its_end(delivery: Delivery) -> Document:
    """The condition that keeps an attempt's beginning from undoing its end."""
    if delivery.status not in UNFINISHED:
        return {}
    return {"$or": [{"last_record": {"$in": [None, *UNFINISHED]}}, {"attempt": {"$lt": delivery.attempt}}]}
