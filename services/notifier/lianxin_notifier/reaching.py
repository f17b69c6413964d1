"""Goes on with every alert: looks at what became of it, has the next delivery queued, or puts it off.

The rules are `choosing`'s. Any number of workers may: the same look gives the same delivery under the
same id.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from lianxin_chassis.outages import Outage
from lianxin_chassis.patience import patiently
from lianxin_contracts.registry import Leave, Snapshot
from lianxin_contracts.working_time import WorkingTime
from lianxin_notifier.alerts import Address, Due, alert_id, due_for, reachable
from lianxin_notifier.choosing import (
    UNDER_WAY,
    Ended,
    Need,
    Repeats,
    Send,
    Step,
    Wait,
    Wishes,
    choose,
    is_urgent,
)
from lianxin_notifier.delivery_documents import Made
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.inbox import Opinion
from lianxin_notifier.metric_names import AGAIN, ENDED
from lianxin_notifier.preference_store import PreferenceStore
from lianxin_notifier.preferences import DEFAULT, Preferences, channels_of
from lianxin_notifier.reached import registered
from lianxin_notifier.reaching_store import Later, Looked, ReachingStore

# How many alerts are looked at together, and for how long nobody else looks at them, seconds.
AT_ONCE = 256
LEASE_S = 30.0
# How long an idle worker waits before it looks again, seconds: other workers' deliveries end as well.
LOOK_EVERY_S = 1.0
# How long to let alerts gather, seconds: looked at one by one they cost several times as much, just when
# their entries are on the way into open inboxes.
GATHER_S = 0.25

_ENDED: dict[str, Ended] = {"sent": "sent", "dead": "dead", "skipped": "skipped"}


class Opinions(Protocol):
    """The part of the projection that is asked."""

    async def opinions(self, ids: set[str]) -> dict[str, Opinion]:
        """Those of `ids` that are known."""


class Devices(Protocol):
    """The part of `DeviceStore` that is asked."""

    async def first_of(self, people: Collection[str]) -> dict[str, datetime]:
        """Since when each of `people` has taken alerts in a browser; who does not is left out."""


@dataclass(frozen=True, slots=True)
class Person:
    """A receiver as the registry and they themselves have it now."""

    addresses: tuple[Address, ...]
    wishes: Wishes

    def address(self, name: str) -> Address:
        """The address of this name."""
        return next(one for one in self.addresses if one.name == name)


class CityTime:
    """The working time and the leaves of the city in force, made once for each version of the registry."""

    def __init__(self) -> None:
        self._version: str | None = None
        self._time = WorkingTime()
        self._leaves: dict[str, list[Leave]] = {}

    def of(self, city: Snapshot) -> tuple[WorkingTime, Mapping[str, Sequence[Leave]]]:
        """Working time, and leaves by deputy."""
        if city.version != self._version:
            self._version, self._leaves = city.version, {}
            self._time = WorkingTime(city.calendars.values(), city.city.zone)
            for leave in city.leaves.values():
                self._leaves.setdefault(leave.deputy, []).append(leave)
        return self._time, self._leaves


class Reaching:
    """The task that works off `ReachingStore`. `queued` is called when deliveries were queued."""

    def __init__(
        self,
        store: ReachingStore,
        deliveries: DeliveryStore,
        preferences: PreferenceStore,
        opinions: Opinions,
        registry: Callable[[], Snapshot | None],
        repeats: Repeats,
        devices: Devices | None = None,
        queued: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._preferences = preferences
        self._opinions = opinions
        self._registry = registry
        self._repeats = repeats
        self._devices = devices
        self._queued = queued
        self._now = now
        self._time = CityTime()
        self._news = asyncio.Event()

    def wake(self) -> None:
        """There is something to look at."""
        self._news.set()

    async def ended(self, due: Due) -> None:
        """A delivery has ended: its alert is looked at. Raises PyMongo's errors."""
        await self._store.look_at(due.cause, due.receiver, self._now())
        self._news.set()

    async def run(self) -> None:
        """Look for ever."""
        while True:
            self._news.clear()
            if await patiently(self.look) < AT_ONCE:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), LOOK_EVERY_S * random.uniform(0.5, 1.0))
                await asyncio.sleep(GATHER_S)

    async def look(self) -> int:
        """Look at what is due; returns how many there were. Raises PyMongo's errors and `Outage`."""
        looked = await self._store.claim(AT_ONCE, self._now(), LEASE_S)
        if looked:
            await self._go_on(looked)
        return len(looked)

    async def _go_on(self, looked: Sequence[Looked]) -> None:
        city = self._registry()
        if city is None:
            raise Outage("the registry is not read yet", what="registry")
        made = await self._deliveries.made_for({one.alert.opinion for one in looked})
        opinions = await self._opinions.opinions({one.alert.opinion for one in looked})
        people = await self._people({one.alert.receiver for one in looked}, city)
        now = self._now()
        dues: list[Due] = []
        gone_on: list[str] = []
        done: list[Looked] = []
        later: list[Later] = []
        for one in looked:
            alert, person = one.alert, people[one.alert.receiver]
            before = made.get((alert.cause, alert.receiver), [])
            steps = _steps(before, person.addresses)
            urgent = is_urgent(alert.entry.event, alert.entry.topic, city.topics)
            need = _need(one, opinions.get(alert.opinion))
            match choose(steps, urgent, need, person.wishes, self._repeats, now):
                case Send() as send:
                    language = person.wishes.preferences.language or ""
                    address = person.address(send.name)
                    dues.append(due_for(alert, address, send.again, others=send.others, language=language))
                    gone_on += [step.alert for step in before if step.status == "dead"]
                    # The delivery's end brings it up; this is for the case that nobody comes to tell.
                    later.append(Later(one, now + UNDER_WAY))
                case Wait() as wait:
                    held = wait.why if wait.why in ("quiet", "paused") else None
                    later.append(Later(one, wait.until, held))
                case end:
                    done.append(one)
                    ENDED.labels(end.why).inc()
        await self._deliveries.queue(dues, now)
        await self._deliveries.gone_on(gone_on)
        await self._store.settle(done, later)
        if dues:
            AGAIN.inc(sum(1 for due in dues if due.again))
            self._queued()

    async def _people(self, receivers: set[str], city: Snapshot) -> dict[str, Person]:
        """Each of `receivers` as they are to be reached now."""
        preferences = await self._preferences.of_many(receivers)
        browsers = await self._devices.first_of(receivers) if self._devices is not None else {}
        return {
            who: self._person(who, preferences.get(who, DEFAULT), city, browser=who in browsers)
            for who in receivers
        }

    def _person(self, id_: str, preferences: Preferences, city: Snapshot, *, browser: bool) -> Person:
        known = registered(id_, city, browser=browser)
        addresses = reachable(known, channels_of(preferences, known))
        time, leaves = self._time.of(city)
        names = [one.name for one in addresses]
        return Person(addresses, Wishes(names, time, preferences, leaves.get(id_, ())))


