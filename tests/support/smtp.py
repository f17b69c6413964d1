"""A real mail server for tests."""

import json
import socket
import sys
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from tests.support.processes import Spawned
from tests.support.wait import eventually

PROCESS = Path(__file__).with_name("smtp_process.py")


class SmtpServer:
    """A mail server that can be told to fail a share of times, to hang, and that can be killed."""

    host = "127.0.0.1"

    def __init__(self, directory: Path, seed: int = 0) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.seed = seed
        self.accepted = directory / "accepted.jsonl"
        self._behaviour = directory / "behaviour.json"
        self._spawned: Spawned | None = None
        self.behave()

    def start(self) -> None:
        command = [sys.executable, str(PROCESS), f"--port={self.port}", f"--seed={self.seed}"]
        command += [f"--accepted={self.accepted}", f"--behaviour={self._behaviour}"]
        self._spawned = Spawned(command, self.directory / "smtp.log")
        eventually(self._listens, timeout=120)

    def _listens(self) -> bool:
        with socket.create_connection((self.host, self.port), timeout=1) as connection:
            return connection.recv(3) == b"220"

    def behave(self, *, fail: float = 0.0, hang: bool = False, slow_s: float = 0.0) -> None:
        """From the next message on: answer this share with a temporary failure, or never answer; what is
        accepted is acknowledged `slow_s` seconds later."""
        draft = self._behaviour.with_suffix(".new")
        draft.write_text(json.dumps({"fail": fail, "hang": hang, "slow_s": slow_s}))
        draft.replace(self._behaviour)

    def messages(self) -> list[dict[str, Any]]:
        """What it has accepted, in order."""
        if not self.accepted.exists():
            return []
        return [json.loads(line) for line in self.accepted.read_text().splitlines()]

    def kill(self) -> None:
        if self._spawned is not None:
            self._spawned.kill()
