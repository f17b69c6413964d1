"""The public surface as somebody uses it who never trusts an answer: everything is said twice."""

import asyncio
import zlib
from typing import Any

from tests.end_to_end.surface import Addresses, Answer, Surface


class RepeatingSurface(Surface):
    """Every request that says something is made two times under its key, every other pair at once.

    `unlike` are the pairs whose answers differ: the same key must be answered with the same ids.
    """

    def __init__(self, addresses: Addresses, *, connections: int = 64, patience_s: float = 120.0) -> None:
        super().__init__(addresses, connections=connections, patience_s=patience_s)
        self.repeated = 0
        self.unlike: list[str] = []

    async def _send(self, method: str, url: str, *more: Any, **named: Any) -> Answer:
        once = super()._send
        if method != "POST":
            return await once(method, url, *more, **named)
        if zlib.crc32(repr((url, more)).encode()) % 2:
            first, second = await asyncio.gather(
                once(method, url, *more, **named), once(method, url, *more, **named)
            )
        else:
            first, second = await once(method, url, *more, **named), await once(method, url, *more, **named)
        self.repeated += 1
        if (first.status, first.body) != (second.status, second.body):
            self.unlike.append(f"{url}: {first.status} {first.body} and {second.status} {second.body}")
        return Answer(first.status, first.body, first.tries + second.tries)
