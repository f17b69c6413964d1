"""A broker, a database and services for one measurement, with what each of them costs in processor time."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil
from prometheus_client.parser import text_string_to_metric_families

from lianxin_chassis.settings import Settings
from lianxin_chassis.topics import ensure
from lianxin_local.city_files import CityFiles, read_city
from lianxin_local.kafka import Kafka, answers
from lianxin_local.ports import is_free
from lianxin_local.registry_publish import operator, publish_city, publisher
from lianxin_local.secantus import ENVIRONMENT, database_answers, secantus_command

ISSUE_SECRET = "of this benchmark alone"
SAMPLE_CITY = Path(__file__).parent.parent / "registry" / "wuxi-sample"


class Batches(NamedTuple):
    """The number of batches, of how many records, in how many seconds."""

    number: float
    records: float
    seconds: float


class Servers:
    """What is running. `spent()` tells each process's seconds of processor time so far."""

    def __init__(self, directory: Path, ports: Iterator[int], city: CityFiles) -> None:
        self.directory = directory
        self._city = city
        self._ports = ports
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._addresses: dict[str, str] = {}
        self._log = (directory / "log").open("wb")
        self._kafka = Kafka.at(directory / "kafka", next(ports), next(ports))
        self.bootstrap = self._kafka.bootstrap
        self.mongo_url = f"mongodb://127.0.0.1:{next(ports)}"

    def start_broker_and_database(self) -> None:
        """Start both, make the topics and publish the city."""
        self._kafka.prepare()
        self._spawn("broker", self._kafka.command(), {})
        self._spawn(
            "database",
            secantus_command(self.directory / "db", int(self.mongo_url.rpartition(":")[2])),
            ENVIRONMENT,
        )
        wait_for(lambda: asyncio.run(answers(self.bootstrap)), "the broker")
        wait_for(lambda: database_answers(self.mongo_url), "the database")
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        settings = operator(self.bootstrap)
        await ensure(settings)
        async with publisher(settings) as writer:
            await publish_city(writer, self._city)

    def settings(self, service: str = "bench", **more: object) -> Settings:
        """Settings of a client of these servers."""
        return Settings(
            service=service,
            kafka_bootstrap=self.bootstrap,
            mongo_url=self.mongo_url,
            **more,  # type: ignore[arg-type]
        )

    def start_service(self, name: str, command: list[str], **environment: str) -> str:
        """Start `command` with the stack's settings, wait until it is ready; returns its address."""
        port = next(self._ports)
        self._spawn(name, [sys.executable, *command], {"LIANXIN_HTTP_PORT": str(port), **environment})
        wait_for(lambda: _ready(port), name)
        self._addresses[name] = f"http://127.0.0.1:{port}"
        return self._addresses[name]

    def stop(self, name: str) -> None:
        """Stop one process, gently."""
        process = self._processes.pop(name)
        process.terminate()
        process.wait(40)

    def stop_all(self) -> None:
        """Stop everything: services first."""
        for name in reversed(list(self._processes)):
            self.stop(name)
        self._log.close()

    def spent(self) -> dict[str, float]:
        """Seconds of processor time of each process, its children included."""
        costs = {}
        for name, process in self._processes.items():
            times = psutil.Process(process.pid).cpu_times()
            costs[name] = times.user + times.system + times.children_user + times.children_system
        return costs

    def batches(self) -> dict[str, Batches]:
        """What each worker has handled so far, by its own metrics."""
        return {name: _batches(url) for name, url in self._addresses.items() if name.endswith(".worker")}

    def _spawn(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        whole = {
            **os.environ,
            "LIANXIN_KAFKA_BOOTSTRAP": self.bootstrap,
            "LIANXIN_MONGO_URL": self.mongo_url,
            "LIANXIN_MONGO_RETRY_WRITES": "false",
            "LIANXIN_LOG_LEVEL": "warning",
            "LIANXIN_ISSUE_SECRET": ISSUE_SECRET,
            **environment,
        }
        self._processes[name] = subprocess.Popen(command, env=whole, stdout=self._log, stderr=self._log)


@contextmanager
def servers(city: CityFiles | None = None) -> Iterator[Servers]:
    """A broker and a database with `city` (default: the sample), in a directory that goes with them."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave no server behind
    with tempfile.TemporaryDirectory(prefix="lianxin-bench-") as directory:
        running = Servers(Path(directory), free_ports(), city or read_city(SAMPLE_CITY))
        try:
            running.start_broker_and_database()
            yield running
        finally:
            running.stop_all()


def free_ports() -> Iterator[int]:
    """Free ports below those that the system gives to clients."""
    return (port for port in range(23_000 + os.getpid() % 4_000, 32_000) if is_free(port))


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 120.0) -> None:
    """Return when `condition` holds; raises SystemExit after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come within {seconds:g} s")
        time.sleep(0.05)


def _batches(url: str) -> Batches:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    samples = [sample for family in families for sample in family.samples]

    def total(name: str) -> float:
        return sum(sample.value for sample in samples if sample.name == f"lianxin_batch_{name}")

    return Batches(total("seconds_count"), total("size_sum"), total("seconds_sum"))


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
