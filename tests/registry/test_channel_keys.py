"""`lianxin keys`: made, replaced with an overlap, revoked; each change on record, and the last use shown."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.support.brokers import Broker
from tests.support.databases import Database

from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.key_uses import KeyUses
from lianxin_chassis.settings import Settings
from lianxin_chassis.topics import ensure
from lianxin_contracts.registry import ChannelKey, hash_of_key
from lianxin_local.keys_command import ended, keys, length_of
from lianxin_local.registry_publish import known_keys, operator


class Office:
    """An operator at the command line; every key is of a channel of this test's own."""

    def __init__(self, broker: Broker, channel: str) -> None:
        self.bootstrap = broker.bootstrap
        self.channel = channel

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(keys, [*arguments, "--bootstrap", self.bootstrap])

    def create(self, *arguments: str) -> str:
        return self.run("create", self.channel, *arguments).stdout.splitlines()[0]

    def key(self, secret: str) -> ChannelKey:
        return asyncio.run(known_keys(operator(self.bootstrap)))[hash_of_key(secret)]

    def audit(self) -> list[dict[str, Any]]:
        lines = self.run("audit", "--json", "--channel", self.channel).stdout.splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def office(kafka: Broker, request: pytest.FixtureRequest) -> Office:
    asyncio.run(ensure(operator(kafka.bootstrap)))
    return Office(kafka, request.node.name[-30:])


def test_a_rotated_key_holds_beside_the_new_one_for_a_while(office: Office) -> None:
    old = office.create("--scope", "submit", "--scope", "backdate")
    new = office.run("rotate", old, "--overlap", "2h").stdout.splitlines()[0]
    now = datetime.now(UTC)
    before, after = office.key(old), office.key(new)
    assert before.holds(now)
    assert after.holds(now)
    assert before.until is not None
    assert timedelta(hours=1, minutes=59) < before.until - now <= timedelta(hours=2)
    assert after.scopes == before.scopes == ("submit", "backdate")
    assert after.until is None
    at_once = office.run("rotate", new, "--overlap", "0").stdout.splitlines()[0]
    assert office.key(new).revoked
    assert office.key(at_once).holds(now)
    refused = office.run("rotate", new)
    assert refused.exit_code != 0


def test_every_change_of_a_key_is_on_record_with_who_when_and_what(office: Office) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    first = office.create("--scope", "submit", "--by", "zhou", "--why", "the new desk")
    second = office.run("rotate", first, "--overlap", "1d", "--by", "li").stdout.splitlines()[0]
    office.run("revoke", first, "--by", "wang", "--why", "a lost laptop")
    trail = office.audit()
    assert [(one["change"], one["by"], one["why"]) for one in trail] == [
        ("created", "zhou", "the new desk"),
        ("rotated", "li", ""),
        ("revoked", "wang", "a lost laptop"),
    ]
    assert [one["key"] for one in trail] == [hash_of_key(first), hash_of_key(second), hash_of_key(first)]
    assert trail[1]["replaces"] == hash_of_key(first)
    assert all(began <= datetime.fromisoformat(one["at"]) <= datetime.now(UTC) for one in trail)
    told = office.run("audit", "--channel", office.channel).stdout
    assert "in place of" in told
    assert first not in told
    assert second not in told


def test_the_list_tells_state_and_last_use(office: Office, database: Database) -> None:
    used, replaced, unused = (office.create() for _ in range(3))
    office.run("rotate", replaced, "--overlap", "7d")
    office.run("revoke", unused)

    async def use(at: datetime, service: str) -> None:
        db = open_database(Settings(service=service, mongo_url=database.url))
        uses = KeyUses(db, lambda: at)
        uses.note(hash_of_key(used))
        await uses.write()
        await close_database(db)

    latest = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)
    asyncio.run(use(latest, "notifier"))
    asyncio.run(use(latest - timedelta(days=1), "intake"))
    listed = office.run("list", "--database", database.url).stdout.splitlines()
    lines = {line.split()[0]: line for line in listed if office.channel[:12] in line}
    assert "2026-11-25 08:30" in lines[hash_of_key(used)[:8]]
    assert " valid " in lines[hash_of_key(used)[:8]]
    assert " until " in lines[hash_of_key(replaced)[:8]]
    assert " revoked " in lines[hash_of_key(unused)[:8]]


def test_a_database_that_is_away_leaves_the_list_without_last_uses(office: Office) -> None:
    key = office.create()
    listed = office.run("list", "--database", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50")
    assert listed.exit_code == 0
    assert hash_of_key(key)[:8] in listed.stdout


@pytest.mark.parametrize(
    ("text", "length"), [("0", timedelta(0)), ("90m", timedelta(minutes=90)), ("7d", timedelta(days=7))]
)
def test_a_length_is_typed_as_people_say_it(text: str, length: timedelta) -> None:
    assert length_of(text) == length


@pytest.mark.parametrize("text", ["", "7", "-1d", "1w", "1.5h", "99999d"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="a length is"):
        length_of(text)


def test_an_overlap_never_makes_a_key_live_longer() -> None:
    soon, later = datetime(2026, 11, 25, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    assert ended(ChannelKey("a", "app", ("submit",), until=soon), later).until == soon
    assert ended(ChannelKey("a", "app", ("submit",)), later).until == later
