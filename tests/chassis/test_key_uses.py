"""When keys were last used, on both drivers; and what a database that is away costs: nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pymongo.errors import PyMongoError

from lianxin_chassis import database as drivers
from lianxin_chassis.key_uses import KeyUses, NotedKeys, last_used
from lianxin_chassis.settings import Settings
from lianxin_contracts.registry import ChannelKey, Snapshot
from tests.support.databases import Database
from tests.support.wait import eventually_async

NOW = datetime(2026, 11, 25, 1, 0, tzinfo=UTC)
OPENERS: dict[str, Callable[[Settings], drivers.Database]] = {
    "motor": drivers.open_database,
    "pymongo": drivers.open_database_pymongo,
}


@pytest.fixture(params=sorted(OPENERS))
async def db(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[drivers.Database]:
    settings = Settings(service="x", mongo_url=database.url, mongo_database=f"uses_{uuid4().hex[:8]}")
    one = OPENERS[request.param](settings)
    yield one
    await one.client.drop_database(settings.database_name)
    await drivers.close_database(one)


async def test_the_last_use_of_a_key_is_kept_whoever_writes_it_down_later(db: drivers.Database) -> None:
    now = NOW
    one, other = (KeyUses(db, lambda: now) for _ in range(2))
    one.note("a")
    now += timedelta(minutes=1)
    other.note("a")
    other.note("b")
    await other.write()
    await one.write()
    await one.write()
    assert await last_used(db) == {"a": now, "b": now}


async def test_what_was_noted_is_written_by_and_by_and_at_the_end(db: drivers.Database) -> None:
    uses = KeyUses(db)
    uses.note("a")
    task = asyncio.create_task(uses.run(every_s=0.01))
    await eventually_async(lambda: last_used(db))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    uses.note("b")
    task = asyncio.create_task(uses.run())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await last_used(db)).keys() == {"a", "b"}


async def test_a_database_that_is_away_loses_no_use() -> None:
    class Away:
        async def bulk_write(self, *_: object, **__: object) -> None:
            raise PyMongoError("away")

    class Back(Away):
        written = 0

        async def bulk_write(self, operations: list[object], **__: object) -> None:
            self.written += len(operations)

    collections: dict[str, Away] = {"key_uses": Away()}
    uses = KeyUses(collections)  # type: ignore[arg-type]
    uses.note("a")
    with pytest.raises(PyMongoError):
        await uses.write()
    back = uses._uses = Back()  # type: ignore[assignment]
    uses.note("b")
    await uses.write()
    assert back.written == 2


@pytest.mark.parametrize(
    ("key", "noted"),
    [
        (ChannelKey("a", "app", ("submit",)), {"a"}),
        (ChannelKey("a", "app", ("submit",), revoked=True), set()),
        (ChannelKey("a", "app", ("submit",), until=datetime.now(UTC) - timedelta(seconds=1)), set()),
        (ChannelKey("a", "app", ("submit",), until=datetime.now(UTC) + timedelta(days=1)), {"a"}),
        (None, set()),
    ],
)
def test_only_a_key_that_holds_is_used(key: ChannelKey | None, noted: set[str]) -> None:
    class Registry:
        current: Snapshot | None = None

        def channel_key(self, hash_: str) -> ChannelKey | None:
            return key

    uses = KeyUses({"key_uses": None})  # type: ignore[arg-type]
    assert NotedKeys(Registry(), uses).channel_key("a") is key
    assert uses._pending.keys() == noted
