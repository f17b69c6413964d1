"""A real database for tests: SecantusDB as a process, its data on disk."""

import time
from pathlib import Path

from lianxin_local.secantus import ENVIRONMENT, START_SECONDS, database_answers, secantus_command
from tests.support.ports import free_port
from tests.support.processes import Spawned


class Database:
    """A database that can be killed and started again on the same port; what it answered outlives a kill."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.url = f"mongodb://127.0.0.1:{port}"
        self.directory = directory
        self._command = secantus_command(directory / "data", port)
        self._spawned: Spawned | None = None

    def start(self) -> None:
        if self._spawned is not None and self._spawned.alive:
            return
        self._spawned = Spawned(self._command, self.directory / "database.log", ENVIRONMENT)
        deadline = time.monotonic() + START_SECONDS
        while not database_answers(self.url):
            assert self._spawned.alive, f"the database stopped at once:\n{self._spawned.tail()}"
            assert time.monotonic() < deadline, f"the database does not answer:\n{self._spawned.tail()}"
            time.sleep(0.05)

    def stop(self) -> None:
        if self._spawned is not None:
            self._spawned.stop()

    def kill(self) -> None:
        if self._spawned is not None:
            self._spawned.kill()
