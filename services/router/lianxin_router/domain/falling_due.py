"""What happens when a clock runs out and nobody has acted: breaches, reminders, take-back, the end of a
pause, and closing unrated. Each dated at its due instant, in the order of the instants."""
# ruff: noqa: ARG001  (the functions share one signature, so that a table can hold them)

from collections.abc import Callable
from datetime import datetime

from lianxin_contracts.inbound import Clock
from lianxin_contracts.lifecycle import Breached, Closed, Reason, Reminded, TakenBack
from lianxin_router.domain.case import held_by
from lianxin_router.domain.clocks import next_due
from lianxin_router.domain.placing import SYSTEM, area_of, end_pause, place, policy_of, responsible
from lianxin_router.domain.ports import Context
from lianxin_router.domain.story import Story


def settle(story: Story, context: Context) -> None:
    """Tell everything that fell due up to the story's time. What one thing sets in motion may be due as well:
    a case taken back is routed again, and its next holder's silence runs out in turn."""
    while (due := next_due(story.case)) is not None and due[1] <= story.at:
        clock, at = due
        _FALLS_DUE[clock](story, context, clock, at)


def _breach(story: Story, context: Context, clock: Clock, due: datetime) -> None:
    case = story.case
    supervisors = context.staff_for("supervisor", area_of(case))
    receivers = tuple(dict.fromkeys((*responsible(case, context), *supervisors)))
    story.tell(Breached(clock, due, held_by(case, due), receivers), due)


def _remind(story: Story, context: Context, clock: Clock, at: datetime) -> None:
    case = story.case
    if case.due is None:
        raise LookupError(f"{case.id} has a reminder but no due times")
    of: Clock = "acknowledge" if clock == "acknowledge_reminder" else "resolve"
    due = case.due.acknowledge if of == "acknowledge" else case.due.resolve
    story.tell(Reminded(of, due, responsible(case, context)), at)


def _take_back(story: Story, context: Context, clock: Clock, due: datetime) -> None:
    case = story.case
    at = max(due, case.updated)
    silent = case.assignee or ""
    story.tell(TakenBack(silent, "silence", (silent,)), at)
    policy = policy_of(case, context)[0]
    exhausted = story.case.take_backs > policy.max_take_backs
    arbitration = Reason("silent_too_often", {"times": str(story.case.take_backs)}) if exhausted else None
    place(story, context, "silence", at, arbitration=arbitration)


def _end_pause(story: Story, context: Context, clock: Clock, due: datetime) -> None:
    end_pause(story, context, SYSTEM, due)


def _close_unrated(story: Story, context: Context, clock: Clock, due: datetime) -> None:
    story.tell(Closed("unrated"), due)


_FALLS_DUE: dict[Clock, Callable[[Story, Context, Clock, datetime], None]] = {
    "triage": _breach,
    "acknowledge": _breach,
    "first_response": _breach,
    "resolve": _breach,
    "acknowledge_reminder": _remind,
    "resolve_reminder": _remind,
    "take_back": _take_back,
    "pause": _end_pause,
    "rating": _close_unrated,
}
