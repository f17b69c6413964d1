"""A broker that holds nothing but the logs of these tests, and metrics' processes on it."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import new_broker
from tests.metrics.running import Running, prepare_topics
from tests.support.brokers import Broker
from tests.support.databases import Database


@pytest.fixture(scope="package")
def city_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = new_broker(tmp_path_factory.mktemp("metrics-kafka"))
    prepare_topics(broker)
    yield broker
    broker.kill()


@pytest.fixture
def make_running(tmp_path: Path, city_log: Broker, database: Database) -> Iterator[Callable[..., Running]]:
    """Processes of the test's own, under a supervisor: `make_running("worker", "name-of-the-test")`, not
    started."""
    made: list[Running] = []
    over = threading.Event()

    def supervise() -> None:
        while not over.wait(0.1):
            for running in list(made):
                running.supervise()

    def make(kind: str, service: str, broker: Broker = city_log) -> Running:
        made.append(Running(kind, tmp_path, broker, database.url, service))
        return made[-1]

    supervisor = threading.Thread(target=supervise, daemon=True)
    supervisor.start()
    yield make
    for running in made:
        running.kill()
    over.set()
    supervisor.join()
