"""The city that a stack runs, read from its registry."""

import asyncio

from lianxin_chassis.registry import RegistryFollower
from lianxin_contracts import registry
from lianxin_local.play.cases import settings_of
from lianxin_local.problem import Problem
from lianxin_local.stack import Stack

REGISTRY_WITHIN_S = 60.0


async def city_in_force(stack: Stack) -> registry.Snapshot:
    """The city that the stack runs. Raises `Problem` where there is none, TimeoutError where it can't be
    read."""
    follower = RegistryFollower(settings_of(stack))
    reading = asyncio.create_task(follower.run(), name="city")
    try:
        await follower.wait_caught_up(REGISTRY_WITHIN_S)
    finally:
        follower.stop()
        await asyncio.gather(reading, return_exceptions=True)
    if follower.current is None:
        raise Problem("no city is in force: lianxin registry load PATH")
    return follower.current
