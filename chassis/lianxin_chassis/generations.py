"""Projections that are rebuilt beside the live one: new collections, an own consumer group, one switch.

One document per projection in `projections`: `{_id, live, building, next}`. A worker reads `live` at its
start and works on that generation in that generation's group; when the number changes it ends, and its
supervisor starts it on the new one. API processes poll and read from the new collections: no page goes blank.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from pymongo import ReturnDocument

from lianxin_chassis.clients import close_quietly, partitions_of
from lianxin_chassis.database import Database
from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Outage
from lianxin_chassis.parking import ParkingLot
from lianxin_chassis.settings import Settings

log = get_logger(__name__)

# The log's end is chased again until a chase takes less than `CLOSE_S` seconds, at most so often.
CHASES = 5
CLOSE_S = 1.5


def collection_name(base: str, generation: int) -> str:
    """The name of `base` in `generation`: `cases.g2`."""
    return f"{base}.g{generation}"


def group_name(service: str, generation: int) -> str:
    """The consumer group of a service's projection in `generation`: `router-g2`."""
    return f"{service}-g{generation}"


class Generations:
    """The generations of one projection. Raises PyMongo's errors, and `Outage` while the database is being
    dropped; every change is one atomic update."""

    def __init__(self, db: Database, projection: str) -> None:
        self._db = db
        self._state = db["projections"]
        self._id = projection

    async def live(self) -> int:
        """The generation that is read and written now; makes the first one where there is none."""
        state = await self._state.find_one_and_update(
            {"_id": self._id},
            {"$setOnInsert": {"live": 1, "building": None, "next": 2}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        if state is None:
            raise Outage("the database is being dropped", what="database")
        return int(state["live"])

    async def building(self) -> int | None:
        """The generation that is being built, if one is."""
        state = await self._state.find_one({"_id": self._id})
        number = state.get("building") if state is not None else None
        return None if number is None else int(number)

    async def known(self) -> tuple[int | None, int | None]:
        """The live generation and the one that is being built, as far as there are any; changes nothing."""
        state = await self._state.find_one({"_id": self._id})
        return (None, None) if state is None else (state["live"], state.get("building"))

    async def begin(self, usable: Callable[[int], Awaitable[bool]] | None = None) -> int:
        """The generation to build: the one that a rebuild which died had begun, else a new one, numbers that
        are not `usable` passed over."""
        await self.live()
        while (number := await self.building()) is None:
            before = await self._state.find_one_and_update({"_id": self._id}, {"$inc": {"next": 1}})
            if before is not None and (usable is None or await usable(int(before["next"]))):
                await self._state.update_one(
                    {"_id": self._id, "building": None}, {"$set": {"building": before["next"]}}
                )
        return number

    async def switch(self, number: int) -> None:
        """Make `number` live. Does nothing where it already is; raises ValueError where it is not the one
        being built."""
        done = await self._state.update_one(
            {"_id": self._id, "building": number}, {"$set": {"live": number, "building": None}}
        )
        if done.matched_count == 0 and await self.live() != number:
            raise ValueError(f"generation {number} of {self._id} is not being built")

    async def abandon(self, number: int) -> None:
        """Give up building `number`; its collections go with the next `drop_old`."""
        await self._state.update_one({"_id": self._id, "building": number}, {"$set": {"building": None}})

    async def drop_old(self, bases: Sequence[str], keep: int) -> list[str]:
        """Drop the collections of `bases` in every generation but `keep` and one that is being built; returns
        their names. What is parked in the groups of those generations goes too. Call it when no process reads
        them any more."""
        kept = {number for number in (keep, await self.building()) if number is not None}
        dropped = []
        for name in await self._db.list_collection_names():
            base, mark, number = name.rpartition(".g")
            if mark and base in bases and number.isdigit() and int(number) not in kept:
                await self._db.drop_collection(name)
                dropped.append(name)
        if groups := await ParkingLot(self._db).forget_generations(kept):
            log.info("what old generations had parked is dropped", groups=groups)
        return dropped

    async def wait_for_change(self, since: int, every_s: float = 1.0) -> int:
        """Return the live generation when it is another than `since`; looks every `every_s` seconds and lets
        PyMongo's errors through."""
        while (number := await self.live()) == since:  # noqa: ASYNC110 - another process changes it
            await asyncio.sleep(every_s)
        return number


async def committed(
    settings: Settings, group: str, topics: Sequence[str]
) -> dict[TopicPartition, tuple[int | None, int, int]]:
    """For each partition of `topics`: the offset that `group` committed (None: none), the first and the end
    offset of the broker. Joins no group. Raises aiokafka's KafkaError where the broker is away."""
    client = AIOKafkaConsumer(
        **settings.kafka_client(), group_id=group, enable_auto_commit=False, request_timeout_ms=15_000
    )
    try:
        async with asyncio.timeout(20):
            await client.start()
            partitions = await partitions_of(settings, topics)
            client.assign(partitions)
            first = await client.beginning_offsets(partitions)
            end = await client.end_offsets(partitions)
            return {tp: (await client.committed(tp), first[tp], end[tp]) for tp in partitions}
    finally:
        await close_quietly(client)


async def is_fresh_group(settings: Settings, group: str, topics: Sequence[str]) -> bool:
    """True when `group` has committed nothing on `topics` although they are not empty: such a worker behaves
    as a rebuild, without outside effects, until it has caught up."""
    offsets = await committed(settings, group, topics)
    return any(end > first for _, first, end in offsets.values()) and all(
        done is None for done, _, _ in offsets.values()
    )


class Rebuilding(Protocol):
    """What `run_rebuild` needs of a consumer. `problem` says why it stopped itself, if it did."""

    problem: str | None

    async def run(self) -> None:
        """Work until stopped."""

    def stop(self) -> None:
        """Make `run` return."""

    def positions(self) -> Mapping[tuple[str, int], int]:
        """The next offset of each partition whose effects are not durable yet."""


async def run_rebuild(
    settings: Settings,
    generations: Generations,
    group: str,
    topics: Sequence[str],
    make_consumer: Callable[[int, str], Awaitable[Rebuilding]],
    *,
    before_switch: Callable[[int], Awaitable[None]] | None = None,
    every_s: float = 0.5,
    linger_s: float = 15.0,
) -> int:
    """Build a new generation of a projection and switch to it; returns its number.

    `make_consumer(generation, group)` makes the consumer that fills it, in the group `{group}-g{generation}`,
    which the workers of the new generation then go on with. The switch comes, after `before_switch`, when
    every record that was there at the start has been worked on, and then what had come meanwhile, until that
    is little: nobody is to see an older state after the switch than before it.
    After the switch it goes on for `linger_s` seconds, so that the new generation stands still at no time:
    the restarted workers join its group and take over. A rebuild that died goes on with the same generation
    and group.

    Raises RuntimeError where the consumer ends or stops itself before that, and aiokafka's KafkaError or
    PyMongo's errors where broker or database are away: run it again then.
    """

    async def usable(candidate: int) -> bool:
        # A database that was dropped forgets its generations, the broker does not forget their groups: what
        # such a group had read before would be skipped.
        offsets = await committed(settings, group_name(group, candidate), topics)
        return all(done is None for done, _, _ in offsets.values())

    number = await generations.begin(usable)
    own_group = group_name(group, number)
    consumer = await make_consumer(number, own_group)
    running = asyncio.create_task(consumer.run(), name=f"rebuild-{own_group}")
    started = time.monotonic()
    try:
        for _ in range(CHASES):
            chased = time.monotonic()
            # Read once a chase: a log that is written to all the time would be chased for ever.
            goal = {
                tp: end
                for tp, (_, first, end) in (await committed(settings, own_group, topics)).items()
                if end > first
            }
            while not await _reached(settings, own_group, goal, consumer):
                await asyncio.wait([running], timeout=every_s)
                if running.done():
                    await running
                    raise RuntimeError(f"the rebuild of {own_group} ended before it had caught up")
                if consumer.problem is not None:
                    raise RuntimeError(f"the rebuild of {own_group}: {consumer.problem}")
                if number not in await generations.known():
                    raise RuntimeError(f"the rebuild of {own_group}: the database was dropped meanwhile")
            if time.monotonic() - chased < CLOSE_S:
                break
        if before_switch is not None:
            await before_switch(number)
        await generations.switch(number)
        log.info("projection rebuilt", group=own_group, seconds=round(time.monotonic() - started, 1))
        await asyncio.wait([running], timeout=linger_s)
    finally:
        consumer.stop()
        await asyncio.gather(running, return_exceptions=True)
    return number


async def _reached(
    settings: Settings, group: str, goal: dict[TopicPartition, int], consumer: Rebuilding
) -> bool:
    positions = consumer.positions()
    missing = [tp for tp, end in goal.items() if positions.get(tp, 0) < end]
    if not missing:
        return True
    # What an earlier run of this rebuild did is known to the broker only.
    offsets = await committed(settings, group, sorted({tp.topic for tp in missing}))
    return all((offsets[tp][0] or 0) >= goal[tp] for tp in missing)
