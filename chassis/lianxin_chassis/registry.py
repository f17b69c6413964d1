"""The city in force, followed from the `registry` topic and switched as a whole."""

import asyncio
from collections.abc import Callable

from msgspec import Struct

from lianxin_chassis.follower import Follower
from lianxin_chassis.logs import get_logger
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
)

log = get_logger(__name__)

Switch = Callable[[Snapshot], None]


class RegistryFollower:
    """Follows `registry`. A version is in force once its activation arrived and its counts and digest agree;
    until then, and where they don't, the one before stays. Channel keys hold at once, without a version.

    Of the versions that are not in force only those are kept in memory whose activation hasn't come yet.
    """

    def __init__(self, settings: Settings) -> None:
        self._follower = Follower(settings, [topics.REGISTRY], self._apply)
        self._loading: dict[str, dict[tuple[str, str], Struct]] = {}
        self._keys: dict[str, ChannelKey] = {}
        self._callbacks: list[Switch] = []
        self._wanted: Activated | None = None
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
        """Follow until `stop` is called."""
        switching = asyncio.create_task(self._switch_when_wanted(), name="registry-switch")
        try:
            await self._follower.run()
        finally:
            switching.cancel()

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
            self._wanted = data
            self._changed.set()
        else:
            kind, _, rest = key.partition("/")
            id_, _, version = rest.rpartition("@")
            if kind in KINDS and version:
                self._loading.setdefault(version, {})[kind, id_] = data
        # Activations are read before the end is: the newest of them counts.

    def _forget(self, key: str) -> None:
        kind, _, rest = key.partition("/")
        if kind == CHANNEL_KEY:
            self._keys.pop(rest, None)
            return
        id_, _, version = rest.rpartition("@")
        self._loading.get(version, {}).pop((kind, id_), None)

    async def _switch_when_wanted(self) -> None:
        """Put the newest activation in force: only after the first reading, since the log begins with
        versions that were followed by others."""
        while not self._follower.caught_up:
            await self._follower.wait_caught_up(3600)
        while True:
            if self._wanted is not None:
                self._changed.clear()
                await self._try(self._wanted)
            self._tried.set()
            await self._changed.wait()

    async def _try(self, activated: Activated) -> None:
        if self.current is not None and self.current.version == activated.version and self.problem is None:
            return
        records = [(kind, data) for (kind, _), data in self._loading.get(activated.version, {}).items()]
        try:
            # In a thread: the digest of a large city takes seconds, and pages must not wait for it.
            snapshot = await asyncio.to_thread(assemble, activated.version, records, activated)
        except Incomplete as error:
            self.problem = str(error)
            log.error("the new registry version is not whole; the old one stays", error=str(error))
            return
        self.problem = None
        self.current = snapshot
        log.info("registry version in force", version=snapshot.version)
        for callback in self._callbacks:
            callback(snapshot)
