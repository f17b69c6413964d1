"""The repository of photos, on both drivers: what stays, what goes, and with it every byte."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from lianxin_chassis import database as drivers
from lianxin_chassis.settings import Settings
from lianxin_contracts import ids
from lianxin_intake.photos.images import Picture
from lianxin_intake.photos.store import PhotoStore
from tests.intake.test_store import OPENERS
from tests.support.databases import Database

NOW = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PICTURE = Picture(b"full" * 100_000, b"thumb", 4, 3)


@pytest.fixture(params=sorted(OPENERS))
async def db(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[drivers.Database]:
    settings = Settings(
        service="intake", mongo_url=database.url, mongo_database=f"intake_photos_{uuid4().hex[:8]}"
    )
    one = OPENERS[request.param](settings)
    yield one
    await one.client.drop_database(settings.database_name)
    await drivers.close_database(one)


@pytest.fixture
async def store(db: drivers.Database) -> PhotoStore:
    one = PhotoStore(db)
    await one.prepare()
    await one.prepare()
    return one


async def put(store: PhotoStore, digest: str = "d") -> str:
    upload = ids.fresh()
    await store.put(upload, "app", digest, PICTURE, NOW, NOW + DAY)
    return upload


async def left(db: drivers.Database) -> tuple[int, ...]:
    """How much is left of records, files and pieces."""
    names = ("attachments", "photos.files", "photos.chunks")
    return tuple([await db[name].count_documents({}) for name in names])


async def test_what_is_kept_comes_back(store: PhotoStore) -> None:
    upload = await put(store)
    kept = await store.find(upload)
    assert kept is not None
    assert (kept.channel, kept.digest, kept.opinions, kept.width, kept.height) == ("app", "d", (), 4, 3)
    assert await store.full(kept) == PICTURE.full
    assert await store.thumb(upload) == PICTURE.thumb
    assert await store.there([upload, ids.fresh()]) == {upload}
    assert await store.find(ids.fresh()) is None
    assert await store.thumb(ids.fresh()) is None


async def test_what_was_kept_first_stays(store: PhotoStore) -> None:
    upload = await put(store, "first")
    again = await store.put(upload, "app", "second", PICTURE, NOW, NOW + DAY)
    assert again is not None
    assert again.digest == "first"


async def test_an_upload_that_no_opinion_names_is_dropped_with_every_byte(
    store: PhotoStore, db: drivers.Database
) -> None:
    upload = await put(store)
    await store.put(upload, "app", "d", PICTURE, NOW, NOW + DAY)  # twice at once: two files, one is shown
    assert await store.drop_expired(NOW + DAY) == 0
    assert await store.drop_expired(NOW + DAY + timedelta(seconds=1)) == 1
    assert await left(db) == (0, 0, 0)


async def test_an_upload_that_an_opinion_names_stays(store: PhotoStore) -> None:
    upload = await put(store)
    for _ in range(2):
        await store.name([("o1", [upload]), ("o2", [])])
    await store.keep_until([upload], NOW + 2 * DAY)
    assert await store.drop_expired(NOW + 1000 * DAY) == 0
    kept = await store.find(upload)
    assert kept is not None
    assert kept.opinions == ("o1",)


async def test_an_upload_that_an_accepted_opinion_claims_waits_for_the_log(store: PhotoStore) -> None:
    upload = await put(store)
    await store.keep_until([upload], NOW + 30 * DAY)
    await store.keep_until([upload], NOW)  # never sooner
    assert await store.drop_expired(NOW + 29 * DAY) == 0
    assert await store.drop_expired(NOW + 31 * DAY) == 1


async def test_what_a_process_left_behind_that_died_is_dropped_too(
    store: PhotoStore, db: drivers.Database
) -> None:
    upload = await put(store)
    await db["attachments"].update_one({"_id": upload}, {"$set": {"stored": False}})
    assert await store.find(upload) is None
    assert await store.drop_expired(NOW + 2 * DAY) == 1
    assert await left(db) == (0, 0, 0)


async def test_erasing_deletes_the_photos_of_the_opinion_and_no_others(
    store: PhotoStore, db: drivers.Database
) -> None:
    own, shared, other = await put(store), await put(store), await put(store)
    await store.name([("o2", [shared, other])])
    await store.name([("o1", [own, shared])])
    for _ in range(2):
        await store.erase(["o1", "o3"])
    assert await store.there([own, shared, other]) == {shared, other}
    kept = await store.find(shared)
    assert kept is not None
    assert kept.opinions == ("o2",)
    assert (await left(db))[0] == 2
