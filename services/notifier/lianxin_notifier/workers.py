"""How many workers of the notifier there are, told through the database, so that each keeps to its part of a
channel's rate.

One document for each worker in `alert_workers`: worth nothing after a minute, and no loss. Nobody waits for
it: where the database is away the last count holds. Intake's `exchange.py` tells rates beside its beat, since
there instances are asked unequally; here all take from one queue, and the number is enough.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

from pymongo.errors import PyMongoError

from lianxin_chassis.database import Database
from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import outage

log = get_logger(__name__)

COLLECTION = "alert_workers"
EVERY_S = 2.0
# A worker that was not heard of for so long is gone, seconds.
GONE_S = 10.0
# How long a worker that stops tries to say so, seconds.
LAST_WORDS_S = 1.0
_FORGET_S = 3600


class Workers:
    """Tells of this worker and counts the others. `count` is never below 1."""

    def __init__(self, db: Database, instance: str, clock: Callable[[], float] = monotonic) -> None:
        self._told = db[COLLECTION]
        self._instance = instance
        self._clock = clock
        self._beat = 0
        # By worker: its beat, and when that was new here. Clocks of other machines are not compared.
        self._heard: dict[str, tuple[object, float]] = {}
        self._prepared = False
        self.count = 1

    async def once(self) -> None:
        """Tell and count once. Raises PyMongo's errors."""
        if not self._prepared:
            await self._told.create_index([("at", 1)], expireAfterSeconds=_FORGET_S, name="forget")
            self._prepared = True
        self._beat += 1
        told = {"beat": self._beat, "at": datetime.now(UTC)}
        await self._told.replace_one({"_id": self._instance}, told, upsert=True)
        now, heard = self._clock(), {}
        for document in await self._told.find({"_id": {"$ne": self._instance}}).to_list(None):
            beat, since = self._heard.get(document["_id"], (None, now))
            heard[document["_id"]] = (document["beat"], now if beat != document["beat"] else since)
        self._heard = heard
        self.count = 1 + sum(now - since < GONE_S for _, since in heard.values())

    async def run(self, every_s: float = EVERY_S) -> None:
        """Keep telling and counting until cancelled."""
        try:
            while True:
                try:
                    async with asyncio.timeout(GONE_S):
                        await self.once()
                except Exception as error:
                    if not isinstance(error, PyMongoError) and outage(error) is None:
                        raise
                    log.warning("workers are not counted anew", error=type(error).__name__)
                await asyncio.sleep(every_s)
        finally:
            # Whoever is left finds out by itself, a little later.
            with contextlib.suppress(PyMongoError, TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    await self._told.delete_one({"_id": self._instance})
