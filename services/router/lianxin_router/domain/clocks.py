"""The clocks of a case: which run, when each runs out, and how due times are made and moved.

All count from the resident's submission, except what starts later by its nature: triage and a deputy's
silence from when they got the case, the resolve clock of a reopened case from the resident's dissatisfaction,
rating from the answer. What an event has frozen is read from the case, never computed again.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from lianxin_contracts.inbound import Clock
from lianxin_contracts.lifecycle import DueTimes
from lianxin_contracts.registry import Limit, Policy
from lianxin_router.domain.calendar import WorkingCalendar
from lianxin_router.domain.case import Case, Pause

# What falls due at the same instant happens in this order: who must act is told before the case moves on.
ORDER: tuple[Clock, ...] = (
    "acknowledge_reminder", "resolve_reminder", "triage", "acknowledge", "first_response", "resolve",
    "take_back", "pause", "rating",
)  # fmt: skip
_RANK = {clock: rank for rank, clock in enumerate(ORDER)}
_WORKING_UNITS = ("working_hours", "working_days")


def running(case: Case) -> Iterator[tuple[Clock, datetime]]:
    """Every clock that runs, with the instant at which it runs out; one that has run out is left out."""
    if case.stage == "triage" and case.triage_due and "triage" not in case.breached:
        yield "triage", case.triage_due
    if case.stage == "assigned" and case.take_back:
        yield "take_back", case.take_back
    if case.stage == "resolved" and case.rate_until:
        yield "rating", case.rate_until
    if not case.is_open or case.due is None:
        return
    if case.accepted is None and "acknowledge" not in case.breached:
        yield "acknowledge", case.due.acknowledge
        if (at := case.due.acknowledge_reminder) and _is_to_be_reminded(case, "acknowledge", at):
            yield "acknowledge_reminder", at
    if case.pause is not None:
        yield "pause", case.pause.until
        return
    if case.first_response is None and "first_response" not in case.breached:
        yield "first_response", case.due.first_response
    if "resolve" not in case.breached:
        yield "resolve", case.due.resolve
        if (at := case.due.resolve_reminder) and _is_to_be_reminded(case, "resolve", at):
            yield "resolve_reminder", at


def next_due(case: Case) -> tuple[Clock, datetime] | None:
    """The clock that runs out first, and when (UTC); None where none runs. For a case on replayed time
    (`case.replayed`) the wall clock must not knock."""
    return min(running(case), key=lambda due: (due[1], _RANK[due[0]]), default=None)


def _is_to_be_reminded(case: Case, clock: Clock, at: datetime) -> bool:
    """Whoever got the case when it was already time to remind knows the due date from the assignment."""
    if case.assignee is None or case.assigned_at is None or clock in case.reminded:
        return False
    got = max(case.assigned_at, case.reopened or case.assigned_at)
    return at > got


def due_times(policy: Policy, version: str, submitted: datetime, calendar: WorkingCalendar) -> DueTimes:
    """The due times of a case by `policy`, from the resident's submission."""
    acknowledge = calendar.ends(submitted, policy.acknowledge)
    first_response = calendar.ends(submitted, policy.first_response)
    resolve = calendar.ends(submitted, policy.resolve)
    limits: dict[Clock, Limit] = {
        "acknowledge": policy.acknowledge,
        "first_response": policy.first_response,
        "resolve": policy.resolve,
    }
    return DueTimes(
        acknowledge=acknowledge.at,
        first_response=first_response.at,
        resolve=resolve.at,
        policy=policy.id,
        policy_version=version,
        acknowledge_reminder=_reminder(acknowledge.at, policy, calendar),
        resolve_reminder=_reminder(resolve.at, policy, calendar),
        working=tuple(clock for clock, limit in limits.items() if limit.unit in _WORKING_UNITS),
        provisional=acknowledge.provisional or first_response.provisional or resolve.provisional,
    )


def _reminder(end: datetime, policy: Policy, calendar: WorkingCalendar) -> datetime | None:
    return calendar.before(end, policy.remind_before) if policy.remind_before.amount > 0 else None


def due_once_reopened(
    due: DueTimes, policy: Policy, version: str, dissatisfied: datetime, calendar: WorkingCalendar
) -> DueTimes:
    """The due times of a reopened case: the whole time to resolve, from the resident's dissatisfaction on."""
    resolve = calendar.ends(dissatisfied, policy.resolve)
    others = tuple(clock for clock in due.working if clock != "resolve")
    return msgspec.structs.replace(
        due,
        resolve=resolve.at,
        resolve_reminder=_reminder(resolve.at, policy, calendar),
        policy=policy.id,
        policy_version=version,
        working=(*others, "resolve") if policy.resolve.unit in _WORKING_UNITS else others,
        provisional=due.provisional or resolve.provisional,
    )


def due_after_pause(case: Case, pause: Pause, ended: datetime, calendar: WorkingCalendar) -> DueTimes | None:
    """The due times of `case` moved by a pause that ended at `ended`; None where nothing moves.

    A clock that counts working time moves by the working time of the pause, in working time; any other by its
    wall time. A clock that has stopped or run out is not moved: a breach stays what it was. A reminder moves
    as its clock does.
    """
    if case.due is None:
        return None
    moved: dict[str, datetime] = {}
    for clock, at, reminder in (
        ("first_response", case.due.first_response, None),
        ("resolve", case.due.resolve, case.due.resolve_reminder),
    ):
        stopped = clock == "first_response" and case.first_response is not None
        if stopped or clock in case.breached:
            continue
        is_working = clock in case.due.working
        moved[clock] = _moved(at, pause, ended, calendar, is_working)
        if reminder is not None:
            moved[f"{clock}_reminder"] = _moved(reminder, pause, ended, calendar, is_working)
    return msgspec.structs.replace(case.due, **moved) if moved else None


def _moved(
    at: datetime, pause: Pause, ended: datetime, calendar: WorkingCalendar, is_working: bool
) -> datetime:
    if is_working:
        return calendar.add_working(at, calendar.working_between(pause.since, ended))
    return at + (ended - pause.since)


def take_back_at(due: DueTimes, assigned: datetime, policy: Policy, calendar: WorkingCalendar) -> datetime:
    """When the router takes the case back from a deputy who stays silent: the policy's limit after the
    acknowledgement was due, or after this deputy got the case where that is later."""
    return calendar.ends(max(due.acknowledge, assigned), policy.take_back).at


def latest_end_of_pause(case: Case, since: datetime, policy: Policy, calendar: WorkingCalendar) -> datetime:
    """Until when a pause that begins at `since` may last: all pauses of a case together share the limit."""
    return calendar.ends(since, policy.pause).at - timedelta(seconds=case.paused_seconds)
