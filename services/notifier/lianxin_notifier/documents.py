"""Bulk writes that may be repeated, and conditions on ids. Only the stores use it."""

from collections.abc import Sequence
from typing import Any

from pymongo.errors import BulkWriteError

from lianxin_chassis.database import Collection, Document

DUPLICATE_KEY = 11000


async def write_again(collection: Collection, requests: Sequence[Any]) -> int:
    """Carry out `requests` in any order. A duplicate key means "already done" and is success; any other
    failure raises PyMongo's error. Returns how many were duplicates."""
    duplicates = 0
    for _ in range(2):  # racing upserts may collide once without being done (SERVER-14322)
        if not requests:
            return duplicates
        try:
            await collection.bulk_write(requests, ordered=False)
        except BulkWriteError as error:
            if not only_duplicates(error):
                raise
            requests = [requests[failed["index"]] for failed in error.details["writeErrors"]]
            duplicates = len(requests)
        else:
            return duplicates
    return duplicates


def only_duplicates(error: BulkWriteError) -> bool:
    """True where nothing but duplicate keys went wrong."""
    details = error.details or {}
    failed = details.get("writeErrors", [])
    return (
        bool(failed)
        and not details.get("writeConcernErrors")
        and all(one.get("code") == DUPLICATE_KEY for one in failed)
    )


def starting_with(prefix: str) -> Document:
    """The condition that an `_id` begins with `prefix` and a slash."""
    return {"$gte": f"{prefix}/", "$lt": f"{prefix}0"}  # "0" follows "/" in the order of characters
