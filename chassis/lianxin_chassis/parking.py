"""Dead letters: kept whole, in order, with every later record of the same key behind them.

`parked_keys` has a document for each parked key, `parked_records` one for each record that waits there, as it
was read. An operator marks a key; the worker that owns its partition sees the mark and acts (`consumer.py`).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from pymongo import ASCENDING, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError

from lianxin_chassis.database import Database
from lianxin_chassis.metric_names import PARKED_KEYS
from lianxin_chassis.records import Record
from lianxin_contracts.envelope import OutRecord
from lianxin_contracts.topics import dead_letter

State = Literal["parked", "retry", "skip", "skip_all"]
Partition = tuple[str, int]
# What is parked as one: topic, partition (another producer may spread a key over several) and key.
Key = tuple[str, int, bytes]
DUPLICATE_KEY = 11_000
# What a header may hold of an error's text, characters.
DETAIL = 500


@dataclass(frozen=True, slots=True)
class Aside:
    """A record to be put aside: why (`undecodable`, `error`, `parked`, or a handler's own reason)."""

    record: Record
    reason: str
    detail: str = ""

    @property
    def follows(self) -> bool:
        """True for a record whose only fault is that its key is parked."""
        return self.reason == "parked"


@dataclass(frozen=True, slots=True)
class Mark:
    """What is to be done with a parked key. `version` grows whenever a record is put behind it; `skip` is the
    offset of the record that a skip gave up, if one did."""

    state: State
    version: int
    skip: int | None


@dataclass(frozen=True, slots=True)
class ParkedKey:
    """A parked key as an operator sees it. `first_at` is when it was parked; `attempts` counts retries."""

    group: str
    topic: str
    partition: int
    key: str
    state: State
    reason: str
    detail: str
    records: int
    attempts: int
    first_at: datetime


class ParkingLot:
    """The parked keys of one service, in its own database. Raises PyMongo's errors."""

    def __init__(self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._keys = database["parked_keys"]
        self._records = database["parked_records"]
        self._now = now

    async def prepare(self) -> None:
        """Make the indexes. Safe to call at every start."""
        await self._keys.create_index([("group", ASCENDING), ("partition", ASCENDING)])
        await self._records.create_index([("parked", ASCENDING), ("offset", ASCENDING)])

    # -- the worker's side

    async def parked(self, group: str, partitions: Collection[Partition]) -> dict[Key, State]:
        """The parked keys of `partitions` and what an operator wants of each."""
        found = self._keys.find({"group": group, "partition": {"$in": sorted({n for _, n in partitions})}})
        return {
            (k["topic"], k["partition"], bytes(k["key"])): k["state"]
            async for k in found
            if (k["topic"], k["partition"]) in partitions
        }

    async def put(self, group: str, aside: Sequence[Aside]) -> None:
        """Keep `aside`, in offset order, durably. Putting the same record again changes nothing.

        A key is written after its records: whoever releases it meanwhile either finds the records or finds
        the key changed, and no record is left without a key.
        """
        at = self._now()
        records = [InsertOne(self._document(group, one, at)) for one in aside]
        keys: dict[Key, UpdateOne] = {}
        for one in aside:
            topic, partition, key = of = key_of(one.record)
            fresh = {
                "group": group,
                "topic": topic,
                "partition": partition,
                "key": key,
                "state": "parked",
                "reason": one.reason,
                "detail": one.detail[:DETAIL],
                "attempts": 0,
                "first_at": at,
            }
            change = {"$setOnInsert": fresh, "$inc": {"version": 1}}
            keys.setdefault(of, UpdateOne({"_id": _key_id(group, of)}, change, upsert=True))
        try:
            await self._records.bulk_write(records, ordered=False)
        except BulkWriteError as error:
            # A duplicate means that an earlier try had got so far.
            if any(e["code"] != DUPLICATE_KEY for e in error.details["writeErrors"]):
                raise
        await self._keys.bulk_write(list(keys.values()), ordered=False)

    @staticmethod
    def _document(group: str, one: Aside, at: datetime) -> dict[str, Any]:
        record = one.record
        return {
            "_id": _record_id(group, record),
            "parked": _key_id(group, key_of(record)),
            "group": group,
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "key": record.key,
            "value": record.value,
            "headers": [[name, value] for name, value in record.headers],
            "timestamp_ms": record.timestamp_ms,
            "reason": one.reason,
            "detail": one.detail[:DETAIL],
            "at": at,
        }

    async def mark(self, group: str, key: Key) -> Mark | None:
        """What is to be done with `key` now; None where it is not parked any more."""
        found = await self._keys.find_one({"_id": _key_id(group, key)})
        return None if found is None else Mark(found["state"], found.get("version", 0), found.get("skip"))

    async def waiting(self, group: str, key: Key, limit: int = 200) -> list[Record]:
        """The first `limit` records that wait behind a parked key, in order."""
        found = self._records.find({"parked": _key_id(group, key)}).sort("offset", ASCENDING).limit(limit)
        return [_record(r) async for r in found]

    async def done(self, group: str, record: Record) -> None:
        """`record` went through, or was skipped."""
        await self._records.delete_one({"_id": _record_id(group, record)})

    async def unpark(self, group: str, key: Key, version: int) -> bool:
        """Nothing waits behind this key any more. False, and nothing changed, where a record was put there
        since `version` was read."""
        # Without a version: parked before there were any.
        seen = {"$in": [version, None]} if version == 0 else version
        result = await self._keys.delete_one({"_id": _key_id(group, key), "version": seen})
        return bool(result.deleted_count)

    async def failed_again(self, group: str, key: Key, reason: str, detail: str) -> None:
        """A retry failed: the key stays parked, with the new reason."""
        await self._keys.update_one(
            {"_id": _key_id(group, key)},
            {
                "$set": {"state": "parked", "reason": reason, "detail": detail[:DETAIL]},
                "$inc": {"attempts": 1},
            },
        )

    async def skip(self, group: str, key: Key, offset: int) -> None:
        """The record at `offset` is the one to be given up; what waits behind it is to be retried. Kept with
        the key before anything is deleted: a skip that is interrupted gives up this record and no other."""
        await self._keys.update_one(
            {"_id": _key_id(group, key), "state": "skip"}, {"$set": {"state": "retry", "skip": offset}}
        )

    async def forget_generations(self, keep: Collection[int]) -> list[str]:
        """Drop what is parked in groups of generations (`…-g7`) other than `keep`: nobody is in such a group
        any more, and who took over has read the same records itself. Returns the groups."""
        groups = {*await self._keys.distinct("group"), *await self._records.distinct("group")}
        gone = []
        for group in sorted(groups):
            _, mark, number = group.rpartition("-g")
            if mark and number.isdigit() and int(number) not in keep:
                await self._records.delete_many({"group": group})
                await self._keys.delete_many({"group": group})
                gone.append(group)
        return gone

    async def measure(self, group: str, topics: Sequence[str]) -> None:
        """Set the gauge of parked keys, over all partitions."""
        for topic in topics:
            count = await self._keys.count_documents({"group": group, "topic": topic})
            PARKED_KEYS.labels(topic).set(count)

    # -- the operator's side

    async def list_parked(self, group: str | None = None) -> list[ParkedKey]:
        """Every parked key (of `group`), the oldest first."""
        found = []
        async for k in self._keys.find({} if group is None else {"group": group}).sort("first_at", ASCENDING):
            found.append(
                ParkedKey(
                    group=k["group"],
                    topic=k["topic"],
                    partition=k["partition"],
                    key=bytes(k["key"]).decode(errors="replace"),
                    state=k["state"],
                    reason=k["reason"],
                    detail=k["detail"],
                    records=await self._records.count_documents({"parked": k["_id"]}),
                    attempts=k["attempts"],
                    first_at=k["first_at"],
                )
            )
        return found

    async def show(self, topic: str, key: str) -> list[Aside]:
        """What waits behind `key`, whole and in order, in every group. It may hold residents' words."""
        found = self._records.find({"topic": topic, "key": key.encode()}).sort("offset", ASCENDING)
        return [Aside(_record(r), r["reason"], r["detail"]) async for r in found]

    async def request_retry(self, topic: str | None = None, key: str | None = None) -> int:
        """Ask for parked keys (all, of `topic`, or the one) to be handled again in order; returns how
        many."""
        return await self._mark("retry", topic, key)

    async def request_skip(self, topic: str, key: str, *, everything: bool = False) -> int:
        """Ask for the first record behind `key` to be given up and the rest to be handled in order, or for
        `everything` there to be given up. What is given up stays in the dead-letter topic."""
        return await self._mark("skip_all" if everything else "skip", topic, key)

    async def _mark(self, state: State, topic: str | None, key: str | None) -> int:
        which: dict[str, Any] = {}
        if topic is not None:
            which["topic"] = topic
        if key is not None:
            which["key"] = key.encode()
        result = await self._keys.update_many(which, {"$set": {"state": state}})
        return int(result.matched_count)


def dead_letter_record(group: str, aside: Aside, at: datetime) -> OutRecord:
    """The record that keeps `aside` on `<topic>.dlq`: the original key, bytes, headers and timestamp, and
    where it comes from and what was wrong in `lianxin_dlq_*` headers."""
    record = aside.record
    origin = {
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "group": group,
        "error": aside.reason,
        "detail": aside.detail[:DETAIL],
        "at": at.isoformat(),
        "tombstone": "1" if record.value is None else "0",
    }
    marks = tuple((f"lianxin_dlq_{name}", text.encode()) for name, text in origin.items())
    return OutRecord(
        topic=dead_letter(record.topic),
        key=record.key or b"",
        value=record.value,
        # aiokafka writes a header without a value as it was read.
        headers=cast(Any, (*record.headers, *marks)),
        timestamp_ms=record.timestamp_ms,
    )


def key_of(record: Record) -> Key:
    """What `record` is parked under."""
    return record.topic, record.partition, record.key or b""


def _key_id(group: str, of: Key) -> str:
    topic, partition, key = of
    return f"{group}|{topic}|{partition}|{f's:{key.decode()}' if _printable(key) else f'x:{key.hex()}'}"


def _record_id(group: str, record: Record) -> str:
    return f"{group}|{record.topic}|{record.partition}|{record.offset}"


def _printable(key: bytes) -> bool:
    try:
        return key.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _record(stored: dict[str, Any]) -> Record:
    return Record(
        topic=stored["topic"],
        partition=stored["partition"],
        offset=stored["offset"],
        key=None if stored["key"] is None else bytes(stored["key"]),
        value=None if stored["value"] is None else bytes(stored["value"]),
        headers=tuple((name, None if value is None else bytes(value)) for name, value in stored["headers"]),
        timestamp_ms=stored["timestamp_ms"],
    )
