"""`lianxin keys`: channel keys. The registry holds only their hashes; a key is shown once, when made."""

import asyncio
import secrets
from collections.abc import Callable
from typing import get_args

import click

from lianxin_chassis.outages import Outage
from lianxin_chassis.settings import Settings
from lianxin_contracts import registry
from lianxin_contracts.registry import ChannelKey, Scope
from lianxin_local.home import Home
from lianxin_local.options import takes_data
from lianxin_local.problem import Problem, say
from lianxin_local.registry_publish import known_keys, operator, publish_keys, publisher
from lianxin_local.stack import require_stack

SHORTEST_HASH = 8  # hexadecimal digits that name a key

Change = Callable[[dict[str, ChannelKey]], list[ChannelKey]]


@click.group()
def keys() -> None:
    """The keys with which channels post and staff's tools act."""


at_broker = click.option("--bootstrap", help="The broker, where it is not this stack's.")


@keys.command()
@takes_data
@at_broker
@click.argument("channel")
@click.option("--scope", "scopes", type=click.Choice(get_args(Scope)), multiple=True, default=("submit",))
def create(home: Home, bootstrap: str | None, channel: str, scopes: tuple[Scope, ...]) -> None:
    """Make a key for CHANNEL and print it, this once."""
    secret, key = new_key(channel, scopes)
    _change(home, bootstrap, lambda _known: [key])
    click.echo(secret)
    say(f"key {key.id[:SHORTEST_HASH]} of channel {channel}, scopes {', '.join(scopes)}; shown this once")


@keys.command()
@takes_data
@at_broker
@click.argument("key")
def rotate(home: Home, bootstrap: str | None, key: str) -> None:
    """Make a new key with KEY's channel and scopes, and revoke KEY (the key, or the head of its hash)."""
    made: list[str] = []

    def change(known: dict[str, ChannelKey]) -> list[ChannelKey]:
        old = find(known, key)
        secret, new = new_key(old.channel, old.scopes)
        made.append(secret)
        return [new, revoked(old)]

    _change(home, bootstrap, change)
    click.echo(made[0])


@keys.command()
@takes_data
@at_broker
@click.argument("key")
def revoke(home: Home, bootstrap: str | None, key: str) -> None:
    """Make KEY (the key, or the head of its hash) worth nothing, at once."""
    _change(home, bootstrap, lambda known: [revoked(find(known, key))])
    say("revoked")


@keys.command("list")
@takes_data
@at_broker
def list_command(home: Home, bootstrap: str | None) -> None:
    """Every key's hash, channel, scopes and whether it is revoked."""
    known = _read(operator(bootstrap or require_stack(home).bootstrap))
    for key in sorted(known.values(), key=lambda k: (k.channel, k.id)):
        state = "revoked" if key.revoked else "valid"
        click.echo(f"{key.id[:SHORTEST_HASH]}  {key.channel:<12} {state:<8} {' '.join(key.scopes)}")


def new_key(channel: str, scopes: tuple[Scope, ...]) -> tuple[str, ChannelKey]:
    """A fresh random key of 192 bits, and what the registry is told of it."""
    secret = f"lx_{channel}_{secrets.token_urlsafe(24)}"
    return secret, ChannelKey(registry.hash_of_key(secret), channel, scopes)


def revoked(key: ChannelKey) -> ChannelKey:
    """The same key, worth nothing."""
    return ChannelKey(key.id, key.channel, key.scopes, revoked=True)


def find(known: dict[str, ChannelKey], named: str) -> ChannelKey:
    """The key that `named` is, or whose hash begins so. Raises `Problem` for none or several."""
    if exact := known.get(registry.hash_of_key(named)):
        return exact
    found = [key for hash_, key in known.items() if len(named) >= SHORTEST_HASH and hash_.startswith(named)]
    if len(found) != 1:
        raise Problem(f"{'no' if not found else 'more than one'} key is called so; see lianxin keys list")
    return found[0]


def _change(home: Home, bootstrap: str | None, change: Change) -> None:
    where = bootstrap or require_stack(home).bootstrap
    settings = operator(where)

    async def publish() -> None:
        known = await known_keys(settings)
        async with publisher(settings) as out:
            await publish_keys(out, change(known))

    try:
        asyncio.run(publish())
    except (Outage, OSError) as error:
        raise Problem(f"the broker at {where} did not confirm: {error}") from None


def _read(settings: Settings) -> dict[str, ChannelKey]:
    try:
        return asyncio.run(known_keys(settings))
    except (Outage, OSError) as error:
        raise Problem(f"the broker at {settings.kafka_bootstrap} does not answer: {error}") from None
