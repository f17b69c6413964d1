"""What an erasure deletes is deleted once more, a minute later.

A router that has lost its partitions may still have words on their way to the broker: its client goes on
trying for a while. They could come behind the deletion, which another router has written, and stay for ever.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import OUTAGES
from lianxin_chassis.outages import Backoff, outage
from lianxin_router.store import CaseStore
from lianxin_router.timers import Publishes

log = get_logger(__name__)

# The client gives a record up after at most two requests of 15 s each (chassis `Publisher`).
AFTER = timedelta(minutes=1)
LOOK_EVERY_S = 10.0
PAGE = 200


class Deletions:
    """Repeats the deletions that are old enough. Twice does no harm, so any router may."""

    def __init__(
        self, store: CaseStore, publisher: Publishes, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._now = now

    async def run(self) -> None:
        """Repeat until cancelled; waits out a broker or database that is away."""
        backoff = Backoff()
        while True:
            wait = LOOK_EVERY_S
            try:
                await self.repeat_once()
                backoff.reset()
            except Exception as error:
                what = outage(error)
                if what is None:
                    raise
                OUTAGES.labels(what).inc()
                log.warning("no deletions repeated for now", error=repr(error))
                wait = max(wait, backoff.next())
            await asyncio.sleep(wait)

    async def repeat_once(self) -> int:
        """Repeat what was deleted longer than `AFTER` ago; returns of how many cases."""
        repeated = 0
        while found := await self._store.deleted_by(self._now() - AFTER, PAGE):
            await self._publisher.publish([record for _, deletions in found for record in deletions])
            await self._store.forget_deletions([case for case, _ in found])
            repeated += len(found)
        return repeated
