"""What a case is after one more lifecycle event: `evolve(case, event) -> case`, total over every type.

The only way in which a case changes: `decide` folds its own events with it, and so does the rebuild.
"""
# ruff: noqa: ARG001  (the functions share one signature, so that a table can hold them)

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from lianxin_contracts import lifecycle
from lianxin_contracts.envelope import Event
from lianxin_contracts.words import OPINION_PART
from lianxin_router.domain.case import Case, Child, HolderKind, Holding, Pause

Changes = dict[str, Any]


def evolve(case: Case | None, event: Event) -> Case:
    """The case after `event`; `case` is None before the first event of its id.

    Raises `KeyError` for a payload that is no lifecycle event.
    """
    known = case or Case(id=event.subject, sequence=0, updated=event.time)
    changes = _CHANGES[type(event.data)](known, event.data, event.time)
    part = getattr(event.data, "words", None)
    if part is not None:
        changes["word_parts"] = (*changes.get("word_parts", known.word_parts), part)
    sequence = known.sequence + 1 if event.sequence is None else event.sequence
    # What was said of an id before anybody submitted it holds up nothing that follows.
    updated = event.time if known.opened is None else max(known.updated, event.time)
    return msgspec.structs.replace(known, sequence=sequence, updated=updated, **changes)


def _nothing(case: Case, data: Any, at: datetime) -> Changes:
    return {}


def _submitted(case: Case, data: lifecycle.Submitted, at: datetime) -> Changes:
    changes: Changes = {
        # The first submission counts: an unreadable one was sent at that time too.
        "opened": case.opened or at,
        "stage": "submitted",
        "readable": data.readable,
        "replayed": data.replayed,
        "digest": data.digest,
        "kind": data.kind,
        "channel": data.channel,
        "entry": data.entry,
        "station": data.station,
        "has_contact": data.has_contact,
    }
    if data.has_contact:
        changes["contact_parts"] = (*case.contact_parts, OPINION_PART)
    return changes


def _triaged(case: Case, data: lifecycle.Triaged, at: datetime) -> Changes:
    return {
        "stage": "triage",
        "assignee": None,
        "triage_due": data.due,
        "grid": data.grid,
        "issue_grid": _issue_grid(case, data.grid),
        "street": data.street,
        "district": data.district,
        "topic": data.topic,
        "explanation": data.explanation,
        "take_back": None,
        "holdings": _held(case, "triage", at),
    }


def _assigned(case: Case, data: lifecycle.Assigned, at: datetime) -> Changes:
    return {
        "stage": "assigned",
        "assignee": data.assignee,
        "assigned_by": data.by,
        "assigned_at": at,
        "seen": False,
        "assignments": data.attempt,
        "grid": data.grid,
        "issue_grid": _issue_grid(case, data.grid),
        "street": data.street,
        "district": data.district,
        "topic": data.topic,
        "explanation": data.explanation,
        "due": data.due,
        "take_back": data.take_back,
        "triage_due": None,
        "breached": case.breached - {"triage"},
        "holdings": _held(case, "deputy", at, data.assignee),
    }


def _accepted(case: Case, data: lifecycle.Accepted, at: datetime) -> Changes:
    return {"stage": "accepted", "accepted": case.accepted or at, "take_back": None}


def _answered(case: Case, data: lifecycle.Answered, at: datetime) -> Changes:
    changes: Changes = {"first_response": case.first_response or at}
    if data.child is not None:
        changes["children"] = tuple(
            msgspec.structs.replace(child, answered=child.answered or at) if child.id == data.child else child
            for child in case.children
        )
    return changes


def _progressed(case: Case, data: lifecycle.Progressed, at: datetime) -> Changes:
    return {"stage": "in_progress"}


def _handed_over(case: Case, data: lifecycle.HandedOver, at: datetime) -> Changes:
    child = Child(id=data.child, department=data.department, role=data.role, since=at)
    return {"stage": "in_progress", "children": (*case.children, child)}


def _given_up(case: Case) -> Changes:
    """The assignee is gone; routing follows in the same decision."""
    return {"stage": "submitted", "assignee": None, "take_back": None}


def _transferred(case: Case, data: lifecycle.Transferred, at: datetime) -> Changes:
    return _given_up(case) | {"transfers": case.transfers + 1}


def _returned(case: Case, data: lifecycle.Returned, at: datetime) -> Changes:
    return _given_up(case) | {"returns": data.count, "excluded": _excluding(case, case.assignee)}


def _taken_back(case: Case, data: lifecycle.TakenBack, at: datetime) -> Changes:
    changes = _given_up(case)
    if data.reason == "silence":
        changes["take_backs"] = case.take_backs + 1
        changes["excluded"] = _excluding(case, data.assignee)
    return changes


def _paused(case: Case, data: lifecycle.Paused, at: datetime) -> Changes:
    return {"stage": "in_progress", "pause": Pause(reason=data.reason, since=at, until=data.until)}


def _resumed(case: Case, data: lifecycle.Resumed, at: datetime) -> Changes:
    return {
        "pause": None,
        "paused_seconds": case.paused_seconds + data.paused_seconds,
        "due": data.due or case.due,
    }


