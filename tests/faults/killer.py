"""Kills a stack's processes as the strikes say, while something else drives it."""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lianxin_local.home import Home
from lianxin_local.observe import pids
from tests.faults.strikes import Strike
from tests.support.stacks import LocalStack
from tests.support.wait import eventually_async

# The supervisor starts a killed process at once, or some seconds later where it was killed as it started.
STARTED_AGAIN_S = 120.0
LOOK_EVERY_S = 0.1


@dataclass(slots=True)
class Killer:
    """`progress` tells how far the drive is, 0..1. `killed` counts what was ended, by process."""

    stack: LocalStack
    progress: Callable[[], float]
    say: Callable[[str], object]
    killed: Counter[str] = field(default_factory=Counter)
    _began: float = field(default_factory=time.monotonic)

    async def run(self, strikes: Sequence[Strike]) -> None:
        """Until every strike has hit."""
        for strike in strikes:
            await self._moment(strike)
            await asyncio.sleep(strike.late_s)
            await self._strike(strike)

    async def _moment(self, strike: Strike) -> None:
        """Return when the drive has come so far, or has taken too long for it."""
        at_last = time.monotonic() + strike.patience_s
        await eventually_async(
            lambda: self.progress() >= strike.progress or time.monotonic() >= at_last,
            timeout=strike.patience_s + 10,
            every=LOOK_EVERY_S,
        )

    async def _strike(self, strike: Strike) -> None:
        ended = await self._kill({name: await self._running(name) for name in strike.names})
        if strike.again_s is None:
            return
        for name in strike.names:
            pid = await self._running(name, other_than=ended[name])
            await asyncio.sleep(strike.again_s)
            await self._kill({name: pid})

    async def _kill(self, targets: dict[str, int]) -> dict[str, int]:
        ended: dict[str, int] = {}
        for name, pid in targets.items():
            ended[name] = pid
            while not self._ended_by_us(ended[name]):  # it had ended by itself: then the next one
                self.say(f"killer: {name} {ended[name]} had ended already\n")
                ended[name] = await self._running(name, other_than=ended[name])
            self.killed[name] += 1
        at = f"{time.monotonic() - self._began:5.0f} s {self.progress():4.0%}"
        self.say(f"killer: {at}  {self.killed.total():3}  {', '.join(targets)}\n")
        return ended

    @staticmethod
    def _ended_by_us(pid: int) -> bool:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    async def _running(self, name: str, other_than: int | None = None) -> int:
        """The process's id, as soon as it runs; `other_than` is one that was killed."""

        async def pid() -> int | None:
            found = (await asyncio.to_thread(pids, Home.at(self.stack.directory))).get(name)
            return found if found != other_than else None

        found = await eventually_async(pid, timeout=STARTED_AGAIN_S, every=0.05)
        assert found is not None
        return found
