"""What a consumer promises while nothing fails."""

import asyncio

from prometheus_client import REGISTRY

from lianxin_chassis.consumer import Message, unhurried_source
from lianxin_chassis.generations import committed
from lianxin_chassis.parking import Partition
from lianxin_contracts.envelope import OutRecord
from tests.chassis.inside import Inside
from tests.support.wait import eventually_async


async def test_every_record_is_handled_once_and_in_order_of_its_key(inside: Inside) -> None:
    await inside.say(*((f"k{k}", n) for n in range(1, 51) for k in range(20)))
    inside.start()
    await eventually_async(lambda: len(inside.handled) >= 1000, 60)
    assert all(inside.of(f"k{k}") == list(range(1, 51)) for k in range(20))
    assert len(inside.handled) == 1000


async def test_a_backlog_comes_in_batches_of_the_wanted_size(inside: Inside) -> None:
    await inside.say(*((f"k{k}", n) for n in range(1, 51) for k in range(20)))
    inside.start(max_batch=100)
    await eventually_async(lambda: len(inside.handled) >= 1000, 60)
    assert max(inside.batches) == 100


async def test_an_unhurried_consumer_lets_what_comes_singly_gather(inside: Inside) -> None:
    inside.start(make_source=unhurried_source)
    for n in range(200):
        await inside.say(("a", n))
    await eventually_async(lambda: len(inside.handled) == 200, 60)
    assert inside.of("a") == list(range(200))
    assert len(inside.batches) < 100


async def test_after_a_stop_the_next_one_repeats_nothing(inside: Inside) -> None:
    await inside.say(("a", 1), ("b", 1))
    inside.start()
    await eventually_async(lambda: len(inside.handled) == 2, 60)
    await inside.stop()
    await inside.say(("a", 2))
    inside.start()
    await inside.until("a", 1, 2)
    assert len(inside.handled) == 3


async def test_a_batch_that_is_cancelled_is_not_committed_and_comes_again(inside: Inside) -> None:
    begun = asyncio.Event()

    async def handle(_: list[Message]) -> None:
        begun.set()
        await asyncio.Event().wait()

    await inside.say(("a", 1), ("a", 2))
    inside.start(handle=handle)
    await asyncio.wait_for(begun.wait(), 60)
    await inside.cancel()
    offsets = await committed(inside.settings, inside.group, [inside.topic])
    assert all(done is None for done, _, _ in offsets.values())
    inside.start()
    await inside.until("a", 1, 2)


async def test_a_handler_that_is_cancelled_from_within_is_tried_again(inside: Inside) -> None:
    tries = 0

    async def handle(messages: list[Message]) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise asyncio.CancelledError
        await inside.handle(messages)

    await inside.say(("a", 1))
    inside.start(handle=handle)
    await inside.until("a", 1)


async def test_a_record_without_a_value_is_a_message_without_an_event(inside: Inside) -> None:
    seen: list[Message] = []

    async def handle(messages: list[Message]) -> None:
        seen.extend(messages)

    await inside.put(OutRecord(inside.topic, b"gone", None, (), 1_700_000_000_000))
    inside.start(handle=handle)
    await eventually_async(lambda: seen, 60)
    assert (seen[0].event, seen[0].key, seen[0].record.value) == (None, "gone", None)
    assert seen[0].record.timestamp_ms == 1_700_000_000_000


async def test_a_service_hears_of_its_partitions_before_any_of_their_records(inside: Inside) -> None:
    async def assigned(partitions: frozenset[Partition]) -> None:
        assert {topic for topic, _ in partitions} == {inside.topic}
        inside.log.append(f"assigned {sorted(number for _, number in partitions)}")

    await inside.say(("a", 1))
    inside.start(on_assigned=assigned)
    await inside.until("a", 1)
    assert inside.log == ["assigned [0, 1, 2, 3]", "handled a"]


async def test_it_is_ready_when_it_has_joined_and_not_before(inside: Inside) -> None:
    consumer = inside.start()
    assert consumer.check() == "joining the group"
    await eventually_async(lambda: consumer.ready, 60)


async def test_what_is_handled_is_committed_while_it_runs(inside: Inside) -> None:
    await inside.say(("a", 1), ("a", 2))
    consumer = inside.start()
    await inside.until("a", 1, 2)

    async def is_committed() -> bool:
        offsets = await committed(inside.settings, inside.group, [inside.topic])
        return sum(done or 0 for done, _, _ in offsets.values()) == 2

    await eventually_async(is_committed, 60)
    assert sum(consumer.positions().values()) == 2


async def test_the_lag_shown_is_the_brokers(inside: Inside) -> None:
    inside.start()
    labels = {"group": inside.group, "topic": inside.topic, "partition": "0"}
    await eventually_async(lambda: REGISTRY.get_sample_value("lianxin_consumer_lag", labels) == 0, 60)
    await inside.stop()
    assert REGISTRY.get_sample_value("lianxin_consumer_lag", labels) is None
