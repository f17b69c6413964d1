"""The notifier's projection in MongoDB, one generation of it: opinions, inboxes, words, contacts, commands.

The only reader and writer of those collections. Everything in them follows from the log.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct
from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne

from lianxin_chassis.counting import DocumentCount
from lianxin_chassis.database import Collection, Database, Document
from lianxin_chassis.generations import collection_name
from lianxin_chassis.lookups import find_in
from lianxin_chassis.marks import MARK, Lost, mark, marked, state_of
from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import Moment
from lianxin_contracts.words import Words, key
from lianxin_notifier.alerts import Numbered
from lianxin_notifier.casefile import Told, told_document
from lianxin_notifier.documents import starting_with, write_again
from lianxin_notifier.inbox import Alert, CommandResult, Opinion, Seat, shown

BASES = ("opinions", "entries", "alerted", "words", "contacts", "commands", "pending", "histories")


class Item(Struct, frozen=True, kw_only=True):
    """One line of an inbox. `id` is the opinion's; `number` the one of its newest alert there."""

    id: str
    stage: str
    topic: str | None
    grid: str | None
    assigned_at: Moment | None
    due: Moment | None
    number: int
    role: str
    state: str


class HeldBack(Struct, frozen=True):
    """An alert that a rebuild came upon. `numbered`: it stands in the inbox under a number already; `told`:
    an outside channel has taken it, so that at most a repeat may be due."""

    alert: Alert
    numbered: bool
    told: bool


