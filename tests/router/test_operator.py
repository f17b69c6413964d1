"""`lianxin dlq` on what the router has put aside: listed, shown whole, put back in order, given up."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lianxin_contracts import ids, inbound
from lianxin_local.cli import main
from lianxin_local.home import Home
from lianxin_local.stack import Stack
from tests.notifier.topics import write
from tests.router.running import Running
from tests.router.said import event, record, submitted, unreadable
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.wait import eventually

SOON_S = 60.0
Lianxin = Callable[..., Result]


@pytest.fixture(scope="module")
def router(
    city_broker: Broker, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A router on the database that the command looks into."""
    running = Running(tmp_path_factory.mktemp("operated"), city_broker, database.url, "lianxin_router")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def lianxin(router: Running, tmp_path: Path) -> Lianxin:
    home = Home.at(tmp_path / "home")
    home.prepare()
    Stack(home, 9000, "external", router.bootstrap, router.database_url).save()

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["--data", str(home.root), "dlq", *arguments])

    return run


@pytest.fixture
def poison(router: Running) -> str:
    """An opinion whose submission can't be read, and that was withdrawn since."""
    opinion = ids.fresh()
    withdrawn = event(opinion, inbound.Withdrawn(inbound.Actor("resident", "resident")))
    write(router.bootstrap, [unreadable(opinion), record(withdrawn)])
    eventually(lambda: router.parked() == [opinion], timeout=SOON_S, every=0.3)
    return opinion


def test_a_parked_key_is_listed_shown_refused_again_and_given_up(
    router: Running, lianxin: Lianxin, poison: str
) -> None:
    def both() -> bool:
        (told,) = [json.loads(line) for line in lianxin("list", "--json").stdout.splitlines()]
        return bool(told["key"] == poison and told["service"] == "router" and told["records"] == 2)

    eventually(both, timeout=SOON_S, every=0.3)
    assert "undecodable, 2 waiting" in lianxin("list", "--service", "router").stdout

    shown = [json.loads(line) for line in lianxin("show", poison, "--json").stdout.splitlines()]
    assert [one["reason"] for one in shown] == ["undecodable", "parked"]
    assert shown[0]["value"] == '{"channel": "app", '
    assert shown[0]["headers"]["ce_type"] == "opinion.submitted"
    assert poison in lianxin("show", poison).stdout

    again = lianxin("retry", poison)
    assert again.exit_code == 1
    assert "1 of 1 still parked" in again.stderr
    assert "tried 1 times" in again.stdout

    given_up = lianxin("skip", poison)
    assert (given_up.exit_code, given_up.stdout) == (0, "1 released\n")
    assert "opinion.withdrawn" in router.types(poison), "what waited behind it was put back"
    assert lianxin("list").stdout == ""


def test_all_that_waits_can_be_given_up_at_once(router: Running, lianxin: Lianxin, poison: str) -> None:
    assert lianxin("skip", poison, "--everything").exit_code == 0
    assert router.parked() == []
    assert "opinion.withdrawn" not in router.types(poison)


def test_every_parked_key_is_retried_at_once(router: Running, lianxin: Lianxin) -> None:
    wrong = [ids.fresh() for _ in range(2)]
    write(router.bootstrap, [record(submitted(ids.fresh()), key=key) for key in wrong])
    eventually(lambda: sorted(router.parked()) == sorted(wrong), timeout=SOON_S, every=0.3)
    assert "2 of 2 still parked" in lianxin("retry", "--all").stderr
    for key in wrong:
        assert lianxin("skip", key).exit_code == 0


def test_a_key_that_is_not_parked_is_named(lianxin: Lianxin) -> None:
    for command in ("show", "retry", "skip"):
        told = lianxin(command, "nobody")
        assert told.exit_code == 1
        assert "nothing is parked under nobody" in told.stderr


def test_retry_wants_one_key_or_all(lianxin: Lianxin) -> None:
    assert lianxin("retry").exit_code == 2
    assert lianxin("retry", "key", "--all").exit_code == 2
