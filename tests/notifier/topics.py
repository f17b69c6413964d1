"""Reading and writing the topics of a test's broker."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from lianxin_chassis.settings import Settings
from lianxin_chassis.topics import ensure
from lianxin_contracts import codec, topics
from lianxin_contracts.deliveries import Delivery
from lianxin_contracts.envelope import Event, OutRecord
from lianxin_local.registry_publish import operator, publisher


def ensure_topics(bootstrap: str) -> None:
    """Make every topic."""
    asyncio.run(ensure(Settings(service="test", kafka_bootstrap=bootstrap)))


def read_all(bootstrap: str, topic: str) -> list[Event]:
    """Every event that `topic` holds now; in order per key."""

    async def read() -> list[Event]:
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
        await consumer.start()
        try:
            partitions = [TopicPartition(topic, n) for n in range(topics.BY_NAME[topic].partitions)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            found: list[Event] = []
            while [p for p in partitions if await consumer.position(p) < ends[p]]:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [codec.decode(topic, r.value, r.headers) for r in records if r.value is not None]
            return found
        finally:
            await consumer.stop()

    return asyncio.run(read())


def deliveries(bootstrap: str, *opinions: str) -> list[Delivery]:
    """What the log says of the alerts of these opinions (of all, where none is named)."""
    told = [event.data for event in read_all(bootstrap, topics.DELIVERIES)]
    return [one for one in told if isinstance(one, Delivery) and (not opinions or one.opinion in opinions)]


def write(bootstrap: str, records: Sequence[OutRecord]) -> None:
    """Publish `records`, in order per key; returns when the broker has them."""

    async def publish() -> None:
        async with publisher(operator(bootstrap)) as one:
            await one.publish(records, 30)

    asyncio.run(publish())
