"""The one client factory: the same repository code on Motor and on PyMongo's own asyncio client."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pymongo.errors
import pytest
import pytest_asyncio
from pymongo import InsertOne, ReturnDocument, UpdateOne

from lianxin_chassis.database import (
    Database,
    bucket,
    close_database,
    open_database,
    open_database_pymongo,
    ping,
)
from lianxin_chassis.generations import Generations
from lianxin_chassis.outages import outage
from lianxin_chassis.parking import Aside, ParkingLot
from lianxin_chassis.records import Record
from lianxin_chassis.settings import Settings
from tests.chassis.bench import settings_for

Open = Callable[[Settings], Database]
BOTH = pytest.mark.parametrize("open_", [open_database, open_database_pymongo], ids=["motor", "pymongo"])


@pytest_asyncio.fixture(params=[open_database, open_database_pymongo], ids=["motor", "pymongo"])
async def either(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    opened: Database = request.param(settings)
    yield opened
    await opened.client.drop_database(settings.database_name)
    await close_database(opened)


async def test_what_is_written_is_read_back_with_aware_times(either: Database) -> None:
    at = datetime(2026, 11, 23, 8, 0, 0, 123_000, tzinfo=UTC)
    await either["things"].insert_one({"_id": 1, "at": at, "raw": b"\x00\xff"})
    found = await either["things"].find_one({"_id": 1})
    assert found == {"_id": 1, "at": at, "raw": b"\x00\xff"}


async def test_finding_sorts_limits_and_iterates(either: Database) -> None:
    await either["things"].insert_many([{"_id": n, "odd": n % 2} for n in range(10)])
    found = either["things"].find({"odd": 1}).sort("_id", -1).limit(3)
    assert [d["_id"] async for d in found] == [9, 7, 5]
    assert len(await either["things"].find({}).to_list(None)) == 10


async def test_aggregating_can_be_iterated_and_listed(either: Database) -> None:
    await either["things"].insert_many([{"_id": n, "odd": n % 2} for n in range(10)])
    steps = [{"$group": {"_id": "$odd", "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}]
    assert [d["n"] async for d in either["things"].aggregate(steps)] == [5, 5]
    assert len(await either["things"].aggregate(steps).to_list(None)) == 2


async def test_an_upsert_returns_the_document_and_a_bulk_tells_of_duplicates(either: Database) -> None:
    after = await either["things"].find_one_and_update(
        {"_id": 1}, {"$setOnInsert": {"n": 1}}, upsert=True, return_document=ReturnDocument.AFTER
    )
    assert after == {"_id": 1, "n": 1}
    requests = [InsertOne({"_id": 1}), InsertOne({"_id": 2}), UpdateOne({"_id": 1}, {"$set": {"n": 2}})]
    with pytest.raises(pymongo.errors.BulkWriteError) as told:
        await either["things"].bulk_write(requests, ordered=False)
    assert [e["code"] for e in told.value.details["writeErrors"]] == [11_000]
    assert await either["things"].count_documents({}) == 2


async def test_an_attachment_goes_in_and_comes_out(either: Database) -> None:
    files = bucket(either, "photos")
    number = await files.upload_from_stream("a.jpg", b"x" * 300_000)
    stream = await files.open_download_stream(number)
    assert await stream.read() == b"x" * 300_000
    await files.delete(number)


async def test_the_chassis_own_stores_run_on_both(either: Database) -> None:
    generations = Generations(either, "p")
    await generations.switch(await generations.begin())
    assert await generations.live() == 2
    lot = ParkingLot(either)
    await lot.prepare()
    record = Record("t", 3, 7, b"k", None, (("h", b"\x00"), ("n", None)), 5)
    for _ in range(2):
        await lot.put("g", [Aside(record, "refused")])
    assert await lot.parked("g", [("t", 3), ("u", 0)]) == {("t", 3, b"k"): "parked"}
    assert await lot.parked("g", [("t", 0), ("u", 3)]) == {}
    assert await lot.waiting("g", ("t", 3, b"k")) == [record]


@BOTH
async def test_a_database_that_is_away_is_an_outage_within_seconds(open_: Open) -> None:
    opened = open_(settings_for("127.0.0.1:1", "mongodb://127.0.0.1:1"))
    with pytest.raises((pymongo.errors.PyMongoError, TimeoutError)) as told:
        await ping(opened)
    assert outage(told.value) is not None
    await close_database(opened)
