"""When each opinion passed each hop on its way into an open inbox, and what comes of that in figures."""

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from lianxin_chassis.records import Record
from lianxin_contracts import codec
from lianxin_contracts.deliveries import Delivery
from lianxin_contracts.lifecycle import Assigned

STREAM, BROWSER = "open stream", "browser"
HOPS = ("accept", "decide", "alert", STREAM, BROWSER)
SHARES = (0.5, 0.95, 0.99)


@dataclass
class Times:
    """When each hop of one opinion was reached, seconds of `time.perf_counter`."""

    sent: float
    reached: dict[str, float] = field(default_factory=dict)


class Watch:
    """Notes when an opinion passes each hop; `holders` are the deputies whom opinions went to, `open` those
    whose stream is open, `tabs` those who have the page open in a browser too."""

    def __init__(self) -> None:
        self.times: dict[str, Times] = {}
        self.holders: dict[str, str] = {}
        self.open: frozenset[str] = frozenset()
        self.tabs: frozenset[str] = frozenset()
        self._early: dict[tuple[str, str], float] = {}

    def sent(self, opinion: str, at: float, answered: float) -> None:
        """The POST's answer is here; what was faster than it is noted now."""
        times = self.times[opinion] = Times(at, {"accept": answered})
        for hop in HOPS:
            if (early := self._early.pop((opinion, hop), None)) is not None:
                times.reached[hop] = early

    def passed(self, opinion: str, hop: str, at: float | None = None) -> None:
        """`opinion` has reached `hop`, `at` then or now."""
        at = time.perf_counter() if at is None else at
        if opinion in self.times:
            self.times[opinion].reached.setdefault(hop, at)
        else:
            self._early.setdefault((opinion, hop), at)

    def apply(self, record: Record) -> None:
        """A record of the lifecycle or of the deliveries."""
        if record.value is None:
            return
        event = codec.decode(record.topic, record.value, record.headers)
        if isinstance(event.data, Assigned):
            self.holders[event.subject] = event.data.assignee
            self.passed(event.subject, "decide")
        elif isinstance(event.data, Delivery) and event.data.channel == "inbox":
            self.passed(event.data.opinion, "alert")

    def at(self, hop: str) -> int:
        """How many opinions have reached `hop`."""
        return sum(hop in times.reached for times in self.times.values())

    def awaited(self, deputies: Collection[str]) -> list[Times]:
        """The opinions that must arrive with these deputies."""
        return [times for opinion, times in self.times.items() if self.holders.get(opinion) in deputies]

    def missing(self, hop: str = STREAM) -> int:
        """How many of those with an open stream (or tab) have not arrived there."""
        deputies = self.tabs if hop == BROWSER else self.open
        return sum(hop not in times.reached for times in self.awaited(deputies))

    def triaged(self) -> int:
        """Opinions that went to a person instead of a deputy: never in a deputy's inbox."""
        return sum(opinion not in self.holders for opinion in self.times)

    def busiest(self, count: int) -> frozenset[str]:
        """The deputies with the most opinions."""
        return frozenset(deputy for deputy, _ in Counter(self.holders.values()).most_common(count))


def report(watch: Watch, rate: float) -> None:
    """Print the distribution of each hop."""
    print(f"\nat {rate:,.0f} opinions/s: {len(watch.times)} posted, {watch.triaged()} of them to triage")
    streams = watch.awaited(watch.open)
    print(
        f"\n{len(streams)} for the {len(watch.open)} open streams, {watch.missing()} never arrived there, ms:"
    )
    _table(streams, HOPS[:-1])
    if watch.tabs:
        tabs = watch.awaited(watch.tabs)
        print(
            f"\n{len(tabs)} of these for the {len(watch.tabs)} tabs of a browser, "
            f"{watch.missing(BROWSER)} never arrived, ms:"
        )
        _table(tabs, HOPS)
        slowest = max(HOPS[1:], key=lambda hop: rank(_alone(tabs, HOPS, hop), 0.5))
        print(f"the hop that takes longest after the 202: {slowest}")
    print("target in the open inbox: p50 < 60 ms since the POST, p99 < 250 ms since the POST and the 202")


def _table(opinions: Sequence[Times], hops: Sequence[str]) -> None:
    heads = "".join(f"{f'p{share * 100:.0f}':>8}" for share in SHARES)
    print(f"{'':12} |{'since the POST':^24} |{'since the 202':^24} |{'the hop alone':^24}")
    print(f"{'hop':12} |{heads} |{heads} |{heads}")
    for hop in hops:
        columns = (
            _since(opinions, hop, lambda times: times.sent),
            _since(opinions, hop, lambda times: times.reached["accept"]),
            _alone(opinions, hops, hop),
        )
        figures = ["".join(f"{rank(column, share):8.1f}" for share in SHARES) for column in columns]
        print(f"{hop:12} |{figures[0]} |{figures[1]} |{figures[2]}")


def _since(opinions: Sequence[Times], hop: str, start: Callable[[Times], float]) -> list[float]:
    """Sorted milliseconds from `start` to `hop`; endless for what never came."""
    return sorted((times.reached.get(hop, math.inf) - start(times)) * 1000 for times in opinions)


def _alone(opinions: Sequence[Times], hops: Sequence[str], hop: str) -> list[float]:
    """Sorted milliseconds from the hop before `hop` to it, of opinions that reached the one before."""
    place = hops.index(hop)
    before = None if place == 0 else hops[place - 1]
    known = [times for times in opinions if before is None or before in times.reached]
    return _since(known, hop, lambda times: times.sent if before is None else times.reached[before])


def rank(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of sorted values."""
    return ordered[max(0, -(-int(len(ordered) * share * 1000) // 1000) - 1)] if ordered else float("nan")
