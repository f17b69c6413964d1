"""A decision of which only the first events were published, because its router died or gave up in between.

It arises where the cases are folded from the log: after a drop, on a new generation. What was published can't
be taken back, so the state is what the log says, and the decision is brought to its end from there. Its
command was never acknowledged, so it comes again, before anything newer of its case, and is decided over what
was published (`resume`). Where it never comes (an operator has skipped it), the next command finds the case
in the midst of something, and that is ended by the domain's own rules (`finish`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lianxin_contracts import inbound, lifecycle
from lianxin_contracts.envelope import Event
from lianxin_contracts.lifecycle import Reason
from lianxin_router.domain import residents
from lianxin_router.domain.case import Case
from lianxin_router.domain.decide import answer
from lianxin_router.domain.falling_due import settle
from lianxin_router.domain.placing import place, policy_of, put_unread_into_triage, transfer_to
from lianxin_router.domain.ports import Clues, Context
from lianxin_router.domain.story import Decision, Diverged, Story
from lianxin_router.domain.submission import clues_of

# What a decision may tell before it comes to its command, or after it: these alone don't answer the command.
_BESIDES = (
    lifecycle.Breached, lifecycle.Reminded, lifecycle.TakenBack, lifecycle.Resumed, lifecycle.Closed,
    lifecycle.IssueJoined, lifecycle.IssueSurged, lifecycle.Assigned, lifecycle.Triaged,
)  # fmt: skip
_GIVEN_UP = (
    lifecycle.Submitted, lifecycle.Transferred, lifecycle.Returned, lifecycle.TakenBack, lifecycle.Reopened,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The case `before` the decision, and the first of its events, at least one, as they were published."""

    before: Case | None
    published: tuple[Event, ...]

    @property
    def cause(self) -> str:
        """The id of the command."""
        return self.published[-1].causationid or ""


def resume(unfinished: Unfinished, command: Event, context: Context) -> Decision:
    """What follows from `command`, the cause of what is unfinished, after what was published: only that is
    new in the decision, but for words, contacts and deletions, which may be published again.

    Where the city has changed so that it can't come out the same way, what was published stands: it is ended,
    and the command is decided on what the case is then, unless the published part has answered it.
    """
    story = Story(unfinished.before, command, unfinished.published)
    clues = clues_of(command.data) if isinstance(command.data, inbound.Submitted) else None
    try:
        answer(story, command, context)
        if story.is_retold:
            raise Diverged("more was published than is told now")
        _end(story, context, unfinished.published, clues)
    except Diverged:
        story = Story(unfinished.before, command, unfinished.published)
        story.recall_all()
        _end(story, context, unfinished.published, clues)
        if all(isinstance(event.data, _BESIDES) for event in unfinished.published):
            answer(story, command, context)
        else:
            settle(story, context)
    return story.decision()


def finish(unfinished: Unfinished, context: Context) -> Decision:
    """The end of what is unfinished without its command: no events where it is in the midst of nothing."""
    last = unfinished.published[-1]
    cause = Event(
        id=unfinished.cause,
        source=last.source,
        type=last.type,
        subject=last.subject,
        time=last.time,
        recordedtime=last.recordedtime,
        data=last.data,
        traceparent=last.traceparent,
    )
    story = Story(unfinished.before, cause, unfinished.published)
    story.recall_all()
    _end(story, context, unfinished.published, None)
    return story.decision()


def _end(story: Story, context: Context, published: Sequence[Event], clues: Clues | None) -> None:
    """Lead the case out of a stage in which none may stay."""
    case = story.case
    if case.opened is None or case.stage == "closed":
        return
    if case.erased:
        story.tell(lifecycle.Closed("erased"))
    elif any(isinstance(event.data, lifecycle.Withdrawn) for event in published):
        story.tell(lifecycle.Closed("withdrawn"))
    elif case.stage == "rated":
        residents.conclude(story, context)
    elif case.stage == "submitted":
        _place(story, context, published, clues)


def _place(story: Story, context: Context, published: Sequence[Event], clues: Clues | None) -> None:
    """Give to somebody a case that nobody holds, as what made it so would have it."""
    case, at = story.case, story.at
    policy = policy_of(case, context)[0]
    given_up = next((e.data for e in reversed(published) if isinstance(e.data, _GIVEN_UP)), None)
    match given_up:
        case lifecycle.Transferred():
            transfer_to(story, context, given_up.actor.id, given_up.to)
        case lifecycle.Returned():
            times = Reason("returned_too_often", {"times": str(given_up.count)})
            place(story, context, "returned", at, arbitration=times if given_up.arbitration else None)
        case lifecycle.TakenBack():
            times = Reason("silent_too_often", {"times": str(case.take_backs)})
            too_often = given_up.reason == "silence" and case.take_backs > policy.max_take_backs
            place(story, context, given_up.reason, at, arbitration=times if too_often else None)
        case lifecycle.Reopened():
            place(story, context, "reopened", at)
        case _ if case.readable:
            place(story, context, "submitted", at, clues=clues)
        case _:
            put_unread_into_triage(story, context, Reason("unreadable", {"reason": "unfinished"}))
