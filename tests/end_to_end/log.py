"""What really lies in Kafka, read directly: for checks alone, no part of the system looks there like this."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from aiokafka import AIOKafkaConsumer, TopicPartition

from lianxin_contracts import topics
from lianxin_contracts.codec import decode
from lianxin_contracts.envelope import Event


@dataclass(frozen=True)
class Logged:
    """One record as it lies there."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    @cached_property
    def event(self) -> Event:
        """The event that it carries. Raises `Undecodable`."""
        return decode(self.topic, self.value or b"", self.headers)

    @property
    def everything(self) -> bytes:
        """Key, headers and value in one, to search in."""
        headers = b"\n".join(name.encode() + b"=" + (raw or b"") for name, raw in self.headers)
        return b"\n".join((self.key.encode(), headers, self.value or b""))


@dataclass(frozen=True)
class Log:
    """Everything that lay in some topics at one moment, each partition in its order."""

    records: dict[str, list[Logged]]

    def of(self, topic: str) -> list[Logged]:
        """The records of `topic` that are no deletions."""
        return [record for record in self.records[topic] if record.value is not None]

    def events(self, topic: str) -> list[tuple[str, Event]]:
        """(key, event) of every record of `topic`."""
        return [(record.key, record.event) for record in self.of(topic)]


async def read_log(bootstrap: str, names: Iterable[str] | None = None, within_s: float = 120.0) -> Log:
    """Read `names` (default: every topic, dead letters included) from the start at least to the end of this
    moment."""
    wanted = tuple(names) if names is not None else tuple(topics.BY_NAME)
    async with asyncio.timeout(within_s):
        return Log({name: await _read(bootstrap, name) for name in wanted})


def opened(bootstrap: str) -> int:
    """How many opinions the router has opened. The counts of processes may be a moment behind this."""
    decided = asyncio.run(read_log(bootstrap, [topics.LIFECYCLE])).events(topics.LIFECYCLE)
    return len({case for case, event in decided if event.type == "opinion.submitted"})


async def _read(bootstrap: str, topic: str) -> list[Logged]:
    partitions = [TopicPartition(topic, n) for n in range(topics.BY_NAME[topic].partitions)]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=8 * 1024 * 1024,
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        found: list[Logged] = []
        # Positions move past what compaction took away, so they reach the end also where the last is gone.
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                # Also what lies past the end that was told: the stand-in broker tells only the first record
                # of the last batch, and what comes in meanwhile does no harm.
                found += [
                    Logged(topic, r.partition, r.offset, (r.key or b"").decode(), r.value, tuple(r.headers))
                    for r in records
                ]
        return sorted(found, key=lambda r: (r.partition, r.offset))
    finally:
        await consumer.stop()
