"""The mark that every collection of a projection carries, so that a dropped one is noticed.

One document with a fixed id says whether the collection is `building` or `built`. Where it is missing,
somebody has dropped the collection: what is in it now, if anything, is not the whole, and nothing may be
derived from it until it is rebuilt.
"""

import asyncio
from collections.abc import Iterable

from pymongo.errors import DuplicateKeyError

from lianxin_chassis.database import Collection, Document
from lianxin_chassis.outages import Outage

MARK = "~mark"
BUILDING = "building"
BUILT = "built"


class Lost(Outage):
    """A collection was dropped while the system runs. An outage, so that nothing is acknowledged."""

    def __init__(self, collection: str) -> None:
        super().__init__(f"{collection} was dropped and must be rebuilt", what="projection")


async def marked(collection: Collection) -> str | None:
    """What the mark of `collection` says (`building`, `built`); None where it has none."""
    found = await collection.find_one({"_id": MARK})
    return None if found is None else str(found["state"])


async def mark(collection: Collection, state: str) -> None:
    """Set the mark of `collection`."""
    await collection.update_one({"_id": MARK}, {"$set": {"state": state}}, upsert=True)


def whole(found: Iterable[Document], collection: str) -> list[Document]:
    """What was `found` in `collection`, without the mark that was asked for with it, as the last.

    Raises `Lost` unless the mark is among it and says `built`.
    """
    documents = list(found)
    others = [document for document in documents if document["_id"] != MARK]
    if not any(document["_id"] == MARK and document["state"] == BUILT for document in documents):
        raise Lost(collection)
    return others


async def mark_new(collection: Collection, **fields: object) -> bool:
    """Mark `collection` as building unless it has a mark; True where it had none. `fields` are added to the
    mark, for indexes that it must show up in."""
    try:
        await collection.insert_one({"_id": MARK, "state": BUILDING, **fields})
    except DuplicateKeyError:
        return False
    return True


async def state_of(collections: Iterable[Collection]) -> str | None:
    """`built` where every one is, None where one was dropped, else `building`."""
    states = set(await asyncio.gather(*(marked(collection) for collection in collections)))
    return None if None in states else (BUILT if states == {BUILT} else BUILDING)
