"""`lianxin keys`: channel keys. The registry holds only their hashes; a key is shown once, when made."""

import asyncio
import getpass
import re
import secrets
import socket
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, get_args

import click
import msgspec
from pymongo.errors import PyMongoError

from lianxin_chassis import key_uses
from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.outages import Outage
from lianxin_chassis.settings import Settings
from lianxin_contracts import registry
from lianxin_contracts.registry import ChannelKey, Scope
from lianxin_local.home import Home
from lianxin_local.options import takes_data
from lianxin_local.problem import Problem, say
from lianxin_local.registry_publish import change_keys, created, key_changes, known_keys, operator, publisher
from lianxin_local.stack import require_stack

SHORTEST_HASH = 8  # hexadecimal digits that name a key

# The services that keep when a key was last used.
TAKES_KEYS = ("intake", "notifier")
T = TypeVar("T")

# The keys as they are to be, and the record of what is done.
Changed = tuple[list[ChannelKey], registry.KeyChanged]
Change = Callable[[dict[str, ChannelKey]], Changed]


@click.group()
def keys() -> None:
    """The keys with which channels post and staff's tools act."""


def whoever() -> str:
    """Who sits at this machine, as it says itself."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


at_broker = click.option("--bootstrap", help="The broker, where it is not this stack's.")
by_whom = click.option(
    "--by",
    envvar="LIANXIN_OPERATOR",
    default=whoever,
    help="Who does it, for the audit; default: user@machine.",
)
for_what = click.option("--why", default="", help="What for, for the audit.")


@keys.command()
@takes_data
@at_broker
@by_whom
@for_what
@click.argument("channel")
@click.option("--scope", "scopes", type=click.Choice(get_args(Scope)), multiple=True, default=("submit",))
def create(
    home: Home, bootstrap: str | None, by: str, why: str, channel: str, scopes: tuple[Scope, ...]
) -> None:
    """Make a key for CHANNEL and print it, this once."""
    secret, key = new_key(channel, scopes)
    _change(home, bootstrap, lambda _known: ([key], created(key, by, why)))
    click.echo(secret)
    say(f"key {key.id[:SHORTEST_HASH]} of channel {channel}, scopes {', '.join(scopes)}; shown this once")


@keys.command()
@takes_data
@at_broker
@by_whom
@for_what
@click.option(
    "--overlap",
    default="24h",
    callback=lambda _c, _p, text: length_of(text),
    help="How long KEY holds beside the new one: 90m, 24h, 7d, or 0. Default 24h.",
)
@click.argument("key")
def rotate(home: Home, bootstrap: str | None, by: str, why: str, overlap: timedelta, key: str) -> None:
    """Make a new key with KEY's channel and scopes; KEY (the key, or the head of its hash) holds for a while
    beside it."""
    made: list[str] = []

    def change(known: dict[str, ChannelKey]) -> Changed:
        now = datetime.now(UTC)
        old = find(known, key)
        if not old.holds(now):
            raise Problem("this key holds no more: make a new one with lianxin keys create")
        secret, new = new_key(old.channel, old.scopes)
        made.append(secret)
        ending = ended(old, now + overlap) if overlap else revoked(old)
        return [new, ending], registry.KeyChanged(
            new.id, "rotated", new.channel, new.scopes, by, why, replaces=old.id, until=ending.until or now
        )

    _change(home, bootstrap, change)
    click.echo(made[0])
    say(f"the old key holds for {overlap} more" if overlap else "the old key is revoked")


@keys.command()
@takes_data
@at_broker
@by_whom
@for_what
@click.argument("key")
def revoke(home: Home, bootstrap: str | None, by: str, why: str, key: str) -> None:
    """Make KEY (the key, or the head of its hash) worth nothing, at once."""

    def change(known: dict[str, ChannelKey]) -> Changed:
        old = find(known, key)
        return [revoked(old)], registry.KeyChanged(old.id, "revoked", old.channel, old.scopes, by, why)

    _change(home, bootstrap, change)
    say("revoked")


@keys.command("list")
@takes_data
@at_broker
@click.option(
    "--database",
    "databases",
    multiple=True,
    metavar="URL",
    help="Where services keep when a key was last used, if it is not this stack's.",
)
def list_command(home: Home, bootstrap: str | None, databases: tuple[str, ...]) -> None:
    """Every key's hash, channel, state, last use (to the minute) and scopes; times are UTC."""
    if bootstrap is None:
        stack = require_stack(home)
        bootstrap, databases = stack.bootstrap, databases or (stack.database_url,)
    known = _read(known_keys(operator(bootstrap)), bootstrap)
    used = asyncio.run(last_uses(databases))
    now = datetime.now(UTC)
    for key in sorted(known.values(), key=lambda k: (k.channel, k.id)):
        at = used.get(key.id)
        last = f"{at:%Y-%m-%d %H:%M}" if at else "-"
        state = state_of(key, now)
        click.echo(
            f"{key.id[:SHORTEST_HASH]}  {key.channel:<12} {state:<22} {last:<16}  {' '.join(key.scopes)}"
        )


