"""A producer is replaced when it will never deliver again, and then writes nothing behind its successor."""

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    TopicAuthorizationFailedError,
)

from lianxin_chassis.outages import NotConfirmed
from lianxin_chassis.publisher import Publisher, _abandon
from lianxin_chassis.settings import Settings
from lianxin_contracts.envelope import OutRecord
from tests.chassis.bench import make_topic, read_all, said, settings_for
from tests.support.wait import eventually_async


class Sender:
    def __init__(self) -> None:
        self.sender_task: asyncio.Task[Any] = asyncio.create_task(asyncio.Event().wait())


class Nothing:
    def fail_all(self, _error: Exception) -> None:
        """Nothing waits here."""

    async def close(self) -> None:
        """Nothing to close."""


class Producer:
    """A producer whose broker answers as the test says."""

    def __init__(self) -> None:
        self._sender = Sender()
        self._message_accumulator = self.client = Nothing()
        self.sent: list[asyncio.Future[Any]] = []
        self.answer: Exception | None = None  # at once; without one, the test answers

    async def start(self) -> None:
        """Connected."""

    async def stop(self) -> None:
        """Closed."""

    async def send(self, *_: Any, **__: Any) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.sent.append(future)
        if self.answer is not None:
            future.set_exception(self.answer)
        return future


class Made(Publisher):
    """A publisher of such producers."""

    def __init__(self) -> None:
        super().__init__(settings_for("nowhere:1"))
        self.made: list[Any] = []

    def _new_producer(self) -> AIOKafkaProducer:
        self.made.append(Producer())
        return self.made[-1]

    async def refuse(self, error: Exception) -> None:
        """Publish a record that the newest producer fails with `error`."""
        self.made[-1].answer = error
        with pytest.raises(NotConfirmed):
            await self.publish([one()], deadline_s=5)
        self.made[-1].answer = None


def one(number: int = 1) -> OutRecord:
    return said("t", "a", number)


async def connected() -> Made:
    publisher = Made()
    await publisher.start()
    await eventually_async(lambda: publisher.connected)
    return publisher


async def test_an_error_of_one_topic_leaves_the_producer_to_the_others() -> None:
    publisher = await connected()
    await publisher.refuse(TopicAuthorizationFailedError("t"))
    await publisher.refuse(TopicAuthorizationFailedError("t"))
    assert len(publisher.made) == 1


@pytest.mark.parametrize("error", [OutOfOrderSequenceNumber(), ProducerFenced()])
async def test_a_producer_that_the_broker_has_done_with_is_replaced(error: KafkaError) -> None:
    publisher = await connected()
    await publisher.refuse(error)
    await eventually_async(lambda: len(publisher.made) == 2)


async def test_a_producer_whose_sender_has_ended_is_replaced() -> None:
    publisher = await connected()
    publisher.made[0]._sender.sender_task.cancel()
    await asyncio.wait([publisher.made[0]._sender.sender_task])
    await publisher.refuse(KafkaError("the sender is gone"))
    await eventually_async(lambda: len(publisher.made) == 2)


async def test_what_an_old_producer_owed_is_not_held_against_the_new_one() -> None:
    publisher = await connected()
    waiting = asyncio.create_task(publisher.publish([one()], deadline_s=30))
    await eventually_async(lambda: publisher.made[0].sent)
    await publisher.refuse(ProducerFenced())
    await eventually_async(lambda: len(publisher.made) == 2 and publisher.connected)
    publisher.made[0].sent[0].set_exception(ProducerFenced())
    with pytest.raises(NotConfirmed):
        await waiting
    again = asyncio.create_task(publisher.publish([one(2)], deadline_s=30))
    await eventually_async(lambda: publisher.made[1].sent)
    publisher.made[1].sent[0].set_result(None)
    await again
    assert len(publisher.made) == 2
    assert publisher.in_flight == 0


async def test_a_producer_that_is_given_up_writes_nothing_more(settings: Settings) -> None:
    topic = await make_topic(settings)
    old = AIOKafkaProducer(
        **settings.kafka_client(), enable_idempotence=settings.kafka_idempotent, linger_ms=60_000
    )
    await old.start()
    future = await old.send(topic, b"an older state", b"k")
    await _abandon(old)
    assert old._sender.sender_task.done()
    assert isinstance(future.exception(), ProducerClosed)
    assert await read_all(settings, topic) == []
