"""What Prometheus is told of a set of cases: counts, and bucket counts and sums of the histograms.

An aggregate is a function of the facts alone. It is advanced by the difference between a case's fact before
and after, so that it costs the same after a million cases; everything but `cases` only ever grows.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lianxin_metrics.facts import Fact, Observation

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

BOUNDS_MS: tuple[int, ...] = (
    *(hours * HOUR_MS for hours in (1, 4, 8)),
    *(days * DAY_MS for days in (1, 2, 3, 5, 7, 15, 30, 60, 90, 180, 365)),
)
"""Upper bounds of the histograms' buckets, inclusive; one more bucket holds what is longer. They are fixed: a
histogram whose buckets change can't be compared with its past."""


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """The labels of one histogram. `outcome` is empty for metrics that have none."""

    metric: str
    district: str
    topic: str
    outcome: str = ""


@dataclass(slots=True)
class Distribution:
    """One histogram: how many values fell into each bucket (not cumulated), and their exact sum."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    sum_ms: int = 0

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self.buckets)

    def add(self, ms: int) -> None:
        """One more value."""
        self.buckets[bisect_left(BOUNDS_MS, ms)] += 1
        self.sum_ms += ms

    def merge(self, other: "Distribution") -> None:
        """All values of `other` too."""
        self.buckets = [a + b for a, b in zip(self.buckets, other.buckets, strict=True)]
        self.sum_ms += other.sum_ms


@dataclass(slots=True)
class Aggregate:
    """`cases` by (stage, district), `events` by type, `ratings` by score, the histograms, how many cases were
    ever closed, and the time of the newest event in ms (0: none)."""

    cases: Counter[tuple[str, str]] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    ratings: Counter[str] = field(default_factory=Counter)
    histograms: dict[Series, Distribution] = field(default_factory=dict)
    closed: int = 0
    newest: int = 0

    def advance(self, before: Fact | None, after: Fact) -> None:
        """Put `after` in the place of `before` (None: the case is new). `after` must continue `before`."""
        was = None if before is None or before.stage is None else (before.stage, before.district)
        now = None if after.stage is None else (after.stage, after.district)
        if was != now:
            if was is not None:
                self.cases[was] -= 1
            if now is not None:
                self.cases[now] += 1
        counted = {} if before is None else before.events
        for type_, count in after.events.items():
            if count != (had := counted.get(type_, 0)):
                self.events[type_] += count - had
        for rating in after.ratings[0 if before is None else len(before.ratings) :]:
            self.ratings[rating.score] += 1
        for made in after.observed[0 if before is None else len(before.observed) :]:
            self._observe(made)
        self.closed += bool(after.closings) - (before is not None and bool(before.closings))
        self.newest = max(self.newest, after.newest)

    def merge(self, other: "Aggregate") -> None:
        """Add the cases of `other`, none of which may be in this one."""
        self.cases.update(other.cases)
        self.events.update(other.events)
        self.ratings.update(other.ratings)
        for series, distribution in other.histograms.items():
            self.histograms.setdefault(series, Distribution()).merge(distribution)
        self.closed += other.closed
        self.newest = max(self.newest, other.newest)

    def _observe(self, made: Observation) -> None:
        series = Series(made.metric, made.district, made.topic, made.outcome)
        self.histograms.setdefault(series, Distribution()).add(made.ms)


def total(parts: Iterable[Aggregate]) -> Aggregate:
    """The aggregate of all cases of `parts`."""
    whole = Aggregate()
    for part in parts:
        whole.merge(part)
    return whole


def to_document(aggregate: Aggregate) -> dict[str, Any]:
    """`aggregate` as plain lists and numbers, in a fixed order: equal aggregates give equal documents."""
    return {
        "cases": [[*key, count] for key, count in sorted(aggregate.cases.items()) if count],
        "events": [[type_, count] for type_, count in sorted(aggregate.events.items())],
        "ratings": [[score, count] for score, count in sorted(aggregate.ratings.items())],
        "histograms": [
            [s.metric, s.district, s.topic, s.outcome, d.sum_ms, d.buckets]
            for s, d in sorted(aggregate.histograms.items())
        ],
        "closed": aggregate.closed,
        "newest": aggregate.newest,
    }


def from_document(document: dict[str, Any]) -> Aggregate:
    """The inverse of `to_document`. A document of before ratings were counted has none; its partition is
    counted again when it is next claimed."""
    return Aggregate(
        cases=Counter({(stage, district): count for stage, district, count in document["cases"]}),
        events=Counter(dict(document["events"])),
        ratings=Counter(dict(document.get("ratings", ()))),
        histograms={
            Series(metric, district, topic, outcome): Distribution(list(buckets), sum_ms)
            for metric, district, topic, outcome, sum_ms, buckets in document["histograms"]
        },
        closed=document["closed"],
        newest=document["newest"],
    )