@keys.command()
@takes_data
@at_broker
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--channel", help="Of this channel alone.")
def audit(home: Home, bootstrap: str | None, as_json: bool, channel: str | None) -> None:
    """Everything that was done to keys: when (UTC), what, which key, of which channel, by whom, what for."""
    where = bootstrap or require_stack(home).bootstrap
    for event in _read(key_changes(operator(where)), where):
        change = event.data
        if isinstance(change, registry.KeyChanged) and channel in (None, change.channel):
            click.echo(as_line(event.time, change) if as_json else in_words(event.time, change))


def length_of(text: str) -> timedelta:
    """A length of time as it is typed: 0, 90m, 24h, 7d. Raises click's error for anything else."""
    found = re.fullmatch(r"(\d{1,4})([mhd])", text)
    if text == "0":
        return timedelta(0)
    if found is None:
        raise click.BadParameter("a length is 0, or a number with m, h or d behind it: 90m, 24h, 7d")
    unit = {"m": "minutes", "h": "hours", "d": "days"}[found[2]]
    return timedelta(**{unit: int(found[1])})


def state_of(key: ChannelKey, now: datetime) -> str:
    """Whether `key` holds, in a word or two."""
    if key.revoked:
        return "revoked"
    if key.until is None:
        return "valid"
    return f"until {key.until:%Y-%m-%d %H:%M}" if key.holds(now) else "replaced"


def as_line(at: datetime, change: registry.KeyChanged) -> str:
    """One change as a JSON object."""
    return msgspec.json.encode({"at": at, **msgspec.to_builtins(change)}).decode()


def in_words(at: datetime, change: registry.KeyChanged) -> str:
    """One change for a person."""
    head = change.key[:SHORTEST_HASH]
    line = f"{at:%Y-%m-%d %H:%M:%S}  {change.change:<8} {head}  {change.channel:<12} {change.by}"
    if change.replaces is not None:
        line += f"  in place of {change.replaces[:SHORTEST_HASH]}"
    if change.until is not None:
        line += f", which holds until {change.until:%Y-%m-%d %H:%M}"
    scopes = " ".join(change.scopes)
    return f"{line}  [{scopes}]" + (f"  {change.why}" if change.why else "")


async def last_uses(databases: Iterable[str]) -> dict[str, datetime]:
    """When each key was last used, by its hash, as the services that take keys wrote it down. One that can't
    be read is told, and left out."""
    newest: dict[str, datetime] = {}
    for url in databases:
        for service in TAKES_KEYS:
            db = open_database(Settings(service=service, mongo_url=url))
            try:
                found = await key_uses.last_used(db)
            except PyMongoError as error:
                say(f"{service} can't be asked when keys were last used: {type(error).__name__}")
                found = {}
            finally:
                await close_database(db)
            for hash_, at in found.items():
                newest[hash_] = max(at, newest.get(hash_, at))
    return newest


def new_key(channel: str, scopes: tuple[Scope, ...]) -> tuple[str, ChannelKey]:
    """A fresh random key of 192 bits, and what the registry is told of it."""
    secret = f"lx_{channel}_{secrets.token_urlsafe(24)}"
    return secret, ChannelKey(registry.hash_of_key(secret), channel, scopes)


def revoked(key: ChannelKey) -> ChannelKey:
    """The same key, worth nothing."""
    return msgspec.structs.replace(key, revoked=True)


def ended(key: ChannelKey, until: datetime) -> ChannelKey:
    """The same key, worth nothing from `until` on; sooner where it ends sooner already."""
    return msgspec.structs.replace(key, until=min(until, key.until or until))


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
        keys, record = change(await known_keys(settings))
        async with publisher(settings) as out:
            await change_keys(out, keys, [record])

    try:
        asyncio.run(publish())
    except (Outage, OSError) as error:
        raise Problem(f"the broker at {where} did not confirm: {error}") from None


def _read(reading: Coroutine[Any, Any, T], where: str) -> T:
    try:
        return asyncio.run(reading)
    except (Outage, OSError) as error:
        raise Problem(f"the broker at {where} does not answer: {error}") from None
