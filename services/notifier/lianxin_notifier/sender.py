"""Sends what is queued for one outside channel: recorded before it is made, and its result after.

Runs beside the inbox and never in its way: own task, own connections, bounded in number and in time.
"""

import asyncio
import contextlib
import random
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import OUTAGES
from lianxin_chassis.outages import Outage, outage
from lianxin_chassis.patience import patiently
from lianxin_contracts.deliveries import DeliveryStatus
from lianxin_notifier.alerts import RESIDENT, Due, Outside, attempt_record, step_of
from lianxin_notifier.delivery_documents import Claimed, Status
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.metric_names import DELIVERIES, REPEATED, RESTING
from lianxin_notifier.projector import Publishes
from lianxin_notifier.protection import Guard
from lianxin_notifier.retrying import Outcome, RetryPolicy

log = get_logger(__name__)

# How long an idle sender waits before it looks again, seconds: other workers queue as well, retries fall due.
LOOK_EVERY_S = 1.0
# What is claimed lasts for about so long at the present pace, seconds: the more waits, the more a look for it
# costs. It is bounded, since it waits for its lease's end where its worker dies.
CLAIM_FOR_S = 2.0
CLAIM_MOST = 500
# How long attempts in hand may go on after the order to stop, seconds.
FINISH_S = 8.0


class Slot(Protocol):
    """One connection of a channel: at most one message in flight."""

    async def deliver(self, due: Due) -> Outcome:
        """Make one attempt. Bounded in time; never raises for what the other side does."""

    async def close(self) -> None:
        """Drop the connection."""


@dataclass(frozen=True, slots=True)
class Held:
    """A message may not go out before `until`."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message need not go out any more; `reason` is for the record and holds no personal data."""

    reason: str


class Gate(Protocol):
    """What messages to residents pass before an attempt."""

    async def ready(self, due: Due, now: datetime) -> Due | Held | Dropped:
        """`due` as it is attempted, with an address that is not kept; or that it is not."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Leases and retries. `lease_s` must be longer than an attempt's deadline. After `silent_s` seconds
    without any answer of a channel, what could go by another one is given up here."""

    lease_s: float
    policy: RetryPolicy
    silent_s: float = 600.0


class Reached(Protocol):
    """Who goes on with an alert of which a delivery has ended."""

    async def ended(self, due: Due) -> None:
        """The end of `due`, sent or not, is on the log."""


