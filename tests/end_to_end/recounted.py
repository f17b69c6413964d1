"""A file and a city's files counted over, for the check of a replay: pure, and nothing of it is the router's.

Written from docs/registry.md and docs/metrics.md alone, so that a rule that the router has wrong is not wrong
here in the same way.
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

Problems = list[str]


@dataclass(frozen=True, slots=True)
class Mandate:
    """What a deputy answers for, from `since` until before `until` (civil dates)."""

    areas: tuple[str, ...]
    topics: tuple[str, ...]
    since: date
    until: date | None

    def on(self, day: date) -> bool:
        return self.since <= day and (self.until is None or day < self.until)

    def names(self, topic: str) -> bool:
        """Whether it covers `topic`: no topic means all, and a first-level one those below it."""
        return not self.topics or any(topic == own or topic.startswith(f"{own}.") for own in self.topics)


@dataclass(frozen=True, slots=True)
class City:
    """What the check needs of a city's files. Wards are districts by name."""

    zone: ZoneInfo
    districts: Mapping[str, str]
    mandates: Mapping[str, Sequence[Mandate]]

    @classmethod
    def of(cls, directory: Path) -> "City":
        """Read the `.ndjson` files. KeyError and ValueError: they are no city."""
        zone, districts = ZoneInfo("Asia/Shanghai"), {}
        mandates: defaultdict[str, list[Mandate]] = defaultdict(list)
        for path in sorted(directory.glob("*.ndjson")):
            for line in path.read_text("utf-8").splitlines():
                record = json.loads(line)
                if record["record"] == "city":
                    zone = ZoneInfo(record.get("zone", "Asia/Shanghai"))
                elif record["record"] == "region" and record["kind"] == "district":
                    districts[record["name"]] = record["id"]
                elif record["record"] == "mandate":
                    mandates[record["deputy"]].append(_mandate(record))
        return cls(zone, districts, mandates)

    def in_force(self, deputy: str, at: datetime) -> list[Mandate]:
        """The deputy's mandates on the civil day of `at` (aware)."""
        day = at.astimezone(self.zone).date()
        return [mandate for mandate in self.mandates.get(deputy, ()) if mandate.on(day)]


def _mandate(record: dict[str, Any]) -> Mandate:
    until = record.get("until")
    return Mandate(
        tuple(record["areas"]),
        tuple(record.get("topics", ())),
        date.fromisoformat(record.get("since", "2000-01-01")),
        date.fromisoformat(until) if until else None,
    )


@dataclass(frozen=True, slots=True)
class Assignment:
    """A deputy got the case, in this grid, as this first-level topic, at this instant."""

    deputy: str
    grid: str
    first_level: str
    at: datetime


@dataclass(slots=True)
class Fate:
    """What the log says of one opinion."""

    opened: datetime
    assignments: list[Assignment] = field(default_factory=list)
    resolved: datetime | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """One row of the file, and what became of its opinion; None where the log has none."""

    row: int
    values: Mapping[str, str]
    fate: Fate | None


def ward_named(text: str) -> str | None:
    """The district's name for a ward as the file writes it: `Ward 3`, `03` and `3` are one. None: no ward."""
    found = re.search(r"\d+", text)
    return f"Ward {int(found[0])}" if found else text.strip() or None


def wards(played: Iterable[Played], column: str, city: City) -> tuple[dict[str, int], Problems]:
    """Whether every request that lies in a ward was given, whenever it was, to a deputy whose mandate lies in
    that ward; how many have a ward, were assigned at all, and always in their ward."""
    counts = {"in a ward": 0, "assigned": 0, "in their ward": 0}
    problems: Problems = []
    for one in played:
        ward = ward_named(one.values[column])
        if ward is None or one.fate is None:
            continue
        counts["in a ward"] += 1
        if not one.fate.assignments:
            problems.append(f"row {one.row}: in {ward}, and nobody has it")
            continue
        counts["assigned"] += 1
        code = city.districts.get(ward)
        elsewhere = [got for got in one.fate.assignments if code is None or not _lies_in(got, code, city)]
        if elsewhere:
            first = elsewhere[0]
            problems.append(f"row {one.row}: in {ward} ({code}), given to {first.deputy} in {first.grid}")
        else:
            counts["in their ward"] += 1
    return counts, problems


