"""When each channel key was last used: kept by every service that takes keys, in its own database.

An own record, and a small one: one document a key, written at most once a minute by each process. No request
waits for it. What can't be written waits for the next try; a process that is killed forgets its last minute.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from lianxin_chassis.database import Database
from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import outage
from lianxin_contracts.registry import ChannelKey, Snapshot

log = get_logger(__name__)

COLLECTION = "key_uses"
EVERY_S = 60.0
# How long a process that stops waits for its last uses to be written, seconds.
LAST_WORDS_S = 2.0


class Keys(Protocol):
    """What is needed of `RegistryFollower`."""

    @property
    def current(self) -> Snapshot | None:
        """The city in force."""

    def channel_key(self, hash_: str) -> ChannelKey | None:
        """The key with this hash."""


class KeyUses:
    """Notes uses of keys and writes them down now and then."""

    def __init__(self, db: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._uses = db[COLLECTION]
        self._clock = clock
        self._pending: dict[str, datetime] = {}

    def note(self, hash_: str) -> None:
        """The key with this hash was used now."""
        self._pending[hash_] = self._clock()

    async def write(self) -> None:
        """Write what was noted. Raises PyMongo's errors; then it stays noted."""
        pending, self._pending = self._pending, {}
        if not pending:
            return
        try:
            await self._uses.bulk_write(
                [UpdateOne({"_id": key}, {"$max": {"at": at}}, upsert=True) for key, at in pending.items()],
                ordered=False,
            )
        except BaseException:
            self._pending = pending | self._pending
            raise

    async def run(self, every_s: float = EVERY_S) -> None:
        """Keep writing until cancelled, and once more then. A database that is away is waited for."""
        try:
            while True:
                await asyncio.sleep(every_s)
                await self._try_to_write()
        finally:
            try:
                async with asyncio.timeout(LAST_WORDS_S):
                    await self._try_to_write()
            except TimeoutError:
                log.warning("the last uses of keys are not written down", count=len(self._pending))

    async def _try_to_write(self) -> None:
        try:
            await self.write()
        except Exception as error:
            if not isinstance(error, PyMongoError) and outage(error) is None:
                raise
            log.warning("uses of keys can't be written down yet", error=type(error).__name__)


class NotedKeys:
    """The registry for services that take keys: who asks for a key that holds has been shown it, so that is
    noted as a use."""

    def __init__(self, registry: Keys, uses: KeyUses) -> None:
        self._registry = registry
        self._uses = uses

    @property
    def current(self) -> Snapshot | None:
        """The city in force."""
        return self._registry.current

    def channel_key(self, hash_: str) -> ChannelKey | None:
        """As `RegistryFollower.channel_key`."""
        key = self._registry.channel_key(hash_)
        if key is not None and key.holds(datetime.now(UTC)):
            self._uses.note(hash_)
        return key


async def last_used(db: Database) -> dict[str, datetime]:
    """When each key was last used, by its hash, as this database knows. Raises PyMongo's errors."""
    return {document["_id"]: document["at"] for document in await db[COLLECTION].find({}).to_list(None)}