class Sender:
    """Works off one channel's queue with the given `slots`; without slots the channel is not set up here, and
    what is queued for it is recorded as skipped."""

    def __init__(
        self,
        kind: Outside,
        slots: Sequence[Slot],
        store: DeliveryStore,
        publisher: Publishes,
        timing: Timing,
        guard: Guard | None = None,
        reached: Reached | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        gate: Gate | None = None,
    ) -> None:
        self._gate = gate
        self._kind = kind
        self._slots = tuple(slots)
        self._store = store
        self._publisher = publisher
        self._timing = timing
        self._reached = reached
        self._guard = guard or Guard(kind, failures=1_000_000, rest=timedelta(0))
        self._now = now
        self._news = asyncio.Event()
        self._claimed: asyncio.Queue[tuple[Claimed, datetime]] = asyncio.Queue()
        self._taken_up = 0  # since the last claim
        self._taken = asyncio.Event()
        self._stopping = asyncio.Event()

    def wake(self) -> None:
        """Something was queued."""
        self._news.set()

    async def run(self) -> None:
        """Send until cancelled; what is in hand then is finished first, within a few seconds."""
        claiming = asyncio.create_task(self._claim(), name=f"{self._kind}-claim")
        working = [
            asyncio.create_task(self._work(slot), name=f"{self._kind}-{number}")
            for number, slot in enumerate(self._slots or (None,))
        ]
        try:
            await asyncio.gather(claiming, *working)
        finally:
            self._stopping.set()
            claiming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait(working, timeout=FINISH_S)
            for task in working:
                task.cancel()
            await asyncio.gather(claiming, *working, return_exceptions=True)
            for slot in self._slots:
                await slot.close()
            await self._give_back()

    async def _give_back(self) -> None:
        """What was claimed and not begun is due again at once; where that fails, when its lease ends."""
        try:
            await self._store.release(self._left(), self._now())
        except Exception as error:
            if outage(error) is None:
                raise

    def _left(self) -> list[Claimed]:
        """What was claimed and not begun; it is taken off."""
        return [self._claimed.get_nowait()[0] for _ in range(self._claimed.qsize())]

    async def _claim(self) -> None:
        """Keep the slots busy, with no more claimed than they take up soon."""
        least = at_once = 2 * max(1, len(self._slots))
        since = self._now()
        while True:
            while self._claimed.qsize() >= at_once // 2:
                self._taken.clear()
                await self._taken.wait()
            if rest := self._guard.resting(self._now()):
                if not await self._claim_others(at_once):
                    await asyncio.sleep(min(LOOK_EVERY_S, rest.total_seconds()))
                continue
            now = self._now()
            at_once = claim_size(self._taken_up, (now - since).total_seconds(), least)
            since, self._taken_up = now, 0
            self._news.clear()
            found = await patiently(partial(self._claim_some, at_once))
            for claimed in found:
                self._claimed.put_nowait((claimed, now))
            if not found:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), LOOK_EVERY_S * random.uniform(0.5, 1.0))

    async def _claim_some(self, limit: int) -> list[Claimed]:
        return await self._store.claim(self._kind, limit, self._now(), self._timing.lease_s)

    async def _claim_others(self, limit: int) -> int:
        """While the channel rests: what need not wait for it, once it has rested too long. How many."""
        if not self._too_silent(None):
            return 0
        now = self._now()
        found = await patiently(
            lambda: self._store.claim(self._kind, limit, self._now(), self._timing.lease_s, others=True)
        )
        for claimed in found:
            self._claimed.put_nowait((claimed, now))
        return len(found)

    def _too_silent(self, due: Due | None) -> bool:
        return self._guard.silent(self._now(), due).total_seconds() >= self._timing.silent_s

    async def _work(self, slot: Slot | None) -> None:
        stop = asyncio.create_task(self._stopping.wait())
        try:
            while not self._stopping.is_set():
                take = asyncio.create_task(self._claimed.get())
                await asyncio.wait([take, stop], return_when=asyncio.FIRST_COMPLETED)
                if not take.done():
                    take.cancel()
                    return
                self._taken.set()
                claimed, since = take.result()
                if (self._now() - since).total_seconds() < self._timing.lease_s:  # else it is due for anybody
                    self._taken_up += 1
                    await self._one(claimed, slot)
        finally:
            stop.cancel()

    async def _one(self, claimed: Claimed, slot: Slot | None) -> None:
        """One delivery, one step further."""
        if claimed.unrecorded:  # its worker died between the result and its record
            await self._record(claimed)
            return
        if slot is None:
            await self._conclude(claimed, "skipped", error="channel not set up")
            return
        addressed = await self._let_through(claimed)
        if addressed is None:
            return
        if wait := self._guard.enter(claimed.due, self._now()):
            if claimed.due.others and self._too_silent(claimed.due):
                await self._conclude(claimed, "dead", error="no answer for too long")
                return
            until = self._now() + wait
            # Where the whole channel rests, so does all that was claimed for it: one write, not one for each.
            resting = [claimed, *(self._left() if self._guard.resting(self._now()) else ())]
            await patiently(lambda: self._store.release(resting, until))
            return
        begun = await self._begin(claimed)
        if begun is None:
            return
        outcome = await _attempt(slot, _as_begun(addressed, begun.due))
        self._guard.note(begun.due, outcome, self._now())
        RESTING.labels(self._kind).set(self._guard.open)
        retry_at = None
        if outcome.result == "retry":
            now = self._now()
            retry_at = self._timing.policy.next_attempt(begun.due.attempt, now)
            if retry_at and outcome.wait_s:
                retry_at = max(retry_at, now + timedelta(seconds=outcome.wait_s))
        status: Status = outcome.result if outcome.result != "retry" else "failed" if retry_at else "dead"
        await self._conclude(begun, status, outcome.reason, retry_at, outcome.unknown)

    async def _let_through(self, claimed: Claimed) -> Due | None:
        """The delivery as it is attempted; None where it is not, now or ever."""
        if claimed.due.receiver != RESIDENT:
            return claimed.due
        gate = self._gate
        if gate is None:
            await self._conclude(claimed, "skipped", error="messages to residents are switched off")
            return None
        ready = await patiently(lambda: gate.ready(claimed.due, self._now()))
        if isinstance(ready, Held):
            until = ready.until
            await patiently(lambda: self._store.release([claimed], until))
            return None
        if isinstance(ready, Dropped):
            await self._conclude(claimed, "skipped", error=ready.reason)
            return None
        return ready

    async def _begin(self, claimed: Claimed) -> Claimed | None:
        """Record an attempt before it is made, in the database and on the log; None where it may not be."""
        begun = await patiently(lambda: self._store.begin(claimed, self._now(), self._timing.lease_s))
        if begun is None:
            return None
        record = attempt_record(begun.due, "attempting", begun.due.attempt, self._now())
        try:
            await self._publisher.publish([record])
        except Outage as error:
            OUTAGES.labels(error.what).inc()
            again = self._now() + timedelta(seconds=LOOK_EVERY_S)
            await patiently(lambda: self._store.put_back(begun, claimed.due, again))
            return None
        DELIVERIES.labels(self._kind, "attempting").inc()
        if begun.due.repeated:
            REPEATED.labels(self._kind).inc()
            log.warning("an attempt is repeated", alert=begun.due.alert, attempt=begun.due.attempt)
        return begun

    async def _conclude(
        self,
        claimed: Claimed,
        status: Status,
        error: str | None = None,
        retry_at: datetime | None = None,
        unknown: bool = False,
    ) -> None:
        """Save the result, then publish it: however long that takes, for the message has gone out."""
        at = self._now()
        done = await patiently(lambda: self._store.finish(claimed, status, error, retry_at, unknown, at))
        if done is not None:
            await self._record(done)
        elif await patiently(lambda: self._store.forgotten(claimed.due.alert)):
            await self._tell_last(claimed, status, error)

    async def _tell_last(self, claimed: Claimed, status: Status, error: str | None) -> None:
        """The database was dropped during the attempt: nobody will go on with it, so its end goes on the log
        from here. What would have been tried again is given up."""
        if status == "failed":
            status, error = "dead", f"{error}; the database was dropped before the next attempt"
        await self._publish(replace(claimed, status=status, error=error))
        end = step_of(claimed.due, _recorded(status), claimed.due.attempt, error)
        await patiently(lambda: self._store.ended(end, self._now()))
        await self._go_on(claimed.due)

    async def _go_on(self, due: Due) -> None:
        if (reached := self._reached) is not None:
            await patiently(lambda: reached.ended(due))

    async def _record(self, done: Claimed) -> None:
        await self._publish(done)
        if done.status != "failed":
            # Before the delivery rests for good: a worker that dies here leaves it to be recorded again.
            await self._go_on(done.due)
        await patiently(lambda: self._store.recorded(done))

    async def _publish(self, done: Claimed) -> None:
        record = attempt_record(done.due, _recorded(done.status), done.due.attempt, self._now(), done.error)
        await patiently(lambda: self._publisher.publish([record]))
        DELIVERIES.labels(self._kind, done.status).inc()
        if done.status == "dead":
            log.warning("an alert is given up", alert=done.due.alert, channel=self._kind, reason=done.error)


def _recorded(status: Status) -> DeliveryStatus:
    if status == "queued":
        raise ValueError("a delivery that was never attempted has no result")
    return status


def claim_size(taken: int, within_s: float, least: int) -> int:
    """How many to claim when `taken` were taken up within so many seconds: never less than `least`."""
    return max(least, min(CLAIM_MOST, int(taken * CLAIM_FOR_S / max(within_s, 0.001))))


def _as_begun(addressed: Due, begun: Due) -> Due:
    return replace(addressed, attempt=begun.attempt, repeated=begun.repeated)


async def _attempt(slot: Slot, due: Due) -> Outcome:
    """What came of one attempt. One that fails by a fault of ours (most likely an address that something
    stumbles over) is given up with the reason: it would fail again, and must not stop the others."""
    try:
        return await slot.deliver(due)
    except Exception as error:  # noqa: BLE001 - see above
        reason = type(error).__name__  # no more of it: its text may repeat the address
        if outage(error) is not None:
            return Outcome("retry", reason, unknown=True)
        log.error("an attempt failed by a fault of ours", alert=due.alert, reason=reason, at=_place(error))
        return Outcome("dead", reason)


def _place(error: Exception) -> str:
    """Where `error` was raised, `file:line`."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
