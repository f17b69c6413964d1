"""How instances of intake tell each other what they were asked, through the database, every two seconds.

One document for each instance, in `key_rates`: worth nothing after a minute, and no loss. Nobody waits for
it: where the database is away each instance goes on with an equal share. For one exchange after demand has
moved from one instance to another a key may be given more, or less, than its limit.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

from pymongo.errors import PyMongoError

from lianxin_chassis.database import Database, Document
from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import outage
from lianxin_intake.key_limits import KeyLimits

log = get_logger(__name__)

COLLECTION = "key_rates"
EVERY_S = 2.0
# An instance that was not heard of for so long is gone, seconds.
GONE_S = 10.0
# How long an instance that stops tries to say so, seconds.
LAST_WORDS_S = 1.0
_FORGET_S = 3600


class Exchange:
    """Keeps one instance's limits in step with the others'."""

    def __init__(
        self, db: Database, limits: KeyLimits, instance: str, clock: Callable[[], float] = monotonic
    ) -> None:
        self._told = db[COLLECTION]
        self._limits = limits
        self._instance = instance
        self._clock = clock
        self._beat = 0
        # By instance: its beat, and when that was new here. Clocks of other machines are not compared.
        self._heard: dict[str, tuple[object, float]] = {}
        self._prepared = False
        self._agreed = clock()

    async def once(self) -> None:
        """Tell and hear once. Raises PyMongo's errors."""
        if not self._prepared:
            await self._told.create_index([("at", 1)], expireAfterSeconds=_FORGET_S, name="forget")
            self._prepared = True
        own = self._limits.asked()
        self._beat += 1
        # Pairs: a key's name may hold what a field's can't.
        told = {"beat": self._beat, "at": datetime.now(UTC), "asked": [list(pair) for pair in own.items()]}
        await self._told.replace_one({"_id": self._instance}, told, upsert=True)
        now = self._clock()
        others, heard = [], {}
        for document in await self._told.find({"_id": {"$ne": self._instance}}).to_list(None):
            beat, since = self._heard.get(document["_id"], (None, now))
            if beat != document.get("beat"):
                since = now
            heard[document["_id"]] = (document.get("beat"), since)
            if now - since < GONE_S:
                others.append(_rates(document))
        self._heard = heard
        self._limits.agree(own, others)
        self._agreed = now

    async def leave(self) -> None:
        """Tell the others that this instance is gone. Raises PyMongo's errors."""
        await self._told.delete_one({"_id": self._instance})

    async def run(self, every_s: float = EVERY_S) -> None:
        """Keep telling and hearing until cancelled."""
        try:
            while True:
                try:
                    async with asyncio.timeout(GONE_S):
                        await self.once()
                except Exception as error:
                    if not isinstance(error, PyMongoError) and outage(error) is None:
                        raise
                    self.missed(error)
                await asyncio.sleep(every_s)
        finally:
            # Whoever is left finds out by itself, a little later.
            with contextlib.suppress(PyMongoError, TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    await self.leave()

    def missed(self, error: Exception) -> None:
        """An exchange failed: shares stay as they are for a while, then they are equal."""
        now = self._clock()
        if now - self._agreed < GONE_S:
            return
        log.warning("limits of keys are not shared", error=type(error).__name__)
        self._limits.alone(1 + sum(now - since < 2 * GONE_S for _, since in self._heard.values()))


def _rates(document: Document) -> dict[str, float]:
    """What an instance was asked. One that writes another shape, of an older or a newer version, counts as
    one that was asked nothing."""
    try:
        return {str(name): float(rate) for name, rate in document["asked"]}
    except (KeyError, TypeError, ValueError):
        return {}
