"""A consumer in the test's own loop, with a handler that does as its records say."""

import asyncio
from typing import Any

from lianxin_chassis.consumer import Consumer, Message, Unprocessable
from lianxin_chassis.database import Database
from lianxin_chassis.parking import ParkingLot
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.records import Headers, Record
from lianxin_chassis.settings import Settings
from lianxin_contracts.envelope import Event, OutRecord
from tests.chassis.bench import read_all, said
from tests.chassis.worker import event_of
from tests.support.wait import eventually_async


class Inside:
    """One group on one topic. `handled` has (key, number) of everything that went through, in its order."""

    def __init__(self, settings: Settings, db: Database, topic: str) -> None:
        self.settings = settings
        self.topic = topic
        self.group = f"g.{topic}"
        self.db = db
        self.parking = ParkingLot(db)
        self.publisher = Publisher(settings)
        self.handled: list[tuple[str, int]] = []
        self.batches: list[int] = []
        self.mended = False  # the handler and the decoder now manage what they refused
        self.log: list[str] = []
        self.consumer: Consumer | None = None
        self._running: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self.parking.prepare()
        await self.publisher.start()

    async def close(self) -> None:
        await self.stop()
        await self.publisher.stop()

    async def say(self, *what: tuple[str, int] | tuple[str, int, str]) -> None:
        """Publish (key, number) or (key, number, deed)."""
        await self.put(*(said(self.topic, one[0], one[1], *one[2:]) for one in what))

    async def put(self, *records: OutRecord) -> None:
        await self.publisher.publish(records, deadline_s=20)

    def start(self, **options: Any) -> Consumer:
        """Start the consumer; `options` as the consumer's own."""
        given: dict[str, Any] = {"handle": self.handle, "decode": self.decode} | options
        self.consumer = Consumer(
            self.settings,
            group=self.group,
            topics=[self.topic],
            parking=self.parking,
            publisher=self.publisher,
            **given,
        )
        self._running = asyncio.create_task(self.consumer.run())
        return self.consumer

    async def stop(self) -> None:
        """Stop it and wait; raises what it raised."""
        if self.consumer is not None and self._running is not None:
            self.consumer.stop()
            await asyncio.wait_for(self._running, 60)
        self.consumer = self._running = None

    async def cancel(self) -> None:
        """Cancel it, as a process does that is torn down."""
        assert self._running is not None
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        self.consumer = self._running = None

    def decode(self, _topic: str, value: bytes, _headers: Headers) -> Event:
        return event_of(value, readable=self.mended)

    async def handle(self, messages: list[Message]) -> None:
        for message in messages:
            deed = getattr(message.event and message.event.data, "deed", "")
            if deed == "refuse" and not self.mended:
                raise Unprocessable(message, "refused", "by the test")
            if deed == "raise" and not self.mended:
                raise ValueError("a bug of the handler's")
        self.batches.append(len(messages))
        for message in messages:
            data: Any = message.event.data if message.event is not None else None
            self.handled.append((message.key, data.number if data is not None else 0))
            self.log.append(f"handled {message.key}")

    def of(self, key: str) -> list[int]:
        """The numbers handled of `key`, each once, in the order of their first time."""
        return list(dict.fromkeys(number for of_key, number in self.handled if of_key == key))

    async def until(self, key: str, *numbers: int) -> None:
        """Wait until exactly `numbers` of `key` were handled, in this order."""
        await eventually_async(lambda: self.of(key) == list(numbers), 60)

    async def parked(self, key: str) -> list[int]:
        """The offsets that wait behind `key`."""
        return [aside.record.offset for aside in await self.parking.show(self.topic, key)]

    async def until_parked(self, key: str, count: int) -> None:
        async def all_there() -> bool:
            # A key is written after its records.
            keys = [one for one in await self.parking.list_parked(self.group) if one.key == key]
            return len(await self.parked(key)) == count and len(keys) == min(count, 1)

        await eventually_async(all_there, 60)

    async def records_of(self, topic: str) -> list[Record]:
        """Everything on `topic` now."""
        return await read_all(self.settings, topic)
