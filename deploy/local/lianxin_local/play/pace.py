"""Keeping to a rate, and telling how far a long run is and how fast it went."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from lianxin_local.problem import say

# The highest sustained rate is taken over windows of so many whole seconds.
WINDOW_S = 10
TELL_EVERY_S = 2.0
Clock = Callable[[], float]


class Pace:
    """At most `rate` turns a second, evenly; no limit where it is None."""

    def __init__(self, rate: float | None, clock: Clock = time.monotonic) -> None:
        self._gap = 0.0 if rate is None else 1.0 / rate
        self._clock = clock
        self._next = clock()

    async def turn(self, count: int = 1) -> None:
        """Return when the next `count` turns may be taken. Time that was not used is not made up for."""
        if self._gap == 0.0:
            return
        now = self._clock()
        self._next = max(self._next, now)
        wait = self._next - now
        self._next += count * self._gap
        if wait > 0:
            await asyncio.sleep(wait)


class Meter:
    """Counts what is done, second by second, and remembers the best ten seconds."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._recent: deque[int] = deque([0], maxlen=WINDOW_S)
        self._second = 0
        self.total = 0
        self._highest = 0

    def add(self, count: int = 1) -> None:
        """So many were done just now."""
        self._advance()
        self._recent[-1] += count
        self.total += count

    @property
    def seconds(self) -> float:
        """Since the start."""
        return self._clock() - self._began

    @property
    def rate(self) -> float:
        """A second, over the whole time."""
        return self.total / max(self.seconds, 1e-9)

    @property
    def highest(self) -> float:
        """A second, in the best window of ten whole seconds; over the whole time where that is shorter."""
        self._advance()
        return self._highest / WINDOW_S if self._highest else self.rate

    def _advance(self) -> None:
        second = int(self.seconds)
        for _ in range(min(second - self._second, 2 * WINDOW_S)):
            if len(self._recent) == WINDOW_S:
                self._highest = max(self._highest, sum(self._recent))
            self._recent.append(0)
        self._second = second


@asynccontextmanager
async def telling(how_far: Callable[[], str], every_s: float = TELL_EVERY_S) -> AsyncIterator[None]:
    """Say `how_far` it is, every few seconds and once at the end."""

    async def tell() -> None:
        while True:
            await asyncio.sleep(every_s)
            say(how_far())

    teller = asyncio.create_task(tell())
    try:
        yield
    finally:
        teller.cancel()
        say(how_far())
