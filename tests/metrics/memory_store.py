"""The facts and aggregates in memory, with faults on order: what `FactStore` promises, without a database."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from lianxin_metrics.aggregate import Aggregate, from_document, to_document
from lianxin_metrics.facts import Fact
from lianxin_metrics.store import Claim, Overtaken, Stamp, Step, Stored, doubtful


class Crash(BaseException):
    """The process dies here."""


class MemoryStore:
    """`ahead_ms`: how far the clock of claims is ahead of the one that it is told."""

    def __init__(self) -> None:
        self.facts: dict[str, tuple[int, Stored]] = {}
        self.aggregates: dict[int, dict[str, Any]] = {}
        self.steps: set[Step] = set()
        self.scans = 0
        self.ahead_ms = 0

    async def load(self, cases: Iterable[str]) -> dict[str, Stored]:
        return {case: self.facts[case][1] for case in cases if case in self.facts}

    async def save(
        self, changed: Sequence[tuple[int, Fact | None, Fact]], stamps: Mapping[int, Stamp]
    ) -> None:
        overtaken = False
        for partition, before, after in changed:
            known = self.facts.get(after.case)
            if (known[1].fact.sequence if known else None) != (before.sequence if before else None):
                overtaken = True
                continue
            self.facts[after.case] = (partition, Stored(after, stamps[partition]))
        if overtaken:
            raise Overtaken("somebody was first")

    async def of_partition(self, partition: int) -> AsyncIterator[Stored]:
        self.scans += 1
        for where, stored in list(self.facts.values()):
            if where == partition:
                yield stored

    async def claim(self, partition: int, now_ms: int) -> tuple[Claim, Aggregate]:
        empty = {"epoch": 0, "batch": 0, "past": [], "next_offset": 0, "aggregate": to_document(Aggregate())}
        saved = self.aggregates.setdefault(partition, empty)
        if saved["epoch"]:
            ended = [saved["epoch"], saved["batch"], now_ms + self.ahead_ms]
            saved["past"] = [*doubtful(saved["past"], saved["batch"]), ended]
        saved["epoch"] += 1
        saved["batch"] = 0
        past = {epoch: batch for epoch, batch, _ in saved["past"]}
        claim = Claim(partition, saved["epoch"], 0, past, saved["next_offset"])
        return claim, from_document(deepcopy(saved["aggregate"]))

    async def has_uncounted(self, claim: Claim) -> bool:
        return any(
            where == claim.partition
            and stored.stamp.epoch in claim.past
            and stored.stamp.batch > claim.past[stored.stamp.epoch]
            for where, stored in self.facts.values()
        )

    async def publish(self, owned: Sequence[tuple[Claim, Aggregate]]) -> None:
        lost = False
        for claim, aggregate in owned:
            saved = self.aggregates[claim.partition]
            if saved["epoch"] != claim.epoch:
                lost = True
                continue
            saved |= {
                "batch": claim.batch,
                "next_offset": claim.next_offset,
                "aggregate": to_document(aggregate),
            }
        if lost:
            raise Overtaken("the partition has another owner")

    async def record(self, steps: Sequence[Step]) -> None:
        self.steps |= set(steps)
