"""Where one batch is routed: the look-ups that its opinions need are made once, then every decision is pure.

`Desk` stands between the decisions, which know no database, and the store: before the batch it finds the
issues that its opinions may join and the loads of the deputies who may hold them; within the batch it counts
itself. What it finds out about issues waits there for `issues.py`, which files it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from lianxin_router.domain.case import Case
from lianxin_router.domain.ports import Routed, RouteRequest
from lianxin_router.issue_store import Filed, Found, Issue
from lianxin_router.routing import cluster
from lianxin_router.routing.city import CityIndex
from lianxin_router.routing.cluster import Fingerprinter, Fingerprints
from lianxin_router.routing.route import SURGE_WINDOW, Match, Prepared, join, prepare, route


class Desk:
    """The routing of one batch over one version of the city; without a `fingerprinter` nothing joins issues.

    `new_issues` began with this batch. `moved` are issues that it came upon and that were joined to another
    one; `same` are the pairs of them that it found itself. `unplaced` are the texts of opinions that belong
    to no issue as long as their place is uncertain, `placed` the opinions of which that was the text.
    `surges` says for each issue which case says that it is hot, and when that case was opened.
    """

    def __init__(self, city: CityIndex, fingerprinter: Fingerprinter | None = None) -> None:
        self.city = city
        self._fingerprinter = fingerprinter
        self._loads: dict[str, int] = {}
        self._known_loads: set[str] = set()
        self._prepared: dict[str, list[tuple[RouteRequest, Prepared]]] = {}
        self._texts: dict[str, Fingerprints] = {}
        self._wanted: list[tuple[str, Fingerprints, datetime]] = []
        self._keys: set[str] = set()
        self._issues: dict[str, dict[str, Issue]] = {}  # by grid, then id
        self._taken: set[str] = set()  # keys
        self._filed: dict[str, Filed] = {}
        self._recent: dict[str, list[datetime]] = {}
        self.moved: dict[str, str] = {}
        self.same: set[tuple[str, str]] = set()
        self.unplaced: dict[str, Fingerprints] = {}
        self.placed: set[str] = set()
        self.surges: dict[str, tuple[datetime, str]] = {}

    def prepare(self, request: RouteRequest) -> Prepared:
        """Locate and classify a new opinion; names what must be looked up for it."""
        prepared = prepare(request, self.city, self._text_of(request))
        # By the whole request: one id may be submitted with two bodies, and only one of them is decided on.
        self._prepared.setdefault(request.opinion, []).append((request, prepared))
        if prepared.keys and prepared.text is not None and prepared.grid is not None:
            self._wanted.append((prepared.grid, prepared.text, request.submitted_at))
            self._keys.update(prepared.keys)
        return prepared

    def expect(self, opinion: str, grid: str, text: Fingerprints, opened: datetime) -> None:
        """An opinion whose place was uncertain will be placed in `grid`; `text` is what was kept of it."""
        self._texts[opinion] = text
        self._wanted.append((grid, text, opened))
        self._keys.update(cluster.keys(grid, text, opened)[1])

    def know_loads(self, deputies: Iterable[str], loads: Mapping[str, int]) -> None:
        """The loads of `deputies` as the store counts them; a deputy that `loads` leaves out has none."""
        for deputy in deputies:
            if deputy not in self._known_loads:
                self._known_loads.add(deputy)
                self._loads[deputy] = loads.get(deputy, 0)

    def issues_wanted(self) -> tuple[set[str], set[str]]:
        """(keys, ids) under which to look for issues that opinions of this batch may join."""
        return self._keys, {cluster.new_issue(grid, text, at).id for grid, text, at in self._wanted}

    def know_found(self, found: Found) -> None:
        """What was found for this batch: issues that its opinions may join, and what keys are taken."""
        self.know_issues(found.issues)
        self._taken.update(found.taken)

    def know_issues(self, issues: Iterable[Issue]) -> None:
        """Issues that opinions of this batch may join."""
        for issue in issues:
            self._issues.setdefault(issue.grid, {})[issue.id] = issue
            if issue.into is not None:
                self.moved[issue.id] = issue.into

    def openings_wanted(self) -> tuple[set[str], datetime, datetime] | None:
        """(issues that this batch may make hot, after when and until when cases count that were opened)."""
        found: set[str] = set()
        times: list[datetime] = []
        for grid, text, at in self._wanted:
            known = self._issues.get(grid, {})
            match = cluster.match(known.values(), grid, text, at)
            if match.issue not in known:
                continue  # it begins, and has no case yet
            surged = self._surged(grid, match.issue, None)
            if surged is None or surged <= at - SURGE_WINDOW:
                found.add(match.issue)
                times.append(at)
        return (found, min(times) - SURGE_WINDOW, max(times)) if found else None

    def know_recent(self, issue: str, opened: Sequence[datetime]) -> None:
        """When the cases of `issue` were opened, as far as `openings_wanted` asked."""
        self._recent[issue] = list(opened)

    @property
    def new_issues(self) -> list[Filed]:
        """Issues that began with this batch, with the keys to file them under. Those that were seen to be
        taken are left out: whose they are was compared before."""
        return [
            filed._replace(keys=[key for key in filed.keys if key not in self._taken])
            for filed in self._filed.values()
        ]

    def meet(self, rivals: Iterable[Issue]) -> None:
        """Issues that another router filed meanwhile under keys of this batch: what is the same is joined."""
        rivals = list(rivals)
        self.know_issues(rivals)
        for filed in self._filed.values():
            for rival in rivals:
                if cluster.same_matter(filed.issue, rival):
                    ends = {cluster.root(one.id, self.moved) for one in (filed.issue, rival)}
                    if len(ends) == 2:
                        self._join_issues(filed.issue.grid, max(ends), min(ends))

    def route(self, request: RouteRequest) -> Routed:
        """What `Context.route` calls. Raises `LoadsNeeded` for deputies whose loads were not read yet: read
        them and decide again."""
        prepared = next((p for asked, p in self._prepared.get(request.opinion, ()) if asked == request), None)
        if prepared is None:
            prepared = prepare(request, self.city, self._text_of(request))
        match = join(prepared, self._issues.get(prepared.grid or "", {}).values())
        routed = route(
            request,
            self.city,
            self._loads,
            prepared=prepared,
            match=match,
            recent=self._recent.get(match.issue, []) if match is not None else [],
            surged=self._surged(prepared.grid or "", match.issue, request.opinion) if match else None,
            known=self._known_loads,
        )
        if match is not None:
            self._note(request, prepared, match, routed)
        elif request.clues is not None and prepared.text is not None:
            self.unplaced[request.opinion] = prepared.text
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

    def _text_of(self, request: RouteRequest) -> Fingerprints | None:
        if request.issue is not None:
            return None
        if request.clues is None or self._fingerprinter is None:
            return self._texts.get(request.opinion)
        return self._fingerprinter.of(request.clues.title, request.clues.text)

    def _surged(self, grid: str, issue: str, opinion: str | None) -> datetime | None:
        """When another case than `opinion` said that `issue` is hot."""
        if issue in self.surges:
            at, by = self.surges[issue]
            return None if by == opinion else at
        known = self._issues.get(grid, {}).get(issue)
        return None if known is None or known.surged_by == opinion else known.surged

    def _note(self, request: RouteRequest, prepared: Prepared, match: Match, routed: Routed) -> None:
        if match.new and prepared.at is not None:
            found = prepared.as_issue()
            if found.id not in self._filed:
                period = cluster.period(prepared.at)
                issue = Issue(found.id, found.grid, found.signature, found.length, period)
                self._filed[issue.id] = Filed(issue, prepared.filing_keys, request.opinion)
                before = self._issues.get(issue.grid, {}).get(issue.id)
                self.know_issues([issue if before is None else replace(issue, into=before.into)])
        for left, lower in match.same:
            self._join_issues(prepared.grid or "", left, lower)
        if routed.surge is not None:
            self.surges[routed.surge.issue] = (request.submitted_at, request.opinion)
        if request.opinion in self._texts:
            self.placed.add(request.opinion)

    def _join_issues(self, grid: str, left: str, lower: str) -> None:
        self.same.add((left, lower))
        self.know_issues([replace(self._issues[grid][left], into=lower)])


def _load_of(case: Case | None) -> str | None:
    return case.assignee if case is not None and case.is_open else None
