"""The city in force, followed from the `registry` topic and switched as a whole."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from lianxin_chassis.follower import Follower
from lianxin_chassis.logs import get_logger
from lianxin_chassis.long_lived import keep_out_of_collection
from lianxin_chassis.records import Record
from lianxin_chassis.settings import Settings
from lianxin_contracts import codec, topics
from lianxin_contracts.envelope import Undecodable
from lianxin_contracts.registry import (
    CHANNEL_KEY,
    KINDS,
    Activated,
    ChannelKey,
    Incomplete,
    Snapshot,
    assemble,
    digest_of_written,
)

log = get_logger(__name__)

Switch = Callable[[Snapshot], None]


class _Written(NamedTuple):
    data: Struct
    value: bytes  # as it lies in the log: the digest is taken over that


class RegistryFollower:
    """Follows `registry`. A version is in force once its activation arrived and its counts and digest agree;
    until then, and where they don't, the one before stays: at a start, the newest one that agrees. Channel
    keys hold at once, without a version.

    Kept in memory are the version in force, the newest one, and those whose activation hasn't come yet.
    """

    def __init__(self, settings: Settings) -> None:
        self._follower = Follower(settings, [topics.REGISTRY], self._apply)
        self._versions: dict[str, dict[tuple[str, str], _Written]] = {}
        self._activations: dict[str, Activated] = {}  # the newest last
        self._in_force: Activated | None = None
        self._keys: dict[str, ChannelKey] = {}
        self._callbacks: list[Switch] = []
        self._changed = asyncio.Event()
        self._tried = asyncio.Event()
        self.current: Snapshot | None = None
        self.problem: str | None = None

    @property
    def caught_up(self) -> bool:
        """True once the registry was read to the end seen at start and its newest activation was tried."""
        return self._follower.caught_up and not self._changed.is_set() and self._tried.is_set()

    async def wait_caught_up(self, timeout_s: float) -> None:
        """Raises TimeoutError when that takes longer than `timeout_s` seconds."""
        async with asyncio.timeout(timeout_s):
            await self._follower.wait_caught_up(timeout_s)
            await self._tried.wait()

    def on_switch(self, callback: Switch) -> None:
        """Have `callback` called with each snapshot that comes into force, and with the one that already is.
        It runs on the loop and must be quick."""
        self._callbacks.append(callback)
        if self.current is not None:
            callback(self.current)

    def channel_key(self, hash_: str) -> ChannelKey | None:
        """The channel key with this hash; None for one that is unknown or deleted. A revoked one is returned
        with `revoked` set."""
        return self._keys.get(hash_)

    def check(self) -> bool | str:
        """For readiness: True when a version is in force."""
        if not self._follower.caught_up:
            return "reading the registry"
        if self.current is None:
            return self.problem or "no version of the registry is active"
        return True

    def stop(self) -> None:
        """Make `run` return."""
        self._follower.stop()

    async def run(self) -> None:
        """Follow until `stop` is called. Raises what a callback of `on_switch` raises."""
        parts = [
            asyncio.create_task(self._follower.run(), name="registry-follow"),
            asyncio.create_task(self._switch_when_wanted(), name="registry-switch"),
        ]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in parts:
                if part.done():
                    part.result()
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)

    def _apply(self, record: Record) -> None:
        key = (record.key or b"").decode(errors="replace")
        if record.value is None:
            self._forget(key)
            return
        try:
            data = codec.decode(record.topic, record.value, record.headers).data
        except Undecodable as error:
            # The activation's counts tell whether the city is whole without it.
            log.error("a registry record can't be read", key=key, offset=record.offset, error=str(error))
            return
        if isinstance(data, ChannelKey):
            self._keys[data.id] = data
        elif isinstance(data, Activated):
            self._activations.pop(data.version, None)
            self._activations[data.version] = data
            self._changed.set()
        else:
            kind, _, rest = key.partition("/")
            id_, _, version = rest.rpartition("@")
            if kind in KINDS and version:
                self._versions.setdefault(version, {})[kind, id_] = _Written(data, record.value)

    def _forget(self, key: str) -> None:
        kind, _, rest = key.partition("/")
        if kind == CHANNEL_KEY:
            self._keys.pop(rest, None)
            return
        id_, _, version = rest.rpartition("@")
        if kind == "activated":
            self._activations.pop(version, None)
        elif version in self._versions:
            self._versions[version].pop((kind, id_), None)
            if not self._versions[version]:
                del self._versions[version]

    async def _switch_when_wanted(self) -> None:
        """Put the newest activation that agrees in force: only after the first reading, since the log begins
        with versions that were followed by others."""
        while not self._follower.caught_up:
            with contextlib.suppress(TimeoutError):
                await self._follower.wait_caught_up(3600)
        while True:
            self._changed.clear()
            await self._switch()
            self._tried.set()
            await self._changed.wait()

    async def _switch(self) -> None:
        problem: str | None = None
        switched = False
        for activated in reversed(list(self._activations.values())):
            if activated == self._in_force:
                break
            try:
                # In a thread: the digest of a large city takes seconds, and pages must not wait for it.
                snapshot = await asyncio.to_thread(
                    _assemble, activated, dict(self._versions.get(activated.version, {}))
                )
            except Incomplete as error:
                problem = problem or str(error)
                log.error("a registry version is not whole; the one before it counts", error=str(error))
                continue
            self._in_force = activated
            self.current = snapshot
            log.info("registry version in force", version=snapshot.version)
            for callback in self._callbacks:
                callback(snapshot)
            switched = True
            break
        self.problem = problem
        if not self._changed.is_set():
            self._forget_others()
        if switched:
            keep_out_of_collection()

    def _forget_others(self) -> None:
        """Let go of the versions that others came after. One that is to come back is loaded anew, whole."""
        if self._in_force is None:
            return
        newest = next(reversed(self._activations), None)
        for version in [v for v in self._activations if v not in (self._in_force.version, newest)]:
            del self._activations[version]
            self._versions.pop(version, None)


def _assemble(activated: Activated, written: dict[tuple[str, str], _Written]) -> Snapshot:
    digest = digest_of_written((kind, id_, one.value) for (kind, id_), one in written.items())
    records = [(kind, one.data) for (kind, _), one in written.items()]
    return assemble(activated.version, records, activated, digest)
