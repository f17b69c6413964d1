"""Waiting until broker and database are there, for what has to be done however long that takes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import OUTAGES
from lianxin_chassis.outages import Backoff, outage

log = get_logger(__name__)
T = TypeVar("T")


async def patiently(call: Callable[[], Awaitable[T]], cap_s: float = 10.0) -> T:
    """What `call` returns, tried again while its surroundings are away, at most `cap_s` seconds apart. Raises
    whatever else it raises."""
    backoff = Backoff(cap_s=cap_s)
    while True:
        try:
            return await call()
        except Exception as error:
            what = outage(error)
            if what is None:
                raise
            OUTAGES.labels(what).inc()
            log.warning("waiting", what=what, error=type(error).__name__)
        await asyncio.sleep(backoff.next())
