"""Instances that share a key's limit through a real database, and go on without it."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from pymongo.errors import PyMongoError

from lianxin_chassis import database as drivers
from lianxin_chassis.settings import Settings
from lianxin_intake.exchange import GONE_S, Exchange
from lianxin_intake.key_limits import KeyLimits
from tests.support.databases import Database


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def db(database: Database) -> AsyncIterator[drivers.Database]:
    settings = Settings(service="intake", mongo_url=database.url, mongo_database=f"rates_{uuid4().hex[:8]}")
    one = drivers.open_database(settings)
    yield one
    await one.client.drop_database(settings.database_name)
    await drivers.close_database(one)


def emptied(limits: KeyLimits) -> int:
    """How many tokens of the key there were."""
    return next(count for count in range(10_000) if limits.take("k"))


async def test_two_instances_share_a_limit_and_one_that_is_left_has_it_whole(db: drivers.Database) -> None:
    clock = Clock()
    limits = [KeyLimits(100.0, 100.0, clock=clock) for _ in range(2)]
    one, other = (
        Exchange(db, each, name, clock) for each, name in zip(limits, ("one", "other"), strict=True)
    )
    await one.once()
    assert emptied(limits[0]) == 100
    for _ in range(3):
        await other.once()
        await one.once()
    clock.now += 5
    assert emptied(limits[0]) + emptied(limits[1]) in range(98, 103)
    await one.leave()
    clock.now += 5
    await other.once()
    clock.now += 5
    assert emptied(limits[1]) == 100


async def test_an_instance_that_died_without_a_word_is_gone_after_a_while(db: drivers.Database) -> None:
    clock = Clock()
    limits = KeyLimits(10.0, 10.0, clock=clock)
    mine = Exchange(db, limits, "mine", clock)
    await Exchange(db, KeyLimits(10.0, 10.0, clock=clock), "dead", clock).once()
    await mine.once()
    assert emptied(limits) == 5
    clock.now += GONE_S
    await mine.once()
    clock.now += GONE_S
    assert emptied(limits) == 10


async def test_an_instance_of_another_version_counts_as_one_that_is_asked_nothing(
    db: drivers.Database,
) -> None:
    await db["key_rates"].insert_many([{"_id": "older"}, {"_id": "newer", "beat": 1, "asked": {"k": [1]}}])
    limits = KeyLimits(9.0, 9.0, clock=Clock())
    await Exchange(db, limits, "mine", Clock()).once()
    assert emptied(limits) == 3


async def test_without_the_database_shares_are_equal_and_nobody_waits(db: drivers.Database) -> None:
    clock = Clock()
    limits = KeyLimits(10.0, 10.0, instances=2, clock=clock)
    exchange = Exchange(db, limits, "mine", clock)
    await exchange.once()
    exchange.missed(PyMongoError("away"))
    assert emptied(limits) == 10  # as it was agreed
    clock.now += GONE_S
    exchange.missed(PyMongoError("away"))
    clock.now += GONE_S
    assert emptied(limits) == 5
