"""What every test may have: a real broker, a real database, a mail server, the whole stack."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lianxin_local.problem import Problem
from tests.support.brokers import Broker, wanted_broker
from tests.support.databases import Database
from tests.support.durable import require_durable_broker, skip_or_fail
from tests.support.smtp import SmtpServer
from tests.support.stacks import LocalStack


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked `kafka` runs on a durable broker or not at all."""
    if item.get_closest_marker("kafka") is not None:
        require_durable_broker()


def new_broker(directory: Path) -> Broker:
    """A started broker; where none can be had the test is skipped, on CI it fails."""
    try:
        broker = wanted_broker()(directory)
    except Problem as problem:
        skip_or_fail(f"no broker: {problem.message}")
    broker.start()
    return broker


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker for the whole run. Leave it running; take `make_kafka` to kill one or to have it alone."""
    broker = new_broker(tmp_path_factory.mktemp("kafka"))
    yield broker
    broker.kill()


@pytest.fixture
def make_kafka(tmp_path: Path) -> Iterator[Callable[[], Broker]]:
    """Brokers of the test's own, started."""
    made: list[Broker] = []

    def make() -> Broker:
        made.append(new_broker(tmp_path / f"kafka-{len(made)}"))
        return made[-1]

    yield make
    for broker in made:
        broker.kill()


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database server for the whole run; take a database name of your own in it."""
    server = Database(tmp_path_factory.mktemp("database"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def make_database(tmp_path: Path) -> Iterator[Callable[[], Database]]:
    """Database servers of the test's own, started."""
    made: list[Database] = []

    def make() -> Database:
        made.append(Database(tmp_path / f"database-{len(made)}"))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def smtp_server(tmp_path: Path) -> Iterator[SmtpServer]:
    """A mail server of the test's own, started."""
    server = SmtpServer(tmp_path / "smtp")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The whole stack for a module: 1.5 GB, so it goes before the next one comes. Take `make_stack` to hurt
    one."""
    whole = LocalStack(tmp_path_factory.mktemp("stack"))
    try:
        whole.up()
        yield whole
    finally:
        whole.remove()


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[..., LocalStack]]:
    """Stacks of the test's own, not yet started: `make_stack("--broker", "tansu", env={…}).up()`."""
    made: list[LocalStack] = []

    def make(*up_options: str, env: dict[str, str] | None = None) -> LocalStack:
        made.append(LocalStack(tmp_path / f"stack-{len(made)}", *up_options, env=env))
        return made[-1]

    yield make
    for one in made:
        one.remove()