def _steps(made: Sequence[Made], addresses: Sequence[Address]) -> list[Step]:
    """The deliveries so far, each by the name of its channel. Of one that is known from its records alone the
    name follows from its id; where the address is no longer there, the kind stands for it."""
    return [
        Step(one.name or _name(one, addresses), one.again, _ENDED.get(one.status, "under_way"), one.at)
        for one in made
    ]


def _name(made: Made, addresses: Sequence[Address]) -> str:
    same = (
        a.name for a in addresses if alert_id(made.cause, made.receiver, a.name, made.again) == made.alert
    )
    return next(same, made.kind)


def _need(looked: Looked, opinion: Opinion | None) -> Need:
    """Whether the receiver still needs to hear of it. What is not saved yet needs it for sure."""
    alert = looked.alert
    seat = opinion.seats.get(alert.receiver) if opinion is not None else None
    if opinion is None or seat is None or opinion.sequence < alert.sequence:
        return Need(waits=True, held=looked.held)
    open_ = seat.state == "open"
    return Need(
        open=open_ or alert.entry.state != "open",
        heeded=max(seat.seen, seat.acted) > alert.sequence,
        waits=open_
        and seat.role in ("holder", "triage")
        and seat.told == alert.sequence
        and opinion.due is not None,
        held=looked.held,
    )
