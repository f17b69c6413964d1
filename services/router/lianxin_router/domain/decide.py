"""`decide(case, command, context) -> Decision`: the one way in which anything is decided about a case.

No clock, no database, no broker: time is the command's, raised to the case's latest if earlier; what is known
of the city comes in the context. Whatever fell due up to that time is told first, at its due instant. Every
command leaves at least one event that names it as its cause.
"""
# ruff: noqa: ARG001  (the functions share one signature, so that a table can hold them)

from collections.abc import Callable
from typing import Any

from lianxin_contracts import lifecycle
from lianxin_contracts.envelope import Event
from lianxin_router.domain import deputies, office, residents, submission, visits
from lianxin_router.domain.case import Case
from lianxin_router.domain.falling_due import settle
from lianxin_router.domain.lifecycle_table import SUBMISSIONS, check_source, check_stage
from lianxin_router.domain.ports import UNREADABLE, Context
from lianxin_router.domain.story import Decision, Refused, Story, refused

Handler = Callable[[Story, Any, Context], Refused | None]


def decide(case: Case | None, command: Event, context: Context) -> Decision:
    """What follows from `command` for `case` (None where nothing is known of `command.subject`).

    Never raises for anything that an inbound record may say: what can't be done is refused with a code. A
    refusal changes nothing but the case's sequence and latest time.
    """
    story = Story(case, command)
    answer(story, command, context)
    return story.decision()


def answer(story: Story, command: Event, context: Context) -> None:
    """Tell in `story` what follows from `command`. Raises `Diverged` where that can't be what was published
    of it."""
    case = story.case if story.exists else None
    if why := check_source(command):
        # Whoever may not speak doesn't move the clock either.
        story.at = case.updated if case else story.at
        story.refuse(why)
        return
    timeless = ("case.merge", "case.review") if case is not None and case.replayed else ("case.merge",)
    if case is not None and command.type in timeless:
        # The registry is loaded by the wall clock, which says nothing to a case on replayed time; and which
        # issue a case belongs to is no matter of time at all.
        story.at = case.updated
    if case is not None:
        settle(story, context)
    why = _out_of_place(story, command) or _HANDLERS[command.type](story, command.data, context)
    if why is not None:
        story.refuse(why)
    settle(story, context)


def _out_of_place(story: Story, command: Event) -> Refused | None:
    if story.exists and story.case.erased:
        return refused("erased")
    if command.type in SUBMISSIONS:
        return None
    if not story.exists or story.case.opened is None:
        return refused("unknown_case")
    return check_stage(story.case, command)


def _knock(story: Story, said: Any, context: Context) -> Refused | None:
    """A timer's knock has done its work before it comes here; where nothing was due it leaves its trace."""
    if story.told == 0:
        story.tell(lifecycle.ClockChecked(said.clock))
    return None


_HANDLERS: dict[str, Handler] = {
    "opinion.submitted": submission.submit,
    UNREADABLE: submission.submit_unreadable,
    "opinion.supported": residents.support,
    "opinion.withdrawn": residents.withdraw,
    "opinion.rated": residents.rate,
    "opinion.erasure_requested": residents.erase,
    "opinion.seen": deputies.see,
    "visit.recorded": visits.record,
    "case.accept": deputies.accept,
    "case.answer": deputies.answer,
    "case.progress": deputies.progress,
    "case.hand_over": deputies.hand_over,
    "case.transfer": deputies.transfer,
    "case.return": deputies.give_back,
    "case.pause": deputies.pause,
    "case.resume": deputies.resume,
    "case.resolve": deputies.resolve,
    "case.assign": office.assign,
    "case.supervise": office.supervise,
    "case.publish": office.publish,
    "case.unpublish": office.unpublish,
    "case.reveal_contact": deputies.reveal_contact,
    "case.review": office.review,
    "case.merge": office.merge,
    "case.due": _knock,
}
