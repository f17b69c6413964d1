"""When a new registry comes into force, and on every new day, on which mandates and leaves begin and end:
every open case whose assignee may not keep it is looked at again.

Decides nothing: it sends `case.review` to `opinions.inbound`, so that the case is reviewed in its own order.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import OUTAGES
from lianxin_chassis.outages import Backoff, outage
from lianxin_contracts import ids, inbound, topics
from lianxin_contracts.envelope import Event, OutRecord, to_record
from lianxin_router.city import City
from lianxin_router.domain.case import Case
from lianxin_router.domain.placing import keeps_mandate
from lianxin_router.store import CaseStore
from lianxin_router.timers import SOURCE, Publishes

log = get_logger(__name__)

PAGE = 200


class Reviews:
    """Reviews the open cases once per registry version and day.

    `settled` returns when no batch is in hand any more that was begun under an earlier version: what such a
    batch assigns must be there to be looked at.
    """

    def __init__(
        self,
        store: CaseStore,
        publisher: Publishes,
        settled: Callable[[], Awaitable[None]],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._settled = settled
        self._now = now
        self._cities: asyncio.Queue[City] = asyncio.Queue()

    def accept(self, city: City) -> None:
        """A version came into force."""
        self._cities.put_nowait(city)

    async def run(self) -> None:
        """Review until cancelled; waits out a broker or database that is away."""
        city = await self._cities.get()
        while True:
            await self._review_patiently(city)
            try:
                async with asyncio.timeout(seconds_of_the_day_left(city, self._now())):
                    city = await self._cities.get()
            except TimeoutError:
                continue  # a new day

    async def _review_patiently(self, city: City) -> None:
        backoff = Backoff()
        while self._cities.empty():
            try:
                sent = await self.review(city)
            except Exception as error:
                what = outage(error)
                if what is None:
                    raise
                OUTAGES.labels(what).inc()
                await asyncio.sleep(backoff.next())
            else:
                log.info("open cases reviewed", version=city.snapshot.version, asked=sent)
                return

    async def review(self, city: City) -> int:
        """Ask for a review of each open case that its assignee may not keep; returns how many."""
        await self._settled()
        now = self._now()
        sent = 0
        for deputy in await self._store.holders():
            held = await self._store.load(await self._store.held_by([deputy]))
            lost = [
                h.id for h in held.values() if h.case is not None and is_to_be_reviewed(h.case, city, now)
            ]
            for start in range(0, len(lost), PAGE):
                page = lost[start : start + PAGE]
                await self._publisher.publish([_ask(case, city, now) for case in page])
            sent += len(lost)
        return sent


def is_to_be_reviewed(case: Case, city: City, at: datetime) -> bool:
    """Whether `case.review` would take the case from its assignee (domain `office.review`)."""
    if case.replayed or not case.is_open or case.assignee is None:
        return False
    if not keeps_mandate(case, city.unrouted, at):
        return True
    return case.stage == "assigned" and city.unrouted.on_leave(case.assignee, city.index.day(at))


def seconds_of_the_day_left(city: City, at: datetime) -> float:
    """Until the next midnight in the city, seconds."""
    tomorrow = city.index.day(at) + timedelta(days=1)
    return (datetime.combine(tomorrow, time(), ZoneInfo(city.snapshot.city.zone)) - at).total_seconds()


def _ask(case: str, city: City, now: datetime) -> OutRecord:
    version = city.snapshot.version
    event = Event(
        id=ids.review(case, version, city.index.day(now).isoformat()),
        source=SOURCE,
        type="case.review",
        subject=case,
        time=now,
        recordedtime=now,
        data=inbound.Review(version),
    )
    return to_record(event, topics.INBOUND, case)
