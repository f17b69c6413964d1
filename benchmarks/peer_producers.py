"""The peers that intake is measured against, without HTTP: the chassis's publisher and aiokafka's own
producer, each writing the same records to the same topic."""

import asyncio
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from lianxin_chassis.publisher import Publisher
from lianxin_chassis.settings import Settings
from lianxin_contracts import ids, topics
from lianxin_contracts.envelope import OutRecord


async def produce(bootstrap: str, body: bytes, writers: int, seconds: float) -> float:
    """Records per second that a bare publisher gets acknowledged with `writers` waiting at a time."""
    one = Publisher(Settings(service="bench", kafka_bootstrap=bootstrap))
    await one.start()
    until = time.perf_counter() + seconds
    written = 0

    async def write() -> None:
        nonlocal written
        while time.perf_counter() < until:
            record = OutRecord(topics.INBOUND, ids.fresh().encode(), body, (), int(time.time() * 1000))
            await one.publish([record])
            written += 1

    started = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(writers)))
    elapsed = time.perf_counter() - started
    await one.stop()
    return written / elapsed


async def produce_plainly(bootstrap: str, body: bytes, writers: int, seconds: float) -> float:
    """Records per second that a loop over aiokafka's producer gets acknowledged."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    started = time.perf_counter()
    written = 0

    async def write() -> None:
        nonlocal written
        while time.perf_counter() < started + seconds:
            await producer.send_and_wait(topics.INBOUND, body, key=ids.fresh().encode())
            written += 1

    await asyncio.gather(*(write() for _ in range(writers)))
    elapsed = time.perf_counter() - started
    await producer.stop()
    return written / elapsed


async def lying(bootstrap: str) -> int:
    """How many records lie on the topic that all of them write to."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topics.INBOUND, n) for n in range(topics.BY_NAME[topics.INBOUND].partitions)
        ]
        return int(sum((await consumer.end_offsets(partitions)).values()))
    finally:
        await consumer.stop()
