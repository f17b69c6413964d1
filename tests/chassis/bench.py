"""What the chassis's tests work with: topics of their own, records with running numbers, workers to kill."""

import asyncio
import json
import signal
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec

from lianxin_chassis.follower import Follower
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.records import Record
from lianxin_chassis.settings import Settings
from lianxin_chassis.topics import ensure
from lianxin_contracts.envelope import OutRecord
from lianxin_contracts.topics import TopicSpec, dead_letter
from tests.chassis.worker import Said
from tests.support.ports import free_port
from tests.support.processes import Spawned
from tests.support.wait import eventually_async

ROOT = Path(__file__).parents[2]


def settings_for(bootstrap: str, mongo_url: str = "mongodb://127.0.0.1:1", **more: Any) -> Settings:
    """Settings with the short sessions that tests want."""
    values: dict[str, Any] = {
        "service": "test",
        "kafka_bootstrap": bootstrap,
        "mongo_url": mongo_url,
        "mongo_database": f"test_{uuid.uuid4().hex[:12]}",
        "kafka_session_timeout_ms": 4_000,
        "kafka_heartbeat_ms": 500,
        "kafka_rebalance_timeout_ms": 10_000,
        "http_port": 0,
    }
    return Settings(**(values | more))


async def make_topic(settings: Settings, partitions: int = 4) -> str:
    """A topic of the test's own, with its dead-letter topic."""
    name = f"t.{uuid.uuid4().hex[:12]}"
    await ensure(settings, [TopicSpec(n, partitions, "", "") for n in (name, dead_letter(name))])
    return name


def said(topic: str, key: str, number: int, deed: str = "") -> OutRecord:
    return OutRecord(
        topic, key.encode(), msgspec.json.encode(Said(number, deed)), (("h", b"1"),), int(time.time() * 1000)
    )


def numbered(topic: str, keys: int, each: int) -> list[OutRecord]:
    """`each` records for every one of `keys` keys, numbered 1, 2, 3 … per key, in turns."""
    return [said(topic, f"k{k}", n) for n in range(1, each + 1) for k in range(keys)]


async def publish(settings: Settings, records: Sequence[OutRecord]) -> None:
    publisher = Publisher(settings)
    await publisher.start()
    try:
        for start in range(0, len(records), 500):
            await publisher.publish(records[start : start + 500], deadline_s=60)
    finally:
        await publisher.stop()


async def read_all(settings: Settings, topic: str) -> list[Record]:
    """Everything that is on `topic` now, in order per partition."""
    found: list[Record] = []
    follower = Follower(settings, [topic], found.append)
    running = asyncio.create_task(follower.run())
    await follower.wait_caught_up(60)
    follower.stop()
    await running
    return found


class Effect(NamedTuple):
    """One record that a handler has finished; `at` in nanoseconds of one clock for all processes."""

    at: int
    partition: int
    offset: int
    key: str
    number: int


@dataclass
class Bench:
    """One group on one topic, its workers and what they have done."""

    settings: Settings
    directory: Path
    topic: str
    group: str = field(default_factory=lambda: f"g-{uuid.uuid4().hex[:8]}")
    given: dict[str, Any] = field(default_factory=dict)
    workers: list["Running"] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.directory / "flags").mkdir(parents=True, exist_ok=True)

    def start(self, **given: Any) -> "Running":
        """One more worker."""
        port = free_port()
        number = len(self.workers)
        plain = json.loads(self.settings.model_dump_json(exclude={"instance", "service"}))
        given = {
            "settings": plain | {"http_port": port, "instance": f"w{number}"},
            "group": self.group,
            "topics": [self.topic],
            "effects": str(self.directory / f"effects-{number}"),
            "flags": str(self.directory / "flags"),
            **self.given,
            **given,
        }
        log = self.directory / f"worker-{number}.log"
        command = [sys.executable, "-m", "tests.chassis.worker", json.dumps(given)]
        spawned = Spawned(command, log, {"PYTHONPATH": str(ROOT)})
        self.workers.append(Running(spawned, port, Path(given["effects"])))
        return self.workers[-1]

    def raise_flag(self, name: str) -> None:
        (self.directory / "flags" / name).touch()

    def lower_flag(self, name: str) -> None:
        (self.directory / "flags" / name).unlink()

    def noted(self, what: str, by: "Running | None" = None) -> bool:
        """Whether a worker (`by`, or any) has got there: `taken`, `waiting`, `assigned` …"""
        pid = "*" if by is None else str(by.spawned.pid)
        return any((self.directory / "flags").glob(f"{what}-{pid}"))

    def effects(self) -> list[Effect]:
        """What was finished, in the order of time over all workers."""
        found = []
        for worker in self.workers:
            if worker.effects.exists():
                for line in worker.effects.read_text().splitlines():
                    at, partition, offset, key, number = line.split()
                    found.append(Effect(int(at), int(partition), int(offset), key, int(number)))
        return sorted(found, key=lambda effect: effect.at)

    def done(self) -> dict[str, set[int]]:
        """The numbers handled of each key."""
        numbers: dict[str, set[int]] = defaultdict(set)
        for effect in self.effects():
            numbers[effect.key].add(effect.number)
        return numbers

    async def all_done(self, keys: int, each: int, timeout: float = 120.0) -> None:
        """Wait until every record of `numbered(keys, each)` was handled."""
        wanted = {f"k{k}": set(range(1, each + 1)) for k in range(keys)}
        await eventually_async(lambda: self.done() == wanted, timeout, every=0.2)

    def skipped_ahead(self) -> list[str]:
        """Where a key's number was handled before the one before it: never, however often both were
        repeated."""
        highest: dict[str, int] = defaultdict(int)
        wrong = []
        for effect in self.effects():
            if effect.number > highest[effect.key] + 1:
                wrong.append(f"{effect.key}: {effect.number} after {highest[effect.key]}")
            highest[effect.key] = max(highest[effect.key], effect.number)
        return wrong

    def repeated(self) -> int:
        """How many records were handled more often than once, counted each time."""
        effects = self.effects()
        return len(effects) - len({(e.partition, e.offset) for e in effects})

    def kill_all(self) -> None:
        for worker in self.workers:
            worker.spawned.kill()


@dataclass
class Running:
    """One worker."""

    spawned: Spawned
    port: int
    effects: Path

    def kill(self) -> None:
        self.spawned.kill()

    def terminate(self) -> None:
        self.spawned.process.send_signal(signal.SIGTERM)

    async def ended(self, timeout: float = 60.0) -> int:
        """The exit code, once it has ended."""
        await eventually_async(lambda: not self.spawned.alive, timeout)
        return int(self.spawned.process.returncode)

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(f"http://127.0.0.1:{self.port}{path}", timeout=5)

    async def ready(self, timeout: float = 60.0) -> None:
        async def is_ready() -> bool:
            return (await self.get("/readyz")).status_code == 200

        await eventually_async(is_ready, timeout)