def _lies_in(got: Assignment, code: str, city: City) -> bool:
    held = [area for mandate in city.in_force(got.deputy, got.at) for area in mandate.areas]
    return got.grid.startswith(code) and any(area.startswith(code) for area in held)


def topics(
    played: Iterable[Played], column: str, labels: Mapping[str, Sequence[str]], city: City
) -> dict[str, int]:
    """How many messages were assigned; and of these, at the first assignment, how many to a deputy of whose
    mandates there one covers the file's topic, how many of those mandates are for all topics alike, and how
    many were taken to be about the file's topic. KeyError: a label that `labels` doesn't have."""
    counts = {"messages": 0, "assigned": 0, "covered": 0, "covered by name": 0, "topic agrees": 0}
    for one in played:
        if one.fate is None:
            continue
        counts["messages"] += 1
        if not one.fate.assignments:
            continue
        counts["assigned"] += 1
        got = one.fate.assignments[0]
        wanted = labels[one.values[column].strip()]
        there = [
            mandate
            for mandate in city.in_force(got.deputy, got.at)
            if any(got.grid.startswith(area) for area in mandate.areas)
        ]
        covering = [mandate for mandate in there if any(mandate.names(topic) for topic in wanted)]
        counts["covered"] += bool(covering)
        counts["covered by name"] += any(mandate.topics for mandate in covering)
        counts["topic agrees"] += got.first_level in wanted
    return counts


def moment(text: str, zone: ZoneInfo) -> datetime | None:
    """An instant of the file: ISO 8601, local in `zone` where it names none; None where there is none."""
    if not text.strip():
        return None
    found = datetime.fromisoformat(text.strip())
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long cases took, ms, in order; by nearest rank as docs/metrics.md has it."""

    took: Sequence[int]

    def percentile(self, p: int) -> int | None:
        """The smallest value that at least `p` in a hundred don't exceed; None where there is none."""
        return self.took[math.ceil(p * len(self.took) / 100) - 1] if self.took else None

    def in_hours(self) -> str:
        """Number, median and p90 for a person."""
        told = [
            f"{hours / 3_600_000:,.1f} h" if (hours := self.percentile(p)) is not None else "-"
            for p in (50, 90)
        ]
        return f"{len(self.took)} cases, median {told[0]}, p90 {told[1]}"


def latencies(
    played: Iterable[Played], opened: str, resolved: str, zone: ZoneInfo
) -> tuple[Latencies, Latencies, Problems]:
    """From the file's two columns: of every row that has both, and of those that were resolved on the stack;
    and where the log has other instants than the file."""
    whole: list[int] = []
    replayed: list[int] = []
    problems: Problems = []
    for one in played:
        begun, ended = moment(one.values[opened], zone), moment(one.values[resolved], zone)
        if begun is None or ended is None:
            if one.fate is not None and one.fate.resolved is not None:
                problems.append(f"row {one.row}: resolved on the stack, not in the file")
            continue
        took = round((ended - begun).total_seconds() * 1000)
        whole.append(took)
        if one.fate is None or one.fate.resolved is None:
            continue
        replayed.append(took)
        if (one.fate.opened, one.fate.resolved) != (begun, ended):
            problems.append(
                f"row {one.row}: {begun:%F %T} to {ended:%F %T} in the file, "
                f"{one.fate.opened:%F %T} to {one.fate.resolved:%F %T} on the stack (UTC)"
            )
    return Latencies(sorted(whole)), Latencies(sorted(replayed)), problems


def report_agrees(report: Mapping[str, Any], own: Latencies) -> Problems:
    """Whether the closure report over all has the same number, sum, median and p90."""
    row = next(row for row in report["figures"] if (row["by"], row["figure"]) == ("all", "closure"))
    wanted = {
        "n": len(own.took),
        "sum_ms": sum(own.took),
        "median_ms": own.percentile(50),
        "p90_ms": own.percentile(90),
    }
    return [
        f"{name}: the report has {row[name]}, the file gives {value}"
        for name, value in wanted.items()
        if row[name] != value
    ]
