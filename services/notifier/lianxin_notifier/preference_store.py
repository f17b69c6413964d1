"""Everybody's preferences. Alone reads and writes the collection `preferences`: an own record, backed up."""

from collections.abc import Iterable

import msgspec

from lianxin_chassis.database import Database, Document
from lianxin_chassis.lookups import find_in
from lianxin_notifier.preferences import DEFAULT, Preferences

PREFERENCES = "preferences"


class PreferenceStore:
    """One document for each person who has set something, under the person's id. Raises PyMongo's errors."""

    def __init__(self, db: Database) -> None:
        self._preferences = db[PREFERENCES]

    async def of(self, person: str) -> Preferences:
        """What `person` has set; `DEFAULT` where that is nothing."""
        found = await self._preferences.find_one({"_id": person})
        return DEFAULT if found is None else _preferences(found)

    async def of_many(self, people: Iterable[str]) -> dict[str, Preferences]:
        """The same of several; those who have set nothing are absent."""
        found = await find_in(self._preferences, "_id", people)
        return {str(document["_id"]): _preferences(document) for document in found}

    async def with_digest(self) -> dict[str, Preferences]:
        """Those of everybody who wants a digest, by person."""
        found = await self._preferences.find({"digest": {"$ne": None}}).to_list(None)
        return {str(document["_id"]): _preferences(document) for document in found}

    async def save(self, person: str, preferences: Preferences) -> None:
        """Keep `preferences` in place of what was there."""
        await self._preferences.replace_one({"_id": person}, msgspec.to_builtins(preferences), upsert=True)


def _preferences(document: Document) -> Preferences:
    fields = {name: value for name, value in document.items() if name != "_id"}
    return msgspec.convert(fields, Preferences)