class ProjectionStore:
    """One generation. Raises PyMongo's errors, and `Lost` where its collections were dropped."""

    def __init__(self, db: Database, generation: int) -> None:
        self.generation = generation
        self._all: dict[str, Collection] = {base: db[collection_name(base, generation)] for base in BASES}
        self._opinions = self._all["opinions"]
        self._entries = self._all["entries"]
        self._alerted = self._all["alerted"]
        self._words = self._all["words"]
        self._contacts = self._all["contacts"]
        self._commands = self._all["commands"]
        self._pending = self._all["pending"]
        self._histories = self._all["histories"]
        self._count = DocumentCount(self._alerted)

    async def prepare(self) -> None:
        """Make the indexes. May be called again."""
        await self._entries.create_index([("receiver", 1), ("state", 1), ("number", -1)], name="inbox")
        # For lists by due time: a person's, and the late ones of everybody.
        await self._entries.create_index([("receiver", 1), ("state", 1), ("due", 1)], name="due")
        await self._entries.create_index([("role", 1), ("state", 1), ("due", 1)], name="late")
        await self._words.create_index([("opinion", 1)], name="opinion")
        await self._histories.create_index([("opinion", 1), ("sequence", 1)], name="case")
        await self._opinions.create_index([("station", 1), ("submitted", -1)], name="station")
        await self._pending.create_index([("told", 1), ("recorded", 1)], name="next")
        # For what is like a case: of the same issue, and open in the same grid on the same topic.
        await self._opinions.create_index([("issue", 1), ("submitted", -1)], name="issue")
        await self._opinions.create_index([("grid", 1), ("topic", 1), ("submitted", -1)], name="place")

    async def state(self) -> str | None:
        """`built`, `building`, or None where a collection was dropped."""
        return await state_of(self._all.values())

    async def set_state(self, state: str) -> None:
        """Mark every collection."""
        await asyncio.gather(*(mark(collection, state) for collection in self._all.values()))

    async def _require(self, base: str) -> None:
        """Raises `Lost` where the collection was dropped. Ask it after reading, not before."""
        if await marked(self._all[base]) is None:
            raise Lost(base)

    async def clear(self) -> None:
        """Drop every collection of this generation."""
        for collection in self._all.values():
            await collection.drop()
        await self.prepare()

    async def opinions(self, ids: Iterable[str]) -> dict[str, Opinion]:
        """Those of `ids` that are known."""
        found = await find_in(self._opinions, "_id", ids, last=[MARK])
        known = {str(document["_id"]): document for document in found}
        if known.pop(MARK, None) is None:
            raise Lost("opinions")
        return {id_: _opinion(document) for id_, document in known.items()}

    async def save(
        self,
        changed: Sequence[tuple[Opinion, Opinion]],
        numbers: Sequence[Numbered],
        results: Sequence[CommandResult],
        told: Sequence[Event] = (),
    ) -> None:
        """Save opinions (before, after) with what their inboxes show and what became of commands, and
        what was `told` of cases.

        The opinions come last: their `sequence` says that all the rest is durable. A document that another
        worker has already brought further is left alone.
        """
        newest = _newest(numbers)
        entries = [request for before, after in changed for request in _entry_updates(before, after, newest)]
        # What is left are entries of which nothing but the number changes.
        entries += [UpdateOne({"_id": id_}, {"$max": {"number": n}}) for id_, n in newest.items()]
        newly = [after.id for before, after in changed if after.ever_assigned and not before.ever_assigned]
        await asyncio.gather(
            write_again(self._entries, entries),
            write_again(self._alerted, [InsertOne({"_id": opinion}) for opinion in newly]),
            write_again(self._commands, [_result_update(result) for result in _last_words(results)]),
            write_again(self._histories, [InsertOne(told_document(event)) for event in told]),
        )
        await self._save_opinions(changed)

    async def _save_opinions(self, changed: Sequence[tuple[Opinion, Opinion]]) -> None:
        new = [InsertOne(_document(after)) for before, after in changed if before.sequence == 0]
        known = [_replacement(after) for before, after in changed if before.sequence]
        if await write_again(self._opinions, [*new, *known]):
            # Another worker has made one of them meanwhile, perhaps from fewer events.
            await write_again(self._opinions, [_replacement(after) for _, after in changed])

    async def show_numbers(self, numbers: Sequence[Numbered]) -> None:
        """Put each entry under its newest alert's number. Entries that don't exist yet are made by `save`."""
        newest = _newest(numbers)
        await write_again(
            self._entries, [UpdateOne({"_id": id_}, {"$max": {"number": n}}) for id_, n in newest.items()]
        )

    async def keep_words(self, changes: Mapping[str, Words | None]) -> None:
        """Write each part (by its key on the topic), or delete it where the value is None."""
        await write_again(
            self._words,
            [
                DeleteOne({"_id": id_})
                if words is None
                else ReplaceOne({"_id": id_}, {"_id": id_, **_builtins(words)}, upsert=True)
                for id_, words in changes.items()
            ],
        )

    async def keep_contacts(self, changes: Mapping[str, str | None]) -> None:
        """Write each sealed contact (by its key on the topic), or delete it where the value is None."""
        await write_again(
            self._contacts,
            [
                DeleteOne({"_id": id_})
                if sealed is None
                else ReplaceOne({"_id": id_}, {"_id": id_, "sealed": sealed}, upsert=True)
                for id_, sealed in changes.items()
            ],
        )

    async def erase(self, opinions: Sequence[str]) -> None:
        """Delete every word and contact of these opinions."""
        for opinion in opinions:
            await self._words.delete_many({"opinion": opinion})
            await self._contacts.delete_many({"_id": starting_with(opinion)})

    async def hold_back(self, held: Sequence[HeldBack]) -> None:
        """While a rebuild runs: alerts to be looked at when this generation is live."""
        await write_again(
            self._pending,
            [
                InsertOne(
                    {
                        "_id": f"{one.alert.cause}/{one.alert.receiver}",
                        **_builtins(one.alert),
                        "numbered": one.numbered,
                        "told": one.told,
                    }
                )
                for one in held
            ],
        )

    async def held_back(self, limit: int) -> list[HeldBack]:
        """The oldest alerts that were held back, at most `limit`; those that were not told come first."""
        waiting = self._pending.find({"_id": {"$ne": MARK}}).sort([("told", 1), ("recorded", 1)])
        return [
            HeldBack(msgspec.convert(found, Alert), found.get("numbered", False), found.get("told", False))
            for found in await waiting.limit(limit).to_list(limit)
        ]

    async def settle(self, alerts: Sequence[Alert]) -> None:
        """These were looked at."""
        await self._pending.delete_many({"_id": {"$in": [f"{a.cause}/{a.receiver}" for a in alerts]}})

    async def alerted(self) -> int:
        """How many opinions were ever assigned and so stand in an inbox. Costs the same for any number."""
        await self._require("alerted")
        return max(0, await self._count.now() - 1)  # less the mark

    async def inbox(self, receiver: str, stage: str | None, below: int | None, limit: int) -> list[Item]:
        """The receiver's entries, newest first: those that wait there, or those in `stage`, at most `limit`
        with numbers below `below`."""
        condition: Document = {"receiver": receiver, "state": "closed" if stage == "closed" else "open"}
        if stage is not None:
            condition["stage"] = stage
        if below is not None:
            condition["number"] = {"$lt": below}
        found = await self._entries.find(condition).sort("number", -1).limit(limit).to_list(limit)
        await self._require("entries")  # an inbox that was dropped is not an empty one
        return [_item(document) for document in found]

    async def work(self, receiver: str, stage: str | None, limit: int) -> list[Item]:
        """What waits in an inbox, or its entries in `stage`, by due time: what has none comes last."""
        condition: Document = {"receiver": receiver, "state": "closed" if stage == "closed" else "open"}
        if stage is not None:
            condition["stage"] = stage
        dated = condition | {"due": {"$ne": None}}
        found = await self._entries.find(dated).sort("due", 1).limit(limit).to_list(limit)
        if len(found) < limit:
            rest = self._entries.find(condition | {"due": None}).sort("number", -1)
            found += await rest.limit(limit - len(found)).to_list(limit - len(found))
        await self._require("entries")
        return [_item(document) for document in found]

    async def late(self, now: datetime, areas: Sequence[str], limit: int) -> list[tuple[str, Item]]:
        """The cases in deputies' hands that were due before `now`, longest first, with their holders. `areas`
        are code prefixes of grids; without any the whole city's."""
        condition: Document = {"role": "holder", "state": "open", "due": {"$lt": now}}
        if areas:
            condition["grid"] = {"$regex": f"^({'|'.join(area for area in areas if area.isdigit())})"}
        found = await self._entries.find(condition).sort("due", 1).limit(limit).to_list(limit)
        await self._require("entries")
        return [(document["receiver"], _item(document)) for document in found]

    async def history(self, opinion: str) -> list[Told]:
        """What was decided on an opinion, in order."""
        found = await self._histories.find({"opinion": opinion}).sort("sequence", 1).to_list(None)
        await self._require("histories")
        return [
            Told(document["sequence"], document["type"], document["at"], document["data"])
            for document in found
        ]

    async def of_station(self, station: str, limit: int) -> list[Opinion]:
        """The opinions that came in at a station, newest first."""
        found = (
            await self._opinions.find({"station": station}).sort("submitted", -1).limit(limit).to_list(limit)
        )
        await self._require("opinions")
        return [_opinion(document) for document in found]

    async def alike(self, opinion: Opinion, limit: int) -> tuple[list[Opinion], list[Opinion]]:
        """The newest others of the same issue, and of the same grid and topic, at most `limit` of each."""
        same: list[Document] = []
        if opinion.issue is not None:
            same = await self._newest_others({"issue": opinion.issue}, opinion.id, limit)
        near: list[Document] = []
        if opinion.grid is not None and opinion.topic is not None:
            here = {"grid": opinion.grid, "topic": opinion.topic}
            near = await self._newest_others(here, opinion.id, limit)
        await self._require("opinions")
        return [_opinion(document) for document in same], [_opinion(document) for document in near]

    async def _newest_others(self, condition: Document, but: str, limit: int) -> list[Document]:
        found = await self._opinions.find(condition).sort("submitted", -1).limit(limit + 1).to_list(limit + 1)
        return [document for document in found if document["_id"] != but][:limit]

    async def seats(self, opinions: Iterable[str]) -> dict[str, Mapping[str, Seat]]:
        """Who has a place at each of these opinions."""
        return {id_: opinion.seats for id_, opinion in (await self.opinions(opinions)).items()}

    async def words(self, opinion: str) -> list[Words]:
        """Every part of an opinion's words."""
        found = await self._words.find({"opinion": opinion}).sort("_id", 1).to_list(None)
        await self._require("words")
        return [msgspec.convert(document, Words) for document in found]

    async def sealed_contact(self, opinion: str, part: str) -> str | None:
        """The sealed contact of one part."""
        found = await self._contacts.find_one({"_id": key(opinion, part)})
        return None if found is None else str(found["sealed"])

    async def command(self, id_: str) -> CommandResult | None:
        """What became of a command; None until its opinion shows it: `save` writes the opinion last, and who
        is told and looks must not find the case of before."""
        found = await self._commands.find_one({"_id": id_})
        if found is None:
            await self._require("commands")
            return None
        result = msgspec.convert({**found, "command": id_}, CommandResult)
        shows = {"_id": result.opinion, "sequence": {"$gte": result.sequence}}
        return result if await self._opinions.find_one(shows, {"_id": 1}) else None


