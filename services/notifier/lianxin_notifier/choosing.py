"""By which of a person's channels an alert goes next, and when: every rule about it, and nothing else. Pure.

    wait for what is under way → one more round? → is it still needed? → digest? → may it go now? → send

The state of an alert is what became of its deliveries, so that whoever looks, and however often, comes to the
same. A round goes through the channels in order, one at a time, until one has taken the message; round 0 is
the alert itself, each further one a repeat to somebody who has neither looked nor acted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from lianxin_contracts.registry import Leave, Topic
from lianxin_contracts.working_time import NoWorkingTime, WorkingTime
from lianxin_notifier.preferences import DEFAULT, Preferences, Quiet

URGENT_EVENTS = frozenset({"clock.breached", "opinion.supervised"})
# A person who is away, or has quiet days, without an end within ten years is looked at again after a year.
_MOST_DAYS = 3_700
_YEAR = timedelta(days=365)
# The end of a delivery brings its alert up; this long after, it is looked at without being told of one.
UNDER_WAY = timedelta(hours=1)

Ended = Literal["sent", "dead", "skipped"]
Status = Literal["under_way"] | Ended
Held = Literal["quiet", "paused"]


@dataclass(frozen=True, slots=True)
class Step:
    """One delivery of an alert: by the channel `name`, in round `again`; `at` is when it ended."""

    name: str
    again: int
    status: Status
    at: datetime


@dataclass(frozen=True, slots=True)
class Need:
    """Whether the receiver still needs to hear of it. `open`: the case is still in that inbox. `heeded`: they
    have looked or acted since. `waits`: the case waits on them, and this is the newest that they were told
    of it. `held`: why an earlier look held the alert back."""

    open: bool = True
    heeded: bool = False
    waits: bool = False
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person wants, in the city's time. `channels`: names of theirs, in order; `leaves`: theirs in the
    registry."""

    channels: Sequence[str]
    time: WorkingTime
    preferences: Preferences = DEFAULT
    leaves: Sequence[Leave] = ()


@dataclass(frozen=True, slots=True)
class Repeats:
    """An alert that is not heeded within `after` of working time goes again, at most `most` times."""

    after: timedelta
    most: int


@dataclass(frozen=True, slots=True)
class Send:
    """By this channel, now. `others`: the round has a further channel, should this one not take it."""

    name: str
    again: int
    others: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing until `until`, or until a delivery ends."""

    until: datetime
    why: Literal["under_way", "unread", "quiet", "paused"]


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more by any channel; the inbox has it. `exhausted`: every channel was tried, none took it."""

    why: Literal["told", "no_channel", "exhausted", "digest", "not_needed"]


Choice = Send | Wait | Done


def choose(
    steps: Sequence[Step], urgent: bool, need: Need, wishes: Wishes, repeats: Repeats, now: datetime
) -> Choice:
    """What is to be done about an alert of which `steps` were taken so far."""
    if any(step.status == "under_way" for step in steps):
        return Wait(now + UNDER_WAY, "under_way")
    last = max((step.again for step in steps), default=0)
    taken = next((step for step in steps if step.again == last and step.status == "sent"), None)
    if taken is not None:
        return _repeat(taken, urgent, need, wishes, repeats, now)
    order = _round(wishes.channels, steps, last)
    tried = {step.name for step in steps if step.again == last}
    left = [name for name in order if name not in tried]
    if not left:
        return Done("exhausted" if tried else "no_channel")
    return _next(left, last, bool(tried), urgent, need, wishes, now)


def _repeat(taken: Step, urgent: bool, need: Need, wishes: Wishes, repeats: Repeats, now: datetime) -> Choice:
    """After a round in which a channel took the message."""
    if not need.waits or need.heeded or taken.again >= repeats.most:
        return Done("told")
    try:
        due = wishes.time.add_working(taken.at, repeats.after)
    except NoWorkingTime:
        return Done("told")
    if due > now:
        return Wait(due, "unread")
    order = _after(wishes.channels, taken.name)
    if not order:
        return Done("told")
    return _next(order, taken.again + 1, True, urgent, need, wishes, now)


