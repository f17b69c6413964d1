"""Real brokers for tests: Apache Kafka, or Tansu where `LIANXIN_TEST_BROKER=tansu` says so."""

import asyncio
import os
import time
from pathlib import Path
from typing import Literal, Protocol

from lianxin_local.kafka import START_SECONDS, Kafka, answers
from lianxin_local.tansu import tansu_command
from tests.support.ports import free_port
from tests.support.processes import Spawned


class Broker(Protocol):
    """A broker that can be killed and started again on the same port."""

    kind: Literal["kafka", "tansu"]
    bootstrap: str

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


class KafkaBroker:
    """Apache Kafka with its data in a directory of its own; what it acknowledged outlives a kill."""

    kind: Literal["kafka", "tansu"] = "kafka"

    def __init__(self, directory: Path) -> None:
        self._kafka = Kafka.at(directory, free_port(), free_port())
        self.bootstrap = self._kafka.bootstrap
        self.directory = directory
        self._spawned: Spawned | None = None

    def start(self) -> None:
        if self._spawned is not None and self._spawned.alive:
            return
        self._kafka.prepare()
        self._spawned = Spawned(self._kafka.command(), self.directory / "broker.log")
        wait_until_it_answers(self._spawned, self.bootstrap)

    def stop(self) -> None:
        if self._spawned is not None:
            self._spawned.stop()

    def kill(self) -> None:
        if self._spawned is not None:
            self._spawned.kill()


class TansuBroker:
    """The stand-in, in memory: whatever it held is gone when it stops."""

    kind: Literal["kafka", "tansu"] = "tansu"

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        self.directory = directory
        self._command = tansu_command(port)
        self._spawned: Spawned | None = None

    def start(self) -> None:
        if self._spawned is not None and self._spawned.alive:
            return
        self._spawned = Spawned(self._command, self.directory / "broker.log")
        wait_until_it_answers(self._spawned, self.bootstrap)

    def stop(self) -> None:
        self.kill()

    def kill(self) -> None:
        if self._spawned is not None:
            self._spawned.kill()


def wanted_broker() -> type[KafkaBroker] | type[TansuBroker]:
    """Which broker this run is to be made on."""
    return TansuBroker if os.environ.get("LIANXIN_TEST_BROKER") == "tansu" else KafkaBroker


def wait_until_it_answers(spawned: Spawned, bootstrap: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers_now(bootstrap):
        assert spawned.alive, f"the broker stopped at once:\n{spawned.tail()}"
        assert time.monotonic() < deadline, f"the broker does not answer:\n{spawned.tail()}"
        time.sleep(0.1)


def answers_now(bootstrap: str) -> bool:
    """Ask from a loop of its own, also where the caller's thread runs one."""
    import threading

    told: list[bool] = []
    asking = threading.Thread(target=lambda: told.append(asyncio.run(answers(bootstrap))))
    asking.start()
    asking.join()
    return bool(told and told[0])
