"""Idempotency keys of actions: the same key with another body is a conflict, told at once where possible.

An own record of 30 days. Best effort: an action needs the broker alone. Where the database is away, or a
conflict slips through, the router sees the same command id twice and heeds it once.
"""

import asyncio
import hashlib
from datetime import UTC, datetime

from pymongo.errors import DuplicateKeyError, PyMongoError

from lianxin_chassis.database import Database
from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError

log = get_logger(__name__)

COLLECTION = "command_keys"
KEPT_S = 30 * 86_400  # as long as the inbound topic
WAIT_S = 1.0  # for the database, before the action goes on without it


class IdempotencyKeys:
    """Remembers which body came with a command's id, as a digest."""

    def __init__(self, db: Database) -> None:
        self._keys = db[COLLECTION]

    async def prepare(self) -> None:
        """Make the index that forgets old keys."""
        await self._keys.create_index([("at", 1)], expireAfterSeconds=KEPT_S, name="forget")

    async def claim(self, command: str, body: bytes) -> None:
        """Raises 409 where `command` was given with another body before."""
        digest = hashlib.sha256(body).hexdigest()
        try:
            async with asyncio.timeout(WAIT_S):
                if await self._first(command, digest):
                    return
                found = await self._keys.find_one({"_id": command})
        except (PyMongoError, TimeoutError) as error:
            log.warning("an idempotency key is not checked", error=type(error).__name__)
            return
        if found is not None and found["digest"] != digest:
            raise ProblemError(
                409,
                "idempotency_conflict",
                "This Idempotency-Key was used with another body",
                "A repeat must be the same, byte for byte; for something new take a new key.",
            )

    async def _first(self, command: str, digest: str) -> bool:
        try:
            await self._keys.insert_one({"_id": command, "digest": digest, "at": datetime.now(UTC)})
        except DuplicateKeyError:
            return False
        return True
