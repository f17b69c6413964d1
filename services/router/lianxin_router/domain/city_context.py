"""The domain's `Context` over one registry snapshot: look-ups made ready when the version is switched."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from copy import copy
from datetime import date
from typing import TypeVar

from lianxin_contracts.inbound import CaseKind, Place
from lianxin_contracts.lifecycle import RoundedPlace
from lianxin_contracts.registry import Grid, Leave, Mandate, Policy, Snapshot, Staff, Topic
from lianxin_router.domain.calendar import WorkingCalendar
from lianxin_router.domain.ports import Routed, RouteRequest

Route = Callable[[RouteRequest], Routed]
Near = Callable[[Place], RoundedPlace]
_OfDeputy = TypeVar("_OfDeputy", Mandate, Leave)


class CityContext:
    """A `Context` in one registry version. `route` and `near` are routing's."""

    def __init__(self, city: Snapshot, *, route: Route, near: Near, rules_version: str) -> None:
        self._city = city
        self._route = route
        self._near = near
        self.registry_version = city.version
        self.rules_version = rules_version
        self.calendar = WorkingCalendar(city.calendars.values(), city.city.zone)
        self._mandates = _by_deputy(city.mandates.values())
        self._leaves = _by_deputy(city.leaves.values())
        self._staff_for: dict[tuple[str, str | None], tuple[str, ...]] = {}
        self._policies: dict[tuple[CaseKind, str | None], Policy] = {}

    def routed_by(self, route: Route) -> "CityContext":
        """The same city with another `route`, a batch's own, say; the look-ups are shared."""
        other = copy(self)
        other._route = route
        return other

    def route(self, request: RouteRequest) -> Routed:
        """Ask routing."""
        return self._route(request)

    def near(self, place: Place) -> RoundedPlace:
        """`place` in WGS-84, rounded to three decimals."""
        return self._near(place)

    def policy(self, kind: CaseKind, topic: str | None) -> tuple[Policy, str]:
        """The policy of `kind` whose code lies nearest to `topic`; one for all topics comes last, and the
        defaults of the contract where the city has none."""
        known = self._policies.get((kind, topic))
        if known is None:
            known = self._policies[kind, topic] = self._find_policy(kind, topic)
        return known, self.registry_version

    def topic(self, code: str) -> Topic | None:
        """The topic with this code."""
        return self._city.topics.get(code)

    def first_level(self, code: str | None) -> str | None:
        """The first-level topic above `code`, or itself; None where unknown."""
        line = self._line_of(code)
        return line[-1] if line else None

    def grid(self, code: str) -> Grid | None:
        """The grid with this code."""
        return self._city.grids.get(code)

    def has_deputy(self, deputy: str) -> bool:
        """Whether there is such a deputy."""
        return deputy in self._city.deputies

    def has_station(self, station: str) -> bool:
        """Whether there is such a station."""
        return station in self._city.stations

    def has_department(self, department: str) -> bool:
        """Whether there is such a department."""
        return department in self._city.departments

    def staff(self, staff: str) -> Staff | None:
        """The staff member with this id."""
        return self._city.staff.get(staff)

    def staff_for(self, role: str, area: str | None) -> tuple[str, ...]:
        """Staff with `role` for `area`, those for everywhere included; else all who have the role."""
        known = self._staff_for.get((role, area))
        if known is None:
            known = self._staff_for[role, area] = self._find_staff(role, area)
        return known

    def holds_mandate(self, deputy: str, grid: str | None, topic: str | None, on: date) -> bool:
        """Whether one mandate of `deputy` covers grid and topic on the civil date `on`; None asks for any."""
        return any(
            mandate.since <= on
            and (mandate.until is None or on < mandate.until)
            and (grid is None or any(grid.startswith(area) for area in mandate.areas))
            and (
                topic is None
                or not mandate.topics
                or not set(self._line_of(topic)).isdisjoint(mandate.topics)
            )
            for mandate in self._mandates.get(deputy, ())
        )

    def on_leave(self, deputy: str, on: date) -> bool:
        """Whether `deputy` is away on the civil date `on`."""
        return any(leave.since <= on < leave.until for leave in self._leaves.get(deputy, ()))

    def _find_policy(self, kind: CaseKind, topic: str | None) -> Policy:
        ours = sorted((p for p in self._city.policies.values() if p.kind == kind), key=lambda p: p.id)
        for code in self._line_of(topic):
            for policy in ours:
                if code in policy.topics:
                    return policy
        return next((policy for policy in ours if not policy.topics), Policy(id="default", kind=kind))

    def _find_staff(self, role: str, area: str | None) -> tuple[str, ...]:
        having = sorted(staff.id for staff in self._city.staff.values() if role in staff.roles)
        if area is None:
            return tuple(having)
        for_area = [
            id_
            for id_ in having
            if not self._city.staff[id_].areas or any(area.startswith(a) for a in self._city.staff[id_].areas)
        ]
        return tuple(for_area or having)

    def _line_of(self, code: str | None) -> tuple[str, ...]:
        """`code` and the topics above it, nearest first; empty for an unknown code."""
        line: list[str] = []
        while code is not None and code not in line and (topic := self._city.topics.get(code)):
            line.append(code)
            code = topic.parent
        return tuple(line)


def _by_deputy(records: Iterable[_OfDeputy]) -> dict[str, list[_OfDeputy]]:
    found: dict[str, list[_OfDeputy]] = defaultdict(list)
    for record in records:
        found[record.deputy].append(record)
    return dict(found)
