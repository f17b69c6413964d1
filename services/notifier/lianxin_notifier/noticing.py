"""Sends what falls due by the clock: digests, weekly summaries, reminders of contact days.

Any number of workers may look: a notice's id follows from its slot, and what is queued already stays as it
is. How far was looked is kept, so that hours without a worker lose nothing; a slot that is too long past is
let go, counted and said.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TypeVar

from lianxin_chassis.database import Database
from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Outage
from lianxin_chassis.patience import patiently
from lianxin_contracts.registry import Snapshot
from lianxin_notifier.alerts import Address, Due, reachable
from lianxin_notifier.channel_robot import ROBOTS
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.metric_names import NOTICES_LET_GO
from lianxin_notifier.notices import LATEST, Notice, Plan, Times, due_between, due_to, early_digests
from lianxin_notifier.preference_store import PreferenceStore
from lianxin_notifier.preferences import DEFAULT, channels_of
from lianxin_notifier.reaching import CityTime
from lianxin_notifier.summary_store import Counts, SummaryStore

log = get_logger(__name__)
Part = TypeVar("Part")

CLOCK = "notice_clock"
AT_ONCE = 500
_NOTHING: Counts = dict.fromkeys(("new", "resolved", "satisfied", "basically", "dissatisfied"), 0)


class NoticeClock:
    """Until when it was looked what is due. Alone reads and writes the collection `notice_clock`."""

    def __init__(self, db: Database) -> None:
        self._clock = db[CLOCK]

    async def looked(self) -> datetime | None:
        """Until when; None where nobody has looked yet, or it was dropped."""
        found = await self._clock.find_one({"_id": "looked"})
        return None if found is None else found["until"]

    async def advance(self, until: datetime) -> None:
        """It was looked until then. Never goes back."""
        await self._clock.update_one({"_id": "looked"}, {"$max": {"until": until}}, upsert=True)


class Noticing:
    """The task. `queued` is called when deliveries were queued."""

    def __init__(
        self,
        clock: NoticeClock,
        summaries: SummaryStore,
        deliveries: DeliveryStore,
        preferences: PreferenceStore,
        registry: Callable[[], Snapshot | None],
        *,
        times: Times,
        every_s: float = 20.0,
        queued: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._summaries = summaries
        self._deliveries = deliveries
        self._preferences = preferences
        self._registry = registry
        self._times = times
        self._every_s = every_s
        self._queued = queued
        self._now = now
        self._time = CityTime()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await patiently(self.look)
            await asyncio.sleep(self._every_s)

    async def look(self) -> int:
        """Have queued what fell due since the last look; returns how many notices. Raises PyMongo's errors
        and `Outage`."""
        city = self._registry()
        if city is None:
            raise Outage("the registry is not read yet", what="registry")
        now = self._now()
        since = await self._clock.looked() or now - LATEST
        plan = await self._plan(since, now, city)
        due = due_between(since, now, plan)
        _let_go([notice for notice in due if notice.at < now - LATEST])
        due = [notice for notice in due if notice.at >= now - LATEST]
        early = early_digests(now, plan)
        known = await self._deliveries.known([notice.id for notice in (*due, *early)])
        wanted = [notice for notice in (*due, *early) if notice.id not in known]
        told = [due for part in _parts(wanted) for due in await self._told(part, plan, now)]
        by_moment: dict[datetime, list[Due]] = {}
        for one in told:
            by_moment.setdefault(plan.sent_at(one.receiver, now), []).append(one)
        for moment, dues in by_moment.items():
            for part in _parts(dues):
                await self._deliveries.queue(part, _whole(moment))
        await self._clock.advance(now)
        if told:
            self._queued()
        return len(told)

    async def _plan(self, since: datetime, now: datetime, city: Snapshot) -> Plan:
        """The plan with the wishes of everybody who may be told something now."""
        working, leaves = self._time.of(city)
        wishes = await self._preferences.with_digest()
        plan = Plan(city, working, wishes, self._times, leaves)
        others = {notice.receiver for notice in due_between(since, now, plan)} - wishes.keys()
        if not others:
            return plan
        return Plan(city, working, wishes | await self._preferences.of_many(others), self._times, leaves)

    async def _told(self, notices: Sequence[Notice], plan: Plan, now: datetime) -> list[Due]:
        """The deliveries of those of `notices` that have something to tell, to whom they can be told."""
        addressed = [(notice, address) for notice in notices if (address := _address(notice, plan))]
        about = [notice for notice, _ in addressed if notice.kind != "contact_day"]
        since = {notice.receiver: notice.since for notice in about}
        standing = await self._summaries.standing(list(since), since, now) if since else {}
        weeks: dict[datetime, Mapping[str, Counts]] = {}
        dues = []
        for notice, address in addressed:
            counts: Counts = dict(standing.get(notice.receiver, {}))
            if notice.kind == "weekly":
                if notice.since not in weeks:
                    weeks[notice.since] = await self._week(notice, plan)
                counts |= weeks[notice.since].get(notice.receiver, _NOTHING)
            if worth_telling(notice, counts):
                wishes = plan.preferences.get(notice.receiver, DEFAULT)
                dues.append(due_to(notice, address, counts, wishes.language or ""))
        return dues

    async def _week(self, notice: Notice, plan: Plan) -> Mapping[str, Counts]:
        """What happened in the week that a summary is about."""
        monday = plan.working.civil_date(notice.since)
        return await self._summaries.week(notice.since, plan.moment(monday + timedelta(days=7), time()))


def worth_telling(notice: Notice, counts: Counts) -> bool:
    """Whether there is anything to say: nobody is written to that nothing happened."""
    if notice.kind == "contact_day":
        return True
    if notice.kind == "weekly":
        names = ("new", "resolved", "satisfied", "basically", "dissatisfied", "overdue")
        return any(counts.get(name) for name in names)
    if notice.at_least:
        return counts.get("fresh", 0) >= notice.at_least
    return any(counts.get(name) for name in ("unseen", "soon", "overdue"))


def _address(notice: Notice, plan: Plan) -> Address | None:
    """The first channel of the receiver; what tells of a person's own cases goes to no group."""
    deputy = plan.city.deputies.get(notice.receiver)
    registered = deputy.channels if deputy else ()
    wishes = plan.preferences.get(notice.receiver, DEFAULT)
    found = reachable(registered, channels_of(wishes, registered))
    own = (one for one in found if notice.kind == "contact_day" or one.kind not in ROBOTS)
    return next(own, None)


def _let_go(late: Sequence[Notice]) -> None:
    for kind, number in Counter(notice.kind for notice in late).items():
        NOTICES_LET_GO.labels(kind).inc(number)
        log.warning("notices are let go: their time is too long past", kind=kind, notices=number)


def _parts(of: Sequence[Part]) -> list[Sequence[Part]]:
    return [of[begin : begin + AT_ONCE] for begin in range(0, len(of), AT_ONCE)]


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
