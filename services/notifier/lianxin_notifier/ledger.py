"""Every inbox's numbers: which alert has which number of which receiver. The only reader and writer of the
collections `inbox_log` and `receivers`.

An own record whose log is `alerts.deliveries`, and one for all generations of the projection: so an alert has
one number, whichever generation or worker asks first, and no number changes when a projection is rebuilt.

Numbers of one receiver appear without a gap and in order, also when several workers give them: number n+1 can
only be written by one who has seen n, because a number that is taken can't be written a second time. A stream
that has shown n therefore never finds a smaller one later.

That holds for a whole ledger only. While it is lost, or restored in whatever order its log is read, nobody
numbers by it and nobody is shown anything of it. What was numbered and never told, because its worker died,
is numbered anew after a restoration, and its old number may then belong to nobody.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from lianxin_chassis.database import Database, Document
from lianxin_chassis.lookups import find_in
from lianxin_chassis.marks import BUILT, MARK, Lost, mark, state_of
from lianxin_notifier.alerts import INBOX, Numbered, alert_id, numbered
from lianxin_notifier.documents import only_duplicates, write_again
from lianxin_notifier.inbox import Alert

LOG = "inbox_log"
RECEIVERS = "receivers"
DIGITS = 12  # of a number in an `_id`


class NumberLedger:
    """Gives and remembers numbers. Raises PyMongo's errors, and `Lost` while it is not whole."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._log = db[LOG]
        self._receivers = db[RECEIVERS]

    async def prepare(self) -> None:
        """Make the indexes. May be called again."""
        await self._log.create_index([("alert", 1)], unique=True, sparse=True, name="alert")
        await self._log.create_index([("cause", 1)], name="cause")
        await self._log.create_index([("receiver", 1), ("number", 1)], name="inbox")

    async def state(self) -> str | None:
        """`built`, `building`, or None where one of the collections was dropped."""
        return await state_of((self._log, self._receivers))

    async def set_state(self, state: str) -> None:
        """Mark the collections."""
        await asyncio.gather(mark(self._log, state), mark(self._receivers, state))

    async def clear(self) -> None:
        """Drop everything: before the ledger is restored from its log."""
        await self._db.drop_collection(LOG)
        await self._db.drop_collection(RECEIVERS)
        await self.prepare()

    async def require(self) -> None:
        """Raises `Lost` unless the collections are whole: what was given since they were dropped is void."""
        if await self.state() != BUILT:
            raise Lost(LOG)

    async def whole_stands(self, alerts: Sequence[Alert]) -> dict[str, int]:
        """`stands` of the receivers of `alerts`. Raises `Lost` unless the ledger is whole."""
        if not alerts:
            return {}
        _, stands = await asyncio.gather(self.require(), self.stands({one.receiver for one in alerts}))
        return stands

    async def number(
        self, alerts: Sequence[Alert], at: datetime, stands: Mapping[str, int] | None = None
    ) -> list[Numbered]:
        """Give each of `alerts` its number, the one that it already has if it has one. In the order given.
        `stands`: their `whole_stands`, where that was asked for just before.

        Safe to repeat, and for several workers at once. `remember` is to follow: without it the next who
        numbers for a receiver has to look.
        """
        if not alerts:
            return []
        done: dict[str, Numbered] = {}
        waiting = list({alert_id(a.cause, a.receiver, INBOX): a for a in alerts}.values())
        last = await self.whole_stands(waiting) if stands is None else stands
        while waiting:
            planned = _plan(waiting, last, at)
            inserted = await self._insert(planned)
            done.update({entry.alert: entry for entry in planned[:inserted]})
            if inserted == len(planned):
                break
            # Somebody else took a number, or has handled the same alert. Look, and go on behind it.
            known = await self.known([entry.alert for entry in planned[inserted:]])
            done.update(known)
            waiting = [a for a in waiting if alert_id(a.cause, a.receiver, INBOX) not in done]
            last = await self._true_last({alert.receiver for alert in waiting})
        return [done[alert_id(alert.cause, alert.receiver, INBOX)] for alert in alerts]

    async def known(self, alerts: Sequence[str]) -> dict[str, Numbered]:
        """Those of `alerts` (ids) that have a number."""
        found = await find_in(self._log, "alert", alerts)
        return {entry.alert: entry for entry in map(_from_document, found)}

    async def of_causes(self, causes: Sequence[str]) -> list[Numbered]:
        """The inbox alerts that these lifecycle events raised."""
        found = await find_in(self._log, "cause", causes)
        return [_from_document(document) for document in found]

    async def after(self, receiver: str, number: int, limit: int) -> list[Numbered]:
        """The receiver's alerts with numbers above `number`, in order, at most `limit`."""
        above = {"receiver": receiver, "number": {"$gt": number}}
        await self.require()
        found = await self._log.find(above).sort("number", 1).limit(limit).to_list(limit)
        await self.require()  # neither dropped meanwhile, nor still incomplete when it was read
        return [_from_document(document) for document in found]

    async def last(self, receiver: str) -> int:
        """The receiver's highest number; 0 where there is none."""
        await self.require()
        highest = await self._highest(receiver)
        await self.require()
        return highest

    async def stands(self, receivers: Iterable[str]) -> dict[str, int]:
        """About where each receiver's numbers stand: never above, and below only where a worker died. A
        receiver without numbers is absent. Raises `Lost` where the collection was dropped."""
        found = await find_in(self._receivers, "_id", receivers, last=[MARK])
        stands = {str(document["_id"]): int(document.get("number", 0)) for document in found}
        if stands.pop(MARK, None) is None:
            raise Lost(RECEIVERS)
        return stands

    async def _highest(self, receiver: str) -> int:
        found = await self._log.find({"receiver": receiver}).sort("number", -1).limit(1).to_list(1)
        return int(found[0]["number"]) if found else 0

    async def restore(self, entries: Sequence[Numbered]) -> None:
        """Take over numbers from `alerts.deliveries`; those that are here already stay as they are."""
        await write_again(self._log, [InsertOne(_to_document(entry)) for entry in entries])
        await self.remember(entries)

    async def _insert(self, planned: Sequence[Numbered]) -> int:
        """Insert in order; returns how many went in before the first that is taken."""
        try:
            await self._log.bulk_write([InsertOne(_to_document(entry)) for entry in planned], ordered=True)
        except BulkWriteError as error:
            if not only_duplicates(error):
                raise
            return int(error.details["writeErrors"][0]["index"])
        return len(planned)

    async def _true_last(self, receivers: set[str]) -> dict[str, int]:
        order = sorted(receivers)
        return dict(zip(order, await asyncio.gather(*map(self._highest, order)), strict=True))

    async def remember(self, entries: Iterable[Numbered]) -> None:
        """Have `stands` tell of these numbers; never before they are in the log."""
        highest: dict[str, int] = {}
        for entry in entries:
            highest[entry.receiver] = max(entry.number, highest.get(entry.receiver, 0))
        await write_again(
            self._receivers,
            [UpdateOne({"_id": who}, {"$max": {"number": n}}, upsert=True) for who, n in highest.items()],
        )


def _plan(alerts: Sequence[Alert], last: Mapping[str, int], at: datetime) -> list[Numbered]:
    """`alerts` with the numbers that follow `last`."""
    stand = dict(last)
    planned = []
    for alert in alerts:
        stand[alert.receiver] = stand.get(alert.receiver, 0) + 1
        planned.append(numbered(alert, stand[alert.receiver], at))
    return planned


def _id(receiver: str, number: int) -> str:
    return f"{receiver}/{number:0{DIGITS}d}"


def _to_document(entry: Numbered) -> Document:
    document: dict[str, Any] = msgspec.to_builtins(entry, builtin_types=(datetime,))
    return {"_id": _id(entry.receiver, entry.number), **document}


def _from_document(document: Document) -> Numbered:
    return msgspec.convert(document, Numbered)
