"""The whole way: locate, classify, cluster, assign; and the explanation of where it led.

Three steps, so that a batch makes its look-ups at once: `prepare` says what must be looked up, `join` finds
the issue among what was found, `route` decides. Each is pure and total.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from lianxin_contracts.lifecycle import ClassifiedAs, Explanation, LocatedBy, Reason
from lianxin_router.domain.ports import Joined, Routed, RouteRequest, Surge, ToDeputy, ToTriage
from lianxin_router.routing import classify as classifying
from lianxin_router.routing import cluster
from lianxin_router.routing import locate as locating
from lianxin_router.routing.assign import Chosen, LoadsNeeded, Need, Shortlist, assign, shortlist
from lianxin_router.routing.city import CityIndex
from lianxin_router.routing.classify import classify
from lianxin_router.routing.cluster import Fingerprints, Issue, Match, NewIssue
from lianxin_router.routing.locate import locate

__all__ = [
    "RULES_VERSION",
    "SURGE_CASES",
    "SURGE_HOURS",
    "SURGE_WINDOW",
    "LoadsNeeded",
    "Match",
    "Prepared",
    "join",
    "prepare",
    "route",
]

# Of the rules in this package; what is in the registry (terms, mandates) has the registry's version.
RULES_VERSION = "2026.11.1"
# So many cases of one issue within so many hours make it hot; it is said again only so many hours later.
SURGE_CASES = 5
SURGE_HOURS = 24
SURGE_WINDOW = timedelta(hours=SURGE_HOURS)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Where the opinion lies and what it is about, and what must be looked up before it can be routed.

    `keys`: look for issues under them; `filing_keys`: file a new issue under them. Both are empty for what
    has no certain grid, belongs to an issue already, or whose text isn't known (any more).
    """

    located: LocatedBy
    classified: ClassifiedAs
    grid: str | None
    street: str | None
    district: str | None
    topic: str | None
    doubts: tuple[Reason, ...]
    first: Shortlist | None
    text: Fingerprints | None = None
    at: datetime | None = None
    keys: tuple[str, ...] = ()
    filing_keys: tuple[str, ...] = ()

    @property
    def deputies(self) -> frozenset[str]:
        """The deputies whose loads are wanted; `AT_A_TIME` at most."""
        return self.first.deputies if self.first is not None else frozenset()

    def as_issue(self) -> NewIssue:
        """The issue that begins with this opinion. Raises ValueError where `keys` is empty."""
        if not self.keys or self.text is None or self.grid is None or self.at is None:
            raise ValueError("an opinion without keys begins no issue")
        return cluster.new_issue(self.grid, self.text, self.at)


def prepare(request: RouteRequest, city: CityIndex, text: Fingerprints | None = None) -> Prepared:
    """Locate and classify, from the clues or from what is known; a staff member's correction beats both.
    Without `text`, the opinion's fingerprints, it belongs to no issue."""
    located, street, district, sure_of_place = _located(request, city)
    classified, sure_of_topic = _classified(request, city)
    doubts: tuple[Reason, ...] = ()
    if not sure_of_place:
        doubts += (Reason("place_uncertain", {"confidence": f"{located.confidence:.2f}"}),)
    if not sure_of_topic:
        doubts += (Reason("topic_uncertain", {"confidence": f"{classified.confidence:.2f}"}),)
    first = None
    if located.grid is not None:
        need = Need(
            request.opinion,
            located.grid,
            city.lines.get(classified.topic or "", ()),
            city.day(request.at),
            request.clues.station if request.clues is not None else None,
            request.excluded,
        )
        first = shortlist(need, city)
    filing: tuple[str, ...] = ()
    looking: tuple[str, ...] = ()
    if text is not None and request.issue is None and located.grid is not None and sure_of_place:
        filing, looking = cluster.keys(located.grid, text, request.submitted_at)
    return Prepared(
        located=located,
        classified=classified,
        grid=located.grid,
        street=street,
        district=district,
        topic=classified.topic,
        doubts=doubts,
        first=first,
        text=text,
        at=request.submitted_at,
        keys=looking,
        filing_keys=filing,
    )


def join(prepared: Prepared, issues: Iterable[Issue]) -> Match | None:
    """The issue that the opinion belongs to, among those found under its keys; None where it has no keys."""
    if not prepared.keys or prepared.text is None or prepared.grid is None or prepared.at is None:
        return None
    return cluster.match(issues, prepared.grid, prepared.text, prepared.at)


def route(
    request: RouteRequest,
    city: CityIndex,
    loads: Mapping[str, int],
    *,
    prepared: Prepared | None = None,
    match: Match | None = None,
    recent: Sequence[datetime] = (),
    surged: datetime | None = None,
    known: Container[str] | None = None,
) -> Routed:
    """Decide who should hold the case.

    `loads` counts each deputy's open cases (absent: none); with `known`, the deputies whose loads were read,
    raises `LoadsNeeded` where others must be weighed. `recent` are the opening times of the issue's other
    cases of the last `SURGE_HOURS`, and `surged` is when another case said that it is hot.
    """
    ready = prepared or prepare(request, city)
    joined = Joined(match.issue, match.similarity) if match is not None else None
    surge = _surge(request, match, recent, surged)
    if request.assignee is not None:
        ruled = Chosen(request.assignee, "mandate", None, ())
        return _to_deputy(ruled, ready, city, joined, surge)
    chosen = assign(ready.first, city, loads, known) if ready.first is not None else None
    if ready.doubts or chosen is None:
        return _to_triage(ready.doubts, chosen, ready, city, joined, surge)
    if chosen.deputy is None:
        return _to_triage((Reason("nobody_has_room"),), chosen, ready, city, joined, surge)
    return _to_deputy(chosen, ready, city, joined, surge)


