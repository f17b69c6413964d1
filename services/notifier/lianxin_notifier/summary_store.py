"""How each inbox stands, and what became of people's cases in a week: read from one generation of the
projection, for notices. Writes nothing."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from lianxin_chassis.database import Database, Document
from lianxin_chassis.generations import collection_name
from lianxin_chassis.lookups import find_in
from lianxin_chassis.marks import Lost, marked
from lianxin_contracts import lifecycle

# What waits on whoever has it; a case that is answered waits on the resident.
WAITING = ("triage", "assigned", "accepted", "in_progress")
NEW = ("triage", "assigned")  # nobody has said yet that they take it
SOON = timedelta(hours=24)
_TOLD = ("opinion.assigned", "opinion.resolved", "opinion.rated")

Counts = dict[str, int]


class SummaryStore:
    """One generation. Raises PyMongo's errors, and `Lost` where its collections were dropped."""

    def __init__(self, db: Database, generation: int) -> None:
        self._entries = db[collection_name("entries", generation)]
        self._opinions = db[collection_name("opinions", generation)]
        self._histories = db[collection_name("histories", generation)]

    async def prepare(self) -> None:
        """Make the index. May be called again."""
        await self._histories.create_index([("type", 1), ("at", 1)], name="type_at")

    async def standing(
        self, receivers: Sequence[str], since: Mapping[str, datetime], now: datetime
    ) -> dict[str, Counts]:
        """For each of `receivers` how many cases wait on them (`open`), how many of these nobody has accepted
        yet (`unseen`), and of those how many came after `since` (`fresh`); due within a day (`soon`), and too
        late (`overdue`)."""
        found: dict[str, Counter[str]] = {receiver: Counter() for receiver in receivers}
        open_ = {"state": "open", "role": {"$in": ["holder", "triage"]}}
        fields = {"receiver": 1, "stage": 1, "due": 1, "assigned_at": 1}
        for document in await find_in(self._entries, "receiver", receivers, fields, where=open_):
            _count(found[document["receiver"]], document, since.get(document["receiver"]), now)
        if await marked(self._entries) is None:
            raise Lost("entries")
        return {
            who: {name: counts[name] for name in ("open", "unseen", "fresh", "soon", "overdue")}
            for who, counts in found.items()
        }

    async def week(self, since: datetime, until: datetime) -> dict[str, Counts]:
        """For each deputy to whom something happened between the two: cases given to them (`new`), cases that
        they resolved (`resolved`), and how residents rated their cases, by score."""
        found: dict[str, Counter[str]] = {}
        rated: list[tuple[str, str]] = []
        condition = {"type": {"$in": list(_TOLD)}, "at": {"$gte": since, "$lt": until}}
        async for document in self._histories.find(condition):
            match msgspec.json.decode(document["data"], type=lifecycle.MODELS[document["type"]]):
                case lifecycle.Assigned(assignee=who):
                    found.setdefault(who, Counter())["new"] += 1
                case lifecycle.Resolved(actor=actor):
                    found.setdefault(actor.id, Counter())["resolved"] += 1
                case lifecycle.Rated() as said:
                    rated.append((document["opinion"], said.score))
        holders = await self._holders({opinion for opinion, _ in rated})
        for opinion, score in rated:
            if (holder := holders.get(opinion)) is not None:
                found.setdefault(holder, Counter())[score] += 1
        if await marked(self._histories) is None:
            raise Lost("histories")
        names = ("new", "resolved", "satisfied", "basically", "dissatisfied")
        return {who: {name: counts[name] for name in names} for who, counts in found.items()}

    async def _holders(self, opinions: Iterable[str]) -> dict[str, str | None]:
        found = await find_in(self._opinions, "_id", opinions, {"holder": 1})
        return {str(document["_id"]): document["holder"] for document in found}


def _count(counts: Counter[str], entry: Document, since: datetime | None, now: datetime) -> None:
    if entry["stage"] not in WAITING:
        return
    counts["open"] += 1
    if entry["stage"] in NEW:
        counts["unseen"] += 1
        came = entry["assigned_at"]
        counts["fresh"] += since is not None and (came is None or came > since)
    due = entry["due"]
    if due is not None:
        counts["overdue"] += due < now
        counts["soon"] += now <= due < now + SOON
