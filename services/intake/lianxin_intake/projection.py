"""What a resident may follow of an opinion, folded from its lifecycle. Pure: events in, view out.

Only codes, ids and times are kept here; the words of a step lie in a collection of their own and are
joined when the view is read, so that erasing them is deleting them. Refusals, timers, candidates and
other people's support leave no step.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from lianxin_contracts import lifecycle as decided
from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import Moment, Score

SUBMITTED = "opinion.submitted"
# The parts whose words are written for the resident, or by him, and what is released for anybody to read.
# Notes between deputies and staff are neither.
RESIDENTS_WORDS = frozenset({"opinion", "answer", "resolve", "rating", "published"})

# The stages in which the resident has been answered: what other systems call closed.
FINISHED: frozenset[decided.Stage] = frozenset({"resolved", "rated", "closed"})


class Step(Struct, frozen=True, omit_defaults=True):
    """One line of the timeline: when, the lifecycle type, the part that holds its words, values for the
    sentence that is shown where there are none, and the ids of its photos: what the resident sent, or the
    evidence of what was done."""

    at: Moment
    type: str
    words: str | None = None
    values: dict[str, str] = {}
    photos: tuple[str, ...] = ()


class Tracked(Struct, frozen=True, kw_only=True):
    """One opinion after lifecycle event number `sequence`.

    `opened` is False for an id of which only refusals are known: nobody submitted it. `due` is when the
    answer is due; `holder` the deputy who has it, or had it last. `near` is its place, rounded to about
    100 m. `updated_at` is when the stage last changed, `closed_at` since when it is one of `FINISHED`.
    `released_words` is the part with the redacted words that the office has released for anybody to read
    (their text: `TrackingStore.released`), None until then and after they were taken back.
    """

    id: str
    sequence: int
    opened: bool = False
    channel: str | None = None
    digest: str | None = None
    stage: decided.Stage = "submitted"
    submitted_at: Moment | None = None
    language: str = "zh"
    topic: str | None = None
    grid: str | None = None
    street: str | None = None
    near: decided.RoundedPlace | None = None
    updated_at: Moment | None = None
    closed_at: Moment | None = None
    holder: str | None = None
    due: Moment | None = None
    rating: Score | None = None
    erased: bool = False
    released_words: str | None = None
    timeline: tuple[Step, ...] = ()


def photos_of(tracked: Tracked | None) -> tuple[str, ...]:
    """The ids of all photos on the timeline, as the log names them: not each need be an upload of ours."""
    return tuple(photo for step in tracked.timeline for photo in step.photos) if tracked is not None else ()


class Gap(Exception):
    """A lifecycle event that came before the one which must come first."""


Changes = dict[str, Any]


def fold(before: Tracked | None, event: Event) -> Tracked | None:
    """`before` (None: nothing known of this id) with the lifecycle `event` applied; None where it already
    was.

    Raises `Gap` where numbers are missing between the two.
    """
    assert event.sequence is not None  # the codec lets no lifecycle event through without one
    last = before.sequence if before is not None else 0
    if event.sequence <= last:
        return None
    if event.sequence > last + 1:
        raise Gap(f"event {event.sequence} of {event.subject} after {last}")
    tracked = before if before is not None else Tracked(id=event.subject, sequence=0)
    effect = _EFFECTS.get(type(event.data))
    changes = effect(tracked, event.data, event.time) if effect is not None else {}
    changes |= _dates(tracked, changes, event.time)
    step = _step(event)
    if step is not None:
        changes["timeline"] = _with(tracked.timeline, step)
    return replace(tracked, sequence=event.sequence, **changes)


def _dates(tracked: Tracked, changes: Changes, at: datetime) -> Changes:
    """The dates that a change of stage brings with it."""
    if "stage" not in changes:
        return {}
    closed_at = (tracked.closed_at or at) if changes["stage"] in FINISHED else None
    return {"updated_at": at, "closed_at": closed_at}


def _submitted(tracked: Tracked, data: decided.Submitted, at: datetime) -> Changes:
    return {
        "opened": True,
        "channel": data.channel,
        "digest": data.digest,
        # The first counts: an opinion that could not be read at first is submitted again when it can be.
        "submitted_at": tracked.submitted_at or at,
        "updated_at": tracked.updated_at or at,
        "language": data.language,
        "topic": data.topic,
        "near": data.near,
    }


def _triaged(tracked: Tracked, data: decided.Triaged, _: datetime) -> Changes:
    return {
        "stage": "triage",
        "holder": None,
        "grid": data.grid or tracked.grid,
        "street": data.street or tracked.street,
        "topic": data.topic or tracked.topic,
    }


def _assigned(_: Tracked, data: decided.Assigned, __: datetime) -> Changes:
    return {
        "stage": "assigned",
        "holder": data.assignee,
        "grid": data.grid,
        "street": data.street,
        "topic": data.topic,
        "due": data.due.resolve,
    }


def _reopened(_: Tracked, data: decided.Reopened, __: datetime) -> Changes:
    changes: Changes = {"stage": "in_progress" if data.assignee else "submitted", "holder": data.assignee}
    if data.due is not None:
        changes["due"] = data.due.resolve
    return changes


def _resumed(_: Tracked, data: decided.Resumed, __: datetime) -> Changes:
    return {"due": data.due.resolve} if data.due is not None else {}


_EFFECTS: Mapping[type[Struct], Callable[[Tracked, Any, datetime], Changes]] = {
    decided.Submitted: _submitted,
    decided.Triaged: _triaged,
    decided.Assigned: _assigned,
    decided.Accepted: lambda *_: {"stage": "accepted"},
    decided.Progressed: lambda *_: {"stage": "in_progress"},
    decided.HandedOver: lambda *_: {"stage": "in_progress"},
    decided.Paused: lambda *_: {"stage": "in_progress"},
    decided.Returned: lambda *_: {"holder": None},
    decided.TakenBack: lambda *_: {"holder": None},
    decided.Resumed: _resumed,
    decided.Resolved: lambda *_: {"stage": "resolved"},
    decided.Rated: lambda _, data, __: {"stage": "rated", "rating": data.score},
    decided.Reopened: _reopened,
    decided.Closed: lambda *_: {"stage": "closed"},
    decided.Published: lambda _, data, __: {"released_words": data.words},
    decided.Unpublished: lambda *_: {"released_words": None},
    decided.Withdrawn: lambda *_: {"released_words": None},
    decided.Erased: lambda *_: {"erased": True, "released_words": None},
}


def _with(timeline: tuple[Step, ...], step: Step) -> tuple[Step, ...]:
    """`timeline` with `step` at its end. An opinion is submitted once: the second time, when it could be
    read, brings only its words and photos to the line that there is."""
    if step.type == SUBMITTED:
        for at, earlier in enumerate(timeline):
            if earlier.type == SUBMITTED:
                read = replace(earlier, words=step.words, photos=step.photos)
                return (*timeline[:at], read, *timeline[at + 1 :])
    return (*timeline, step)


def _step(event: Event) -> Step | None:
    """The line of the timeline that `event` makes, if a resident may see it."""
    values_of = _SHOWN.get(type(event.data))
    if values_of is None:
        return None
    data: Any = event.data
    words = data.words if isinstance(data, _SPEAKING) else None
    photos = _PHOTOS[type(data)](data) if type(data) in _PHOTOS else ()
    return Step(at=event.time, type=event.type, words=words, values=values_of(data), photos=photos)


def _visitor(data: decided.Visited) -> dict[str, str]:
    who = {data.actor.kind: data.actor.id} if data.actor.kind in ("deputy", "channel") else {}
    return who | {"visited": data.visited_at.isoformat()}


_SPEAKING = (decided.Submitted, decided.Answered, decided.Resolved, decided.Rated, decided.Published)
_PHOTOS: Mapping[type[Struct], Callable[[Any], tuple[str, ...]]] = {
    decided.Submitted: lambda data: data.attachments,
    decided.Progressed: lambda data: data.evidence,
    decided.Visited: lambda data: data.evidence,
    decided.Resolved: lambda data: data.evidence,
}
_SHOWN: Mapping[type[Struct], Callable[[Any], dict[str, str]]] = {
    decided.Submitted: lambda _: {},
    decided.Triaged: lambda _: {},
    decided.Assigned: lambda data: {"deputy": data.assignee},
    decided.Accepted: lambda data: _deputy(data.actor),
    decided.Answered: lambda data: _deputy(data.actor),
    decided.Progressed: lambda data: _deputy(data.actor),
    decided.Visited: _visitor,
    decided.HandedOver: lambda data: {"department": data.department},
    decided.Transferred: lambda data: {"deputy": data.to},
    decided.Returned: lambda _: {},
    decided.TakenBack: lambda _: {},
    decided.Paused: lambda data: {"reason": data.reason, "until": data.until.isoformat()},
    decided.Resumed: lambda _: {},
    decided.Resolved: lambda data: {"outcome": data.outcome},
    decided.Rated: lambda data: {"score": data.score},
    decided.Reopened: lambda _: {},
    decided.Closed: lambda data: {"how": data.how},
    decided.Withdrawn: lambda _: {},
    decided.Supervised: lambda _: {},
    decided.Published: lambda _: {},
    decided.Unpublished: lambda _: {},
    decided.Erased: lambda _: {},
    decided.ContactRevealed: lambda data: _deputy(data.actor),
}


def _deputy(actor: Any) -> dict[str, str]:
    return {"deputy": actor.id} if actor.kind == "deputy" else {}
