"""Fixtures of the chassis's tests: settings for the run's broker and database, a bench, a consumer
in-process."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lianxin_chassis.database import Database, close_database, open_database
from lianxin_chassis.settings import Settings
from tests.chassis.bench import Bench, make_topic, settings_for
from tests.chassis.inside import Inside
from tests.conftest import new_broker
from tests.support.brokers import Broker
from tests.support.databases import Database as DatabaseServer


@pytest.fixture(scope="session")
def frail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that tests may kill and freeze; each leaves it running. Start it from the main thread: a
    process that a test starts ends with the thread that started it."""
    broker = new_broker(tmp_path_factory.mktemp("frail"))
    if broker.kind != "kafka":
        pytest.skip("the stand-in forgets everything when it is killed")
    yield broker
    broker.kill()


@pytest_asyncio.fixture
async def settings(kafka: Broker, database: DatabaseServer) -> Settings:
    return settings_for(kafka.bootstrap, database.url)


@pytest_asyncio.fixture
async def db(settings: Settings) -> AsyncIterator[Database]:
    opened = open_database(settings)
    yield opened
    await opened.client.drop_database(settings.database_name)
    await close_database(opened)


MakeBench = Callable[..., Awaitable[Bench]]


@pytest_asyncio.fixture
async def make_bench(settings: Settings, tmp_path: Path) -> AsyncIterator[MakeBench]:
    """Benches with workers in processes of their own: on the run's broker, or on `settings`."""
    made: list[Bench] = []

    async def make(own: Settings | None = None, **given: Any) -> Bench:
        chosen = own or settings
        bench = Bench(chosen, tmp_path / f"bench-{len(made)}", await make_topic(chosen), given=given)
        made.append(bench)
        return bench

    yield make
    for bench in made:
        bench.kill_all()


@pytest_asyncio.fixture
async def inside(settings: Settings, db: Database) -> AsyncIterator[Inside]:
    """A consumer in the test's own loop."""
    one = Inside(settings, db, await make_topic(settings))
    await one.open()
    yield one
    await one.close()
