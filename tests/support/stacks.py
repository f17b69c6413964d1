"""The whole local stack for tests, by the command that people use."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.brokers import wanted_broker
from tests.support.durable import require_durable_broker
from tests.support.ports import free_base

LIANXIN = Path(sys.executable).with_name("lianxin")
REAPER = Path(__file__).with_name("reaper.py")


class LocalStack:
    """`lianxin up --detach` in a directory of its own, on free ports; down when the test process ends."""

    def __init__(
        self,
        directory: Path,
        *up_options: str,
        env: dict[str, str] | None = None,
        port_base: int | None = None,
    ) -> None:
        self.directory = directory
        self.port_base = port_base or free_base()
        self.env = env or {}
        self._up_options = up_options
        self._reaper: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        """Start what does not run, so this heals as well."""
        if self._reaper is None or self._reaper.poll() is not None:
            # It waits for our end of the pipe to close, by us or by our death, then takes the stack down.
            command = [sys.executable, str(REAPER), str(LIANXIN), str(self.directory)]
            self._reaper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        # Never `auto`, which would take the stand-in without a word where Kafka can't be had.
        kind = wanted_broker().kind
        chosen = [] if "--broker" in self._up_options else ["--broker", kind]
        if "kafka" in chosen:
            require_durable_broker()
        done = self.lianxin(
            "up", "--detach", "--port-base", str(self.port_base), *chosen, *self._up_options, check=False
        )
        assert done.returncode == 0, f"lianxin up failed:\n{done.stderr}"
        assert not chosen or self.saved["broker"]["kind"] == kind

    def down(self) -> None:
        self.lianxin("down")

    def remove(self) -> None:
        """Take it down and let the reaper go."""
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()
            self._reaper.wait(120)
            self._reaper = None

    def lianxin(
        self, *arguments: str, check: bool = True, timeout: float = 300.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a `lianxin` command on this stack."""
        return subprocess.run(
            [str(LIANXIN), "--data", str(self.directory), *arguments],
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=check,
        )

    def status(self) -> dict[str, Any]:
        told = json.loads(self.lianxin("status", "--json").stdout)
        assert isinstance(told, dict)
        return told

    @property
    def saved(self) -> dict[str, Any]:
        """What `up` wrote down; unlike `status` it asks nobody."""
        told = json.loads((self.directory / "stack.json").read_text())
        assert isinstance(told, dict)
        return told

    def url(self, service: str) -> str:
        return str(self.saved["services"][service])

    @property
    def bootstrap(self) -> str:
        return str(self.saved["broker"]["bootstrap"])

    @property
    def database_url(self) -> str:
        return str(self.saved["database"]["url"])

    @property
    def keys(self) -> dict[str, str]:
        return dict(json.loads((self.directory / "keys.json").read_text()))

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to one process of the stack; returns the pid that it had."""
        pid = int(self.status()["pids"][name])
        os.kill(pid, number)
        return pid
