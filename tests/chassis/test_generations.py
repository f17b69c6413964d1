"""Projections that are built anew beside the live one."""

import asyncio
from typing import Any

import pytest

from lianxin_chassis.consumer import Consumer, Message
from lianxin_chassis.database import Database
from lianxin_chassis.generations import (
    Generations,
    collection_name,
    committed,
    group_name,
    is_fresh_group,
    run_rebuild,
)
from lianxin_chassis.parking import Aside, ParkingLot
from lianxin_chassis.patience import patiently
from lianxin_chassis.records import Record
from tests.chassis.inside import Inside
from tests.support.wait import eventually_async


async def test_a_projection_begins_with_generation_one(db: Database) -> None:
    generations = Generations(db, "p")
    assert await generations.live() == 1
    assert await generations.building() is None


async def test_a_switch_makes_the_new_generation_live_and_the_next_is_another(db: Database) -> None:
    generations = Generations(db, "p")
    number = await generations.begin()
    assert (number, await generations.live()) == (2, 1)
    await generations.switch(number)
    assert (await generations.live(), await generations.building()) == (2, None)
    await generations.switch(number)  # said twice, done once
    assert await generations.begin() == 3


async def test_a_rebuild_that_died_goes_on_with_the_same_generation(db: Database) -> None:
    assert await Generations(db, "p").begin() == 2
    assert await Generations(db, "p").begin() == 2


async def test_a_given_up_generation_is_never_used_again(db: Database) -> None:
    generations = Generations(db, "p")
    await generations.abandon(await generations.begin())
    assert await generations.begin() == 3


async def test_what_is_not_being_built_cannot_be_switched_to(db: Database) -> None:
    with pytest.raises(ValueError, match="not being built"):
        await Generations(db, "p").switch(7)


async def test_old_collections_go_and_live_and_growing_ones_stay(db: Database) -> None:
    generations = Generations(db, "p")
    await generations.switch(await generations.begin())
    await generations.begin()
    for name in ("cases.g1", "cases.g2", "cases.g3", "other.g1", "cases"):
        await db[name].insert_one({"_id": 1})
    assert await generations.drop_old(["cases"], keep=2) == ["cases.g1"]
    assert {"cases.g2", "cases.g3", "other.g1", "cases"} <= set(await db.list_collection_names())


async def test_what_an_old_generation_had_parked_goes_with_it(db: Database) -> None:
    generations = Generations(db, "p")
    await generations.switch(await generations.begin())
    await generations.begin()
    lot = ParkingLot(db)
    for group in ("s", "s-g1", "s-g2", "s-g3", "s-gx"):
        await lot.put(group, [Aside(Record("t", 0, 7, b"k", b"v", (), 5), "refused")])
    await generations.drop_old(["cases"], keep=2)
    assert [key.group for key in await lot.list_parked()] == ["s", "s-g2", "s-g3", "s-gx"]
    assert len(await lot.show("t", "k")) == 4


async def test_whoever_waits_hears_of_the_switch(db: Database) -> None:
    generations = Generations(db, "p")
    waiting = asyncio.create_task(generations.wait_for_change(await generations.live(), every_s=0.05))
    await generations.switch(await generations.begin())
    assert await asyncio.wait_for(waiting, 10) == 2


async def test_a_group_is_fresh_while_it_has_committed_nothing_on_a_topic_that_has_records(
    inside: Inside,
) -> None:
    assert not await is_fresh_group(inside.settings, inside.group, [inside.topic])
    await inside.say(("a", 1))
    assert await is_fresh_group(inside.settings, inside.group, [inside.topic])
    inside.start()
    await inside.until("a", 1)
    await inside.stop()
    assert not await is_fresh_group(inside.settings, inside.group, [inside.topic])


class Counter:
    """A projection: how often each key was spoken of, in a collection of its generation."""

    def __init__(self, inside: Inside) -> None:
        self.inside = inside
        self.made: list[tuple[int, str]] = []

    async def make(self, generation: int, group: str) -> Consumer:
        self.made.append((generation, group))
        counts: Any = self.inside.db[collection_name("counts", generation)]

        async def handle(messages: list[Message]) -> None:
            for message in messages:
                number = getattr(message.event and message.event.data, "number", 0)
                await counts.update_one({"_id": message.key}, {"$max": {"n": number}}, upsert=True)

        inside = self.inside
        return Consumer(
            inside.settings,
            group=group,
            topics=[inside.topic],
            handle=handle,
            parking=inside.parking,
            publisher=inside.publisher,
            decode=inside.decode,
        )

    async def rebuild(self, **more: Any) -> int:
        generations = Generations(self.inside.db, "counts")
        settings, topic = self.inside.settings, self.inside.topic
        more = {"linger_s": 0.0} | more
        return await run_rebuild(settings, generations, self.inside.group, [topic], self.make, **more)

    async def state(self, generation: int) -> dict[str, int]:
        found = self.inside.db[collection_name("counts", generation)].find({})
        return {document["_id"]: document["n"] async for document in found}


async def test_a_rebuild_reads_everything_in_its_own_group_and_then_switches(inside: Inside) -> None:
    counter = Counter(inside)
    await inside.say(*((f"k{k}", n) for n in range(1, 11) for k in range(20)))
    live_before: list[int] = []

    async def before_switch(generation: int) -> None:
        live_before.append(await Generations(inside.db, "counts").live())
        assert await counter.state(generation) == {f"k{k}": 10 for k in range(20)}

    assert await counter.rebuild(before_switch=before_switch) == 2
    assert live_before == [1]
    assert await Generations(inside.db, "counts").live() == 2
    assert counter.made == [(2, group_name(inside.group, 2))]


async def test_a_rebuild_of_an_empty_log_switches_at_once(inside: Inside) -> None:
    assert await Counter(inside).rebuild() == 2


async def test_a_rebuild_that_was_interrupted_resumes_where_its_group_had_committed(inside: Inside) -> None:
    counter = Counter(inside)
    await inside.say(*((f"k{k}", n) for n in range(1, 6) for k in range(8)))

    async def die(_: int) -> None:
        raise ConnectionError("killed before the switch")

    with pytest.raises(ConnectionError):
        await counter.rebuild(before_switch=die)
    assert await Generations(inside.db, "counts").live() == 1
    assert await counter.rebuild() == 2
    assert await counter.state(2) == {f"k{k}": 5 for k in range(8)}


async def test_after_the_switch_the_rebuild_serves_until_the_workers_take_over(inside: Inside) -> None:
    counter = Counter(inside)
    await inside.say(("a", 1))
    switched = asyncio.Event()

    async def before_switch(_: int) -> None:
        switched.set()

    # As every worker does it: a broker that doesn't lead a topic yet which was made just now is waited out.
    rebuilding = asyncio.create_task(
        patiently(lambda: counter.rebuild(linger_s=300.0, before_switch=before_switch))
    )
    waiting = asyncio.create_task(switched.wait())
    await asyncio.wait([rebuilding, waiting], timeout=60, return_when=asyncio.FIRST_COMPLETED)
    assert waiting.done(), rebuilding
    assert await Generations(inside.db, "counts").wait_for_change(since=1, every_s=0.05) == 2
    await inside.say(("a", 2))

    async def served() -> bool:
        return await counter.state(2) == {"a": 2}

    await eventually_async(served, 60)
    rebuilding.cancel()
    await asyncio.gather(rebuilding, return_exceptions=True)
    offsets = await committed(inside.settings, group_name(inside.group, 2), [inside.topic])
    assert sum(done or 0 for done, _, _ in offsets.values()) == 2
