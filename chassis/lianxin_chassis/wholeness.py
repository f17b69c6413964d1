"""Whether a projection is whole, and what a worker does about one that is not or was replaced."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from lianxin_chassis.generations import Generations, committed, group_name
from lianxin_chassis.logs import get_logger
from lianxin_chassis.patience import patiently
from lianxin_chassis.settings import Settings

log = get_logger(__name__)

# How long before a worker sees that another generation is live or a collection was dropped, seconds.
LOOK_EVERY_S = 1.0


class Projected(Protocol):
    """The store of one generation of a projection, as far as its wholeness goes."""

    generation: int

    async def prepare(self) -> None:
        """Make collections and indexes. May be called again."""

    async def finish(self) -> None:
        """Mark everything as built."""


Store = TypeVar("Store", bound=Projected)


async def nothing_written(settings: Settings, group: str, topics: Sequence[str]) -> bool:
    """True where no record was ever written to `topics`. Raises aiokafka's KafkaError where the broker is
    away."""
    offsets = await committed(settings, group, topics)
    return all(end == 0 for _, _, end in offsets.values())


async def whole_store(
    settings: Settings,
    topics: Sequence[str],
    make: Callable[[], Awaitable[Store]],
    built: Callable[[Store], Awaitable[bool]],
    build: Callable[[], Awaitable[None]],
) -> Store:
    """The live generation's store, made by `make`. Where it is not `built`, it is marked as built if nothing
    was ever written to `topics`, else built anew by `build`, until it is. Raises what these raise."""
    while True:
        store = await make()
        if await built(store):
            return store
        if await nothing_written(settings, group_name(settings.service, store.generation), topics):
            await store.prepare()
            await store.finish()
            return store
        log.warning(
            "the projection is not whole or of an older shape; it is rebuilt", generation=store.generation
        )
        await build()


async def until_replaced(
    generations: Generations, generation: int, lost: Callable[[], Awaitable[bool]]
) -> None:
    """Return, and so end the worker, when another generation than `generation` is live or `lost` is true:
    what its supervisor starts in its place works on what is live then. Waits out a database that is away."""
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        live = await patiently(generations.live)
        if live != generation:
            log.info("another generation is live", was=generation, now=live)
            return
        if await patiently(lost):
            log.error("a collection was dropped; starting anew, to rebuild", generation=generation)
            return
