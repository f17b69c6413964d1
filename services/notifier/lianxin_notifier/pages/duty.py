"""What a station's wall screen says: who is on duty, when residents can come, how the orders stand. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from lianxin_contracts.lifecycle import Stage
from lianxin_contracts.registry import Duty, Snapshot
from lianxin_notifier.inbox import Opinion

# Nobody plans contact days further ahead than this.
LOOK_AHEAD = timedelta(days=92)
_WAITING: tuple[Stage, ...] = ("submitted", "triage", "assigned", "accepted", "in_progress")
_DONE: tuple[Stage, ...] = ("resolved", "rated", "closed")


@dataclass(frozen=True, slots=True)
class Figures:
    """How a station's orders stand: waiting on somebody, late among them, and answered."""

    waiting: int
    late: int
    done: int


def falls_on(duty: Duty, on: date) -> bool:
    """Whether a roster line means this day: weekdays are ISO's, the first seven days are week 1."""
    week = (on.day - 1) // 7 + 1
    return on.isoweekday() in duty.weekdays and (not duty.weeks or week in duty.weeks)


def on_duty(station: str, on: date, city: Snapshot) -> list[str]:
    """The ids of deputies who are on duty at `station` on day `on`: those with a shift there, and the
    station's own who have no shifts at all. Whoever is away is left out and the substitute stands in."""
    shifts = [duty for duty in city.duties.values() if duty.kind == "shift"]
    with_shifts = {duty.deputy for duty in shifts}
    present = [d.id for d in city.deputies.values() if d.station == station and d.id not in with_shifts]
    present += [
        duty.deputy
        for duty in shifts
        if falls_on(duty, on) and (duty.station or _station_of(duty.deputy, city)) == station
    ]
    leaves = {leave.deputy: leave for leave in city.leaves.values() if leave.since <= on < leave.until}
    there = [leaves[one].substitute if one in leaves else one for one in present]
    return list(dict.fromkeys(one for one in there if one is not None))


def next_contact_day(station: str, today: date, city: Snapshot) -> date | None:
    """The next day on which residents can come without an appointment, today included; None where none is
    planned."""
    planned = [
        duty for duty in city.duties.values() if duty.kind == "contact_day" and duty.station == station
    ]
    days = (today + timedelta(days=ahead) for ahead in range(LOOK_AHEAD.days))
    return next((on for on in days if any(falls_on(duty, on) for duty in planned)), None)


def figures(opinions: Sequence[Opinion], now: datetime) -> Figures:
    """The figures of a station's `opinions` at `now`."""
    stages = Counter(opinion.stage for opinion in opinions)
    late = sum(1 for one in opinions if one.due is not None and one.due < now)
    return Figures(sum(stages[s] for s in _WAITING), late, sum(stages[s] for s in _DONE))


def _station_of(deputy: str, city: Snapshot) -> str | None:
    found = city.deputies.get(deputy)
    return found.station if found is not None else None
