"""The broker or the database goes away and comes back: work waits, readiness says so, nothing is lost."""

import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from lianxin_chassis import work
from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.records import Message
from lianxin_chassis.settings import Settings
from tests.chassis.bench import make_topic, numbered, publish, said, settings_for
from tests.chassis.conftest import MakeBench
from tests.chassis.inside import Inside
from tests.support.brokers import Broker
from tests.support.databases import Database as DatabaseServer
from tests.support.wait import eventually_async

pytestmark = pytest.mark.kafka


@pytest.fixture
def on_frail(frail: Broker, database: DatabaseServer) -> Settings:
    return settings_for(frail.bootstrap, database.url)


async def test_a_broker_that_is_killed_and_comes_back_costs_nothing(
    make_bench: MakeBench, frail: Broker, on_frail: Settings
) -> None:
    bench = await make_bench(on_frail, slow_s=0.05, options={"max_batch": 25})
    await publish(on_frail, numbered(bench.topic, 20, 30))
    worker = bench.start()
    await eventually_async(lambda: len(bench.effects()) > 100, 60)
    frail.kill()

    async def unready() -> bool:
        return (await worker.get("/readyz")).status_code == 503

    await eventually_async(unready, 60)
    frail.start()  # in this thread: a process that a test starts ends with the thread that started it
    await publish(on_frail, [said(bench.topic, f"k{k}", n) for n in range(31, 41) for k in range(20)])
    await bench.all_done(20, 40)
    assert bench.skipped_ahead() == []
    assert worker.spawned.alive
    await worker.ready()


async def test_a_broker_that_freezes_longer_than_a_session_costs_nothing(
    make_bench: MakeBench, frail: Broker, on_frail: Settings
) -> None:
    bench = await make_bench(on_frail, slow_s=0.05, options={"max_batch": 25})
    await publish(on_frail, numbered(bench.topic, 20, 30))
    worker = bench.start()
    await eventually_async(lambda: len(bench.effects()) > 100, 60)
    pid = frail._spawned.pid  # type: ignore[attr-defined]
    os.kill(pid, signal.SIGSTOP)
    try:

        async def unready() -> bool:
            return (await worker.get("/readyz")).status_code == 503

        await eventually_async(unready, 90)
    finally:
        os.kill(pid, signal.SIGCONT)
    await publish(on_frail, [said(bench.topic, f"k{k}", n) for n in range(31, 41) for k in range(20)])
    await bench.all_done(20, 40)
    assert bench.skipped_ahead() == []
    assert worker.spawned.alive


async def test_a_worker_that_starts_before_its_broker_waits_for_it(
    make_bench: MakeBench, frail: Broker, on_frail: Settings
) -> None:
    bench = await make_bench(on_frail)
    await publish(on_frail, numbered(bench.topic, 3, 3))
    frail.kill()
    worker = bench.start()

    async def waits() -> bool:
        return (await worker.get("/readyz")).status_code == 503

    await eventually_async(waits, 60)
    frail.start()
    await bench.all_done(3, 3)


@pytest_asyncio.fixture
async def with_own_database(
    kafka: Broker, make_database: Callable[[], DatabaseServer], tmp_path: Path
) -> AsyncIterator[tuple[Inside, DatabaseServer]]:
    server = make_database()
    settings = settings_for(kafka.bootstrap, server.url)
    opened = open_database(settings)
    inside = Inside(settings, opened, await make_topic(settings))
    await inside.open()
    yield inside, server
    await inside.close()
    await close_database(opened)


async def test_a_database_that_is_killed_and_comes_back_costs_no_dead_letter(
    with_own_database: tuple[Inside, DatabaseServer],
) -> None:
    inside, server = with_own_database
    consumer = inside.start()
    await eventually_async(lambda: consumer.ready, 60)
    server.kill()
    await inside.say(("bad", 1, "refuse"), ("bad", 2), ("good", 1))
    await eventually_async(lambda: consumer.check() == "waiting for the database", 60)
    server.start()
    await inside.until_parked("bad", 2)
    await inside.until("good", 1)
    await eventually_async(lambda: consumer.ready, 60)


async def test_a_database_that_freezes_is_waited_for_and_ends_no_process(
    with_own_database: tuple[Inside, DatabaseServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, server = with_own_database
    died: list[str] = []
    monkeypatch.setattr(work, "die", lambda reason, **_: died.append(reason))

    async def handle(messages: list[Message]) -> None:
        await inside.db["seen"].find_one({"_id": messages[0].key})
        for message in messages:
            await inside.db["seen"].update_one({"_id": message.key}, {"$inc": {"n": 1}}, upsert=True)
        await inside.handle(messages)

    await inside.say(("a", 1))
    consumer = inside.start(handle=handle)
    await inside.until("a", 1)
    pid = server._spawned.pid  # type: ignore[union-attr]
    os.kill(pid, signal.SIGSTOP)
    try:
        await inside.say(("a", 2))
        await eventually_async(lambda: died or consumer.check() == "waiting for the database", 90)
    finally:
        os.kill(pid, signal.SIGCONT)
    await inside.until("a", 1, 2)
    assert died == []
    await eventually_async(lambda: consumer.ready, 60)
