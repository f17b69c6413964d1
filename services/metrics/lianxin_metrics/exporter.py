"""What Prometheus scrapes: the sum of the partitions' aggregates, the same from every process of metrics.

Read once a second in the background, so a scrape costs the same after a million cases and never waits for the
database. A counter never falls: where a rebuild has switched to a new generation, each partition is read from
the generation that contains more of the log until the new one has overtaken the old one everywhere; and where
the facts were dropped, this process goes on with what it has shown last.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from lianxin_chassis.database import Database
from lianxin_chassis.generations import Generations
from lianxin_chassis.logs import get_logger
from lianxin_chassis.marks import BUILT
from lianxin_chassis.metric_names import COUNTED_OPINIONS, OUTAGES
from lianxin_chassis.outages import outage
from lianxin_contracts.inbound import Score
from lianxin_contracts.lifecycle import STAGES
from lianxin_metrics.aggregate import BOUNDS_MS, Aggregate, total
from lianxin_metrics.exported import HELP
from lianxin_metrics.store import PROJECTION, FactStore, Part

log = get_logger(__name__)

REFRESH_S = 0.5
STALE_S = 15.0
"""A process whose figures are older than this is not ready, seconds."""

EARLIER = 3
"""How many generations back the one before may be: rebuilds that were given up have used numbers too."""

# As every client library writes them, so that panels may name a bucket.
_LE = [*(floatToGoString(bound / 1000) for bound in BOUNDS_MS), "+Inf"]  # type: ignore[no-untyped-call]


class Exporter(Collector):
    """The newest aggregate that this process knows, as Prometheus metrics. Nothing before the first reading:
    an absent counter is no fallen one."""

    def __init__(self) -> None:
        self.aggregate: Aggregate | None = None
        self._read_at = 0.0

    def show(self, aggregate: Aggregate) -> None:
        """Export `aggregate` from now on."""
        self.aggregate = aggregate
        self._read_at = time.monotonic()
        COUNTED_OPINIONS.labels("closed").set(aggregate.closed)

    def check(self) -> bool | str:
        """For readiness: True, or what is wrong."""
        if self.aggregate is None:
            return "reading the aggregates"
        age = time.monotonic() - self._read_at
        return True if age < STALE_S else f"the aggregates were last read {age:.0f} s ago"

    def describe(self) -> Iterable[Metric]:
        """No metric is described before it is collected."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric of the facts, from memory."""
        if self.aggregate is None:
            return
        yield _cases(self.aggregate)
        yield _events(self.aggregate)
        yield _ratings(self.aggregate)
        yield from _histograms(self.aggregate)


def _cases(aggregate: Aggregate) -> Metric:
    family = GaugeMetricFamily("lianxin_cases", HELP["cases"], labels=["stage", "district"])
    for district in sorted({district for _, district in aggregate.cases}):
        for stage in STAGES:
            family.add_metric([stage, district], aggregate.cases[stage, district])
    return family


def _events(aggregate: Aggregate) -> Metric:
    family = CounterMetricFamily("lianxin_opinion_events", HELP["opinion_events"], labels=["type"])
    for type_, count in sorted(aggregate.events.items()):
        family.add_metric([type_], count)
    return family


def _ratings(aggregate: Aggregate) -> Metric:
    family = CounterMetricFamily("lianxin_ratings", HELP["ratings"], labels=["score"])
    for score in get_args(Score):
        family.add_metric([score], aggregate.ratings[score])
    return family


def _histograms(aggregate: Aggregate) -> Iterator[Metric]:
    for name in ("acknowledge", "first_response", "closure", "final_closure"):
        labels = ["district", "topic"] + (["outcome"] if name.endswith("closure") else [])
        family = HistogramMetricFamily(f"lianxin_{name}_seconds", HELP[name], labels=labels)
        for series, distribution in sorted(aggregate.histograms.items()):
            if series.metric == name:
                values = [series.district, series.topic, series.outcome][: len(labels)]
                cumulated = list(zip(_LE, accumulate(map(float, distribution.buckets)), strict=True))
                family.add_metric(values, cumulated, sum_value=distribution.sum_ms / 1000)
        yield family


def furthest(live: Iterable[Part], before: Iterable[Part]) -> tuple[list[Part], bool]:
    """Each partition from the generation that contains more of the log; and whether `live` is not behind in
    any, so that `before` need not be read again."""
    chosen = {part.partition: part for part in live}
    ahead = True
    for part in before:
        mine = chosen.get(part.partition)
        if mine is None or part.next_offset > mine.next_offset:
            chosen[part.partition] = part
            ahead = False
    return list(chosen.values()), ahead


class Refresher:
    """Keeps an exporter at the live generation. For reports: `store` is the one to read and `newest` the
    time of its newest event in ms. `overtaken` holds the generations that no earlier one is ahead of any
    more."""

    def __init__(
        self, db: Database, exporter: Exporter, open_store: Callable[[int], FactStore] | None = None
    ) -> None:
        self._generations = Generations(db, PROJECTION)
        self._open = open_store or (lambda number: FactStore(db, number))
        self._exporter = exporter
        self._overtaken: set[int] = set()
        self._shown: list[Part] = []
        self._settled = asyncio.Event()
        self.store: FactStore | None = None
        self.newest: int | None = None

    async def settled(self, number: int) -> None:
        """Wait until no earlier generation is ahead of `number` any more, so that none is exported."""
        while number not in self._overtaken:
            self._settled.clear()
            await self._settled.wait()

    async def refresh(self) -> None:
        """Read once. Raises PyMongo's errors."""
        number = await self._generations.live()
        store = self._open(number)
        live = await store.parts()
        before: list[Part] = []
        if number not in self._overtaken:
            for earlier in range(max(1, number - EARLIER), number):
                before += await self._open(earlier).parts()
        chosen, ahead = furthest(live, before)
        whole = await store.state() == BUILT
        if ahead and whole:
            self._overtaken.add(number)
            self._settled.set()
        self._shown, _ = furthest(chosen, self._shown)
        if whole or self._shown:
            self._exporter.show(total(part.aggregate for part in self._shown))
        # Reports read the live generation: their `as_of` must be known to it.
        self.newest = max((part.aggregate.newest for part in live), default=0)
        self.store = store if whole else None

    async def run(self) -> None:
        """Read every half second until cancelled; waits out a database that is away."""
        while True:
            try:
                await self.refresh()
            except Exception as error:
                if (what := outage(error)) is None:
                    raise
                OUTAGES.labels(what).inc()
                log.warning("the aggregates can't be read", what=what)
            await asyncio.sleep(REFRESH_S)
