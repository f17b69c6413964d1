"""A publisher that writes nothing and keeps what it gets, and a reader of that."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from lianxin_chassis.outages import NotConfirmed
from lianxin_chassis.records import Record
from lianxin_contracts import codec, topics
from lianxin_contracts.envelope import Event, OutRecord


class Log:
    """A publisher that keeps what it gets; `breaks` makes the next call fail before or after that,
    `keeps` the next one that has events after so many of them."""

    def __init__(self) -> None:
        self.records: list[OutRecord] = []
        self.breaks: str | None = None
        self.keeps: int | None = None

    async def publish(self, records: Sequence[OutRecord], deadline_s: float = 5.0) -> None:
        if self.keeps is not None and any(record.topic == topics.LIFECYCLE for record in records):
            keeps, self.keeps = self.keeps, None
            self.records += records[:keeps]
            raise NotConfirmed(records[keeps:], "told to break off")
        breaks, self.breaks = self.breaks, None
        if breaks != "before":
            self.records += records
        if breaks:
            raise NotConfirmed(records, "told to break")

    def events(self, topic: str = topics.LIFECYCLE) -> list[Event]:
        return [
            codec.decode(r.topic, r.value, r.headers)
            for r in self.records
            if r.topic == topic and r.value is not None
        ]

    def types(self) -> list[str]:
        return [event.type for event in self.events()]


class Reader:
    """Reads what is in `log` as the broker would tell it, every topic in one partition."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def ends(self, topic: str, partitions: Iterable[int] | None = None) -> dict[int, int]:
        return {0: len(self._of(topic))}

    async def read(
        self,
        topic: str,
        apply: Callable[[list[Record]], Awaitable[None]],
        *,
        since: Mapping[int, int],
        partitions: Iterable[int] | None = None,
        progress: Any = None,
    ) -> dict[int, int]:
        found = self._of(topic)
        await apply(found[since.get(0, 0) :])
        return {0: len(found)}

    def _of(self, topic: str) -> list[Record]:
        found = [one for one in self._log.records if one.topic == topic]
        return [Record(topic, 0, at, r.key, r.value, r.headers, r.timestamp_ms) for at, r in enumerate(found)]
