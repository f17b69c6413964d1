"""What each receiver's inbox shows of an opinion, and who is to be told: a pure fold over its lifecycle.

The router decides who is responsible and who must know; here is only what follows from that for the inboxes.
Numbers, channels and moments are not decided here: the fold gives the same for the same log, always.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from lianxin_contracts import lifecycle
from lianxin_contracts.deliveries import EntryState, InboxEntry
from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import Actor, Moment
from lianxin_contracts.lifecycle import Stage

Role = Literal["holder", "triage", "informed"]


class Seat(Struct, frozen=True):
    """One receiver's place at an opinion: in which role, and whether it still waits on that inbox. `changed`
    is the number of the event that last changed what that inbox shows; `told` of the newest that the receiver
    was to be told of by an outside channel, `seen` and `acted` of the last by which they looked at the case
    or did something about it."""

    role: Role
    state: EntryState = "open"
    changed: int = 0
    told: int = 0
    seen: int = 0
    acted: int = 0


class Shown(Struct, frozen=True, kw_only=True):
    """What an inbox shows of an opinion. Of one that has left it only that it has."""

    role: Role
    state: EntryState
    stage: Stage | None = None
    topic: str | None = None
    grid: str | None = None
    assigned_at: Moment | None = None
    due: Moment | None = None


class Opinion(Struct, frozen=True, kw_only=True):
    """What the inboxes need of one opinion after event number `sequence`.

    `submitted` is when a service received it (the start of the alert's latency). `accepted` stays true when
    the case changes hands: the first acceptance stops the acknowledge clock for good. `seats` by receiver's
    id.
    """

    id: str
    sequence: int = 0
    stage: Stage = "submitted"
    topic: str | None = None
    grid: str | None = None
    street: str | None = None
    district: str | None = None
    holder: str | None = None
    assigned_at: Moment | None = None
    ever_assigned: bool = False
    accepted: bool = False
    answered: bool = False
    due_triage: Moment | None = None
    due_acknowledge: Moment | None = None
    due_first_response: Moment | None = None
    due_resolve: Moment | None = None
    submitted: Moment | None = None
    replayed: bool = False
    language: str = "zh"
    station: str | None = None
    issue: str | None = None
    erased: bool = False
    withdrawn: bool = False
    has_contact: bool = False
    channel: str | None = None
    seats: Mapping[str, Seat] = field(default_factory=dict)

    @property
    def due(self) -> datetime | None:
        """The clock that runs out next for whoever has the case in hand; None where nobody is waited for."""
        if self.stage == "triage":
            return self.due_triage
        if self.stage not in ("assigned", "accepted", "in_progress"):
            return None
        if not self.accepted:
            return self.due_acknowledge
        return self.due_resolve if self.answered else self.due_first_response


class Alert(Struct, frozen=True, kw_only=True):
    """`receiver` is to be told of the lifecycle event `cause`. `outside` is false where the inbox is enough:
    replayed cases, and the note to a former holder that the case has gone. `first` marks an opinion's first
    assignment, whose latency is measured. `sequence` is the cause's."""

    cause: str
    opinion: str
    receiver: str
    recorded: Moment
    entry: InboxEntry
    outside: bool
    street: str | None = None
    first: bool = False
    submitted: Moment | None = None
    sequence: int = 0


def apply(before: Opinion, event: Event) -> tuple[Opinion, tuple[Alert, ...]]:
    """The opinion after `event`, and who is to be told of it. The caller has checked the sequence."""
    assert event.sequence is not None
    facts = _facts(before, event)
    after = replace(before, sequence=event.sequence, **facts)
    told = _receivers(event.data)
    leaving = {who for who in _leaving(before, after, event.data) if who != after.holder}
    after = replace(after, seats=_seats(after, event.data, told, leaving))
    after = replace(after, seats=_attended(after, event.data, told))
    after = replace(after, seats=_numbered(before, after))
    alerts = [_alert(before, after, event, who, outside=not after.replayed) for who in told]
    alerts += [_alert(before, after, event, who, outside=False) for who in sorted(leaving - set(told))]
    return after, tuple(alerts)


def shown(opinion: Opinion, receiver: str) -> Shown | None:
    """What `receiver`'s inbox shows of `opinion`; None where it has nothing of it."""
    seat = opinion.seats.get(receiver)
    if seat is None:
        return None
    if seat.state == "left":
        return Shown(role=seat.role, state="left")
    return Shown(
        role=seat.role,
        state=seat.state,
        stage=opinion.stage,
        topic=opinion.topic,
        grid=opinion.grid,
        assigned_at=opinion.assigned_at,
        due=opinion.due,
    )


def entry(opinion: Opinion, receiver: str, event_type: str) -> InboxEntry:
    """What `receiver`'s inbox shows of `opinion` after an event of `event_type`."""
    return InboxEntry(
        event=event_type,
        stage=opinion.stage,
        state=opinion.seats[receiver].state,
        topic=opinion.topic,
        grid=opinion.grid,
        assigned_at=opinion.assigned_at,
        due=opinion.due,
    )


def _alert(before: Opinion, after: Opinion, event: Event, receiver: str, *, outside: bool) -> Alert:
    return Alert(
        cause=event.id,
        opinion=after.id,
        receiver=receiver,
        recorded=_whole(event.recordedtime),
        entry=entry(after, receiver, event.type),
        outside=outside,
        street=after.street,
        first=after.ever_assigned and not before.ever_assigned and receiver == after.holder,
        submitted=after.submitted,
        sequence=after.sequence,
    )


def _receivers(data: Struct) -> tuple[str, ...]:
    """Whom the event names, each once: the assignee of an assignment first, then its receivers."""
    named: tuple[str, ...] = getattr(data, "receivers", ())
    if isinstance(data, lifecycle.Assigned):
        named = (data.assignee, *named)
    return tuple(dict.fromkeys(named))


def _leaving(before: Opinion, after: Opinion, data: Struct) -> set[str]:
    """Whose inbox the case leaves by this event: the former holder's, and triage's once it is assigned."""
    gone: set[str] = set()
    if before.holder is not None and before.holder != after.holder:
        gone.add(before.holder)
    if isinstance(data, lifecycle.Assigned):
        gone |= {who for who, seat in before.seats.items() if seat.role == "triage"}
    return {who for who in gone if who in before.seats and before.seats[who].state == "open"}


def _seats(after: Opinion, data: Struct, told: tuple[str, ...], leaving: set[str]) -> Mapping[str, Seat]:
    seats = dict(after.seats)
    for who in told:
        seat = seats.get(who)
        if seat is None or seat.state == "left":
            role: Role = "triage" if isinstance(data, lifecycle.Triaged) else "informed"
            seats[who] = replace(seat, role=role, state="open") if seat else Seat(role)
    for gone in leaving:
        seats[gone] = replace(seats[gone], state="left")
    if after.holder is not None and isinstance(data, lifecycle.Assigned | lifecycle.Reopened):
        held = seats.get(after.holder)
        seats[after.holder] = replace(held, role="holder", state="open") if held else Seat("holder")
    if after.stage == "closed":
        seats = {w: replace(s, state="closed") if s.state == "open" else s for w, s in seats.items()}
    return seats


def _attended(after: Opinion, data: Struct, told: tuple[str, ...]) -> Mapping[str, Seat]:
    """The seats, with the number of this event where it tells somebody or shows that somebody attends."""
    seats = dict(after.seats)
    for who in told if not after.replayed else ():
        seats[who] = replace(seats[who], told=after.sequence)
    actor: Actor | None = getattr(data, "actor", None)
    if actor is not None and (seat := seats.get(actor.id)) is not None:
        seen = isinstance(data, lifecycle.SeenBy)
        seats[actor.id] = replace(seat, **{"seen" if seen else "acted": after.sequence})
    return seats


def _numbered(before: Opinion, after: Opinion) -> Mapping[str, Seat]:
    """The seats, with the number of this event where it changed what is shown: the same for any batching."""
    return {
        who: seat if shown(before, who) == shown(after, who) else replace(seat, changed=after.sequence)
        for who, seat in after.seats.items()
    }


def _dues(due: lifecycle.DueTimes | None) -> dict[str, object]:
    if due is None:
        return {}
    return {
        "due_acknowledge": _whole(due.acknowledge),
        "due_first_response": _whole(due.first_response),
        "due_resolve": _whole(due.resolve),
    }


def _whole(moment: datetime) -> datetime:
    """`moment` in whole milliseconds: what the database gives back is what a stream has shown."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _facts(before: Opinion, event: Event) -> dict[str, object]:
    """The fields of the opinion that `event` changes."""
    match event.data:
        case lifecycle.Submitted() as said:
            return {
                "submitted": _whole(event.recordedtime),
                "replayed": said.replayed,
                "topic": said.topic,
                "language": said.language,
                "station": said.station,
                "has_contact": said.has_contact,
                "channel": said.channel,
            }
        case lifecycle.Triaged() as triaged:
            return {
                "stage": "triage",
                "holder": None,
                "due_triage": _whole(triaged.due),
                "topic": triaged.topic or before.topic,
                "grid": triaged.grid or before.grid,
                "street": triaged.street or before.street,
                "district": triaged.district or before.district,
            }
        case lifecycle.Assigned() as assigned:
            return {
                "stage": "assigned",
                "holder": assigned.assignee,
                "assigned_at": _whole(event.time),
                "ever_assigned": True,
                "topic": assigned.topic,
                "grid": assigned.grid,
                "street": assigned.street,
                "district": assigned.district,
                **_dues(assigned.due),
            }
        case lifecycle.Accepted():
            return {"stage": "accepted", "accepted": True}
        case lifecycle.Answered():
            return {"answered": True}
        case lifecycle.Progressed() | lifecycle.HandedOver() | lifecycle.Paused():
            return {"stage": "in_progress"}
        case lifecycle.Resumed() as resumed:
            return _dues(resumed.due)
        case lifecycle.Transferred() | lifecycle.Returned() | lifecycle.TakenBack():
            return {"stage": "submitted", "holder": None}  # routing follows as its own event
        case lifecycle.Resolved():
            return {"stage": "resolved", "answered": True}
        case lifecycle.Rated():
            return {"stage": "rated"}
        case lifecycle.Reopened() as reopened:
            stage = "in_progress" if reopened.assignee else "submitted"
            return {"stage": stage, "holder": reopened.assignee, **_dues(reopened.due)}
        case lifecycle.Closed():
            return {"stage": "closed"}
        case lifecycle.Withdrawn():
            return {"withdrawn": True}
        case lifecycle.IssueJoined() | lifecycle.IssueMerged() as joined:
            return {"issue": joined.issue}
        case lifecycle.Erased():
            return {"erased": True}
        case _:
            return {}


# Events that a time-out brings while a command is looked at: they don't mean that the command was heeded.
_BY_THE_CLOCK = frozenset({"clock.breached", "clock.reminded", "opinion.closed"})
_COMMANDED = frozenset(
    {
        "opinion.accepted", "opinion.answered", "opinion.progressed", "opinion.handed_over",
        "opinion.transferred", "opinion.returned", "opinion.paused", "opinion.resumed", "opinion.resolved",
        "opinion.supervised", "opinion.published", "opinion.unpublished", "opinion.seen",
        "contact.revealed", "opinion.erased",
    }
)  # fmt: skip
# What the workbench sends that is no `case.` command.
_OPINION_COMMANDS = frozenset({"opinion.seen", "opinion.erasure_requested"})
_ASSIGNED_BY_A_PERSON = frozenset({"triage", "transfer"})


class CommandResult(Struct, frozen=True, kw_only=True):
    """What became of one command. A refusal is final; an application may still be followed by one. `sequence`
    is the one of the event that tells it."""

    command: str
    opinion: str
    status: Literal["applied", "refused"]
    type: str
    recorded: Moment
    sequence: int = 0
    code: str | None = None
    actor: str | None = None


def command_result(before: Opinion, event: Event) -> CommandResult | None:
    """What `event`, which follows on `before`, tells of the command that caused it; None where it tells of
    none.

    A command is applied when a lifecycle event other than a time-out names it as its cause, refused when
    `command.refused` does.
    """
    if event.causationid is None or event.type in _BY_THE_CLOCK:
        return None
    data = event.data
    if isinstance(data, lifecycle.CommandRefused):
        if not data.type.startswith("case.") and data.type not in _OPINION_COMMANDS:
            return None
        return CommandResult(
            command=event.causationid,
            opinion=event.subject,
            status="refused",
            type=data.type,
            recorded=event.recordedtime,
            sequence=event.sequence or 0,
            code=data.code,
        )
    if event.type not in _COMMANDED and not _placed_by_a_person(before, data):
        return None
    actor: Actor | None = getattr(data, "actor", None)
    return CommandResult(
        command=event.causationid,
        opinion=event.subject,
        status="applied",
        type=event.type,
        recorded=event.recordedtime,
        sequence=event.sequence or 0,
        actor=actor.id if actor else None,
    )


def _placed_by_a_person(before: Opinion, data: Struct) -> bool:
    """Whether the case was given to somebody, or taken from somebody, because a person decided so. Corrected
    grid or topic may lead to triage: out of a holder's hands, or there once more, where no clock leads."""
    match data:
        case lifecycle.Assigned():
            return data.by in _ASSIGNED_BY_A_PERSON
        case lifecycle.TakenBack():
            return data.reason == "staff"
        case lifecycle.Triaged():
            return before.stage == "triage"
        case _:
            return False
