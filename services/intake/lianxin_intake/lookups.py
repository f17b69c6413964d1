"""Digests of opinions that are in the projection, for telling a conflict early. Best effort: a database
that is slow or away delays nobody for long and stops nobody, since the router refuses what slips through."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import outage

log = get_logger(__name__)

Load = Callable[[Sequence[str]], Awaitable[dict[str, str]]]


class DigestLookups:
    """Asks for many opinions at once: what comes in while a question is out goes into the next one."""

    def __init__(self, load: Load, *, patience_s: float = 0.15, rest_s: float = 2.0) -> None:
        """`patience_s`: the longest that a request waits for an answer. `rest_s`: how long nobody asks after
        one that was late or failed."""
        self._load = load
        self._patience_s = patience_s
        self._rest_s = rest_s
        self._resting_until = 0.0
        self._waiting: list[tuple[Sequence[str], asyncio.Future[dict[str, str]]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def of(self, opinions: Sequence[str]) -> dict[str, str]:
        """The digests that are known of `opinions`; those that can't be had in time are left out."""
        if monotonic() < self._resting_until:
            return {}
        answer: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()
        self._waiting.append((opinions, answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="digest-lookups")
        try:
            async with asyncio.timeout(self._patience_s):
                return await answer
        except TimeoutError:
            self._rest("late")
            return {}

    async def _ask(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            wanted = list({opinion for opinions, _ in batch for opinion in opinions})
            try:
                found = await self._load(wanted)
            except Exception as error:  # noqa: BLE001 - whatever it is, the router still refuses conflicts
                if outage(error) is None:
                    log.error("digests can't be looked up", error=repr(error))
                self._rest(repr(error))
                found = {}
            for _, answer in batch:
                if not answer.done():
                    answer.set_result(found)

    def _rest(self, why: str) -> None:
        if monotonic() >= self._resting_until:
            log.warning("conflicts are left to the router for a while", seconds=self._rest_s, why=why)
        self._resting_until = monotonic() + self._rest_s