def _builtins(value: Struct) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(datetime,))
    return fields


def _opinion(document: Document) -> Opinion:
    # A list, not an object by receiver: ids may hold characters that field names may not.
    seats = {seat["receiver"]: seat for seat in document["seats"]}
    return msgspec.convert({**document, "id": document["_id"], "seats": seats}, Opinion)


def _document(opinion: Opinion) -> Document:
    document = _builtins(opinion)
    document["_id"] = document.pop("id")
    document["seats"] = [{"receiver": who, **seat} for who, seat in document["seats"].items()]
    return document


def _replacement(opinion: Opinion) -> Any:
    return ReplaceOne({"_id": opinion.id, "sequence": {"$lt": opinion.sequence}}, _document(opinion))


def _entry_id(receiver: str, opinion: str) -> str:
    return f"{receiver}/{opinion}"


def _newest(numbers: Sequence[Numbered]) -> dict[str, int]:
    """The highest number of each entry, by the entry's id."""
    newest: dict[str, int] = {}
    for one in numbers:
        id_ = _entry_id(one.receiver, one.opinion)
        newest[id_] = max(one.number, newest.get(id_, 0))
    return newest


def _entry_updates(before: Opinion, after: Opinion, newest: dict[str, int]) -> list[Any]:
    """The writes that bring the inboxes from `before` to `after`, with the numbers that they take out of
    `newest`."""
    updates = []
    for receiver, seat in after.seats.items():
        old = before.seats.get(receiver)
        what = shown(after, receiver)
        if what is None or (old is not None and old.changed == seat.changed):
            continue
        id_ = _entry_id(receiver, after.id)
        fields = {"sequence": seat.changed, "receiver": receiver, "opinion": after.id}
        updates.append(
            UpdateOne(
                {"_id": id_, "sequence": {"$lte": seat.changed}},
                {"$set": _builtins(what) | fields, "$max": {"number": newest.pop(id_, 0)}},
                upsert=True,
            )
        )
    return updates


def _last_words(results: Sequence[CommandResult]) -> list[CommandResult]:
    """One result for each command: its refusal, else the first application."""
    last: dict[str, CommandResult] = {}
    for result in results:
        if result.status == "refused" or result.command not in last:
            last[result.command] = result
    return list(last.values())


def _result_update(result: CommandResult) -> Any:
    fields = _builtins(result)
    id_ = fields.pop("command")
    # A refusal is the last word; of several events that one command brought the first is kept.
    how: Literal["$set", "$setOnInsert"] = "$set" if result.status == "refused" else "$setOnInsert"
    return UpdateOne({"_id": id_}, {how: fields}, upsert=True)


def _item(document: Document) -> Item:
    return Item(
        id=document["opinion"],
        stage=document["stage"],
        topic=document["topic"],
        grid=document["grid"],
        assigned_at=document["assigned_at"],
        due=document["due"],
        number=document["number"],
        role=document["role"],
        state=document["state"],
    )
