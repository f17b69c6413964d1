"""Writing to the `registry` topic, and reading it once: a whole version of a city, and channel keys."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

from msgspec import Struct

from lianxin_chassis.follower import Follower
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.records import Record
from lianxin_chassis.registry import RegistryFollower
from lianxin_chassis.settings import Settings
from lianxin_contracts import codec, ids, registry, topics
from lianxin_contracts.envelope import Event, OutRecord, Undecodable, to_record
from lianxin_local.city_files import CityFiles, version_of
from lianxin_local.problem import say

SOURCE = "/operator"
# For all records of a city together; a laptop's broker takes about two seconds for twenty thousand.
DEADLINE_S = 120.0
READ_DEADLINE_S = 60.0
AT_ONCE = 2_000
# A poll that finds nothing ends after this long, also on the stand-in broker, which always waits it out.
FETCH_WAIT_MS = 20


def operator(bootstrap: str) -> Settings:
    """Settings of a short-lived client of the operator. Not idempotent: on a compacted topic a record that
    is written twice is no more than one that is written once, and every broker takes it."""
    return Settings(
        service="operator",
        kafka_bootstrap=bootstrap,
        kafka_idempotent=False,
        kafka_fetch_max_wait_ms=FETCH_WAIT_MS,
    )


@contextlib.asynccontextmanager
async def publisher(settings: Settings) -> AsyncIterator[Publisher]:
    """A started publisher, closed at the end."""
    one = Publisher(settings)
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


async def publish_city(publisher: Publisher, city: CityFiles, now: datetime | None = None) -> str:
    """Write every record and, once all are acknowledged, the activation; returns the version.

    The same content again writes the same keys again and makes its version the newest one: so an older city
    comes back by loading its files. Raises what `Publisher.publish` raises; then nothing is activated.
    """
    at = now or datetime.now(UTC)
    digest = city.digest()
    version = version_of(digest)
    records = [
        _record(
            f"registry.{kind}",
            registry.record_key(kind, data.id, version),  # type: ignore[attr-defined]
            ids.derived("registry", version, kind, data.id),  # type: ignore[attr-defined]
            data,
            at,
        )
        for kind, data in city.pairs
    ]
    for start in range(0, len(records), AT_ONCE):
        await publisher.publish(records[start : start + AT_ONCE], DEADLINE_S)
    activated = registry.Activated(version, city.counts, digest)
    key = registry.activation_key(version)
    await publisher.publish([_record(registry.ACTIVATED, key, ids.fresh(), activated, at)], DEADLINE_S)
    return version


async def publish_keys(
    publisher: Publisher, keys: Sequence[registry.ChannelKey], now: datetime | None = None
) -> None:
    """Make channel keys known, or a change of them (revoked); they hold at once, without a load."""
    at = now or datetime.now(UTC)
    records = [
        _record(f"registry.{registry.CHANNEL_KEY}", registry.channel_key_key(key.id), ids.fresh(), key, at)
        for key in keys
    ]
    await publisher.publish(records, DEADLINE_S)


async def change_keys(
    publisher: Publisher,
    keys: Sequence[registry.ChannelKey],
    changes: Sequence[registry.KeyChanged],
    now: datetime | None = None,
) -> None:
    """As `publish_keys`, with a record for auditors of each of `changes`, which is confirmed first: there is
    no change without its record."""
    at = now or datetime.now(UTC)
    records = []
    for change in changes:
        id_ = ids.fresh()
        records.append(_record(registry.KEY_CHANGED, registry.key_change_key(id_), id_, change, at))
    await publisher.publish(records, DEADLINE_S)
    await publish_keys(publisher, keys, at)


def created(key: registry.ChannelKey, by: str, why: str = "") -> registry.KeyChanged:
    """The record of a key that is made."""
    return registry.KeyChanged(key.id, "created", key.channel, key.scopes, by, why)


async def key_changes(settings: Settings) -> list[Event]:
    """Every record of a change of a key, in the order in which they were made. Raises TimeoutError."""
    found: list[Event] = []

    def note(record: Record) -> None:
        if dict(record.headers).get("ce_type") != registry.KEY_CHANGED.encode() or record.value is None:
            return
        try:
            found.append(codec.decode(record.topic, record.value, record.headers))
        except Undecodable as error:
            say(f"warning: a record of a change can't be read: {error}")

    await read_to_the_end(settings, note)
    return found


def _record(type_: str, key: str, id_: str, data: Struct, at: datetime) -> OutRecord:
    event = Event(id=id_, source=SOURCE, type=type_, subject=key, time=at, recordedtime=at, data=data)
    return to_record(event, topics.REGISTRY, key)


async def read_to_the_end(settings: Settings, apply: Callable[[Record], None]) -> None:
    """Hand every record of the registry to `apply`, up to the end that there is now. Raises TimeoutError."""
    follower = Follower(settings, [topics.REGISTRY], apply)
    reading = asyncio.create_task(follower.run(), name="registry-read")
    try:
        await follower.wait_caught_up(READ_DEADLINE_S)
    finally:
        follower.stop()
        await reading


async def known_keys(settings: Settings) -> dict[str, registry.ChannelKey]:
    """Every channel key that the registry knows, by hash, the revoked ones included. Raises TimeoutError."""
    known: dict[str, registry.ChannelKey] = {}

    def note(record: Record) -> None:
        kind, _, hash_ = (record.key or b"").decode(errors="replace").partition("/")
        if kind != registry.CHANNEL_KEY:
            return
        if record.value is None:
            known.pop(hash_, None)
            return
        try:
            data = codec.decode(record.topic, record.value, record.headers).data
        except Undecodable as error:
            say(f"warning: a key's record can't be read: {error}")
            return
        if isinstance(data, registry.ChannelKey):
            known[data.id] = data

    await read_to_the_end(settings, note)
    return known


async def is_empty(settings: Settings) -> bool:
    """True where no version of any city was ever activated."""
    activations: list[bytes] = []

    def note(record: Record) -> None:
        if record.value is not None and dict(record.headers).get("ce_type") == registry.ACTIVATED.encode():
            activations.append(record.key or b"")

    await read_to_the_end(settings, note)
    return not activations


async def city_in_force(settings: Settings) -> tuple[registry.Snapshot | None, str | None]:
    """The city that services have in force (None: no city was ever loaded), and what is wrong with a newer
    version, if anything. Raises TimeoutError."""
    follower = RegistryFollower(settings)
    reading = asyncio.create_task(follower.run(), name="registry-read")
    try:
        await follower.wait_caught_up(READ_DEADLINE_S)
    finally:
        follower.stop()
        await reading
    return follower.current, follower.problem
