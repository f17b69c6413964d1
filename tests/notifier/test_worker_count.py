"""Workers count each other through the database, so that they keep to a channel's rate together."""

import uuid
from collections.abc import AsyncIterator

import pytest
from pymongo.errors import PyMongoError

from lianxin_chassis.database import Database as Handle
from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.settings import Settings
from lianxin_notifier.workers import GONE_S, Workers
from tests.support.databases import Database
from tests.support.ports import free_port


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def db(database: Database) -> AsyncIterator[Handle]:
    name = f"notifier_workers_{uuid.uuid4().hex[:12]}"
    opened = open_database(Settings(service="notifier", mongo_url=database.url, mongo_database=name))
    yield opened
    await opened.client.drop_database(name)
    await close_database(opened)


async def test_each_counts_the_others_and_one_that_is_not_heard_of_any_more_is_gone(db: Handle) -> None:
    clock = Clock()
    one, other = Workers(db, "one", clock), Workers(db, "other", clock)
    await one.once()
    await other.once()
    await one.once()
    assert (one.count, other.count) == (2, 2)
    clock.now += GONE_S - 1
    await one.once()
    assert one.count == 2
    clock.now += 1
    await one.once()
    assert one.count == 1
    await other.once()
    await one.once()
    assert one.count == 2


async def test_with_the_database_away_the_last_count_holds() -> None:
    away = open_database(
        Settings(
            service="notifier", mongo_url=f"mongodb://127.0.0.1:{free_port()}/?serverSelectionTimeoutMS=100"
        )
    )
    workers = Workers(away, "one")
    workers.count = 3
    with pytest.raises(PyMongoError):
        await workers.once()
    assert workers.count == 3
    await close_database(away)
