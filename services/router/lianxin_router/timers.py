"""The knocks: when a clock runs out and nobody acts, the router says so to itself on `opinions.inbound`.

A knock decides nothing: `decide` looks at every clock before any command, at the command's time. So any
router may knock, and twice does no harm. Cases on replayed time are not knocked for.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import OUTAGES
from lianxin_chassis.outages import Backoff, outage
from lianxin_contracts import ids, inbound, topics
from lianxin_contracts.envelope import Event, OutRecord, milliseconds, to_record
from lianxin_router.store import CaseStore

log = get_logger(__name__)

SOURCE = "/router"
MOST_AT_ONCE = 500
# A knock that got lost (broker's retention, a skipped dead letter) is sent again after this long.
AGAIN = timedelta(minutes=10)


class Publishes(Protocol):
    """The part of the chassis's publisher that is used here."""

    async def publish(self, records: Sequence[OutRecord], deadline_s: float = 5.0) -> None:
        """Return when all are acknowledged."""


def knock(case: str, clock: inbound.Clock, due: datetime, now: datetime) -> OutRecord:
    """The record that makes `decide` look at `case` at `now`."""
    event = Event(
        id=ids.knock(case, clock, milliseconds(due)),
        source=SOURCE,
        type="case.due",
        subject=case,
        time=now,
        recordedtime=now,
        data=inbound.Due(clock, due),
    )
    return to_record(event, topics.INBOUND, case)


class Timers:
    """Looks for clocks that have run out, every `every_s` seconds."""

    def __init__(
        self,
        store: CaseStore,
        publisher: Publishes,
        every_s: float = 1.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._every_s = every_s
        self._now = now
        self._knocked: dict[tuple[str, str, datetime], datetime] = {}
        self._unhandled = 0

    async def run(self) -> None:
        """Knock until cancelled; waits out a broker or database that is away."""
        backoff = Backoff()
        while True:
            try:
                await self.knock_once()
                backoff.reset()
                # A look costs what is overdue: while many knocks wait to be handled, it is made more seldom.
                await asyncio.sleep(self._every_s * (1 + self._unhandled // MOST_AT_ONCE))
            except Exception as error:
                what = outage(error)
                if what is None:
                    raise
                OUTAGES.labels(what).inc()
                log.warning("no knocking for now", error=repr(error))
                await asyncio.sleep(backoff.next())

    async def knock_once(self) -> int:
        """Knock for what ran out and was not knocked for lately; returns how many knocks were sent."""
        now = self._now()
        self._knocked = {k: at for k, at in self._knocked.items() if now - at < AGAIN}
        sent = self._unhandled = 0
        async for found in self._store.due(now, MOST_AT_ONCE):
            fresh = [key for key in found if key not in self._knocked]
            if fresh:
                await self._publisher.publish([knock(case, clock, due, now) for case, clock, due in fresh])
                self._knocked.update(dict.fromkeys(fresh, now))
            sent += len(fresh)
            self._unhandled += len(found) - len(fresh)
        return sent
