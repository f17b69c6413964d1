"""The router's process for tests, kept running as its supervisor would."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

from lianxin_chassis.database import Database, close_database, open_database
from lianxin_chassis.generations import Generations
from lianxin_chassis.parking import ParkingLot
from lianxin_chassis.settings import Settings
from lianxin_contracts import topics
from lianxin_contracts.envelope import Event
from lianxin_router.store import CaseStore
from lianxin_router.worker import GROUP
from tests.notifier.topics import read_all
from tests.support.brokers import Broker
from tests.support.ports import free_port
from tests.support.processes import Spawned
from tests.support.wait import eventually

T = TypeVar("T")
# One process after the other imports on a busy machine.
READY_S = 120.0
# As the supervisor does: what ends with 0 is started again, until it is told to stop.
KEEP_RUNNING = 'trap stop=1 TERM; while [ -z "$stop" ] && "$@"; do :; done'


class Running:
    """One router. `start` returns when it is ready."""

    def __init__(self, directory: Path, broker: Broker, database_url: str, database: str) -> None:
        self.bootstrap = broker.bootstrap
        self.database_url, self.database = database_url, database
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "lianxin_router.worker"]
        self._log = directory / f"worker-{self.port}.log"
        self._env = {
            "LIANXIN_KAFKA_BOOTSTRAP": broker.bootstrap,
            "LIANXIN_KAFKA_IDEMPOTENT": "false" if broker.kind == "tansu" else "true",
            "LIANXIN_KAFKA_FETCH_MAX_WAIT_MS": "20" if broker.kind == "tansu" else "500",
            "LIANXIN_KAFKA_SESSION_TIMEOUT_MS": "6000",
            "LIANXIN_KAFKA_HEARTBEAT_MS": "1000",
            "LIANXIN_ISSUE_SECRET": "of every router here",
            "LIANXIN_MONGO_URL": database_url,
            "LIANXIN_MONGO_DATABASE": database,
            "LIANXIN_HTTP_PORT": str(self.port),
            "LIANXIN_INSTANCE": f"router-{self.port}",
        }
        self._spawned: Spawned | None = None

    def start(self) -> None:
        self._spawned = Spawned(["sh", "-c", KEEP_RUNNING, "sh", *self._command], self._log, self._env)
        eventually(self.is_ready, timeout=READY_S)

    def is_ready(self) -> bool:
        return httpx.get(f"{self.url}/readyz", timeout=10, trust_env=False).status_code == 200

    def stop(self) -> None:
        if self._spawned is not None:
            self._spawned.stop()

    def kill(self) -> None:
        if self._spawned is not None:
            self._spawned.kill()

    def rebuild(self) -> str:
        """`--rebuild` with the same surroundings, to its end; returns what it said."""
        spawned = Spawned([*self._command, "--rebuild"], self._log.with_suffix(".rebuild.log"), self._env)
        assert spawned.process.wait(READY_S) == 0, spawned.tail()
        return spawned.tail(50)

    def metric(self, line: str) -> float | None:
        """One line of `/metrics`, such as `name{label="value"}`."""
        for found in httpx.get(f"{self.url}/metrics", timeout=10, trust_env=False).text.splitlines():
            name, _, value = found.rpartition(" ")
            if name == line:
                return float(value)
        return None

    def counted(self, what: str) -> float | None:
        return self.metric(f'lianxin_counted_opinions{{what="{what}"}}')

    # -- what it has written

    def lifecycle(self, opinion: str) -> list[Event]:
        """What was decided of one opinion so far, in order."""
        return [e for e in read_all(self.bootstrap, topics.LIFECYCLE) if e.subject == opinion]

    def types(self, opinion: str) -> list[str]:
        return [event.type for event in self.lifecycle(opinion)]

    def asked(self, question: Callable[[Database], Awaitable[T]]) -> T:
        """An answer from the router's database."""

        async def ask() -> T:
            db = open_database(
                Settings(service="router", mongo_url=self.database_url, mongo_database=self.database)
            )
            try:
                return await question(db)
            finally:
                await close_database(db)

        return asyncio.run(ask())

    def generation(self) -> int:
        return self.asked(lambda db: Generations(db, GROUP).live())

    def parked(self) -> list[str]:
        """The parked keys."""
        return [one.key for one in self.asked(lambda db: ParkingLot(db).list_parked())]

    def drop_database(self) -> None:
        self.asked(lambda db: db.client.drop_database(self.database))

    def cases(self, opinions: list[str]) -> dict[str, tuple[Any, frozenset[bytes]]]:
        """Each case as the live generation has it: its state, and what it has answered."""

        async def load(db: Database) -> dict[str, tuple[Any, frozenset[bytes]]]:
            store = CaseStore(db, await Generations(db, GROUP).live())
            held = await store.load(opinions)
            return {
                id_: (msgspec.to_builtins(h.case), frozenset(h.causes))
                for id_, h in held.items()
                if h.version
            }

        return self.asked(load)
