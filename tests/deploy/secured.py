"""An Apache Kafka on the very settings of compose: credentials, an authorizer, access rules."""

import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

from lianxin_chassis.settings import Settings
from lianxin_local.kafka import Kafka
from tests.deploy.compose import ROOT, dotenv
from tests.support.ports import free_port
from tests.support.processes import Spawned
from tests.support.stacks import LIANXIN
from tests.support.wait import eventually

PROPERTIES = ROOT / "deploy" / "compose" / "kafka" / "server.properties"


class SecuredKafka:
    """One broker; `prepared` by the operator as the job `registry` of compose does it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True)
        self._kafka = Kafka.at(directory, free_port(), free_port())
        self.bootstrap = self._kafka.bootstrap
        self.directory = directory
        self._spawned: Spawned | None = None

    def start(self) -> None:
        """Format the storage and start, with the commands of compose."""
        settings = self.directory / "server.properties"
        settings.write_text(self._moved(PROPERTIES.read_text("utf-8")))
        java = [*self._kafka._java("-Xmx384m")]
        cluster = dotenv()["KAFKA_CLUSTER_ID"]
        passwords = {name: value for name, value in dotenv().items() if name.startswith("KAFKA_")}
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "--cluster-id", cluster]
        subprocess.run(
            [*java, *tool, "--config", str(settings)],
            check=True,
            capture_output=True,
            env=os.environ | passwords,
            timeout=90,
        )
        self._spawned = Spawned(
            [*java, "kafka.Kafka", str(settings)], self.directory / "broker.log", passwords
        )
        eventually(self._listens, timeout=90)
        self.lianxin("broker", "prepare", "--bootstrap", self.bootstrap)

    def _listens(self) -> bool:
        host, port = self.bootstrap.split(":")
        with socket.create_connection((host, int(port)), timeout=1):
            return True

    def kill(self) -> None:
        if self._spawned is not None:
            self._spawned.kill()

    def lianxin(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run an operator's command with the operator's credentials."""
        command = [str(LIANXIN), "--data", str(self.directory / "none"), *arguments]
        environment = os.environ | credentials("operator", self.bootstrap)
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done

    def client(self, party: str) -> dict[str, Any]:
        """Options of an aiokafka client that signs in as `party`."""
        given = {
            name.removeprefix("LIANXIN_").lower(): value
            for name, value in credentials(party, self.bootstrap).items()
        }
        return Settings(service=party, **given).kafka_client()  # type: ignore[arg-type]

    def _moved(self, properties: str) -> str:
        """The same settings, on ports and a folder of the test's own."""
        host, port = self.bootstrap.split(":")
        moves = {
            r"://localhost:9093": f"://127.0.0.1:{self._kafka.controller_port}",
            r"@localhost:9093": f"@127.0.0.1:{self._kafka.controller_port}",
            r"CLIENT://:9092": f"CLIENT://{host}:{port}",
            r"CLIENT://kafka:9092": f"CLIENT://{host}:{port}",
            r"/var/lib/kafka/data/log": str(self.directory / "log"),
        }
        for there, here in moves.items():
            properties, found = re.subn(re.escape(there), here, properties)
            assert found, there
        return properties


def credentials(party: str, bootstrap: str) -> dict[str, str]:
    """What compose tells a container of `party` about the broker."""
    return {
        "LIANXIN_KAFKA_BOOTSTRAP": bootstrap,
        "LIANXIN_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "LIANXIN_KAFKA_SASL_MECHANISM": "PLAIN",
        "LIANXIN_KAFKA_SASL_USERNAME": party,
        "LIANXIN_KAFKA_SASL_PASSWORD": dotenv()[f"KAFKA_{party.upper()}_PASSWORD"],
    }
