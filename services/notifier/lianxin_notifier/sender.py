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
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import OUTAGES
from lianxin_chassis.outages import Outage, outage
from lianxin_chassis.patience import patiently
from lianxin_notifier.alerts import Due, Outside, attempt_record
from lianxin_notifier.delivery_store import Claimed, DeliveryStore, Status
from lianxin_notifier.metric_names import DELIVERIES, REPEATED, RESTING
from lianxin_notifier.projector import Publishes
from lianxin_notifier.protection import Guard
from lianxin_notifier.retrying import Outcome, RetryPolicy

log = get_logger(__name__)

# How long an idle sender waits before it looks again, seconds: other workers queue as well, retries fall due.
LOOK_EVERY_S = 1.0
# How long attempts in hand may go on after the order to stop, seconds.
FINISH_S = 8.0


class Slot(Protocol):
    """One connection of a channel: at most one message in flight."""

    async def deliver(self, due: Due) -> Outcome:
        """Make one attempt. Bounded in time; never raises for what the other side does."""

    async def close(self) -> None:
        """Drop the connection."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Leases and retries. `lease_s` must be longer than an attempt's deadline."""

    lease_s: float
    policy: RetryPolicy


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
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kind = kind
        self._slots = tuple(slots)
        self._store = store
        self._publisher = publisher
        self._timing = timing
        self._guard = guard or Guard(kind, failures=1_000_000, rest=timedelta(0))
        self._now = now
        self._news = asyncio.Event()
        self._claimed: asyncio.Queue[Claimed] = asyncio.Queue()
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
        left = [self._claimed.get_nowait() for _ in range(self._claimed.qsize())]
        try:
            await self._store.release(left, self._now())
        except Exception as error:
            if outage(error) is None:
                raise

    async def _claim(self) -> None:
        """Keep the slots busy, with little more claimed than they can take up at once."""
        at_once = 2 * max(1, len(self._slots))
        while True:
            while self._claimed.qsize() >= at_once // 2:
                self._taken.clear()
                await self._taken.wait()
            if rest := self._guard.resting(self._now()):
                await asyncio.sleep(min(LOOK_EVERY_S, rest.total_seconds()))
                continue
            self._news.clear()
            found = await patiently(
                lambda: self._store.claim(self._kind, at_once, self._now(), self._timing.lease_s)
            )
            for claimed in found:
                self._claimed.put_nowait(claimed)
            if not found:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), LOOK_EVERY_S * random.uniform(0.5, 1.0))

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
                await self._one(take.result(), slot)
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
        if wait := self._guard.enter(claimed.due, self._now()):
            until = self._now() + wait
            await patiently(lambda: self._store.release([claimed], until))
            return
        begun = await self._begin(claimed)
        if begun is None:
            return
        outcome = await _attempt(slot, begun.due)
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
        done = await patiently(lambda: self._store.finish(claimed, status, error, retry_at, unknown))
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
        await patiently(lambda: self._store.ended(claimed.due.alert, status))

    async def _record(self, done: Claimed) -> None:
        await self._publish(done)
        await patiently(lambda: self._store.recorded(done))

    async def _publish(self, done: Claimed) -> None:
        status = done.status
        if status == "queued":
            raise ValueError("a delivery that was never attempted has no result")
        record = attempt_record(done.due, status, done.due.attempt, self._now(), done.error)
        await patiently(lambda: self._publisher.publish([record]))
        DELIVERIES.labels(self._kind, done.status).inc()
        if done.status == "dead":
            log.warning("an alert is given up", alert=done.due.alert, channel=self._kind, reason=done.error)


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
