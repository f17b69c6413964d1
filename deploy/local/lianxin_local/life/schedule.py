"""What is to happen, in the order of its instants; much of it at once, where that is no matter.

What bounds the speed of a simulated year is waiting: each thing that happens needs the router's answer before
the same case goes on. Cases don't wait for each other, so everything within a window of simulated time is
under way together. A case is always in order; two cases may change places by no more than the window, which
only what they share can notice: a deputy's load, an issue's first case. Nothing begins more than the window
ahead of the earliest thing that is not finished, so a clock is never knocked for past what is still to be
said of its case.
"""

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")
WINDOW = timedelta(hours=4)
AT_ONCE = 64


class Schedule(Generic[T]):
    """Things to do by their instants (UTC)."""

    def __init__(
        self,
        begins: datetime,
        seconds_until: Callable[[datetime], float],
        *,
        window: timedelta = WINDOW,
        at_once: int = AT_ONCE,
    ) -> None:
        """`seconds_until` says how long to wait before an instant's turn has come: 0 or less for none."""
        self.reached = begins
        self._seconds_until = seconds_until
        self._window = window
        self._at_once = at_once
        self._heap: list[tuple[datetime, int, T]] = []
        self._numbers = count()
        self._running: dict[asyncio.Task[None], datetime] = {}
        self._changed = asyncio.Event()
        self._stopping = False

    def put(self, at: datetime, what: T) -> None:
        """Do `what` at `at`, or as soon as it can be where that has passed."""
        heapq.heappush(self._heap, (at, next(self._numbers), what))
        self._changed.set()

    def stop(self) -> None:
        """Let nothing more begin: `run` returns when what is under way is finished."""
        self._stopping = True
        self._changed.set()

    async def run(self, do: Callable[[datetime, T], Awaitable[None]], until: datetime | None) -> None:
        """Do everything up to `until`, what that brings about included; None: until `stop`. Raises what `do`
        raises; what else is under way is then cancelled."""
        try:
            while (wait := self._seconds_to_wait(until)) is not None:
                if wait > 0:
                    await self._pause(wait)
                    continue
                at, _, what = heapq.heappop(self._heap)
                self._running[asyncio.create_task(self._do(do, at, what))] = at
                self._note_reached(at)
            if until is not None and not self._stopping:
                self.reached = until
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def _seconds_to_wait(self, until: datetime | None) -> float | None:
        """Until the next thing may begin; infinite where something must finish first, None at the end."""
        if self._stopping:
            return float("inf") if self._running else None
        first = self._heap[0][0] if self._heap else None
        if first is None or (until is not None and first > until):
            return float("inf") if self._running or until is None else None
        earliest = min(self._running.values(), default=first)
        if len(self._running) >= self._at_once or first - earliest > self._window:
            return float("inf")
        return self._seconds_until(first)

    async def _pause(self, seconds: float) -> None:
        """Until something is finished or put in, at most `seconds`."""
        self._changed.clear()
        changed = asyncio.create_task(self._changed.wait())
        try:
            done, _ = await asyncio.wait(
                {*self._running, changed},
                timeout=None if seconds == float("inf") else seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            changed.cancel()
        for task in [task for task in self._running if task in done]:
            del self._running[task]
            task.result()

    async def _do(self, do: Callable[[datetime, T], Awaitable[None]], at: datetime, what: T) -> None:
        await do(at, what)

    def _note_reached(self, at: datetime) -> None:
        self.reached = max(self.reached, min(self._running.values(), default=at))
