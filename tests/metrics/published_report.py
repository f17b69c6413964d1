"""The figures of a period's report computed again from the raw log, by the words of docs/metrics.md: plain
Python that shares no code with the service (invariant 11).

Every rate is (numerator, n), every duration the sorted values in ms, every count a number.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.metrics.published import EPOCH, Said, by_case

HOUR = 3_600_000
DAY = 24 * HOUR
OUTCOMES = ("solved", "planned", "explained", "referred", "duplicate", "invalid")
CLOCKS = ("acknowledge", "first_response", "resolve")


@dataclass
class Life:
    """One case's events up to `as_of`, by type."""

    events: list[Said]

    def of(self, *types: str) -> list[Said]:
        return [event for event in self.events if event.type in types]

    def first(self, *types: str) -> int | None:
        found = self.of(*types)
        return found[0].at if found else None

    @property
    def submitted(self) -> int:
        at = self.first("opinion.submitted")
        assert at is not None
        return at

    @property
    def responded(self) -> int | None:
        by_people = [
            e.at
            for e in self.of("opinion.answered", "opinion.resolved")
            if e.data["actor"]["kind"] in ("deputy", "staff")
        ]
        return by_people[0] if by_people else None

    def met(self, clock: str) -> int | None:
        return {
            "acknowledge": self.first("opinion.accepted"),
            "first_response": self.responded,
            "resolve": self.first("opinion.resolved"),
        }[clock]

    def due(self, clock: str) -> int | None:
        met = self.met(clock)
        told = [
            e.data["due"][clock]
            for e in self.of("opinion.assigned", "opinion.resumed", "opinion.reopened")
            if e.data.get("due") and (met is None or e.at <= met)
        ]
        return milliseconds(told[-1]) if told else None

    def paused_since(self) -> int | None:
        since = None
        for event in self.events:
            if event.type == "opinion.paused":
                since = event.at
            elif event.type in ("opinion.resumed", "opinion.resolved", "opinion.closed"):
                since = None
        return since

    def judged(self) -> Iterator[tuple[int, str | None]]:
        """When each resolution was, and the last rating before the next one."""
        resolutions = self.of("opinion.resolved")
        for number, done in enumerate(resolutions):
            following = resolutions[number + 1].sequence if number + 1 < len(resolutions) else 10**9
            ratings = [e for e in self.of("opinion.rated") if done.sequence < e.sequence < following]
            yield done.at, ratings[-1].data["score"] if ratings else None

    def held(self) -> Iterator[tuple[str | None, int, int]]:
        """(deputy or None, from, to) until the first resolution."""
        holder, since = None, self.submitted
        for event in self.events:
            after: Any = holder
            if event.type == "opinion.assigned":
                after = event.data["assignee"]
            elif event.type in ("opinion.triaged", "opinion.returned", "opinion.taken_back"):
                after = None
            if after != holder or event.type == "opinion.resolved":
                yield holder, since, event.at
                holder, since = after, event.at
            if event.type == "opinion.resolved":
                return


def milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def expected_report(log: Iterable[Said], start: int, end: int, as_of: int) -> dict[str, Any]:
    """Every figure over all cases, for the window [start, end) in ms."""
    known = {case: [e for e in events if e.at <= as_of] for case, events in by_case(log).items()}
    lives = [Life(events) for events in known.values() if any(e.type == "opinion.submitted" for e in events)]

    def inside(at: int | None) -> bool:
        return at is not None and start <= at < end

    resolved = [life for life in lives if inside(life.first("opinion.resolved"))]
    return {
        **_counts(lives, resolved, inside),
        **_stock(lives, min(end - 1, as_of)),
        **_durations(lives, resolved, inside),
        **_on_time(lives, inside, as_of),
        **_ratings(lives, inside),
        **_shares(lives, resolved, inside),
    }


def _counts(lives: list[Life], resolved: list[Life], inside: Any) -> dict[str, int]:
    firsts = {
        "submitted": "opinion.submitted", "assigned": "opinion.assigned", "resolved": "opinion.resolved",
        "closed": "opinion.closed",
    }  # fmt: skip
    every = {"returned": "opinion.returned", "reopened": "opinion.reopened"}
    breaches = [e for life in lives for e in life.of("clock.breached") if inside(e.at)]
    return {
        **{name: sum(inside(life.first(type_)) for life in lives) for name, type_ in firsts.items()},
        **{name: sum(inside(e.at) for life in lives for e in life.of(t)) for name, t in every.items()},
        **{f"breached.{c}": sum(e.data["clock"] == c for e in breaches) for c in (*CLOCKS, "triage")},
        **{
            f"outcome.{o}": sum(life.of("opinion.resolved")[0].data["outcome"] == o for life in resolved)
            for o in OUTCOMES
        },
    }


