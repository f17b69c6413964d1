"""What a new stack holds before its services start: the topics, the sample city, the demo keys."""

import asyncio

from lianxin_chassis.outages import Outage
from lianxin_chassis.topics import WrongTopicSettings, ensure
from lianxin_contracts import registry
from lianxin_local.keys import DemoKeys, demo_keys_of
from lianxin_local.problem import Problem, say
from lianxin_local.registry_command import load_if_empty
from lianxin_local.registry_publish import change_keys, created, known_keys, operator, publisher
from lianxin_local.stack import Stack, sample_city

# The channel that the demo keys belong to; the sample city has it.
DEMO_CHANNEL = "demo"
SCOPES: dict[str, tuple[registry.Scope, ...]] = {
    "submit": ("submit",),
    "staff": ("submit", "act", "read", "replay", "backdate", "staff"),
}


def seed(stack: Stack) -> None:
    """Make sure that topics, city and demo keys are there. Safe to repeat."""
    try:
        asyncio.run(ensure(operator(stack.bootstrap)))
        if load_if_empty(stack.bootstrap, sample_city()):
            say("  sample city loaded")
        asyncio.run(make_known(stack.bootstrap, demo_keys_of(stack.home)))
    except WrongTopicSettings as error:
        raise Problem(f"a topic is not as it must be: {'; '.join(str(error).splitlines())}") from None
    except (Outage, OSError) as error:
        raise Problem(f"the broker at {stack.bootstrap} does not take the first records: {error}") from None


async def make_known(bootstrap: str, keys: DemoKeys) -> None:
    """Put those hashes of the demo keys into the registry that it lacks: one that was revoked stays so."""
    settings = operator(bootstrap)
    known = await known_keys(settings)
    new = [
        registry.ChannelKey(hash_, DEMO_CHANNEL, scopes)
        for name, scopes in SCOPES.items()
        if (hash_ := registry.hash_of_key(getattr(keys, name))) not in known
    ]
    if new:
        async with publisher(settings) as out:
            await change_keys(out, new, [created(key, "lianxin up", "a demo key") for key in new])
