# ruff: noqa: D102 - the protocols' methods are PyMongo's, and documented there
"""The one place that makes MongoDB clients: Motor, as the owner chose, or PyMongo's own asyncio client.

Both come back behind the same two protocols, so a service's repository runs on either and moving is one line.
Documents are plain dicts; datetimes are read back timezone-aware (UTC), at MongoDB's millisecond precision.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Protocol, cast

from gridfs.asynchronous import AsyncGridFSBucket
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorGridFSBucket
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from lianxin_chassis.settings import Settings

Document = dict[str, Any]


class Cursor(Protocol):
    """What `find` and `aggregate` return on either driver."""

    def __aiter__(self) -> AsyncIterator[Document]: ...
    async def to_list(self, length: int | None = None) -> list[Document]: ...
    def sort(self, *args: Any, **kwargs: Any) -> "Cursor": ...
    def limit(self, limit: int) -> "Cursor": ...
    def skip(self, skip: int) -> "Cursor": ...
    def batch_size(self, batch_size: int) -> "Cursor": ...
    async def close(self) -> None: ...


class Collection(Protocol):
    """The part of a collection that both drivers offer with the same calls; arguments as in PyMongo."""

    @property
    def name(self) -> str: ...
    def find(self, *args: Any, **kwargs: Any) -> Cursor: ...
    def aggregate(self, pipeline: Sequence[Mapping[str, Any]], **kwargs: Any) -> Cursor: ...
    async def find_one(self, *args: Any, **kwargs: Any) -> Document | None: ...
    async def find_one_and_update(self, *args: Any, **kwargs: Any) -> Document | None: ...
    async def find_one_and_delete(self, *args: Any, **kwargs: Any) -> Document | None: ...
    async def insert_one(self, *args: Any, **kwargs: Any) -> Any: ...
    async def insert_many(self, *args: Any, **kwargs: Any) -> Any: ...
    async def replace_one(self, *args: Any, **kwargs: Any) -> Any: ...
    async def update_one(self, *args: Any, **kwargs: Any) -> Any: ...
    async def update_many(self, *args: Any, **kwargs: Any) -> Any: ...
    async def delete_one(self, *args: Any, **kwargs: Any) -> Any: ...
    async def delete_many(self, *args: Any, **kwargs: Any) -> Any: ...
    async def bulk_write(self, requests: Sequence[Any], **kwargs: Any) -> Any: ...
    async def count_documents(self, *args: Any, **kwargs: Any) -> int: ...
    async def estimated_document_count(self, **kwargs: Any) -> int: ...
    async def distinct(self, *args: Any, **kwargs: Any) -> list[Any]: ...
    async def create_index(self, *args: Any, **kwargs: Any) -> str: ...
    async def create_indexes(self, *args: Any, **kwargs: Any) -> list[str]: ...
    async def drop(self) -> None: ...


class Database(Protocol):
    """A service's own database, on either driver."""

    @property
    def name(self) -> str: ...
    @property
    def client(self) -> Any: ...
    def __getitem__(self, name: str) -> Collection: ...
    async def command(self, *args: Any, **kwargs: Any) -> Document: ...
    async def list_collection_names(self, *args: Any, **kwargs: Any) -> list[str]: ...
    async def drop_collection(self, name: str) -> Any: ...


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "w": "majority",
        "journal": True,
        "retryWrites": settings.mongo_retry_writes,
        "tz_aware": True,
        "uuidRepresentation": "standard",
        "maxPoolSize": 20,
        "serverSelectionTimeoutMS": 3_000,
        "connectTimeoutMS": 3_000,
        "waitQueueTimeoutMS": 2_000,
        "socketTimeoutMS": 10_000,
        "appname": f"{settings.service}-{settings.instance}"[:128],
    }


def open_database(settings: Settings) -> Database:
    """The service's database on Motor. Needs a running loop; connects when first used, so never raises for a
    database that is away. Every call on it raises PyMongo's errors; those of the surroundings come within
    about 10 s."""
    client: Any = AsyncIOMotorClient(settings.mongo_url, **_options(settings))
    client.get_io_loop = asyncio.get_running_loop
    return cast(Database, client[settings.database_name])


def open_database_pymongo(settings: Settings) -> Database:
    """The same on PyMongo's `AsyncMongoClient`: what to move to when Motor goes."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(settings.mongo_url, **_options(settings))
    return cast(Database, _PymongoDatabase(client[settings.database_name]))


def bucket(db: Database, name: str = "fs") -> Any:
    """A GridFS bucket in `db`; `upload_from_stream`, `open_download_stream` and `delete` as in PyMongo."""
    if isinstance(db, _PymongoDatabase):
        return AsyncGridFSBucket(db.wrapped, bucket_name=name)
    return AsyncIOMotorGridFSBucket(cast(Any, db), bucket_name=name)


async def close_database(db: Database) -> None:
    """Close the client behind `db`."""
    closing = db.client.close()
    if inspect.isawaitable(closing):  # a coroutine on PyMongo, plain on Motor
        await closing


async def ping(db: Database) -> None:
    """Raises PyMongo's error where the database does not answer within about 3 s."""
    async with asyncio.timeout(4):
        await db.command("ping")


class _PymongoCollection:
    """PyMongo's collection with Motor's one different call: `aggregate` returns the cursor without await."""

    def __init__(self, wrapped: AsyncCollection[Document]) -> None:
        self._wrapped = wrapped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def aggregate(self, pipeline: Sequence[Mapping[str, Any]], **kwargs: Any) -> "_Aggregation":
        return _Aggregation(self._wrapped, pipeline, kwargs)


class _Aggregation:
    """An aggregation that is sent when it is first read."""

    def __init__(
        self, collection: AsyncCollection[Document], pipeline: Sequence[Mapping[str, Any]], options: Document
    ) -> None:
        self._collection = collection
        self._pipeline = pipeline
        self._options = options

    async def __aiter__(self) -> AsyncIterator[Document]:
        async with await self._collection.aggregate(self._pipeline, **self._options) as cursor:
            async for document in cursor:
                yield document

    async def to_list(self, length: int | None = None) -> list[Document]:
        async with await self._collection.aggregate(self._pipeline, **self._options) as cursor:
            return await cursor.to_list(length)

    async def close(self) -> None:
        """Nothing is held between reads."""


class _PymongoDatabase:
    """PyMongo's database, handing out the collections above."""

    def __init__(self, wrapped: AsyncDatabase[Document]) -> None:
        self.wrapped = wrapped

    def __getitem__(self, name: str) -> _PymongoCollection:
        return _PymongoCollection(self.wrapped[name])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)
