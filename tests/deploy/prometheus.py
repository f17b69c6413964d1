"""A real Prometheus with the committed configuration and rules, scraping a local stack."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import httpx

from tests.deploy.compose import ROOT
from tests.support.durable import skip_or_fail
from tests.support.ports import free_port
from tests.support.processes import Spawned
from tests.support.wait import eventually

CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"


class Prometheus:
    """The Debian package's server on the stack whose ports begin at `port_base`; asks every second."""

    def __init__(self, directory: Path, port_base: int) -> None:
        binary = shutil.which("prometheus")
        if binary is None:
            skip_or_fail("no prometheus: apt-get install prometheus")
        self.url = f"http://127.0.0.1:{free_port()}"
        text = CONFIG.read_text("utf-8")
        text = re.sub(r"127\.0\.0\.1:(80\d\d)", lambda at: f"127.0.0.1:{port_base + int(at[1]) - 8000}", text)
        text = re.sub(r"_interval: \d+s", "_interval: 1s", text)
        text = re.sub(r"- (\w+\.yml)$", rf"- {CONFIG.parent}/\1", text, flags=re.MULTILINE)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "prometheus.yml").write_text(text)
        command = [str(binary), f"--config.file={directory / 'prometheus.yml'}"]
        command += [f"--storage.tsdb.path={directory / 'data'}"]
        command += [f"--web.listen-address={self.url.removeprefix('http://')}"]
        self.spawned = Spawned(command, directory / "prometheus.log", dict(os.environ))
        eventually(lambda: httpx.get(f"{self.url}/-/ready").status_code == 200)

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=30).json()
        assert answer["status"] == "success", (expression, answer)
        return list(answer["data"]["result"])

    def kill(self) -> None:
        self.spawned.kill()
