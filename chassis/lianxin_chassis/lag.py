"""Lag from the broker's own offsets, and the watchdog that lives on it.

A reader that is stuck believes that it has read everything, so neither lag nor progress is asked of it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from lianxin_chassis.clients import close_quietly, no_leaked_cancellation, partitions_of
from lianxin_chassis.exits import die
from lianxin_chassis.logs import get_logger
from lianxin_chassis.metric_names import CONSUMER_LAG
from lianxin_chassis.settings import Settings

log = get_logger(__name__)

Partition = tuple[str, int]


class LagMonitor:
    """Every `every_s` seconds: what the group has committed against where the broker's log ends.

    Ends the process when there is lag on a partition of this worker and nothing was committed there for
    `watchdog_s` seconds, unless `excused` says that there is a reason.
    """

    def __init__(
        self,
        settings: Settings,
        group: str,
        topics: Sequence[str],
        *,
        watchdog_s: float,
        excused: Callable[[], bool],
        every_s: float = 5.0,
    ) -> None:
        self._settings = settings
        self._group = group
        self._topics = tuple(topics)
        self._watchdog_s = watchdog_s
        self._excused = excused
        self._every_s = min(every_s, watchdog_s / 4)
        self.reachable = True
        self._shown: set[Partition] = set()
        # Per partition with lag: the committed offset last seen, and since when it stands there.
        self._still: dict[Partition, tuple[int, float]] = {}

    async def run(self, owned: Callable[[], frozenset[Partition]]) -> None:
        """Measure until cancelled."""
        while True:
            try:
                async with no_leaked_cancellation():
                    await self._measure_for_ever(owned)
            except (KafkaError, OSError, TimeoutError) as error:
                # Nobody can tell what progress would be while the broker is away.
                if self.reachable:
                    log.warning("the broker does not answer", group=self._group, error=repr(error))
                self.reachable = False
                self._still.clear()
            await asyncio.sleep(self._every_s)

    def forget(self) -> None:
        """Remove this worker's gauges: another worker shows those partitions now."""
        for topic, partition in self._shown:
            CONSUMER_LAG.remove(self._group, topic, str(partition))
        self._shown.clear()

    async def _measure_for_ever(self, owned: Callable[[], frozenset[Partition]]) -> None:
        client = AIOKafkaConsumer(
            **self._settings.kafka_client(),
            group_id=self._group,
            enable_auto_commit=False,
            request_timeout_ms=15_000,
        )
        try:
            async with asyncio.timeout(20):
                await client.start()
                client.assign(await partitions_of(self._settings, self._topics))
            while True:
                async with asyncio.timeout(10):
                    await self._measure(client, owned())
                # Soon after the first assignment the gauges should be there.
                await asyncio.sleep(self._every_s if self._shown else min(1.0, self._every_s))
        finally:
            await close_quietly(client)

    async def _measure(self, client: AIOKafkaConsumer, owned: frozenset[Partition]) -> None:
        # A worker that was given nothing judges nobody: it can't tell whether the others wait for an outage.
        # It only asks whether the broker is there. (Being stuck outside its group is seen by the source.)
        partitions = [TopicPartition(*p) for p in sorted(owned)] or sorted(client.assignment())[:1]
        ends = await client.end_offsets(partitions)
        firsts = await client.beginning_offsets(partitions)
        lags: dict[Partition, int] = {}
        excused = self._excused()
        for tp in partitions:
            committed = await client.committed(tp)
            done = firsts[tp] if committed is None else max(committed, firsts[tp])
            lags[tp.topic, tp.partition] = ends[tp] - done
            if (tp.topic, tp.partition) in owned:
                self._watch((tp.topic, tp.partition), done, ends[tp] - done, excused)
        # What somebody else has meanwhile begins anew when it comes back.
        self._still = {partition: seen for partition, seen in self._still.items() if partition in owned}
        for gone in self._shown - owned:
            CONSUMER_LAG.remove(self._group, gone[0], str(gone[1]))
        self._shown = set(owned)
        for topic, partition in owned:
            CONSUMER_LAG.labels(self._group, topic, str(partition)).set(lags[topic, partition])
        self.reachable = True

    def _watch(self, partition: Partition, done: int, lag: int, excused: bool) -> None:
        now = time.monotonic()
        before, since = self._still.get(partition, (-1, now))
        if lag <= 0 or done != before or excused:
            self._still[partition] = (done, now)
        elif now - since > self._watchdog_s:
            die(
                "the consumer is stuck",
                group=self._group,
                partition=f"{partition[0]}/{partition[1]}",
                committed=done,
                lag=lag,
                seconds=round(now - since),
            )
