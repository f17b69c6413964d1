"""Intake's two processes for tests, on a broker and a database of the test's choice."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import httpx
from nacl.public import PrivateKey

from tests.support.brokers import Broker
from tests.support.ports import free_port
from tests.support.processes import Spawned
from tests.support.wait import eventually

SECRET = "a tracking secret for tests"
LINK_SECRET = "a link secret for tests"
WORKBENCH_URL = "https://workbench.test"
# Two Official Accounts, one with encryption and one without.
WECHAT = {
    "wechat": {
        "token": "QDG6eK",
        "app_id": "wx5823bf96d3bd56c7",
        "aes_key": "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",
    },
    "wechat-plain": {"token": "plain-token", "app_id": "wx0000000000000000"},
}
PRIVATE_KEY = PrivateKey(b"\x07" * 32)


class Running:
    """One process of intake; `http` speaks to it."""

    def __init__(
        self, kind: str, directory: Path, broker: Broker, database_url: str, database: str, **env: str
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", f"lianxin_intake.{kind}"]
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
            "LIANXIN_INSTANCE": f"{kind}-{self.port}",
            # Tests ask as fast as they can; those of the limits set their own.
            "LIANXIN_CODE_READS_BURST": "1000000",
            "LIANXIN_PAGE_POSTS_BURST": "1000000",
            "LIANXIN_TRACKING_SECRET": SECRET,
            "LIANXIN_LINK_SECRET": LINK_SECRET,
            "LIANXIN_NOTIFIER_URL": WORKBENCH_URL,
            "LIANXIN_CONTACT_PUBLIC_KEY": base64.b64encode(bytes(PRIVATE_KEY.public_key)).decode(),
            "LIANXIN_WECHAT": json.dumps(WECHAT),
            "LIANXIN_WECHAT_PICTURE_HOSTS": '["127.0.0.1"]',
            **{f"LIANXIN_{name.upper()}": value for name, value in env.items()},
        }
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.spawned: Spawned | None = None

    def start(self, *, ready: bool = True) -> "Running":
        self.spawned = Spawned(self._command, self._log, self.env)
        eventually(self.is_ready if ready else self.is_alive, timeout=60)
        return self

    def command(self, *arguments: str) -> Spawned:
        """Another process with the same surroundings, such as a rebuild."""
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

    def post(
        self, path: str, body: Any, key: str | None = None, idempotency_key: str | None = None
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        return self.http.post(path, json=body, headers=headers)

    def submit(self, body: dict[str, Any], key: str, idempotency_key: str | None = None) -> httpx.Response:
        return self.post("/v1/opinions", body, key, idempotency_key)
