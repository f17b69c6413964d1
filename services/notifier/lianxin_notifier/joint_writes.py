"""Changes of single documents that are asked for at the same time, made together: one trip to the database.

A sender's connections each go through the same few steps, so under load many of them ask at once; when idle
nothing waits for anything.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pymongo import UpdateOne

from lianxin_chassis.database import Collection
from lianxin_chassis.lookups import find_in
from lianxin_contracts import ids


@dataclass(slots=True)
class _Asked:
    id_: str
    version: int
    change: Mapping[str, Mapping[str, Any]]
    token: str = field(default_factory=ids.fresh)  # by which this change is told from everybody else's
    done: asyncio.Future[bool] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def request(self) -> UpdateOne:
        """The change as it is sent."""
        values = {**self.change.get("$set", {}), "claim": self.token}
        change = {**self.change, "$set": values, "$inc": {"version": 1}}
        return UpdateOne({"_id": self.id_, "version": self.version}, change)


class JointWrites:
    """Changes documents that carry a `version`, and keep in `claim` who changed them last."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._asked: list[_Asked] = []
        self._writing: asyncio.Task[None] | None = None

    async def change(self, id_: str, version: int, change: Mapping[str, Mapping[str, Any]]) -> bool:
        """Apply `change` and raise the version where it still is `version`; False where it is not, or where
        the document is gone. Raises PyMongo's errors."""
        asked = _Asked(id_, version, change)
        self._asked.append(asked)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="joint-writes")
        return await asked.done

    async def _write(self) -> None:
        while self._asked:
            together, self._asked = self._asked, []
            try:
                changed = await self._write_together(together)
            except Exception as error:  # noqa: BLE001 - it is each caller's
                for one in together:
                    if not one.done.done():
                        one.done.set_exception(error)
            else:
                for one in together:
                    if not one.done.done():  # its caller may have been cancelled
                        one.done.set_result(one.token in changed)

    async def _write_together(self, together: list[_Asked]) -> set[str]:
        """The tokens of the changes that were made."""
        done = await self._collection.bulk_write([one.request() for one in together], ordered=False)
        if done.matched_count == len(together):
            return {one.token for one in together}
        # Rare: a delivery was somebody else's meanwhile, or the collection was dropped.
        found = await find_in(self._collection, "_id", {one.id_ for one in together}, {"claim": 1})
        return {str(document.get("claim")) for document in found}
