"""The watchdog ends a worker that is stuck, and no other."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition

from lianxin_chassis import lag
from lianxin_chassis.lag import LagMonitor, Partition
from tests.chassis.bench import settings_for

MINE: Partition = ("t", 0)
HERS: Partition = ("t", 1)


class Died(Exception):
    """The process would have ended."""


class Log:
    """A client that tells of ten records in each partition, and of what was committed."""

    def __init__(self) -> None:
        self.done: dict[Partition, int] = {}

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition(*MINE), TopicPartition(*HERS)}

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 10)

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    async def committed(self, partition: TopicPartition) -> int | None:
        return self.done.get((partition.topic, partition.partition))


class Watched:
    """A monitor with a clock of the test's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log = Log()
        self.now = 0.0

        def die(reason: str, **_: object) -> None:
            raise Died(reason)

        monkeypatch.setattr(lag, "die", die)
        monkeypatch.setattr(lag, "time", SimpleNamespace(monotonic=lambda: self.now))
        settings = settings_for("nowhere:1")
        self.monitor = LagMonitor(settings, "g", ["t"], watchdog_s=120, excused=lambda: False)

    async def measure(self, at: float, *owned: Partition) -> None:
        self.now = at
        await self.monitor._measure(cast(Any, self.log), frozenset(owned))


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


async def test_a_worker_whose_partition_stands_still_with_lag_ends(watched: Watched) -> None:
    await watched.measure(0, MINE)
    await watched.measure(119, MINE)
    with pytest.raises(Died):
        await watched.measure(121, MINE)


async def test_a_partition_that_comes_back_is_watched_from_then_on(watched: Watched) -> None:
    await watched.measure(0, MINE)
    await watched.measure(60, HERS)
    watched.log.done[HERS] = 10
    await watched.measure(1_000, MINE, HERS)
    await watched.measure(1_100, MINE, HERS)
    with pytest.raises(Died):
        await watched.measure(1_121, MINE, HERS)


async def test_a_worker_that_owns_nothing_judges_nobody(watched: Watched) -> None:
    for at in (0, 1_000, 2_000):
        await watched.measure(at)
    assert watched.monitor.reachable
