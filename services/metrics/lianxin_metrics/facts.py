"""One case as figures need it: folded from its lifecycle events, in their order, and nothing else.

Times are integer milliseconds since the epoch (UTC), the event's own `time`. Whatever a report may ask "as
of" is kept with its time, so that a fact can be read as it was at any moment: within a case `time` never
falls, therefore what is known at a moment is a prefix of the case's events. Only `events` (how many there
are of each type) and `observed` have no such view; no report reads them.
"""

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from lianxin_contracts import lifecycle as said
from lianxin_contracts.envelope import Event, milliseconds

Metric = Literal["acknowledge", "first_response", "closure", "final_closure"]

UNKNOWN = "unknown"
"""The label value of a district, topic or outcome that nobody has determined yet."""

FirstLevel = Callable[[str], str]
"""The first-level topic code above a topic code, for events that do not say it themselves."""


class Staged(Struct, frozen=True, array_like=True):
    """From `at` on the case was in `stage`."""

    at: int
    stage: said.Stage


class Placement(Struct, frozen=True, array_like=True):
    """From `at` on the case belonged here. `topic` is the code as given, `first_level` the one above it."""

    at: int
    district: str
    street: str
    grid: str
    topic: str
    first_level: str


class Holding(Struct, frozen=True, array_like=True):
    """`deputy` (None: nobody, the case waits for an assignment) held the case from `since` until `until`."""

    since: int
    deputy: str | None
    until: int | None = None


class Resolution(Struct, frozen=True, array_like=True):
    """The case was answered with `outcome` while `holder` held it, in this district and first-level topic."""

    at: int
    outcome: str
    holder: str | None
    district: str
    first_level: str


class Rating(Struct, frozen=True, array_like=True):
    """The resident's judgement of the case's `of`-th resolution (from 1)."""

    at: int
    score: str
    of: int


class Closing(Struct, frozen=True, array_like=True):
    """The case was closed: rated, unrated, withdrawn or erased, after `resolutions` resolutions."""

    at: int
    how: str
    resolutions: int
    district: str
    first_level: str


class Return(Struct, frozen=True, array_like=True):
    """`holder` gave the case back for `reason`."""

    at: int
    reason: str
    holder: str | None


class Pause(Struct, frozen=True, array_like=True):
    """The clocks stood still from `since`; `until` None: they still do."""

    since: int
    reason: str
    until: int | None = None


class Dues(Struct, frozen=True, array_like=True):
    """As known from `at` on: when each clock runs out."""

    at: int
    acknowledge: int
    first_response: int
    resolve: int


class Breach(Struct, frozen=True, array_like=True):
    """`clock` ran out while `held_by` held the case."""

    at: int
    clock: str
    held_by: str | None


class Observation(Struct, frozen=True, array_like=True):
    """One value of a histogram: made once, with the labels of that moment, and never changed after."""

    metric: Metric
    ms: int
    district: str
    topic: str
    outcome: str = ""


