"""How many documents a collection holds: exact, and at a cost that does not grow with them.

The count in MongoDB's metadata is free, but may be wrong for good after an unclean shutdown (MongoDB manual,
`estimatedDocumentCount`, "Unexpected Shutdown"). So the documents themselves are counted at the start and now
and then, and the difference is carried.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from pymongo.errors import ExecutionTimeout, NetworkTimeout

from lianxin_chassis.database import Collection
from lianxin_chassis.logs import get_logger
from lianxin_chassis.patience import patiently

log = get_logger(__name__)

# The server may be restarted while we live, and then be wrong anew, seconds.
RECOUNT_EVERY_S = 3600.0
# How long the server may count, milliseconds: less than the client waits for an answer. MongoDB gets through
# some ten million documents in this time; beyond that its metadata has to do.
COUNT_MS = 8_000
# How often a count is told at best and at worst, seconds, and how much of the time counting may take.
FRESH_S, STALE_S = 1.0, 30.0
SHARE = 0.05


async def keep_counting(count: Callable[[], Awaitable[None]]) -> None:
    """Call `count`, which tells a count, again and again; for ever. Waits out broker and database."""
    while True:
        began = time.monotonic()
        await patiently(count)
        await asyncio.sleep(pause(time.monotonic() - began))


def pause(took_s: float) -> float:
    """How long to wait, in seconds, after a count that took `took_s` seconds."""
    return min(STALE_S, max(FRESH_S, took_s * (1 / SHARE - 1)))


class DocumentCount:
    """The number of documents in one collection. Raises PyMongo's errors."""

    def __init__(self, collection: Collection, clock: Callable[[], float] = time.monotonic) -> None:
        self._collection = collection
        self._clock = clock
        self._difference = 0
        self._before: int | None = None
        self._settled_at: float | None = None

    async def now(self) -> int:
        """The number now. The first call counts, and so does one that finds a collection at rest that was
        never counted at rest, or not within the hour."""
        told = await self._collection.estimated_document_count()
        if self._before is None or (told == self._before and self._is_stale()):
            told = await self._recount(told)
        self._before = told
        return told + self._difference

    def _is_stale(self) -> bool:
        return self._settled_at is None or self._clock() - self._settled_at >= RECOUNT_EVERY_S

    async def _recount(self, before: int) -> int:
        """Count, and compare with what the metadata told before and tells now, which is returned."""
        try:
            counted = await self._collection.count_documents({}, maxTimeMS=COUNT_MS)
        except (ExecutionTimeout, NetworkTimeout) as error:
            log.warning(
                "too many documents to count", collection=self._collection.name, error=type(error).__name__
            )
            self._settled_at = self._clock()  # not again at every question
            return before
        after = await self._collection.estimated_document_count()
        # While a collection is written to, a count in between proves nothing against its metadata.
        difference = 0 if before <= counted <= after else counted - after
        # The two are read at different moments: a difference holds for the hour only when found twice alike.
        if before == after and difference in (0, self._difference):
            self._settled_at = self._clock()
        self._difference = difference
        return after
