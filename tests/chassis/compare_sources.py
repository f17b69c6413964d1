"""Faust and aiokafka as the consumer's source, on one broker: `python -m tests.chassis.compare_sources
BOOTSTRAP`.

Prints, for each: records a second from a backlog and the mean batch with a handler that costs 10 ms a batch
and 20 µs a record; processor time a record with an empty handler; the latency of a quiet hop; idle processor
time.
"""

import asyncio
import statistics
import sys
import time
import uuid

import uvloop

from lianxin_chassis import logs
from lianxin_chassis.consumer import Consumer, MakeSource, Message, kafka_source
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.settings import Settings
from lianxin_contracts.envelope import OutRecord
from tests.chassis.bench import make_topic, settings_for
from tests.chassis.faust_source import FaustSource
from tests.chassis.nothing import NothingParked, event_of_bytes

BACKLOG = 20_000


async def measure(settings: Settings, name: str, make_source: MakeSource, costly: bool) -> None:
    topic = await make_topic(settings, partitions=12)
    publisher = Publisher(settings)
    await publisher.start()
    fill = [OutRecord(topic, f"k{n % 1000}".encode(), b"x" * 300, (), 1) for n in range(BACKLOG)]
    for start in range(0, BACKLOG, 500):
        await publisher.publish(fill[start : start + 500], deadline_s=60)
    sizes: list[int] = []
    hops: list[float] = []
    done = asyncio.Event()

    async def handle(messages: list[Message]) -> None:
        if done.is_set():
            hops.extend(time.time() - float(m.record.value or b"0") for m in messages)
            return
        if costly:
            await asyncio.sleep(0.010 + 20e-6 * len(messages))
        sizes.append(len(messages))
        if sum(sizes) >= BACKLOG:
            done.set()

    consumer = Consumer(
        settings,
        group=f"g-{uuid.uuid4().hex[:8]}",
        topics=[topic],
        handle=handle,
        parking=NothingParked(),
        publisher=publisher,
        decode=event_of_bytes,
        make_source=make_source,
    )
    began, cpu = time.time(), time.process_time()
    running = asyncio.create_task(consumer.run())
    await done.wait()
    took, cpu = time.time() - began, time.process_time() - cpu
    print(  # noqa: T201
        f"{name}, {'costly' if costly else 'empty'} handler: {BACKLOG / took:,.0f}/s from process start, "
        f"mean batch {statistics.mean(sizes):.0f}, {cpu / BACKLOG * 1e6:.0f} µs a record"
    )
    for n in range(150):
        await publisher.publish([OutRecord(topic, f"k{n}".encode(), repr(time.time()).encode(), (), 1)])
        await asyncio.sleep(0.013)
    while len(hops) < 150:  # noqa: ASYNC110 - a measurement by hand, ended by hand
        await asyncio.sleep(0.01)
    idle = time.process_time()
    await asyncio.sleep(3)
    idle = (time.process_time() - idle) / 3
    hops.sort()
    print(f"  quiet hop p50 {hops[75] * 1e3:.1f} ms, p99 {hops[148] * 1e3:.1f} ms; idle {idle:.1%}")  # noqa: T201
    consumer.stop()
    await running
    await publisher.stop()


async def main(bootstrap: str) -> None:
    logs.configure("compare", "1", "error")
    settings = settings_for(bootstrap, kafka_session_timeout_ms=10_000)
    for costly in (False, True):
        await measure(settings, "aiokafka", kafka_source, costly)
        for within_ms in (5, 36):
            within = type("Within", (FaustSource,), {"within_s": within_ms / 1000})
            await measure(settings, f"Faust, within {within_ms} ms", within, costly)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
