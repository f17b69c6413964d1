"""Where one batch is routed: the look-ups that its opinions need are made once, then every decision is pure.

`Desk` stands between the decisions, which know no database, and the store: before the batch it finds the
issues that its opinions may join and the loads of the deputies who may hold them; within the batch it counts
itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from lianxin_router.domain.case import Case
from lianxin_router.domain.ports import Routed, RouteRequest
from lianxin_router.routing.city import CityIndex
from lianxin_router.routing.route import Match, Prepared, join, prepare, route
from lianxin_router.store import Issue


class Desk:
    """The routing of one batch over one version of the city."""

    def __init__(self, city: CityIndex) -> None:
        self.city = city
        self._loads: dict[str, int] = {}
        self._known_loads: set[str] = set()
        self._prepared: dict[RouteRequest, Prepared] = {}
        self._issues: dict[str, dict[str, Issue]] = {}  # by grid, then id
        self._filed: dict[str, tuple[Issue, Sequence[str]]] = {}
        self._recent: dict[str, list[datetime]] = {}

    def prepare(self, request: RouteRequest) -> Prepared:
        """Locate and classify a new opinion; names what must be looked up for it."""
        # By the whole request: one id may be submitted with two bodies, and only one of them is decided on.
        prepared = self._prepared[request] = prepare(request, self.city)
        return prepared

    def know_loads(self, deputies: Iterable[str], loads: Mapping[str, int]) -> None:
        """The loads of `deputies` as the store counts them; a deputy that `loads` leaves out has none."""
        for deputy in deputies:
            if deputy not in self._known_loads:
                self._known_loads.add(deputy)
                self._loads[deputy] = loads.get(deputy, 0)

    def know_issues(self, issues: Iterable[Issue]) -> None:
        """Issues that opinions of this batch may join."""
        for issue in issues:
            self._issues.setdefault(issue.grid, {})[issue.id] = issue

    def likely_matches(self) -> list[str]:
        """The known issues that an opinion of this batch will join."""
        matches = (self._match(prepared) for prepared in self._prepared.values())
        return sorted({match.issue for match in matches if match is not None and not match.new})

    def know_recent(self, issue: str, opened: Sequence[datetime]) -> None:
        """When the newest cases of `issue` were opened."""
        self._recent[issue] = list(opened)

    @property
    def new_issues(self) -> list[tuple[Issue, Sequence[str]]]:
        """Issues that began with this batch, with the keys to file them under."""
        return list(self._filed.values())

    def route(self, request: RouteRequest) -> Routed:
        """What `Context.route` calls. Raises `LoadsNeeded` for deputies whose loads were not read yet: read
        them and decide again."""
        prepared = self._prepared.get(request) if request.clues is not None else None
        if prepared is None:
            prepared = prepare(request, self.city)
        match = self._match(prepared) if request.why == "submitted" else None
        recent = self._recent.get(match.issue, []) if match is not None else []
        routed = route(
            request,
            self.city,
            self._loads,
            prepared=prepared,
            match=match,
            recent=recent,
            known=self._known_loads,
        )
        if match is not None:
            self._note_issue(prepared, match)
        return routed

    def advance(self, before: Case | None, after: Case) -> None:
        """A decision is made: the loads, and its issue's newest cases, as they are now."""
        held, holds = _load_of(before), _load_of(after)
        if held != holds:
            if held is not None and held in self._known_loads:
                self._loads[held] -= 1
            if holds is not None:
                self._loads[holds] = self._loads.get(holds, 0) + 1
        joined_before = before.issue if before is not None else None
        if after.issue is not None and after.issue != joined_before and after.opened is not None:
            self._recent.setdefault(after.issue, []).append(after.opened)

    def _match(self, prepared: Prepared) -> Match | None:
        if not prepared.keys or prepared.grid is None:
            return None
        return join(prepared, self._issues.get(prepared.grid, {}).values())

    def _note_issue(self, prepared: Prepared, match: Match) -> None:
        if match.new and match.issue not in self._filed:
            found = prepared.as_issue()
            issue = Issue(found.id, found.grid, tuple(found.signature), found.length)
            self._filed[issue.id] = (issue, prepared.filing_keys)
            self.know_issues([issue])


def _load_of(case: Case | None) -> str | None:
    return case.assignee if case is not None and case.is_open else None
