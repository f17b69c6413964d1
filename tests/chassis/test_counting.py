"""A collection's documents are counted exactly, and not again at every question."""

import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from pymongo.errors import ExecutionTimeout

from lianxin_chassis import counting
from lianxin_chassis.counting import DocumentCount
from lianxin_chassis.database import Collection, close_database, open_database
from lianxin_chassis.settings import Settings
from tests.support.databases import Database


class Mistaken:
    """A collection whose metadata is `off` by some documents since its server was killed."""

    def __init__(self, wrapped: Collection, off: int) -> None:
        self.wrapped = wrapped
        self.off = off
        self.counted = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    async def estimated_document_count(self) -> int:
        return self.off + await self.wrapped.estimated_document_count()

    async def count_documents(self, condition: dict[str, Any], **options: Any) -> int:
        self.counted += 1
        return await self.wrapped.count_documents(condition, **options)


@pytest.fixture
async def collection(database: Database) -> AsyncIterator[Collection]:
    name = f"counting_{uuid.uuid4().hex[:12]}"
    db = open_database(Settings(service="counting", mongo_url=database.url, mongo_database=name))
    yield db["things"]
    await db.client.drop_database(name)
    await close_database(db)


async def insert(collection: Collection, count: int) -> None:
    await collection.insert_many([{"_id": uuid.uuid4().hex} for _ in range(count)])


def mistaken(collection: Collection, off: int) -> tuple[Mistaken, Collection]:
    made = Mistaken(collection, off)
    return made, cast(Collection, made)


@pytest.mark.parametrize("off", [-7, 0, 7])
async def test_the_count_is_right_though_the_metadata_is_not(collection: Collection, off: int) -> None:
    await insert(collection, 25)
    count = DocumentCount(mistaken(collection, off)[1])
    assert await count.now() == 25
    await insert(collection, 3)
    assert await count.now() == 28


async def test_it_is_counted_once_and_then_once_an_hour_at_rest(collection: Collection) -> None:
    await insert(collection, 5)
    wrong, handed = mistaken(collection, 2)
    seconds = [0.0]
    count = DocumentCount(handed, lambda: seconds[0])
    for _ in range(10):
        assert await count.now() == 5
    assert wrong.counted == 2  # the second confirms the difference that the first found
    wrong.off = -2  # its server was killed again
    seconds[0] = counting.RECOUNT_EVERY_S
    await count.now()  # it may as well have been written to
    assert await count.now() == 5
    assert await count.now() == 5
    assert wrong.counted == 4


async def test_a_difference_that_was_there_for_a_moment_is_not_carried_on(collection: Collection) -> None:
    class Late(Mistaken):
        async def count_documents(self, condition: dict[str, Any], **options: Any) -> int:
            found = await super().count_documents(condition, **options)
            return found - 1 if self.counted == 1 else found

    await insert(collection, 5)
    count = DocumentCount(cast(Collection, Late(collection, 0)))
    await count.now()
    assert [await count.now() for _ in range(3)] == [5, 5, 5]


async def test_what_was_counted_while_it_was_written_to_is_counted_again_at_rest(
    collection: Collection,
) -> None:
    class Busy(Mistaken):
        async def count_documents(self, condition: dict[str, Any], **options: Any) -> int:
            found = await super().count_documents(condition, **options)
            if self.counted == 1:
                await insert(self.wrapped, 4)
            return found

    await insert(collection, 5)
    count = DocumentCount(cast(Collection, Busy(collection, 2)))
    await count.now()
    assert await count.now() == 9


async def test_what_is_too_much_to_count_is_taken_from_the_metadata_and_not_tried_at_every_question(
    collection: Collection,
) -> None:
    class Large(Mistaken):
        async def count_documents(self, condition: dict[str, Any], **options: Any) -> int:
            self.counted += 1
            raise ExecutionTimeout("operation exceeded time limit")

    await insert(collection, 5)
    large = Large(collection, 2)
    count = DocumentCount(cast(Collection, large))
    assert [await count.now() for _ in range(3)] == [7, 7, 7]
    assert large.counted == 1
