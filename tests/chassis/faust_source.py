"""Faust as a source of batches, in the only shape found safe: what the chassis's own source is compared with.

One agent of concurrency 1 on raw bytes takes batches without automatic acknowledgement; only when a batch's
effects are durable is every event acknowledged, in offset order. Nothing is ever raised inside the agent:
Faust would acknowledge what was in hand.
"""

import asyncio
import os
import tempfile
from typing import Any

import faust
from faust import streams
from faust.contrib.asgi import faust_app_running

from lianxin_chassis.exits import die
from lianxin_chassis.kafka_source import Duties
from lianxin_chassis.records import Record
from lianxin_chassis.settings import Settings


class FaustSource:
    """As `KafkaSource`. `within_s` is how long Faust may wait for a batch to fill."""

    within_s = 0.005

    def __init__(
        self, settings: Settings, group: str, topics: tuple[str, ...], duties: Duties, max_batch: int
    ) -> None:
        # The pure-Python iterator acknowledges events that it skips after a rebalance.
        assert getattr(streams, "_CStreamIterator", None) is not None, "Faust's Cython extension is missing"
        self._group = group
        self._duties = duties
        self._owned: frozenset[tuple[str, int]] = frozenset()
        self._stopping = asyncio.Event()
        self._given_up = False
        self._app = app_of(settings, group)
        topic = self._app.topic(*topics, key_serializer="raw", value_serializer="raw", value_type=bytes)

        async def work(stream: Any) -> None:
            async for events in stream.noack_take(max_batch, self.within_s):
                await self._one_batch(stream, events)

        self._app.agent(topic, concurrency=1, name=f"{group}-work")(work)

    @property
    def joined(self) -> bool:
        return bool(self._owned)

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        async with faust_app_running(self._app):
            stop = asyncio.create_task(self._stopping.wait())
            crash = asyncio.create_task(self._app._crashed.wait())
            await asyncio.wait([stop, crash], return_when=asyncio.FIRST_COMPLETED)
            if crash.done():
                die("Faust crashed", group=self._group, error=repr(self._app.crash_reason))
            crash.cancel()
            if self._given_up:
                # Faust waits for ever for events that nobody acknowledges, and acknowledging would lose them.
                os._exit(0)
            try:
                async with asyncio.timeout(20):
                    await self._app.stop()
            except TimeoutError:
                die("Faust does not stop", group=self._group)

    async def _one_batch(self, stream: Any, events: list[Any]) -> None:
        try:
            owned = frozenset((tp.topic, tp.partition) for tp in self._app.consumer.assignment())
            adopted = owned == self._owned or await self._duties.adopt(owned)
            if not adopted or not await self._duties.take([record_of(event.message) for event in events]):
                self._given_up = True
                self._stopping.set()
                await asyncio.Event().wait()  # until the process ends
            self._owned = owned
            for event in events:
                await stream.ack(event)
        except BaseException as error:  # noqa: BLE001 - whatever leaves this block acknowledges the batch
            die("the batch could not be finished", group=self._group, error=type(error).__name__)


def record_of(message: Any) -> Record:
    headers = message.headers
    pairs = headers.items() if isinstance(headers, dict) else headers or ()
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key,
        message.value,
        tuple((name, value) for name, value in pairs),
        round(message.timestamp * 1000),
    )


def app_of(settings: Settings, group: str) -> faust.App:
    return faust.App(
        group,
        broker=[f"kafka://{server.strip()}" for server in settings.kafka_bootstrap.split(",")],
        broker_session_timeout=settings.kafka_session_timeout_ms / 1000,
        broker_heartbeat_interval=settings.kafka_heartbeat_ms / 1000,
        broker_rebalance_timeout=settings.kafka_rebalance_timeout_ms / 1000,
        broker_request_timeout=40.0,
        broker_max_poll_interval=300,
        broker_commit_interval=1.0,
        broker_commit_every=2000,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 * 1024 * 1024,
        processing_guarantee="at_least_once",
        topic_disable_leader=True,
        topic_allow_declare=False,
        table_standby_replicas=0,
        key_serializer="raw",
        value_serializer="raw",
        stream_wait_empty=True,
        stream_buffer_maxsize=2048,
        cython_optimizations=True,
        web_enabled=False,
        autodiscover=False,
        datadir=tempfile.mkdtemp(prefix="faust-"),
    )
