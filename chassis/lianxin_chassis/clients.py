"""Small things that every reader of Kafka needs."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from lianxin_chassis.logs import get_logger
from lianxin_chassis.records import Record
from lianxin_chassis.settings import Settings

log = get_logger(__name__)


def to_record(raw: Any) -> Record:
    """The record that aiokafka's ConsumerRecord `raw` holds."""
    return Record(raw.topic, raw.partition, raw.offset, raw.key, raw.value, tuple(raw.headers), raw.timestamp)


async def close_quietly(client: AIOKafkaConsumer, deadline_s: float = 3.0) -> None:
    """Close `client` within `deadline_s` seconds: aiokafka's own stop can wait for a dead broker."""
    try:
        async with asyncio.timeout(deadline_s):
            await client.stop()
    except TimeoutError:
        log.warning("a Kafka client did not close in time", seconds=deadline_s)
    except Exception as error:  # noqa: BLE001 - the client is thrown away whatever closing says
        log.warning("a Kafka client did not close cleanly", error=repr(error))


async def partitions_of(settings: Settings, topics: Iterable[str]) -> list[TopicPartition]:
    """Every partition of `topics`, in order. Raises KafkaError where a topic does not exist (yet)."""
    # Asked of the admin client: a consumer's own `partitions_for_topic` knows only what it already reads.
    admin = AIOKafkaAdminClient(**settings.kafka_client(), request_timeout_ms=15_000)
    try:
        await admin.start()
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    found: list[TopicPartition] = []
    for topic in described:
        if topic["error_code"] or not topic["partitions"]:
            raise KafkaError(f"topic {topic['topic']} does not exist yet")
        found.extend(TopicPartition(topic["topic"], p["partition"]) for p in topic["partitions"])
    return sorted(found)


@asynccontextmanager
async def no_leaked_cancellation() -> AsyncIterator[None]:
    """Turns a CancelledError that nobody asked for into KafkaError: aiokafka lets those of its own background
    tasks through to whoever waits for them, and a reader that believed them would end."""
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise KafkaError("a background task of the client was cancelled") from error
