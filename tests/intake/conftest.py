"""A broker with a small city for all of intake's tests, and intake's processes on it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.conftest import new_broker
from tests.intake.running import Running
from tests.intake.small_city import load_city
from tests.intake.topics import ensure_topics
from tests.support.brokers import Broker
from tests.support.databases import Database

DATABASE = "intake_shared"


@pytest.fixture(scope="package")
def city_broker(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that holds the small city; nobody else writes to it. The shared database begins with it: where
    test files of other folders come in between, this is set up again, and the log is then a new one."""
    with MongoClient[dict[str, Any]](database.url) as client:
        client.drop_database(DATABASE)
    broker = new_broker(tmp_path_factory.mktemp("intake-kafka"))
    ensure_topics(broker.bootstrap)
    load_city(broker.bootstrap)
    yield broker
    broker.kill()


@pytest.fixture(scope="package")
def api(
    city_broker: Broker, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A ready API."""
    running = Running("api", tmp_path_factory.mktemp("intake"), city_broker, database.url, DATABASE)
    yield running.start()
    running.stop()


@pytest.fixture(scope="package")
def worker(
    city_broker: Broker, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A ready worker on the same database as `api`."""
    running = Running("worker", tmp_path_factory.mktemp("intake-worker"), city_broker, database.url, DATABASE)
    yield running.start()
    running.stop()


@pytest.fixture
def make_running(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Processes of the test's own: `make_running("api", broker, database_url, "name", env…)`, not started."""
    made: list[Running] = []

    def make(kind: str, broker: Broker, database_url: str, database: str, **env: str) -> Running:
        made.append(Running(kind, tmp_path, broker, database_url, database, **env))
        return made[-1]

    yield make
    for running in made:
        running.kill()
