"""A broker with a small city for the router's tests, databases of their own, and the processes on them."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from lianxin_chassis import database as drivers
from lianxin_chassis.settings import Settings
from lianxin_router.store import CaseStore
from tests.conftest import new_broker
from tests.notifier.topics import ensure_topics
from tests.router.running import Running
from tests.router.small_city import load_city
from tests.support.brokers import Broker
from tests.support.databases import Database

OPENERS: dict[str, Callable[[Settings], drivers.Database]] = {
    "motor": drivers.open_database,
    "pymongo": drivers.open_database_pymongo,
}


@pytest.fixture
async def db(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[drivers.Database]:
    """A database of the test's own; on the driver that the test is parametrised with, else on Motor."""
    settings = Settings(service="router", mongo_url=database.url, mongo_database=f"router_{uuid4().hex[:8]}")
    one = OPENERS[getattr(request, "param", "motor")](settings)
    yield one
    await one.client.drop_database(settings.database_name)
    await drivers.close_database(one)


@pytest.fixture
async def store(db: drivers.Database) -> CaseStore:
    """The first generation, built."""
    one = CaseStore(db, 1)
    await one.prepare()
    await one.begin()
    await one.finish()
    await one.say_issues_are_whole()
    return one


@pytest.fixture(scope="module")
def city_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that holds the small city and what the tests of one module say."""
    broker = new_broker(tmp_path_factory.mktemp("router-kafka"))
    ensure_topics(broker.bootstrap)
    load_city(broker.bootstrap)
    yield broker
    broker.kill()


@pytest.fixture(scope="module")
def router(
    city_broker: Broker, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A router that is kept running, as a supervisor would, for all tests of one module."""
    running = Running(tmp_path_factory.mktemp("router"), city_broker, database.url, f"r_{uuid4().hex[:8]}")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def make_router(tmp_path: Path, city_broker: Broker, router: Running) -> Iterator[Callable[[], Running]]:
    """More routers on the same broker and database, not started."""
    made: list[Running] = []

    def make() -> Running:
        made.append(Running(tmp_path, city_broker, router.database_url, router.database))
        return made[-1]

    yield make
    for running in made:
        running.stop()