def _resolved(case: Case, data: lifecycle.Resolved, at: datetime) -> Changes:
    return {
        "stage": "resolved",
        "outcome": data.outcome,
        "resolutions": data.times,
        "first_resolved": case.first_resolved or at,
        "resolved": at,
        "first_response": case.first_response or at,
        "rate_until": data.rate_until,
        "holdings": _held(case, "resident", at),
    }


def _rated(case: Case, data: lifecycle.Rated, at: datetime) -> Changes:
    return {"stage": "rated", "score": data.score, "rate_until": None}


def _reopened(case: Case, data: lifecycle.Reopened, at: datetime) -> Changes:
    changes: Changes = {
        "reopens": data.times,
        "reopened": at,
        "due": data.due or case.due,
        "breached": case.breached - {"resolve"},
        "reminded": case.reminded - {"resolve"},
        "rate_until": None,
    }
    if data.assignee is None:
        return changes | _given_up(case)
    return changes | {"stage": "in_progress", "holdings": _held(case, "deputy", at, data.assignee)}


def _closed(case: Case, data: lifecycle.Closed, at: datetime) -> Changes:
    return {
        "stage": "closed",
        "closed": at,
        "pause": None,
        "triage_due": None,
        "take_back": None,
        "rate_until": None,
        "holdings": _held(case, "nobody", at),
    }


def _supported(case: Case, data: lifecycle.Supported, at: datetime) -> Changes:
    changes: Changes = {"supporters": case.supporters | {data.supporter}}
    if data.contact is not None:
        changes["contact_parts"] = (*case.contact_parts, data.contact)
    return changes


def _published(case: Case, data: lifecycle.Published, at: datetime) -> Changes:
    return _nothing_released(case) | {"published": data.words}


def _unpublished(case: Case, data: lifecycle.Unpublished, at: datetime) -> Changes:
    return _nothing_released(case)


def _withdrawn(case: Case, data: lifecycle.Withdrawn, at: datetime) -> Changes:
    return _nothing_released(case) | {"withdrawn": True}


def _nothing_released(case: Case) -> Changes:
    """Whatever takes a release back deletes its words, so that the case need not remember their part."""
    parts = tuple(part for part in case.word_parts if part != case.published)
    return {"published": None, "word_parts": parts}


def _seen(case: Case, data: lifecycle.SeenBy, at: datetime) -> Changes:
    return {"seen": True}


def _erased(case: Case, data: lifecycle.Erased, at: datetime) -> Changes:
    return {
        "erased": True,
        "has_contact": False,
        "word_parts": (),
        "published": None,
        "contact_parts": (),
        "supporters": frozenset(),
    }


def _breached(case: Case, data: lifecycle.Breached, at: datetime) -> Changes:
    return {"breached": case.breached | {data.clock}}


def _reminded(case: Case, data: lifecycle.Reminded, at: datetime) -> Changes:
    return {"reminded": case.reminded | {data.clock}}


def _joined(case: Case, data: lifecycle.IssueJoined, at: datetime) -> Changes:
    return {"issue": data.issue, "first_issue": case.first_issue or data.issue}


def _merged(case: Case, data: lifecycle.IssueMerged, at: datetime) -> Changes:
    return {"issue": data.issue}


def _issue_grid(case: Case, grid: str | None) -> str | None:
    """Who joins an issue is placed in the same decision, where the issue lies; later placings move the case
    alone."""
    return case.issue_grid if case.first_issue is None else case.issue_grid or grid


def _excluding(case: Case, deputy: str | None) -> tuple[str, ...]:
    if deputy is None or deputy in case.excluded:
        return case.excluded
    return (*case.excluded, deputy)


def _held(case: Case, kind: HolderKind, at: datetime, holder: str | None = None) -> tuple[Holding, ...]:
    last = case.holdings[-1] if case.holdings else None
    if last is not None and (last.kind, last.holder) == (kind, holder):
        return case.holdings
    return (*case.holdings, Holding(kind=kind, since=at, holder=holder))


_CHANGES: dict[type[msgspec.Struct], Callable[[Case, Any, datetime], Changes]] = {
    lifecycle.Submitted: _submitted,
    lifecycle.Triaged: _triaged,
    lifecycle.Assigned: _assigned,
    lifecycle.Accepted: _accepted,
    lifecycle.Answered: _answered,
    lifecycle.Progressed: _progressed,
    lifecycle.HandedOver: _handed_over,
    lifecycle.Transferred: _transferred,
    lifecycle.Returned: _returned,
    lifecycle.TakenBack: _taken_back,
    lifecycle.Paused: _paused,
    lifecycle.Resumed: _resumed,
    lifecycle.Resolved: _resolved,
    lifecycle.Rated: _rated,
    lifecycle.Reopened: _reopened,
    lifecycle.Closed: _closed,
    lifecycle.Withdrawn: _withdrawn,
    lifecycle.Supported: _supported,
    lifecycle.Supervised: _nothing,
    lifecycle.Published: _published,
    lifecycle.Unpublished: _unpublished,
    lifecycle.SeenBy: _seen,
    lifecycle.Visited: _nothing,
    lifecycle.Erased: _erased,
    lifecycle.ContactRevealed: _nothing,
    lifecycle.Breached: _breached,
    lifecycle.Reminded: _reminded,
    lifecycle.ClockChecked: _nothing,
    lifecycle.IssueJoined: _joined,
    lifecycle.IssueMerged: _merged,
    lifecycle.IssueSurged: _nothing,
    lifecycle.CommandRefused: _nothing,
}
