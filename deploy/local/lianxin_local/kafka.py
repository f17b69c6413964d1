"""Apache Kafka on one machine: KRaft, one node, durable, loopback only."""

import asyncio
import base64
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from lianxin_local.jars import ensure_jars
from lianxin_local.java import Java, find_java
from lianxin_local.problem import Problem

# Resident about 400 MB with this heap; collections are short with one thread on a heap this small.
MEMORY = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")
# Measured 2.4 s on an idle machine with 2 cores; a machine under load takes several times that.
START_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Kafka:
    """One broker: its Java, its jars, its data."""

    java: Java
    jars: Path
    data: Path
    port: int
    controller_port: int

    @classmethod
    def at(cls, data: Path, port: int, controller_port: int) -> "Kafka":
        """A broker with its data there; finds Java and the jars, or says what is missing."""
        return cls(find_java(), ensure_jars(), data, port, controller_port)

    @property
    def bootstrap(self) -> str:
        """The address that clients start from."""
        return f"127.0.0.1:{self.port}"

    @property
    def properties(self) -> Path:
        """Its settings file."""
        return self.data / "server.properties"

    def command(self) -> list[str]:
        """What to run. The data must have been prepared."""
        return [*self._java(*MEMORY), "kafka.Kafka", str(self.properties)]

    def prepare(self) -> None:
        """Write the settings; format the storage if this is its first start."""
        self.data.mkdir(parents=True, exist_ok=True)
        self.properties.write_text("".join(f"{key}={value}\n" for key, value in self.settings().items()))
        if (self.data / "log" / "meta.properties").exists():
            return
        # Joined by "=", since one name in 64 begins with "-" and would be taken for an option.
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        format_storage = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}"]
        format_storage.append(f"--config={self.properties}")
        try:
            subprocess.run(
                [*self._java("-Xmx128m"), *format_storage],
                check=True,
                capture_output=True,
                text=True,
                timeout=START_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            why = (error.stderr or error.stdout).strip().splitlines() or ["no reason given"]
            raise Problem(f"Kafka can't format its storage in {self.data}: {why[-1]}") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Problem(f"Kafka can't format its storage in {self.data}: {error}") from None

    def settings(self) -> dict[str, str]:
        """One node is all there is, so one copy of everything; the rest is what a laptop needs smaller."""
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.data / "log"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            # A worker is not kept waiting for others that won't come; still one rebalance for those that do.
            "group.initial.rebalance.delay.ms": "100",
            # Tests use short sessions to see a killed worker's partitions move; Kafka's own least is 6 s.
            "group.min.session.timeout.ms": "1000",
            # Killed and started again, a broker waits until its former self counts as gone: by default 9 s.
            "broker.session.timeout.ms": "4000",
            "broker.heartbeat.interval.ms": "500",
            # 128 MiB of heap by default, for keys that are not there.
            "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
            "num.network.threads": "2",
            "num.io.threads": "4",
        }

    def _java(self, *options: str) -> list[str]:
        logging = Path(__file__).with_name("log4j2.xml")
        # Java 24 and later print four lines about Kafka's own use of sun.misc.Unsafe at every start.
        quiet = ["--sun-misc-unsafe-memory-access=allow"] if self.java.version >= 24 else []
        configuration = f"-Dlog4j2.configurationFile={logging}"
        return [str(self.java.command), *options, *quiet, "-cp", f"{self.jars}/*", configuration]


async def answers(bootstrap: str) -> bool:
    """Whether a broker there takes requests and knows itself."""
    from aiokafka.client import AIOKafkaClient  # 0.1 s, which `lianxin status` need not wait
    from aiokafka.errors import KafkaError

    host, port = bootstrap.split(",")[0].rsplit(":", 1)
    try:  # the client reports each refused connection as an error
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
    except OSError:
        return False
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=2000)
    try:
        await client.bootstrap()
        return bool(client.cluster.brokers())
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()
