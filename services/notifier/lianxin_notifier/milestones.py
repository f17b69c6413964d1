"""What a resident is told of their own opinion, when it is still worth telling, and at what hour. Pure.

At most one message for each milestone and opinion. What follows within minutes, or overnight, makes the
earlier message needless: only the newest is then sent.
"""

from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from lianxin_contracts import ids, lifecycle
from lianxin_contracts.deliveries import InboxEntry
from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import Moment
from lianxin_notifier.alerts import RESIDENT, Due, Outside
from lianxin_notifier.inbox import Opinion

Kind = Literal["received", "assigned", "answered", "rate", "reopened"]


class Milestone(Struct, frozen=True, kw_only=True):
    """An opinion has reached `kind` by the lifecycle event `cause`."""

    kind: Kind
    opinion: str
    cause: str
    recorded: Moment
    language: str
    topic: str | None = None
    street: str | None = None
    due: Moment | None = None


def milestone_of(before: Opinion, after: Opinion, event: Event) -> Milestone | None:
    """What the resident may be told of `event`; None where it is nothing new to them, they left no contact,
    or the case is a replayed one."""
    if not after.has_contact or after.replayed:
        return None
    kind = _kind(before, event)
    if kind is None:
        return None
    return Milestone(
        kind=kind,
        opinion=after.id,
        cause=event.id,
        recorded=event.recordedtime,
        language=after.language,
        topic=after.topic,
        street=after.street,
        due=after.due_resolve if kind in ("assigned", "reopened") else None,
    )


def _kind(before: Opinion, event: Event) -> Kind | None:
    match event.data:
        case lifecycle.Submitted(readable=True):
            return "received"
        case lifecycle.Assigned() if not before.ever_assigned:
            return "assigned"
        case lifecycle.Answered() if not before.answered:
            return "answered"
        case lifecycle.Resolved(times=1):
            return "rate"
        case lifecycle.Reopened(times=1):
            return "reopened"
        case _:
            return None


def due_to_resident(milestone: Milestone, channel: Outside) -> Due:
    """The delivery of `milestone` by `channel`: to an address that only the sender learns, when it sends."""
    return Due(
        alert=ids.derived(milestone.opinion, RESIDENT, milestone.kind, channel),
        name=channel,
        kind=channel,
        target="",
        receiver=RESIDENT,
        opinion=milestone.opinion,
        cause=milestone.cause,
        raised=milestone.recorded,
        entry=InboxEntry(
            event=f"{RESIDENT}.{milestone.kind}",
            stage="submitted",
            state="open",
            topic=milestone.topic,
            due=milestone.due,
        ),
        street=milestone.street,
        language=milestone.language,
    )


def needless(kind: str, opinion: Opinion) -> str | None:
    """Why the message about milestone `kind` need not be sent any more, the opinion being as it is now; None
    where it should be."""
    if opinion.erased:
        return "erased"
    if opinion.withdrawn:
        return "withdrawn"
    if opinion.stage == "closed":
        return "closed"
    done = opinion.stage in ("resolved", "rated")
    overtaken = {
        "received": opinion.ever_assigned,
        "assigned": opinion.answered,
        "answered": done,
        "rate": opinion.stage != "resolved",
        "reopened": done,
    }
    return "overtaken by the next step" if overtaken.get(kind, False) else None


class Quiet(Struct, frozen=True):
    """The hours of the day in which residents are left alone; over midnight where `until` is earlier."""

    since: time
    until: time


def quiet_of(text: str) -> Quiet | None:
    """The hours that `text` names, `21:00-08:00`; None where it is empty. Raises ValueError."""
    if not text.strip():
        return None
    since, dash, until = text.partition("-")
    if not dash:
        raise ValueError("write quiet hours as 21:00-08:00")
    return Quiet(time.fromisoformat(since.strip()), time.fromisoformat(until.strip()))


def quiet_until(now: datetime, zone: ZoneInfo, quiet: Quiet | None) -> datetime | None:
    """When the quiet hours that `now` lies in end; None where it lies in none."""
    if quiet is None or quiet.since == quiet.until:
        return None
    local = now.astimezone(zone)
    moment = local.time()
    overnight = quiet.since > quiet.until
    inside = (
        moment >= quiet.since or moment < quiet.until if overnight else quiet.since <= moment < quiet.until
    )
    if not inside:
        return None
    day = local.date() + timedelta(days=1 if overnight and moment >= quiet.since else 0)
    return datetime.combine(day, quiet.until, zone)
