"""The notifier's two processes for tests, on a broker and a database of the test's choice."""

import base64
import sys
from pathlib import Path
from typing import Any

import httpx
from nacl.public import PrivateKey

from tests.notifier.small_city import ACT
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.ports import free_port
from tests.support.processes import Spawned

SIGNIN_SECRET = "a sign-in secret"
PRIVATE_KEY = PrivateKey(b"\x07" * 32)


class Running:
    """One process of the notifier; `http` speaks to it."""

    def __init__(
        self, kind: str, directory: Path, broker: Broker, database_url: str, database: str, **env: str
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", f"lianxin_notifier.{kind}"]
        self._log = directory / f"{kind}-{self.port}.log"
        self.env = {
            "LIANXIN_KAFKA_BOOTSTRAP": broker.bootstrap,
            "LIANXIN_KAFKA_IDEMPOTENT": "false" if broker.kind == "tansu" else "true",
            "LIANXIN_KAFKA_FETCH_MAX_WAIT_MS": "20" if broker.kind == "tansu" else "500",
            "LIANXIN_KAFKA_SESSION_TIMEOUT_MS": "6000",
            "LIANXIN_KAFKA_HEARTBEAT_MS": "1000",
            "LIANXIN_MONGO_URL": database_url,
            "LIANXIN_MONGO_DATABASE": database,
            "LIANXIN_HTTP_PORT": str(self.port),
            "LIANXIN_INSTANCE": f"notifier-{kind}-{self.port}",
            # The api is opened by its own address; the links in mails are told apart by theirs.
            "LIANXIN_PUBLIC_URL": self.url if kind == "api" else "https://lianxin.test",
            "LIANXIN_SIGNIN_SECRET": SIGNIN_SECRET,
            "LIANXIN_CONTACT_PRIVATE_KEY": base64.b64encode(bytes(PRIVATE_KEY)).decode(),
            **{f"LIANXIN_{name.upper()}": value for name, value in env.items()},
        }
        self.http = httpx.Client(base_url=self.url, timeout=30, headers={"Authorization": f"Bearer {ACT}"})
        self.spawned: Spawned | None = None

    def start(self, *, ready: bool = True) -> "Running":
        self.spawn()
        eventually(self.is_ready if ready else self.is_alive, timeout=60)
        return self

    def spawn(self) -> None:
        self.spawned = Spawned(self._command, self._log, self.env)

    def run(self, *arguments: str, timeout: float = 120) -> str:
        """Another process with the same surroundings, to its end; returns what it said."""
        spawned = self.command(*arguments)
        assert spawned.process.wait(timeout) == 0, spawned.tail()
        return spawned.tail()

    def command(self, *arguments: str) -> Spawned:
        """Another process with the same surroundings."""
        return Spawned([*self._command, *arguments], self._log.with_suffix(".command.log"), self.env)

    def is_alive(self) -> bool:
        assert self.spawned is not None
        assert self.spawned.alive, self.spawned.tail()
        return self.http.get("/livez").status_code == 200

    def is_ready(self) -> bool:
        return self.is_alive() and self.http.get("/readyz").status_code == 200

    def stop(self) -> None:
        if self.spawned is not None:
            self.spawned.stop()

    def kill(self) -> None:
        if self.spawned is not None:
            self.spawned.kill()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def metric(self, line: str) -> float:
        """The value of one line of `/metrics`, such as `name{label="value"}`; 0 where there is none."""
        for found in self.http.get("/metrics").text.splitlines():
            name, _, value = found.rpartition(" ")
            if name == line:
                return float(value)
        return 0.0

    def inbox(self, deputy: str, **parameters: Any) -> list[dict[str, Any]]:
        """One page of an inbox."""
        answer = self.http.get("/v1/inbox", params={"deputy": deputy, **parameters})
        assert answer.status_code == 200, answer.text
        items = answer.json()["items"]
        assert isinstance(items, list)
        return items

    def act(self, case: str, body: dict[str, Any], key: str = ACT, **headers: str) -> httpx.Response:
        """One action."""
        return self.http.post(
            f"/v1/cases/{case}/actions", json=body, headers={"Authorization": f"Bearer {key}", **headers}
        )
