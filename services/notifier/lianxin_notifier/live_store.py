"""The generation that pages read: looked up every second, so that a rebuild shows without a restart."""

import asyncio

from lianxin_chassis.database import Database
from lianxin_chassis.generations import Generations
from lianxin_chassis.patience import patiently
from lianxin_notifier.rebuild import SERVICE
from lianxin_notifier.store import ProjectionStore

LOOK_EVERY_S = 1.0


class LiveStore:
    """Gives the store of the live generation."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._generations = Generations(db, SERVICE)
        self._store: ProjectionStore | None = None

    async def get(self) -> ProjectionStore:
        """The live store. Raises PyMongo's errors while it is not known yet and the database is away."""
        if self._store is None:
            self._store = ProjectionStore(self._db, await self._generations.live())
        return self._store

    async def follow(self) -> None:
        """Keep it current, for ever."""
        while True:
            live = await patiently(self._generations.live)
            if self._store is None or self._store.generation != live:
                self._store = ProjectionStore(self._db, live)
            await asyncio.sleep(LOOK_EVERY_S)
