"""A real mail server for tests."""

import json
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from tests.support.processes import Spawned
from tests.support.wait import eventually

PROCESS = Path(__file__).with_name("smtp_process.py")


class SmtpServer:
    """A mail server that can be told to fail a share of times, to hang, and that can be killed."""

    host = "127.0.0.1"

    def __init__(self, directory: Path, seed: int = 0, *, brief: bool = False) -> None:
        """`brief`: of each message only id, recipients and mark of a repeat are kept."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.seed = seed
        self.brief = brief
        self.starts = 0
        self.accepted = directory / "accepted.jsonl"
        self._behaviour = directory / "behaviour.json"
        self._spawned: Spawned | None = None
        self.behave()

    def start(self) -> None:
        self.spawn()
        eventually(self._listens, timeout=120)

    def spawn(self) -> None:
        """Start it, also again after a kill, without waiting until it listens."""
        self.starts += 1  # after a kill it must not fail the same again
        seed = self.seed + 1_000 * self.starts
        command = [sys.executable, str(PROCESS), f"--port={self.port}", f"--seed={seed}"]
        command += [f"--accepted={self.accepted}", f"--behaviour={self._behaviour}"]
        command += ["--brief"] if self.brief else []
        self._spawned = Spawned(command, self.directory / "smtp.log")

    def _listens(self) -> bool:
        with socket.create_connection((self.host, self.port), timeout=1) as connection:
            return connection.recv(3) == b"220"

    def behave(
        self,
        *,
        fail: float = 0.0,
        hang: bool = False,
        slow_s: float = 0.0,
        faults: Mapping[str, float] | None = None,
        unknown: Sequence[str] = (),
    ) -> None:
        """From the next message on: answer this share with a temporary failure, or never answer; what is
        accepted is acknowledged `slow_s` seconds later. `faults`: the share of each of the process's
        `FAULTS`; `unknown`: addresses that are refused for good."""
        told = {"fail": fail, "hang": hang, "slow_s": slow_s, "faults": dict(faults or {})}
        draft = self._behaviour.with_suffix(".new")
        draft.write_text(json.dumps(told | {"unknown": list(unknown)}))
        draft.replace(self._behaviour)

    def messages(self) -> list[dict[str, Any]]:
        """What it has accepted, in order."""
        if not self.accepted.exists():
            return []
        return [json.loads(line) for line in self.accepted.read_text().splitlines()]

    def befallen(self) -> list[str]:
        """The faults that befell transactions, in order."""
        path = self.accepted.with_name("faults.jsonl")
        if not path.exists():
            return []
        return [json.loads(line)["fault"] for line in path.read_text().splitlines()]

    def kill(self) -> None:
        if self._spawned is not None:
            self._spawned.kill()