def _next(
    left: Sequence[str], again: int, begun: bool, urgent: bool, need: Need, wishes: Wishes, now: datetime
) -> Choice:
    """The first of the channels that are `left` in this round, unless it is not needed or not the time."""
    if (begun or need.held) and (not need.open or need.heeded):
        return Done("not_needed")
    if not urgent:
        if need.held == "paused" and not need.waits:
            return Done("not_needed")
        if wishes.preferences.digest is not None:
            return Done("digest")
        if (rest := rests(wishes, now)) is not None:
            return rest
    return Send(left[0], again, len(left) > 1)


def _round(channels: Sequence[str], steps: Sequence[Step], again: int) -> Sequence[str]:
    """The order of the channels in a round: each begins behind the one that had taken the message before."""
    before = next((s.name for s in steps if s.again == again - 1 and s.status == "sent"), None)
    return channels if before is None else _after(channels, before)


def _after(channels: Sequence[str], name: str) -> Sequence[str]:
    if name not in channels:
        return channels
    behind = channels.index(name) + 1
    return [*channels[behind:], *channels[:behind]]


def rests(wishes: Wishes, now: datetime) -> Wait | None:
    """Until when nothing but what is urgent goes out, and why; None where all may go now."""
    until: datetime = now
    why: Held | None = None
    for _ in range(_MOST_DAYS):
        if (later := _pause_ends(wishes, until)) is not None:
            until, why = later, "paused"
        elif (later := _quiet_ends(wishes.preferences.quiet, wishes.time, until)) is not None:
            until, why = later, why or "quiet"
        elif why is None:
            return None
        else:
            return Wait(until, why)
    return Wait(now + _YEAR, why or "quiet")


def _pause_ends(wishes: Wishes, at: datetime) -> datetime | None:
    """When a pause or a leave in which `at` lies ends: a midnight in the city."""
    today = wishes.time.civil_date(at)
    ends = [leave.until for leave in wishes.leaves if leave.since <= today < leave.until]
    if (paused := wishes.preferences.paused_until) is not None and today < paused:
        ends.append(paused)
    return _midnight(wishes.time, max(ends)) if ends else None


def _quiet_ends(quiet: Quiet | None, working: WorkingTime, at: datetime) -> datetime | None:
    """When the quiet hours or the quiet day in which `at` lies end."""
    if quiet is None:
        return None
    local = at.astimezone(working.zone)
    if quiet.days_off and not working.is_working_day(local.date()):
        return _midnight(working, local.date() + timedelta(days=1))
    start, end = time.fromisoformat(quiet.start), time.fromisoformat(quiet.end)
    clock = local.time().replace(tzinfo=None)
    over_midnight = end < start
    inside = (clock >= start or clock < end) if over_midnight else start <= clock < end
    if not inside:
        return None
    day = local.date() + timedelta(days=1) if over_midnight and clock >= start else local.date()
    ends = datetime.combine(day, end, working.zone).astimezone(UTC)
    # Where clocks are set, a local time may lie behind: go on from there, never backwards.
    return ends if ends > at else at + timedelta(hours=1)


def _midnight(working: WorkingTime, day: date) -> datetime:
    return datetime.combine(day, time(), working.zone).astimezone(UTC)


def is_urgent(event_type: str, topic: str | None, topics: Mapping[str, Topic]) -> bool:
    """Whether an alert passes through quiet hours, digest and pause: a breach, supervision, and whatever is
    of a topic that is urgent itself or by one above it."""
    if event_type in URGENT_EVENTS:
        return True
    seen: set[str] = set()
    while topic is not None and topic not in seen and (found := topics.get(topic)) is not None:
        if found.urgent:
            return True
        seen.add(topic)
        topic = found.parent
    return False
