"""Inboxes that stay open while things are killed: each alert must be told once and in order."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import httpx

from tests.end_to_end.surface import Alert, Surface

LOOK_EVERY_S = 0.5
PAUSE_S = 0.5


@dataclass(slots=True)
class Listener:
    """Opens the inbox of every holder that `holders` names, at most `most` of them, and comes back after each
    break with the last number that it was told, as a browser does. `told` is what arrived, in order."""

    surface: Surface
    holders: Callable[[], Iterable[str]]
    most: int = 12
    told: dict[str, list[Alert]] = field(default_factory=dict)
    breaks: int = 0

    async def run(self) -> None:
        """For ever; cancel it."""
        async with asyncio.TaskGroup() as group:
            while True:
                for holder in sorted({*self.holders()} - {*self.told})[: self.most - len(self.told)]:
                    self.told[holder] = []
                    group.create_task(self._listen(holder))
                await asyncio.sleep(LOOK_EVERY_S)

    async def _listen(self, holder: str) -> None:
        told = self.told[holder]
        while True:
            try:
                async for alert in self.surface.alerts(holder, after=told[-1].number if told else 0):
                    told.append(alert)
            except httpx.HTTPError:  # killed, or not ready: what is missed comes after the break
                pass
            self.breaks += 1
            await asyncio.sleep(PAUSE_S)
