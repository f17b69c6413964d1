"""What a simulated stretch came to, while it runs and at its end."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psutil

MIB = 2**20


@dataclass(slots=True)
class Tally:
    """Counts of one run. `handed_in`: opinions that are new; `known`: those of an earlier run of the same
    life; `turned_away`: those that intake refused, by code."""

    begins: datetime
    handed_in: int = 0
    known: int = 0
    supports: int = 0
    visits: int = 0
    knocks: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    ratings: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    turned_away: Counter[str] = field(default_factory=Counter)
    began: float = field(default_factory=time.monotonic)
    most_memory: int = 0
    _process: psutil.Process = field(default_factory=psutil.Process)

    @property
    def made(self) -> int:
        """Opinions of this life that were handed in or found."""
        return self.handed_in + self.known

    @property
    def seconds(self) -> float:
        """Since the start, by the wall clock."""
        return time.monotonic() - self.began

    def speed(self, reached: datetime) -> float:
        """How many times faster than real time."""
        return (reached - self.begins).total_seconds() / max(self.seconds, 1e-9)

    def memory(self) -> int:
        """Of this process now, bytes."""
        now = int(self._process.memory_info().rss)
        self.most_memory = max(self.most_memory, now)
        return now

    def line(self, reached: datetime, open_: int, closed: int) -> str:
        """How far it is, for a person."""
        return (
            f"{reached:%Y-%m-%d %H:%M}  {self.made} opinions, {open_} open, {closed} closed; "
            f"{self.speed(reached):,.0f} x real time, {self.memory() // MIB} MiB"
        )

    def as_told(self, reached: datetime, closed: Mapping[str, int]) -> dict[str, Any]:
        """The counts of the summary."""
        return {
            "from": self.begins.isoformat(),
            "to": reached.isoformat(),
            "seconds": round(self.seconds, 1),
            "times_real_time": round(self.speed(reached), 1),
            "handed_in": self.handed_in,
            "known_before": self.known,
            "turned_away": dict(self.turned_away),
            "visits": self.visits,
            "supports": self.supports,
            "actions": dict(self.actions),
            "why": dict(self.reasons),
            "ratings": dict(self.ratings),
            "refused_by_router": dict(self.refusals),
            "knocks": self.knocks,
            "closed": dict(closed),
            "memory_mib": {"now": self.memory() // MIB, "most": self.most_memory // MIB},
        }
