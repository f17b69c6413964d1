"""The browsers in which people take alerts. Alone reads and writes `push_devices` and `push_taken`.

Own records, backed up: nobody but the browser could tell them again. A device is known by its endpoint, which
a browser gives anew when its user has taken the permission back and given it again. It ends with the sign-in
that made it where that is revoked (a lost phone), not where it merely runs out.
"""

import hashlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from pymongo.errors import DuplicateKeyError

from lianxin_chassis.database import Database, Document
from lianxin_chassis.lookups import find_in
from lianxin_contracts import ids
from lianxin_contracts.inbound import Moment
from lianxin_notifier.sessions import Sessions
from lianxin_notifier.web_push import Browser

DEVICES = "push_devices"
TAKEN = "push_taken"
MOST_DEVICES = 10  # of one person: a new one takes the place of the oldest
# Longer than a delivery is ever tried again (14 hours with the defaults, days where an operator says so).
TAKEN_KEPT = timedelta(days=14)


class Device(Struct, frozen=True, kw_only=True):
    """One browser of one person. `id` names it and opens nothing."""

    id: str
    person: str
    label: str
    created: Moment
    browser: Browser


class DeviceStore:
    """Raises PyMongo's errors."""

    def __init__(self, db: Database) -> None:
        self._devices = db[DEVICES]
        self._taken = db[TAKEN]
        self._sessions = Sessions(db)

    async def prepare(self) -> None:
        """Make the indexes. May be called again."""
        await self._devices.create_index([("person", 1), ("created", -1)], name="person")
        await self._devices.create_index([("id", 1)], unique=True, name="id")
        await self._taken.create_index([("forget", 1)], expireAfterSeconds=0, name="forget")

    async def add(self, person: str, session: str, browser: Browser, label: str, now: datetime) -> Device:
        """Take alerts of `person` in `browser` from now on; one that was another's is theirs no more."""
        device = Device(id=ids.fresh(), person=person, label=label, created=now, browser=browser)
        await self._devices.replace_one(
            {"_id": _name(browser.endpoint)},
            {
                "id": device.id,
                "person": person,
                "session": session,
                "label": label,
                "created": now,
                "endpoint": browser.endpoint,
                "key": browser.key,
                "auth": browser.auth,
            },
            upsert=True,
        )
        known = await self._of(person)
        await self._drop([document["_id"] for document in known[MOST_DEVICES:]])
        return device

    async def of_person(self, person: str) -> list[Device]:
        """The browsers of `person`, the newest first. Those whose sign-in was revoked are forgotten here."""
        known = await self._of(person)
        revoked = await self._sessions.revoked_among({document["session"] for document in known})
        await self._drop([document["_id"] for document in known if document["session"] in revoked])
        return [_device(document) for document in known if document["session"] not in revoked]

    async def remove(self, person: str, id_: str) -> bool:
        """Forget one browser of `person`; False where they have none of this id."""
        return bool((await self._devices.delete_one({"person": person, "id": id_})).deleted_count)

    async def gone(self, device: Device) -> None:
        """The push service knows this browser no more."""
        await self._devices.delete_one({"_id": _name(device.browser.endpoint), "id": device.id})

    async def first_of(self, people: Collection[str]) -> dict[str, datetime]:
        """Since when each of `people` has had the oldest of their present browsers; who has none is left
        out."""
        found = await find_in(self._devices, "person", list(people), {"person": 1, "created": 1})
        first: dict[str, datetime] = {}
        for document in found:
            first[document["person"]] = min(document["created"], first.get(document["person"], _FAR))
        return first

    async def took(self, alert: str, device: Device, now: datetime) -> None:
        """The push service has taken `alert` for this browser: it need not be sent there again."""
        try:
            await self._taken.insert_one({"_id": f"{alert}/{device.id}", "forget": now + TAKEN_KEPT})
        except DuplicateKeyError:  # another worker's attempt, which it took for dead, had ended as well
            return

    async def taken(self, alert: str, devices: Sequence[Device]) -> set[str]:
        """Ids of those of `devices` for which `alert` was taken."""
        names = {f"{alert}/{device.id}": device.id for device in devices}
        return {names[document["_id"]] for document in await find_in(self._taken, "_id", list(names))}

    async def _of(self, person: str) -> list[Document]:
        found = self._devices.find({"person": person}).sort([("created", -1)])
        documents: list[Document] = await found.to_list(None)
        return documents

    async def _drop(self, names: Sequence[str]) -> None:
        if names:
            await self._devices.delete_many({"_id": {"$in": list(names)}})


_FAR = datetime.max.replace(tzinfo=UTC)


def _name(endpoint: str) -> str:
    return hashlib.sha256(endpoint.encode()).hexdigest()


def _device(document: Document) -> Device:
    return Device(
        id=document["id"],
        person=document["person"],
        label=document["label"],
        created=document["created"],
        browser=Browser(document["endpoint"], document["key"], document["auth"]),
    )
