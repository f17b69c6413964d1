"""One database for each test, on Motor and on PyMongo's own asyncio client."""

import uuid
from collections.abc import AsyncIterator, Callable

import pytest

from lianxin_chassis.database import Database as Handle
from lianxin_chassis.database import close_database, open_database, open_database_pymongo
from lianxin_chassis.settings import Settings
from lianxin_notifier.ledger import NumberLedger
from tests.support.databases import Database


@pytest.fixture(params=[open_database, open_database_pymongo], ids=["motor", "pymongo"])
async def db(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Handle]:
    opening: Callable[[Settings], Handle] = request.param
    name = f"notifier_stores_{uuid.uuid4().hex[:12]}"
    opened = opening(Settings(service="notifier", mongo_url=database.url, mongo_database=name))
    yield opened
    await opened.client.drop_database(name)
    await close_database(opened)


@pytest.fixture
async def ledger(db: Handle) -> NumberLedger:
    made = NumberLedger(db)
    await made.prepare()
    await made.set_state("built")
    return made
