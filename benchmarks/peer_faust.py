"""The peer that the router is measured against: the plain Faust agent that most would write.

The same decisions, the same store, the same publisher; but one event at a time, each saved, published and
confirmed before the next. `python -m benchmarks.peer_faust`, started by `router.py`, which has set its group
to the end of the topic before: so it begins with the first opinion that is said after that, and misses none.
"""

import asyncio
from typing import Any

import faust

from lianxin_chassis.database import open_database
from lianxin_chassis.process import Worker, run_worker
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.records import Message, Record
from lianxin_chassis.registry import RegistryFollower
from lianxin_contracts import codec, topics
from lianxin_router.city import CityInForce
from lianxin_router.handle import CaseHandler
from lianxin_router.store import CaseStore
from lianxin_router.worker import RouterSettings

GROUP = "peer"


def main() -> None:
    """Run the agent until stopped."""
    import contextlib
    from collections.abc import AsyncIterator

    settings = RouterSettings()

    @contextlib.asynccontextmanager
    async def start() -> AsyncIterator[Worker]:
        publisher = Publisher(settings)
        await publisher.start()
        store = CaseStore(open_database(settings), 1)
        await store.prepare()
        await store.begin()
        await store.finish()
        await store.say_issues_are_whole()
        registry = RegistryFollower(settings)
        city = CityInForce(lambda _: None, settings.fingerprinter())
        registry.on_switch(city.accept)
        handler = CaseHandler(store, publisher, lambda: city.current)
        app = faust.App(
            GROUP,
            broker=f"kafka://{settings.kafka_bootstrap}",
            value_serializer="raw",
            key_serializer="raw",
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            web_enabled=False,
            consumer_auto_offset_reset="earliest",
        )
        source = app.topic(topics.INBOUND, value_type=bytes, key_type=bytes)

        assigned = asyncio.Event()

        async def on_assigned(*_: Any, **__: Any) -> None:
            assigned.set()

        app.on_partitions_assigned.connect(on_assigned, weak=False)

        async def place(stream: Any) -> None:
            async for event in stream.events():
                raw = event.message
                headers = tuple(raw.headers or ())
                record = Record(
                    raw.topic,
                    raw.partition,
                    raw.offset,
                    raw.key,
                    raw.value,
                    headers,
                    int(raw.timestamp * 1000),
                )
                said = codec.decode(record.topic, record.value or b"", record.headers)
                await handler.handle([Message(record, said, (record.key or b"").decode())])

        app.agent(source)(place)

        async def run_app() -> None:
            async with app:
                await asyncio.Event().wait()

        yield Worker(
            followers=[registry],
            tasks=[city.run, run_app],
            checks={
                "city": lambda: city.current is not None or "no city yet",
                "partitions": lambda: assigned.is_set() or "no partition is assigned yet",
            },
        )
        await publisher.stop()

    run_worker(settings, start)


if __name__ == "__main__":
    main()
