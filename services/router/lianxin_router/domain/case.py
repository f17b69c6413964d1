"""A case: everything that the router remembers of one opinion, and nothing that must be erasable.

It follows from its lifecycle events alone (`evolve`), so a rebuild needs only the log. It holds codes, ids
and times; words and contacts only by their part ids. All instants are UTC in whole milliseconds, as databases
keep them.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from lianxin_contracts.inbound import CaseKind, Clock, Entry, Moment, Outcome, Score
from lianxin_contracts.lifecycle import DueTimes, Explanation, Stage

HolderKind = Literal["triage", "deputy", "resident", "nobody"]


class Holding(Struct, frozen=True):
    """From `since` on `holder` had the case in hand: a deputy by id, triage, or the resident (to rate)."""

    kind: HolderKind
    since: Moment
    holder: str | None = None


class Child(Struct, frozen=True):
    """A child order to a department; `answered` is None while it is open."""

    id: str
    department: str
    role: Literal["main", "assist"]
    since: Moment
    answered: Moment | None = None


class Pause(Struct, frozen=True):
    """The clocks stand still from `since` until `until` at most."""

    reason: str
    since: Moment
    until: Moment


class Case(Struct, frozen=True, kw_only=True):
    """The state of one case after event number `sequence`.

    `opened` is None for an id of which only refusals are known: nobody has submitted it (`stage` is then
    `submitted`, and nothing but a submission is accepted). `updated` is the time of the latest event.
    `published` is the part that the office has released for anybody to read, None where it has not.
    `first_issue` and `issue_grid`: the issue that it joined first, and in which grid that was.
    """

    id: str
    sequence: int
    updated: Moment
    stage: Stage = "submitted"
    opened: Moment | None = None
    readable: bool = True
    replayed: bool = False
    erased: bool = False
    withdrawn: bool = False
    digest: str = ""
    kind: CaseKind = "opinion"
    channel: str = ""
    entry: Entry = "direct"
    station: str | None = None
    has_contact: bool = False
    word_parts: tuple[str, ...] = ()
    contact_parts: tuple[str, ...] = ()
    published: str | None = None

    grid: str | None = None
    street: str | None = None
    district: str | None = None
    topic: str | None = None
    explanation: Explanation | None = None
    issue: str | None = None
    first_issue: str | None = None
    issue_grid: str | None = None
    supporters: frozenset[str] = frozenset()

    assignee: str | None = None
    assigned_by: str | None = None
    assigned_at: Moment | None = None
    seen: bool = False
    assignments: int = 0
    excluded: tuple[str, ...] = ()
    returns: int = 0
    take_backs: int = 0
    transfers: int = 0
    holdings: tuple[Holding, ...] = ()

    triage_due: Moment | None = None
    due: DueTimes | None = None
    take_back: Moment | None = None
    breached: frozenset[Clock] = frozenset()
    reminded: frozenset[Clock] = frozenset()
    accepted: Moment | None = None
    first_response: Moment | None = None
    pause: Pause | None = None
    paused_seconds: int = 0

    children: tuple[Child, ...] = ()
    resolutions: int = 0
    first_resolved: Moment | None = None
    resolved: Moment | None = None
    outcome: Outcome | None = None
    rate_until: Moment | None = None
    score: Score | None = None
    reopens: int = 0
    reopened: Moment | None = None
    closed: Moment | None = None

    @property
    def is_open(self) -> bool:
        """Somebody has work to do on it: a deputy, or a person in triage."""
        return self.opened is not None and self.stage in ("triage", "assigned", "accepted", "in_progress")

    @property
    def open_children(self) -> tuple[Child, ...]:
        """Child orders that no department has answered."""
        return tuple(child for child in self.children if child.answered is None)


def held_by(case: Case, at: datetime) -> str | None:
    """The deputy who held the case at `at`; None where it was in triage, with the resident or with nobody."""
    holder = None
    for holding in case.holdings:
        if holding.since > at:
            break
        holder = holding.holder
    return holder


def held_seconds(case: Case, until: datetime) -> dict[str, float]:
    """Wall seconds until `until` by who held the case: a deputy's id, `triage`, `resident` or `nobody`."""
    held: dict[str, float] = {}
    ends = [*(holding.since for holding in case.holdings[1:]), until]
    for holding, end in zip(case.holdings, ends, strict=False):
        name = holding.holder or holding.kind
        seconds = (min(end, until) - holding.since).total_seconds()
        if seconds > 0:
            held[name] = held.get(name, 0.0) + seconds
    return held
