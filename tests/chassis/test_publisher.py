"""Publishing: acknowledged or told, in order, by a deadline, within a bound."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from lianxin_chassis.outages import NotConfirmed, Overloaded
from lianxin_chassis.publisher import MAX_RECORD_BYTES, Publisher, Unpublishable
from lianxin_chassis.settings import Settings
from lianxin_contracts.envelope import OutRecord
from tests.chassis.bench import make_topic, read_all, said, settings_for
from tests.chassis.inside import Inside
from tests.support.brokers import Broker
from tests.support.wait import eventually_async

NOBODY = "127.0.0.1:1"


@pytest_asyncio.fixture
async def lonely() -> AsyncIterator[Publisher]:
    """A publisher whose broker is away."""
    publisher = Publisher(settings_for(NOBODY), max_in_flight=10)
    await publisher.start()
    yield publisher
    await publisher.stop()


async def test_what_was_published_is_there_in_order_with_headers_and_time(inside: Inside) -> None:
    records = [said(inside.topic, "a", n) for n in range(200)]
    await inside.publisher.publish(records)
    found = await inside.records_of(inside.topic)
    assert [r.value for r in found] == [r.value for r in records]
    assert found[0].headers == records[0].headers
    assert found[0].timestamp_ms == records[0].timestamp_ms


async def test_many_at_once_are_all_acknowledged_and_nothing_stays_in_flight(inside: Inside) -> None:
    await asyncio.gather(
        *(inside.publisher.publish([said(inside.topic, f"k{n}", 1)], deadline_s=20) for n in range(500))
    )
    assert inside.publisher.in_flight == 0
    assert len(await inside.records_of(inside.topic)) == 500


async def test_more_records_than_fit_in_flight_go_through_in_parts(
    settings: Settings, inside: Inside
) -> None:
    narrow = Publisher(settings, max_in_flight=50)
    await narrow.start()
    await narrow.publish([said(inside.topic, "a", n) for n in range(175)], deadline_s=20)
    await narrow.stop()
    assert len(await inside.records_of(inside.topic)) == 175


async def test_nothing_to_publish_is_published(lonely: Publisher) -> None:
    await lonely.publish([])


async def test_a_broker_that_is_away_is_told_at_the_deadline_with_what_is_missing(lonely: Publisher) -> None:
    records = [said("t", "a", 1), said("t", "a", 2)]
    with pytest.raises(NotConfirmed) as told:
        await lonely.publish(records, deadline_s=0.2)
    assert told.value.unconfirmed == told.value.unsent == records
    assert not lonely.connected


async def test_beyond_the_bound_a_call_is_refused_at_once_when_the_broker_is_away(lonely: Publisher) -> None:
    waiting = asyncio.create_task(lonely.publish([said("t", "a", n) for n in range(10)], deadline_s=30))
    await eventually_async(lambda: lonely.taken == 10)
    with pytest.raises(Overloaded):
        await lonely.publish([said("t", "b", 1)], deadline_s=30)
    waiting.cancel()
    await eventually_async(lambda: lonely.taken == 0)


async def test_a_record_that_no_broker_would_take_is_refused_before_anything_is_sent(inside: Inside) -> None:
    large = OutRecord(inside.topic, b"k", b"x" * (MAX_RECORD_BYTES + 1), (), 1)
    with pytest.raises(Unpublishable):
        await inside.publisher.publish([said(inside.topic, "a", 1), large])
    assert await inside.records_of(inside.topic) == []


async def test_the_largest_record_fits_and_so_does_its_dead_letter(inside: Inside) -> None:
    value = b"{" + b" " * (MAX_RECORD_BYTES - 2)
    await inside.put(OutRecord(inside.topic, b"k", value, (), 1))
    inside.start()
    await inside.until_parked("k", 1)
    (letter,) = await eventually_async(lambda: inside.records_of(f"{inside.topic}.dlq"), 60)
    assert letter.value == value


@pytest.mark.kafka
async def test_a_publisher_outlives_its_broker_and_keeps_the_order_over_retries(
    frail: Broker,
) -> None:
    settings = settings_for(frail.bootstrap)
    topic = await make_topic(settings)
    publisher = Publisher(settings)
    await publisher.start()
    await publisher.publish([said(topic, "a", 1)], deadline_s=20)
    frail.kill()
    records = [said(topic, "a", n) for n in (2, 3)]
    for _ in range(3):
        with pytest.raises(NotConfirmed):
            await publisher.publish(records, deadline_s=0.3)
    assert publisher.in_flight == 2  # not six: what is on its way already is not sent again
    frail.start()
    await publisher.publish([*records, said(topic, "a", 4)], deadline_s=60)
    assert publisher.connected
    await publisher.stop()
    found = [record.value for record in await read_all(settings, topic)]
    assert found == [said(topic, "a", n).value for n in (1, 2, 3, 4)]
