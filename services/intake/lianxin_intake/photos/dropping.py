"""Dropping uploads that no opinion came to name: what the worker does every few minutes."""

import asyncio
from datetime import UTC, datetime

from lianxin_chassis.logs import get_logger
from lianxin_chassis.patience import patiently
from lianxin_intake.photos.store import PhotoStore

log = get_logger(__name__)

EVERY_S = 300.0


async def drop_unnamed(photos: PhotoStore, every_s: float = EVERY_S) -> None:
    """Drop what has expired, every `every_s` seconds, for ever. Waits out a database that is away. Workers
    may do it side by side."""
    while True:
        dropped = await patiently(lambda: photos.drop_expired(datetime.now(UTC)))
        if dropped:
            log.info("uploads that no opinion named were dropped", uploads=dropped)
        else:
            await asyncio.sleep(every_s)
