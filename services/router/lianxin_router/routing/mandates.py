"""Who answers for what, and who is there: mandates by area and topic, rosters and leaves by deputy.

Every question is answered from a dictionary: what it costs depends on how many deputies share one area and
topic, and never on how many there are.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from lianxin_contracts.registry import Deputy, Duty, Leave, Mandate, Snapshot

_Line = TypeVar("_Line", Duty, Leave)
ALL_TOPICS = ""
AREA_LENGTHS = (15, 12, 9, 6)  # grid, community, street, district: the nearest first


@dataclass(frozen=True, slots=True)
class Holds:
    """A deputy's hold on one area and topic, from `since` until `until` (exclusive)."""

    deputy: str
    since: date
    until: date | None

    def on(self, day: date) -> bool:
        """Whether it is in force on the civil date `day`."""
        return self.since <= day and (self.until is None or day < self.until)


class Mandates:
    """Mandates, rosters and leaves of one registry version."""

    def __init__(self, city: Snapshot) -> None:
        self._deputies: Mapping[str, Deputy] = city.deputies
        self._holds: dict[tuple[str, str], list[Holds]] = defaultdict(list)
        self._within: dict[tuple[str, str], list[Holds]] = defaultdict(list)
        self._of: dict[str, list[Mandate]] = defaultdict(list)
        for mandate in sorted(city.mandates.values(), key=lambda m: m.id):
            if mandate.deputy in city.deputies:
                self._of[mandate.deputy].append(mandate)
                self._index(mandate)
        # A contact day alone keeps nobody from working on the other days: only shifts make a roster.
        self._rosters = {
            deputy: lines
            for deputy, lines in _by_deputy(city.duties.values()).items()
            if any(line.kind == "shift" for line in lines)
        }
        self._leaves = _by_deputy(city.leaves.values())
        self._at_station: dict[str, list[str]] = defaultdict(list)
        for deputy in sorted(city.deputies.values(), key=lambda d: d.id):
            if deputy.station is not None:
                self._at_station[deputy.station].append(deputy.id)

    def _index(self, mandate: Mandate) -> None:
        holds = Holds(mandate.deputy, mandate.since, mandate.until)
        for topic in mandate.topics or (ALL_TOPICS,):
            around = set()
            for area in mandate.areas:
                self._holds[area, topic].append(holds)
                around |= {area[:length] for length in AREA_LENGTHS if length < len(area)}
            for area in around:
                self._within[area, topic].append(holds)

    def holding(self, area: str, topic: str) -> list[Holds]:
        """Who holds exactly this area (a code of 6, 9, 12 or 15 digits) and topic (`ALL_TOPICS`: any)."""
        return self._holds.get((area, topic), [])

    def within(self, area: str, topic: str) -> list[Holds]:
        """Who holds this topic somewhere inside `area`, but not all of it."""
        return self._within.get((area, topic), [])

    def at_station(self, station: str) -> list[str]:
        """The deputies of a station."""
        return self._at_station.get(station, [])

    def covers(self, deputy: str, grid: str | None, topics: Iterable[str] | None, on: date) -> bool:
        """Whether `deputy` holds `grid` and one of `topics` on the civil date `on`; None asks for any."""
        wanted = None if topics is None else set(topics)
        return any(
            mandate.since <= on
            and (mandate.until is None or on < mandate.until)
            and (grid is None or grid.startswith(mandate.areas))
            and (wanted is None or not mandate.topics or not wanted.isdisjoint(mandate.topics))
            for mandate in self._of.get(deputy, ())
        )

    def on_duty(self, deputy: str, on: date) -> bool:
        """Whether `deputy` has a shift or a contact day on the civil date `on`; always true for one who has
        no shifts."""
        lines = self._rosters.get(deputy)
        return lines is None or any(_has(line, on) for line in lines)

    def on_leave(self, deputy: str, on: date) -> bool:
        """Whether `deputy` is away on the civil date `on`."""
        return self._leave(deputy, on) is not None

    def substitute(self, deputy: str, on: date) -> str | None:
        """Who stands in for `deputy`, who is away on `on`: one who is there. A substitute who is away too has
        a substitute in turn."""
        seen = {deputy}
        leave = self._leave(deputy, on)
        while leave is not None and leave.substitute is not None and leave.substitute not in seen:
            if leave.substitute not in self._deputies:
                return None
            seen.add(leave.substitute)
            next_leave = self._leave(leave.substitute, on)
            if next_leave is None:
                return leave.substitute
            leave = next_leave
        return None

    def _leave(self, deputy: str, on: date) -> Leave | None:
        return next((x for x in self._leaves.get(deputy, ()) if x.since <= on < x.until), None)


def _has(line: Duty, on: date) -> bool:
    """Weeks of the month are counted by weekday: the third Tuesday is in week 3."""
    return on.isoweekday() in line.weekdays and (not line.weeks or (on.day - 1) // 7 + 1 in line.weeks)


def _by_deputy(records: Iterable[_Line]) -> dict[str, list[_Line]]:
    found: dict[str, list[_Line]] = defaultdict(list)
    for record in sorted(records, key=lambda r: r.id):
        found[record.deputy].append(record)
    return dict(found)
