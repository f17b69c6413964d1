"""Two workers of one group: what is parked is released by the one that owns it, also on several topics, and
also when that one is killed or joined by another half-way."""

import asyncio
from typing import Any

import pytest

from lianxin_chassis.consumer import Consumer
from lianxin_chassis.database import Database
from lianxin_chassis.parking import ParkingLot, Partition
from lianxin_chassis.settings import Settings
from tests.chassis.bench import make_topic, publish, said
from tests.chassis.conftest import MakeBench
from tests.chassis.inside import Inside
from tests.chassis.test_kills import QUICK
from tests.support.wait import eventually_async

LENGTH = 15


class Member:
    """One of two consumers in the test's own loop."""

    def __init__(self, inside: Inside, topics: list[str], number: int) -> None:
        self.owned: frozenset[Partition] = frozenset()
        self.handled: list[tuple[str, str]] = []
        self.inside = inside

        async def assigned(owned: frozenset[Partition]) -> None:
            self.owned = owned

        self.consumer = Consumer(
            inside.settings.model_copy(update={"instance": f"m{number}"}),
            group=inside.group,
            topics=topics,
            parking=inside.parking,
            publisher=inside.publisher,
            decode=inside.decode,
            handle=self.handle,
            on_assigned=assigned,
        )
        self.running = asyncio.create_task(self.consumer.run())

    async def handle(self, messages: list[Any]) -> None:
        await self.inside.handle(messages)  # refuses what is to be refused
        self.handled += [(m.record.topic, m.key) for m in messages]

    async def stop(self) -> None:
        self.consumer.stop()
        await asyncio.wait_for(self.running, 60)


async def test_each_parked_key_of_two_topics_is_released_once_by_its_owner(inside: Inside) -> None:
    topics = [inside.topic, await make_topic(inside.settings, 3)]
    members = [Member(inside, topics, n) for n in range(2)]

    def both_have_some_and_none_the_same() -> bool:
        one, other = (member.owned for member in members)
        return len(one | other) == 7 and bool(one) and bool(other) and not one & other

    await eventually_async(both_have_some_and_none_the_same, 60)
    keys = [f"k{n}" for n in range(20)]
    await inside.put(*(said(topic, key, 1, "refuse") for topic in topics for key in keys))

    async def parked() -> int:
        return len(await inside.parking.list_parked(inside.group))

    async def all_are_parked() -> bool:
        return await parked() == 40

    async def none_is_parked() -> bool:
        return await parked() == 0

    await eventually_async(all_are_parked, 60)
    inside.mended = True
    assert await inside.parking.request_retry() == 40
    await eventually_async(none_is_parked, 60)
    released = [handled for member in members for handled in member.handled]
    assert sorted(released) == sorted((topic, key) for topic in topics for key in keys)
    for member in members:
        await member.stop()


@pytest.mark.parametrize("disturbance", ["killed", "joined"])
async def test_a_release_that_is_disturbed_goes_on_in_order_and_leaves_nothing(
    make_bench: MakeBench, settings: Settings, db: Database, disturbance: str
) -> None:
    quick = settings.model_copy(update=QUICK)
    bench = await make_bench(quick, slow_s=0.2)
    lot = ParkingLot(db)
    refused = said(bench.topic, "k0", 1, "refuse")
    await publish(quick, [refused, *(said(bench.topic, "k0", n) for n in range(2, LENGTH + 1))])
    first = bench.start()

    async def all_wait() -> bool:
        return [key.records for key in await lot.list_parked()] == [LENGTH]

    await eventually_async(all_wait, 60)
    bench.raise_flag("mended")
    await lot.request_retry()
    await eventually_async(lambda: len(bench.effects()) >= 3, 60)
    if disturbance == "killed":
        first.kill()
    second = bench.start()
    await bench.all_done(1, LENGTH)

    async def nothing_is_left() -> bool:
        return not await lot.list_parked() and not await lot.show(bench.topic, "k0")

    await eventually_async(nothing_is_left, 60)
    await second.ready()
    assert bench.skipped_ahead() == []
    if disturbance == "joined":
        assert bench.repeated() == 0
