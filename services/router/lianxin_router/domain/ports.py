"""What the lifecycle asks of its surroundings: routing, the city, policies and the calendar.

Everything here is pure: values in, values out. The worker plugs the routing package and the registry in.
"""

from datetime import date, datetime
from typing import Literal, Protocol

from msgspec import Struct

from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import CaseKind, Place
from lianxin_contracts.lifecycle import (
    ClassifiedAs,
    Explanation,
    LocatedBy,
    Reason,
    RoundedPlace,
)
from lianxin_contracts.registry import Grid, Policy, Staff, Topic
from lianxin_router.domain.calendar import WorkingCalendar

Why = Literal["submitted", "returned", "silence", "mandate_lost", "leave", "reopened", "staff"]
Rung = Literal["direct", "substitute", "ladder"]


class Clues(Struct, frozen=True):
    """What the resident gave. Only at submission: the case keeps none of it (the words can be erased)."""

    text: str
    title: str | None = None
    topic: str | None = None
    station: str | None = None
    grid: str | None = None
    place: Place | None = None
    address: str | None = None
    language: str = "zh"


class Known(Struct, frozen=True):
    """What earlier routing of this case found out: enough to route again without the words."""

    located: LocatedBy
    classified: ClassifiedAs
    grid: str | None = None
    street: str | None = None
    district: str | None = None
    topic: str | None = None


class RouteRequest(Struct, frozen=True):
    """Who should hold this case?

    `at` (UTC) is the instant of the decision: mandates, rosters and leaves are those of that instant.
    `clues` are given the first time, `known` every time after. `excluded` deputies must not be chosen.
    `grid` and `topic` are a staff member's corrections and beat every clue; `assignee` is a staff member's
    own choice: the answer must then be `ToDeputy` with this deputy, `grid`, `street`, `district` and `topic`
    as well as they are known (empty where nobody knows).
    """

    opinion: str
    kind: CaseKind
    at: datetime
    submitted_at: datetime
    why: Why
    clues: Clues | None = None
    known: Known | None = None
    excluded: tuple[str, ...] = ()
    grid: str | None = None
    topic: str | None = None
    assignee: str | None = None
    issue: str | None = None


class Joined(Struct, frozen=True):
    """The issue that this opinion joins: `similarity` 0..1 with the case `matched`."""

    issue: str
    similarity: float
    matched: str | None = None


class Surge(Struct, frozen=True):
    """With this opinion its issue became hot: `cases` within `hours`."""

    issue: str
    cases: int
    hours: int


class ToDeputy(Struct, frozen=True):
    """Routing is sure: `assignee` is to hold the case. `receivers`: who else must know."""

    assignee: str
    grid: str
    street: str
    district: str
    topic: str
    explanation: Explanation
    rung: Rung = "direct"
    receivers: tuple[str, ...] = ()
    joined: Joined | None = None
    surge: Surge | None = None


class ToTriage(Struct, frozen=True):
    """Routing is not sure: a person decides. `receivers` empty: the triage staff of the area."""

    reasons: tuple[Reason, ...]
    explanation: Explanation
    grid: str | None = None
    street: str | None = None
    district: str | None = None
    topic: str | None = None
    receivers: tuple[str, ...] = ()
    joined: Joined | None = None
    surge: Surge | None = None


Routed = ToDeputy | ToTriage


class Context(Protocol):
    """The city in one registry version, and routing over it. `CityContext` implements all but `route`."""

    @property
    def registry_version(self) -> str:
        """The version that every decision names."""

    @property
    def rules_version(self) -> str:
        """The version of the routing rules."""

    @property
    def calendar(self) -> WorkingCalendar:
        """Working days and hours, and the city's zone."""

    def route(self, request: RouteRequest) -> Routed:
        """Locate, classify, cluster and assign. Pure; total."""

    def near(self, place: Place) -> RoundedPlace:
        """`place` in WGS-84, rounded to three decimals."""

    def policy(self, kind: CaseKind, topic: str | None) -> tuple[Policy, str]:
        """The policy that covers a case, and the registry version it is of. Always answers."""

    def topic(self, code: str) -> Topic | None:
        """The topic with this code."""

    def first_level(self, code: str | None) -> str | None:
        """The first-level topic above `code`, or itself; None where unknown."""

    def grid(self, code: str) -> Grid | None:
        """The grid with this code."""

    def has_deputy(self, deputy: str) -> bool:
        """Whether there is such a deputy."""

    def has_station(self, station: str) -> bool:
        """Whether there is such a station."""

    def has_department(self, department: str) -> bool:
        """Whether there is such a department."""

    def staff(self, staff: str) -> Staff | None:
        """The staff member with this id."""

    def staff_for(self, role: str, area: str | None) -> tuple[str, ...]:
        """Staff with `role` for `area` (a region's or grid's code), those for everywhere included; where
        there is none for the area, or it is unknown, all who have the role. Sorted."""

    def holds_mandate(self, deputy: str, grid: str | None, topic: str | None, on: date) -> bool:
        """Whether `deputy` has a mandate for this grid and topic on the civil date `on`. A `grid` or `topic`
        of None asks for any."""

    def on_leave(self, deputy: str, on: date) -> bool:
        """Whether `deputy` is away on the civil date `on`."""


class Unreadable(Struct, frozen=True):
    """The data of the pseudo-command `opinion.unreadable`: a submission that could not be read or handled
    went to the dead letters under `reason`, and shows in triage."""

    reason: str
    channel: str = "unknown"


UNREADABLE = "opinion.unreadable"


def unreadable(
    opinion: str,
    cause: str,
    recorded: datetime,
    reason: str,
    channel: str = "unknown",
    *,
    said: datetime | None = None,
) -> Event:
    """The pseudo-command that puts a dead-lettered submission into triage.

    `cause` is derived from the dead letter's topic, partition and offset. `recorded` is the record's own
    timestamp and `said` the time of the resident's submission where that much can be read (both UTC).
    """
    return Event(
        id=cause,
        source="/router",
        type=UNREADABLE,
        subject=opinion,
        time=recorded if said is None else min(said, recorded),
        recordedtime=recorded,
        data=Unreadable(reason=reason, channel=channel),
    )
