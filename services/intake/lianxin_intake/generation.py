"""Reading the generation of the projection that is live, also while a rebuild puts another in its place."""

import asyncio
from collections.abc import Sequence
from time import monotonic

from lianxin_chassis.database import Database
from lianxin_chassis.generations import Generations
from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Backoff
from lianxin_intake.store import TrackingStore, unreadable

log = get_logger(__name__)

PROJECTION = "tracking"
POLL_S = 1.0
# A number older than this is asked for again before reading: the generation may have been dropped meanwhile.
STALE_S = 5.0
# How long a generation that was replaced is kept for readers that have not noticed, seconds.
KEEP_OLD_S = 30.0


class LiveTracking:
    """The live generation of the tracking projection, for readers."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._generations = Generations(db, PROJECTION)
        self._store: TrackingStore | None = None
        self._seen = 0.0
        self._was_built = False

    async def store(self) -> TrackingStore:
        """The store to read from now. Raises PyMongo's errors where the database is away; the store raises
        `Lost` where what was built was dropped, until it is built again."""
        if self._store is None or monotonic() - self._seen > STALE_S:
            await self._look()
        assert self._store is not None
        return self._store

    async def digests(self, opinions: Sequence[str]) -> dict[str, str]:
        """As `TrackingStore.digests`."""
        return await (await self.store()).digests(opinions)

    async def follow(self) -> None:
        """Keep looking which generation is live, until cancelled. A database that is away or refuses us is
        waited for: accepting needs it no more than it needs the projection."""
        backoff = Backoff(cap_s=5.0)
        while True:
            try:
                await self._look()
            except Exception as error:
                if not unreadable(error):
                    raise
                log.warning("the live generation can't be read", error=repr(error))
                await asyncio.sleep(backoff.next())
                continue
            backoff.reset()
            await asyncio.sleep(POLL_S)

    async def _look(self) -> None:
        live, building = await self._generations.known()
        number = live or 1
        if not self._was_built:
            self._was_built = await TrackingStore(self._db, number).state() is not None
        unmade = not self._was_built and building is None
        if self._store is None or self._store.generation != number or self._store.unmade != unmade:
            log.info("reading the tracking projection", generation=number)
            self._store = TrackingStore(self._db, number, unmade=unmade)
        self._seen = monotonic()