def _stock(lives: list[Life], moment: int) -> dict[str, Any]:
    ages = [
        moment - life.submitted
        for life in lives
        if life.submitted <= moment and not any(e.at <= moment for e in life.of("opinion.closed"))
    ]
    over = {f"open_over.{d}d": (sum(age > d * DAY for age in ages), len(ages)) for d in (30, 60, 90)}
    return {"open": len(ages), **over}


def _durations(lives: list[Life], resolved: list[Life], inside: Any) -> dict[str, list[int]]:
    final = []
    for life in lives:
        closed = life.of("opinion.closed")
        if closed and inside(closed[0].at):
            before = [e for e in life.of("opinion.resolved") if e.sequence < closed[0].sequence]
            final += [before[-1].at - life.submitted] if before else []
    held: dict[str, list[int]] = {"unassigned": [], "earlier": [], "resolver": []}
    for life in resolved:
        spans = list(life.held())
        resolver = spans[-1][0]
        parts = dict.fromkeys(held, 0)
        for deputy, since, to in spans:
            part = "unassigned" if deputy is None else "resolver" if deputy == resolver else "earlier"
            parts[part] += to - since
        for part, time in parts.items():
            held[part].append(time)
    return {
        "acknowledge": sorted(
            at - life.submitted
            for life in lives
            if (at := life.met("acknowledge")) is not None and inside(at)
        ),
        "first_response": sorted(
            at - life.submitted for life in lives if (at := life.responded) is not None and inside(at)
        ),
        "closure": sorted((life.met("resolve") or 0) - life.submitted for life in resolved),
        "final_closure": sorted(final),
        **{f"held.{part}": sorted(values) for part, values in held.items()},
        "held.paused": sorted(_paused(life) for life in resolved),
    }


def _paused(life: Life) -> int:
    total, since = 0, None
    for event in life.events:
        if event.type == "opinion.paused":
            since = event.at
        elif since is not None and event.type in ("opinion.resumed", "opinion.resolved"):
            total, since = total + event.at - since, None
        if event.type == "opinion.resolved":
            return total
    return total


def _on_time(lives: list[Life], inside: Any, as_of: int) -> dict[str, tuple[int, int]]:
    found = {}
    for clock in CLOCKS:
        met_in_time = n = 0
        for life in lives:
            due, met = life.due(clock), life.met(clock)
            if due is None or not inside(due) or due > as_of:
                continue
            paused, closed = life.paused_since(), life.first("opinion.closed")
            if met is None and (
                (paused is not None and paused < due) or (closed is not None and closed <= due)
            ):
                continue
            n += 1
            met_in_time += met is not None and met <= due
        found[f"on_time.{clock}"] = (met_in_time, n)
    return found


def _ratings(lives: list[Life], inside: Any) -> dict[str, tuple[int, int]]:
    judged = [score for life in lives for at, score in life.judged() if inside(at)]
    rated = [score for score in judged if score is not None]
    return {
        "answered": (len(rated), len(judged)),
        "satisfaction.strict": (rated.count("satisfied"), len(rated)),
        "satisfaction.broad": (rated.count("satisfied") + rated.count("basically"), len(rated)),
        "satisfaction.weighted": (10 * rated.count("satisfied") + 9 * rated.count("basically"), len(rated)),
    }


def _shares(lives: list[Life], resolved: list[Life], inside: Any) -> dict[str, tuple[int, int]]:
    outcomes = [life.of("opinion.resolved")[0].data["outcome"] for life in resolved]
    again = 0
    for life in resolved:
        first = life.met("resolve") or 0
        again += any(first <= e.at <= first + 30 * DAY for e in life.of("opinion.reopened"))
    assigned = [life for life in lives if inside(life.first("opinion.assigned"))]
    return {
        "achievement.strict": (outcomes.count("solved"), len(outcomes)),
        "achievement.broad": (outcomes.count("solved") + outcomes.count("planned"), len(outcomes)),
        "reopened_30d": (again, len(resolved)),
        "returned_share": (sum(bool(life.of("opinion.returned")) for life in assigned), len(assigned)),
    }
