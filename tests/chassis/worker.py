"""A worker in a process of its own, for tests that kill it: `python -m tests.chassis.worker '<json>'`.

Every record that its handler has finished is a line in the effects file. Files in the directory of flags
change how it behaves while it runs.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from lianxin_chassis.consumer import Consumer, DeadLetterLimits, Message, Unprocessable
from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.kafka_source import Duties
from lianxin_chassis.parking import ParkingLot, Partition
from lianxin_chassis.process import Worker, run_worker
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.records import Headers
from lianxin_chassis.settings import Settings
from lianxin_contracts.envelope import Event, Undecodable


class Said(msgspec.Struct):
    """The payload of the tests' records: the key's running number and what to do with it."""

    number: int
    deed: str = ""


@dataclass(frozen=True)
class Flags:
    """Files that change how the worker behaves."""

    directory: Path

    def up(self, name: str) -> bool:
        return (self.directory / name).exists()


def event_of(value: bytes, readable: bool = False) -> Event:
    """A tests' record decoded; deed "garble" is undecodable unless `readable`."""
    try:
        said = msgspec.json.decode(value, type=Said)
    except msgspec.DecodeError as error:
        raise Undecodable(str(error)) from error
    if said.deed == "garble" and not readable:
        raise Undecodable("garbled")
    now = datetime.now(UTC)
    return Event(str(said.number), "tests", "said.v1", "", now, now, said)


class Handler:
    """Writes a line for every record; the deed of a record says how it misbehaves."""

    def __init__(self, effects: Path, flags: Flags, slow_s: float) -> None:
        self._file = os.open(effects, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self._flags = flags
        self._slow_s = slow_s

    def decode(self, _topic: str, value: bytes, _headers: Headers) -> Event:
        return event_of(value, self._flags.up("readable"))

    async def __call__(self, messages: list[Message]) -> None:
        self._note("taken")
        if self._slow_s:
            await asyncio.sleep(self._slow_s)
        if self._flags.up("hang"):
            self._note("hanging")
            await asyncio.Event().wait()
        if self._flags.up("block"):
            self._note("blocking")
            time.sleep(3600)  # noqa: ASYNC251 - that is the fault
        if self._flags.up("away"):
            self._note("waiting")
            raise ConnectionRefusedError("the surroundings are away")
        lines = []
        for message in messages:
            assert message.event is not None
            said: Any = message.event.data
            if not self._flags.up("mended"):
                if said.deed == "refuse":
                    raise Unprocessable(message, "refused", "by the test")
                if said.deed == "raise":
                    raise ValueError("a bug")
            record = message.record
            lines.append(f"{record.partition} {record.offset} {message.key} {said.number}")
        # CLOCK_MONOTONIC is one clock for all processes: the files of several workers can be merged.
        now = time.monotonic_ns()
        os.write(self._file, "".join(f"{now} {line}\n" for line in lines).encode())

    def _note(self, what: str) -> None:
        (self._flags.directory / f"{what}-{os.getpid()}").touch()


class StuckSource:
    """A source that joins and then never brings a record."""

    joined = True

    def __init__(
        self, _settings: Settings, _group: str, topics: tuple[str, ...], duties: Duties, _max_batch: int
    ) -> None:
        self._owned = frozenset((topic, 0) for topic in topics)
        self._duties = duties

    def stop(self) -> None:
        """Nothing to stop."""

    async def run(self) -> None:
        await self._duties.adopt(self._owned)
        await asyncio.Event().wait()


def main(given: dict[str, Any]) -> None:
    flags = Flags(Path(given["flags"]))
    settings = Settings(service="test", **given["settings"])

    @asynccontextmanager
    async def start() -> AsyncIterator[Worker]:
        database = open_database(settings)
        publisher = Publisher(settings)
        await publisher.start()
        handler = Handler(Path(given["effects"]), flags, given.get("slow_s", 0.0))

        async def assigned(partitions: frozenset[Partition]) -> None:
            (flags.directory / f"assigned-{os.getpid()}").write_text(json.dumps(sorted(partitions)))

        consumer = Consumer(
            settings,
            group=given["group"],
            topics=given["topics"],
            handle=handler,
            parking=ParkingLot(database),
            publisher=publisher,
            decode=handler.decode,
            on_assigned=assigned,
            limits=DeadLetterLimits(**given.get("limits", {})),
            **({"make_source": StuckSource} if given.get("stuck") else {}),
            **given.get("options", {}),
        )
        yield Worker(consumers=[consumer], checks={"consumer": consumer.check})
        await publisher.stop()
        await close_database(database)

    run_worker(settings, start)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