def _to_deputy(
    chosen: Chosen, ready: Prepared, city: CityIndex, joined: Joined | None, surge: Surge | None
) -> ToDeputy:
    reasons: tuple[Reason, ...] = (Reason("rung", {"rung": chosen.rung}),)
    if chosen.substitute_for is not None:
        reasons += (Reason("substitute_for", {"deputy": chosen.substitute_for}),)
    return ToDeputy(
        assignee=chosen.deputy or "",
        grid=ready.grid or "",
        street=ready.street or "",
        district=ready.district or "",
        topic=ready.topic or "",
        explanation=_explanation(chosen, ready, city, reasons),
        rung=_named(chosen),
        joined=joined,
        surge=surge,
    )


def _to_triage(
    reasons: tuple[Reason, ...],
    chosen: Chosen | None,
    ready: Prepared,
    city: CityIndex,
    joined: Joined | None,
    surge: Surge | None,
) -> ToTriage:
    return ToTriage(
        reasons=reasons,
        explanation=_explanation(chosen, ready, city, reasons),
        grid=ready.grid,
        street=ready.street,
        district=ready.district,
        topic=ready.topic,
        joined=joined,
        surge=surge,
    )


def _explanation(
    chosen: Chosen | None, ready: Prepared, city: CityIndex, reasons: tuple[Reason, ...]
) -> Explanation:
    return Explanation(
        registry_version=city.version,
        rules_version=RULES_VERSION,
        located=ready.located,
        classified=ready.classified,
        candidates=chosen.candidates if chosen is not None else (),
        reasons=reasons,
    )


def _named(chosen: Chosen) -> Literal["direct", "substitute", "ladder"]:
    if chosen.rung != "mandate":
        return "ladder"
    return "direct" if chosen.substitute_for is None else "substitute"


def _located(request: RouteRequest, city: CityIndex) -> tuple[LocatedBy, str | None, str | None, bool]:
    """(where, street, district, certain): a correction, else the clues, else what was known."""
    if request.grid is not None and request.grid in city.snapshot.grids:
        found = locating.at_grid(request.grid, city, "staff", 1.0, Reason("corrected_by_staff"))
        return found.recorded(), found.street, found.district, True
    if request.clues is not None:
        found = locate(request.clues, city)
        return found.recorded(), found.street, found.district, found.certain
    if request.known is None:
        return LocatedBy(None, "none", 0.0, (Reason("nothing_known"),)), None, None, False
    before = request.known
    if before.grid is None or before.grid not in city.snapshot.grids:
        # The grid was drawn anew since: its code is no more.
        gone = LocatedBy(None, before.located.by, 0.0, (*before.located.evidence, Reason("grid_unknown")))
        return gone, before.street, before.district, False
    located = LocatedBy(
        before.grid,
        before.located.by,
        before.located.confidence,
        before.located.evidence,
        before.located.tried,
    )
    grid = city.snapshot.grids[before.grid]
    certain = located.by == "staff" or located.confidence >= locating.CERTAIN_ENOUGH
    return located, grid.street, grid.district, certain


def _classified(request: RouteRequest, city: CityIndex) -> tuple[ClassifiedAs, bool]:
    """(about what, certain): a correction, else the clues, else what was known."""
    if request.topic is not None and request.topic in city.lines:
        return ClassifiedAs(request.topic, "staff", 1.0, evidence=(Reason("corrected_by_staff"),)), True
    if request.clues is not None:
        found = classify(request.clues, city)
        return found.recorded(), found.certain
    if request.known is None:
        return ClassifiedAs(None, "none", 0.0, evidence=(Reason("nothing_known"),)), False
    before = request.known.classified
    topic = request.known.topic
    if topic is None or topic not in city.lines:
        return ClassifiedAs(
            None, before.by, 0.0, before.candidates, (*before.evidence, Reason("topic_unknown"))
        ), False
    certain = before.by == "staff" or before.confidence >= classifying.CERTAIN_ENOUGH
    return ClassifiedAs(topic, before.by, before.confidence, before.candidates, before.evidence), certain


def _surge(
    request: RouteRequest, match: Match | None, recent: Sequence[datetime], surged: datetime | None
) -> Surge | None:
    """The issue is hot with `SURGE_CASES` cases within `SURGE_HOURS`: the first case that sees so many says
    it and later ones don't repeat it. Two routers that count past each other may see one more."""
    if match is None:
        return None
    since = request.submitted_at - SURGE_WINDOW
    if surged is not None and surged > since:
        return None
    cases = 1 + sum(since < opened <= request.submitted_at for opened in recent)
    return Surge(match.issue, cases, SURGE_HOURS) if cases >= SURGE_CASES else None
