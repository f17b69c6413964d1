"""How a person would be reached now: for the page on which they set it, and for programs. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from lianxin_contracts.inbound import Moment
from lianxin_contracts.registry import Snapshot
from lianxin_contracts.working_time import WorkingTime
from lianxin_notifier.alerts import reachable, with_browsers
from lianxin_notifier.choosing import Need, Repeats, Send, Wait, Wishes, choose
from lianxin_notifier.preferences import Preferences, channels_of


class Reached(Struct, frozen=True):
    """What would become of an alert that is not urgent and comes now. `channels` in order, one at a time;
    `until` where it is held back; `why`: `send`, `quiet`, `paused`, `digest`, or `no_channel`."""

    channels: tuple[str, ...]
    why: str
    until: Moment | None = None


def registered(person: str, city: Snapshot, *, browser: bool = False) -> tuple[str, ...]:
    """The channels of this person without any wishes: those that the registry names (staff have none there),
    and before them a `browser` in which they take alerts."""
    deputy = city.deputies.get(person)
    channels = deputy.channels if deputy is not None else ()
    return with_browsers(channels) if browser else channels


def offered(known: Sequence[str]) -> tuple[str, ...]:
    """Those of the channels `known` of a person that can be used, each once."""
    return tuple(c for c in dict.fromkeys(known) if reachable(known, (c,)))


def reached(
    person: str, preferences: Preferences, known: Sequence[str], city: Snapshot, now: datetime
) -> Reached:
    """How `person`, whose channels are `known`, would be reached at `now`."""
    channels = tuple(c for c in channels_of(preferences, known) if reachable(known, (c,)))
    leaves = [leave for leave in city.leaves.values() if leave.deputy == person]
    wishes = Wishes(channels, WorkingTime(city.calendars.values(), city.city.zone), preferences, leaves)
    match choose((), False, Need(), wishes, Repeats(timedelta(), 0), now):
        case Send():
            return Reached(channels, "send")
        case Wait() as wait:
            return Reached(channels, wait.why, wait.until)
        case done:
            return Reached(channels, done.why)


def moved(order: Sequence[str], one: str, by: int) -> list[str]:
    """`order` with `one` moved up (-1) or down (1), as far as there is room."""
    if one not in order:
        return list(order)
    others = [other for other in order if other != one]
    place = min(len(others), max(0, order.index(one) + by))
    return [*others[:place], one, *others[place:]]
