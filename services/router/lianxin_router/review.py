"""When a new registry comes into force: every open case whose assignee lost the mandate is looked at again.

Decides nothing: it sends `case.review` to `opinions.inbound`, so that the case is reviewed in its own order.
"""

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import OUTAGES
from lianxin_chassis.outages import Backoff, outage
from lianxin_contracts import ids, inbound, topics
from lianxin_contracts.envelope import Event, OutRecord, to_record
from lianxin_router.city import City
from lianxin_router.store import CaseStore
from lianxin_router.timers import SOURCE, Publishes

log = get_logger(__name__)

PAGE = 200


class Reviews:
    """Reviews the open cases once per registry version."""

    def __init__(self, store: CaseStore, publisher: Publishes) -> None:
        self._store = store
        self._publisher = publisher
        self._cities: asyncio.Queue[City] = asyncio.Queue()

    def accept(self, city: City) -> None:
        """A version came into force."""
        self._cities.put_nowait(city)

    async def run(self) -> None:
        """Review until cancelled; waits out a broker or database that is away."""
        while True:
            city = await self._cities.get()
            backoff = Backoff()
            while self._cities.empty():
                try:
                    sent = await self.review(city)
                    log.info("open cases reviewed", version=city.snapshot.version, asked=sent)
                    break
                except Exception as error:
                    what = outage(error)
                    if what is None:
                        raise
                    OUTAGES.labels(what).inc()
                    await asyncio.sleep(backoff.next())

    async def review(self, city: City) -> int:
        """Ask for a review of each open case whose assignee has no mandate for it; returns how many."""
        now = datetime.now(UTC)
        on = now.astimezone(ZoneInfo(city.snapshot.city.zone)).date()
        sent = 0
        for deputy in await self._store.holders():
            held = await self._store.load(await self._store.held_by([deputy]))
            lost = [
                h.id
                for h in held.values()
                if h.case is not None
                and not h.case.replayed
                and h.case.is_open
                and not city.unrouted.holds_mandate(deputy, h.case.grid, h.case.topic, on)
            ]
            for start in range(0, len(lost), PAGE):
                page = lost[start : start + PAGE]
                await self._publisher.publish([_ask(case, city.snapshot.version, now) for case in page])
            sent += len(lost)
        return sent


def _ask(case: str, version: str, now: datetime) -> OutRecord:
    event = Event(
        id=ids.review(case, version),
        source=SOURCE,
        type="case.review",
        subject=case,
        time=now,
        recordedtime=now,
        data=inbound.Review(version),
    )
    return to_record(event, topics.INBOUND, case)
