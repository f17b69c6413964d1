"""What residents do after submitting: support, withdraw, rate, and have everything erased."""
# ruff: noqa: ARG001  (the functions share one signature, so that a table can hold them)

from lianxin_contracts import inbound, lifecycle
from lianxin_contracts.inbound import Actor
from lianxin_router.domain.case import Case
from lianxin_router.domain.clocks import due_once_reopened
from lianxin_router.domain.codes import as_recorded, is_id
from lianxin_router.domain.placing import keeps_mandate, place, policy_of, responsible
from lianxin_router.domain.ports import Context
from lianxin_router.domain.story import Refused, Story, refused


def support(story: Story, said: inbound.Supported, context: Context) -> Refused | None:
    """One more person has the same concern; each counts once."""
    supporters = story.case.supporters
    if not is_id(said.supporter):
        return refused("malformed", field="supporter")
    if said.supporter in supporters:
        return refused("already_supported")
    part = None
    if said.contact is not None:
        part = story.cause.id
        story.forward_contact(part, said.contact)
    story.tell(lifecycle.Supported(said.supporter, len(supporters) + 1, part))
    return None


def withdraw(story: Story, said: inbound.Withdrawn, context: Context) -> Refused | None:
    """The resident takes the opinion back: the case is closed, and what was released of it is deleted. Not
    once it is resolved: then the resident is asked to judge, and nobody should be talked out of that."""
    if not _may_withdraw(story.case, said.actor):
        return refused("not_allowed", actor=said.actor.kind)
    story.delete_released()
    story.tell(lifecycle.Withdrawn(as_recorded(said.actor), responsible(story.case, context)))
    story.tell(lifecycle.Closed("withdrawn"))
    return None


def rate(story: Story, said: inbound.Rated, context: Context) -> Refused | None:
    """The resident's judgement closes the case, or reopens it where the resident is dissatisfied and it has
    not been reopened as often as the policy allows."""
    case = story.case
    if said.actor.kind != "resident":
        return refused("not_allowed", actor=said.actor.kind)
    receivers = responsible(case, context)
    part = story.write("rating", said.comment, as_recorded(said.actor))
    story.tell(lifecycle.Rated(said.score, part, receivers))
    conclude(story, context)
    return None


def conclude(story: Story, context: Context) -> None:
    """What follows from the resident's judgement: the case is closed or reopened."""
    case = story.case
    policy = policy_of(case, context)[0]
    if case.score == "dissatisfied" and case.reopens < policy.max_reopens:
        _reopen(story, context)
    else:
        story.tell(lifecycle.Closed("rated", case.score))


def erase(story: Story, said: inbound.ErasureRequested, context: Context) -> Refused | None:
    """Delete every word and contact of the opinion. What remains are codes and times. The resident may, and
    an administrator on their behalf."""
    if said.actor.kind != "resident" and not _is_administrator(said.actor, context):
        return refused("not_allowed", actor=said.actor.kind)
    if said.reason is not None and not is_id(said.reason):
        return refused("malformed", field="reason")
    story.delete_everything_said()
    story.tell(lifecycle.Erased(as_recorded(said.actor), said.reason))
    if story.case.stage != "closed":
        story.tell(lifecycle.Closed("erased"))
    return None


def _is_administrator(actor: Actor, context: Context) -> bool:
    staff = context.staff(actor.id) if actor.kind == "staff" else None
    return staff is not None and "administrator" in staff.roles


def _may_withdraw(case: Case, actor: Actor) -> bool:
    return actor.kind == "resident" or (actor.kind == "channel" and actor.id == case.channel)


def _reopen(story: Story, context: Context) -> None:
    """Back to the deputy who answered, who has accepted it already and goes on at once; routed anew where the
    mandate has gone."""
    case = story.case
    keeps = keeps_mandate(case, context, story.at)
    assignee = case.assignee if keeps else None
    policy, version = policy_of(case, context)
    due = case.due and due_once_reopened(case.due, policy, version, story.at, context.calendar)
    receivers = (assignee,) if assignee else ()
    story.tell(lifecycle.Reopened(case.reopens + 1, assignee, receivers, due))
    if story.case.assignee is None:
        place(story, context, "reopened", story.at)
