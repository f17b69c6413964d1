"""A broker with a small city for all of the notifier's tests, one database, and the processes on them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.conftest import new_broker
from tests.notifier.running import Running
from tests.notifier.small_city import load_city
from tests.notifier.topics import ensure_topics
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.smtp import SmtpServer

DATABASE = "notifier_shared"
# Nobody is there: what a browser asks of it, tests answer.
INTAKE_URL = "https://say.test"
WEBHOOK_SECRET = "a webhook secret"
PUSH_KEY = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"
# Retries within seconds, so that tests see them; a lease that outlasts an attempt.
QUICK = {
    "retry_first_s": "0.2",
    "retry_longest_s": "1",
    "attempt_deadline_s": "3",
    "delivery_lease_s": "4",
    "breaker_rest_s": "0.5",
}


@pytest.fixture(scope="package")
def city_broker(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that holds the small city; nobody else writes to it. The shared database begins with it: where
    test files of other folders come in between, this is set up again, and the log is then a new one."""
    with MongoClient[dict[str, Any]](database.url) as client:
        client.drop_database(DATABASE)
    broker = new_broker(tmp_path_factory.mktemp("notifier-kafka"))
    ensure_topics(broker.bootstrap)
    load_city(broker.bootstrap)
    yield broker
    broker.kill()


@pytest.fixture(scope="package")
def api(
    city_broker: Broker, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A ready API."""
    directory = tmp_path_factory.mktemp("notifier-api")
    more = {"intake_url": INTAKE_URL, "link_secret": "a link secret", "push_private_key": PUSH_KEY}
    running = Running("api", directory, city_broker, database.url, DATABASE, **more)
    yield running.start()
    running.stop()


@pytest.fixture
def make_worker(tmp_path: Path, city_broker: Broker, database: Database) -> Iterator[Callable[..., Running]]:
    """Workers of the test's own on the shared broker and database, not started."""
    made: list[Running] = []

    def make(**env: str) -> Running:
        made.append(Running("worker", tmp_path, city_broker, database.url, DATABASE, **env))
        return made[-1]

    yield make
    for running in made:
        running.stop()


@pytest.fixture(scope="package")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmtpServer]:
    """The mail server that the shared worker sends to."""
    server = SmtpServer(tmp_path_factory.mktemp("notifier-smtp"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="package")
def worker(
    city_broker: Broker, database: Database, post: SmtpServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A ready worker that mails to `post`, and posts to 127.0.0.1 though to no other private address."""
    env = {
        "smtp_host": post.host,
        "smtp_port": str(post.port),
        "webhook_secret": WEBHOOK_SECRET,
        "push_private_key": PUSH_KEY,
        "webhook_allow": "127.0.0.2/32,127.0.0.1/32",
        **QUICK,
        "attempt_deadline_s": "6",
    }
    directory = tmp_path_factory.mktemp("notifier-worker")
    running = Running("worker", directory, city_broker, database.url, DATABASE, **env)
    yield running.start()
    running.stop()


@pytest.fixture(scope="module")
def alone(worker: Running) -> Iterator[None]:
    """Nobody else works on the shared broker and database while a module's own workers do."""
    worker.stop()
    yield
    worker.start()