class Fact(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One case. `sequence` is the last event that it contains, `newest` that event's time."""

    case: str
    sequence: int = 0
    newest: int = 0
    events: dict[str, int] = {}
    submitted: int | None = None
    channel: str = ""
    kind: str = ""
    entry: str = ""
    replayed: bool = False
    stages: tuple[Staged, ...] = ()
    placements: tuple[Placement, ...] = ()
    holdings: tuple[Holding, ...] = ()
    accepted: int | None = None
    responded: int | None = None
    resolutions: tuple[Resolution, ...] = ()
    ratings: tuple[Rating, ...] = ()
    reopens: tuple[int, ...] = ()
    closings: tuple[Closing, ...] = ()
    returns: tuple[Return, ...] = ()
    pauses: tuple[Pause, ...] = ()
    dues: tuple[Dues, ...] = ()
    breaches: tuple[Breach, ...] = ()
    observed: tuple[Observation, ...] = ()

    @property
    def stage(self) -> said.Stage | None:
        """The stage now; None while nothing but refusals is known of this id."""
        return self.stages[-1].stage if self.stages else None

    @property
    def district(self) -> str:
        """The district's code now, or "unknown"."""
        return self.placements[-1].district if self.placements else UNKNOWN

    @property
    def first_level(self) -> str:
        """The first-level topic's code now, or "unknown"."""
        return self.placements[-1].first_level if self.placements else UNKNOWN


Changes = dict[str, Any]


def fold(fact: Fact, event: Event, first_level: FirstLevel) -> Fact:
    """`fact` with the case's next lifecycle event in it. Types that no figure needs are only counted."""
    at = milliseconds(event.time)
    changes: Changes = {
        "sequence": event.sequence,
        "newest": max(fact.newest, at),
        "events": fact.events | {event.type: fact.events.get(event.type, 0) + 1},
    }
    if (effect := _EFFECTS.get(type(event.data))) is not None:
        changes |= effect(fact, at, event.data, first_level)
    return replace(fact, **changes)


def _submitted(fact: Fact, at: int, data: said.Submitted, _: FirstLevel) -> Changes:
    return {
        # The first one counts: a submission that could not be read was sent at that time too.
        "submitted": at if fact.submitted is None else fact.submitted,
        "channel": data.channel,
        "kind": data.kind,
        "entry": data.entry,
        "replayed": data.replayed,
        **_given_up(fact, at),
    }


def _triaged(fact: Fact, at: int, data: said.Triaged, first_level: FirstLevel) -> Changes:
    first = _first_level_of(data.first_level, data.topic, first_level)
    placement = Placement(
        at,
        data.district or UNKNOWN,
        data.street or UNKNOWN,
        data.grid or UNKNOWN,
        data.topic or UNKNOWN,
        first,
    )
    return _enters(fact, at, "triage") | _held(fact, at, None) | _placed(fact, placement)


def _assigned(fact: Fact, at: int, data: said.Assigned, first_level: FirstLevel) -> Changes:
    first = _first_level_of(data.first_level, data.topic, first_level)
    placement = Placement(at, data.district, data.street, data.grid, data.topic, first)
    return (
        _enters(fact, at, "assigned")
        | _held(fact, at, data.assignee)
        | _placed(fact, placement)
        | _due(fact, at, data.due)
    )


def _accepted(fact: Fact, at: int, _: said.Accepted, __: FirstLevel) -> Changes:
    changes = _enters(fact, at, "accepted")
    if fact.accepted is None:
        changes |= {"accepted": at} | _observe(fact, "acknowledge", at)
    return changes


def _answered(fact: Fact, at: int, data: said.Answered, _: FirstLevel) -> Changes:
    return _responded(fact, at, data.actor.kind)


def _worked_on(fact: Fact, at: int, _: said.Progressed | said.HandedOver, __: FirstLevel) -> Changes:
    return _enters(fact, at, "in_progress")


def _given_back(fact: Fact, at: int, data: said.Returned, _: FirstLevel) -> Changes:
    return _given_up(fact, at) | {"returns": (*fact.returns, Return(at, data.reason, holder_of(fact)))}


def _passed_on(fact: Fact, at: int, _: said.TakenBack | said.Transferred, __: FirstLevel) -> Changes:
    return _given_up(fact, at)


def _paused(fact: Fact, at: int, data: said.Paused, _: FirstLevel) -> Changes:
    paused = {"pauses": (*_ended_pauses(fact, at), Pause(at, data.reason))}
    return _enters(fact, at, "in_progress") | paused


def _resumed(fact: Fact, at: int, data: said.Resumed, _: FirstLevel) -> Changes:
    return {"pauses": _ended_pauses(fact, at)} | (_due(fact, at, data.due) if data.due else {})


def _resolved(fact: Fact, at: int, data: said.Resolved, _: FirstLevel) -> Changes:
    changes = _enters(fact, at, "resolved") | _responded(fact, at, data.actor.kind)
    if not fact.resolutions:
        already = changes.get("observed", fact.observed)
        changes |= _observe(fact, "closure", at, data.outcome, already)
    done = Resolution(at, data.outcome, holder_of(fact), fact.district, fact.first_level)
    changes["resolutions"] = (*fact.resolutions, done)
    # From here on the resident is waited for: no deputy is charged with that time.
    return changes | _held(fact, at, None) | {"pauses": _ended_pauses(fact, at)}


def _rated(fact: Fact, at: int, data: said.Rated, _: FirstLevel) -> Changes:
    return _enters(fact, at, "rated") | {
        "ratings": (*fact.ratings, Rating(at, data.score, len(fact.resolutions)))
    }


def _reopened(fact: Fact, at: int, data: said.Reopened, _: FirstLevel) -> Changes:
    changes: Changes = {"reopens": (*fact.reopens, at)}
    if data.due is not None:
        changes |= _due(fact, at, data.due)
    if data.assignee is None:
        return changes | _given_up(fact, at)
    return changes | _enters(fact, at, "in_progress") | _held(fact, at, data.assignee)


def _closed(fact: Fact, at: int, data: said.Closed, _: FirstLevel) -> Changes:
    changes = _enters(fact, at, "closed") | _held(fact, at, None) | {"pauses": _ended_pauses(fact, at)}
    if fact.resolutions and not fact.closings:
        last = fact.resolutions[-1]
        changes |= _observe(fact, "final_closure", last.at, last.outcome)
    closing = Closing(at, data.how, len(fact.resolutions), fact.district, fact.first_level)
    return changes | {"closings": (*fact.closings, closing)}


def _breached(fact: Fact, at: int, data: said.Breached, _: FirstLevel) -> Changes:
    return {"breaches": (*fact.breaches, Breach(at, data.clock, data.held_by))}


_EFFECTS: dict[type[Struct], Callable[[Fact, int, Any, FirstLevel], Changes]] = {
    said.Submitted: _submitted,
    said.Triaged: _triaged,
    said.Assigned: _assigned,
    said.Accepted: _accepted,
    said.Answered: _answered,
    said.Progressed: _worked_on,
    said.HandedOver: _worked_on,
    said.Returned: _given_back,
    said.TakenBack: _passed_on,
    said.Transferred: _passed_on,
    said.Paused: _paused,
    said.Resumed: _resumed,
    said.Resolved: _resolved,
    said.Rated: _rated,
    said.Reopened: _reopened,
    said.Closed: _closed,
    said.Breached: _breached,
}


def holder_of(fact: Fact) -> str | None:
    """Who holds the case now."""
    return fact.holdings[-1].deputy if fact.holdings else None


def _enters(fact: Fact, at: int, stage: said.Stage) -> Changes:
    if fact.stage == stage:
        return {}
    return {"stages": (*fact.stages, Staged(at, stage))}


def _held(fact: Fact, at: int, deputy: str | None) -> Changes:
    if fact.holdings and fact.holdings[-1].deputy == deputy:
        return {}
    ended = tuple(replace(h, until=at) if h.until is None else h for h in fact.holdings)
    return {"holdings": (*ended, Holding(at, deputy))}


def _given_up(fact: Fact, at: int) -> Changes:
    """Nobody is responsible; the router decides again."""
    return _enters(fact, at, "submitted") | _held(fact, at, None)


def _placed(fact: Fact, placement: Placement) -> Changes:
    if fact.placements and replace(fact.placements[-1], at=placement.at) == placement:
        return {}
    return {"placements": (*fact.placements, placement)}


def _due(fact: Fact, at: int, due: said.DueTimes) -> Changes:
    dues = Dues(
        at, milliseconds(due.acknowledge), milliseconds(due.first_response), milliseconds(due.resolve)
    )
    if fact.dues and replace(fact.dues[-1], at=at) == dues:
        return {}
    return {"dues": (*fact.dues, dues)}


def _ended_pauses(fact: Fact, at: int) -> tuple[Pause, ...]:
    return tuple(replace(p, until=at) if p.until is None else p for p in fact.pauses)


def _responded(fact: Fact, at: int, actor_kind: str) -> Changes:
    # Only people respond: an acknowledgement by the system is no answer (reference: WriteToThem, Zammad).
    if fact.responded is not None or actor_kind not in ("deputy", "staff"):
        return {}
    return {"responded": at} | _observe(fact, "first_response", at)


def _observe(
    fact: Fact, metric: Metric, at: int, outcome: str = "", already: tuple[Observation, ...] | None = None
) -> Changes:
    if fact.submitted is None:
        return {}
    made = Observation(metric, at - fact.submitted, fact.district, fact.first_level, outcome)
    return {"observed": (*(fact.observed if already is None else already), made)}


def _first_level_of(given: str | None, topic: str | None, first_level: FirstLevel) -> str:
    return given or (first_level(topic) if topic else UNKNOWN)
