"""What the assignee does with a case: accept, answer, work on it, pass it on, give it back, resolve it."""
# ruff: noqa: ARG001  (the functions share one signature, so that a table can hold them)

from datetime import datetime

from lianxin_contracts import ids, inbound, lifecycle
from lianxin_contracts.inbound import Actor
from lianxin_contracts.lifecycle import Reason
from lianxin_router.domain.case import Case, Child
from lianxin_router.domain.clocks import latest_end_of_pause
from lianxin_router.domain.codes import is_id
from lianxin_router.domain.placing import end_pause, place, policy_of, transfer_to
from lianxin_router.domain.ports import Context
from lianxin_router.domain.stations import is_of_another_station
from lianxin_router.domain.story import Refused, Story, refused, whole_milliseconds

# Outcomes that leave nothing to show: the case was no case of its own.
NOTHING_TO_SHOW = ("duplicate", "invalid")


def see(story: Story, said: inbound.Seen, context: Context) -> Refused | None:
    """The assignee has opened the case, for the first time since it was assigned."""
    if why := _not_the_assignee(story.case, said.actor):
        return why
    if story.case.seen:
        return refused("already_seen")
    story.tell(lifecycle.SeenBy(said.actor))
    return None


def accept(story: Story, said: inbound.Accept, context: Context) -> Refused | None:
    """接办: the assignee takes the case on."""
    if why := _not_the_assignee(story.case, said.actor):
        return why
    story.tell(lifecycle.Accepted(said.actor))
    return None


def answer(story: Story, said: inbound.Answer, context: Context) -> Refused | None:
    """Something that the resident can read; the first one stops the first-response clock."""
    case = story.case
    if said.child is None:
        why = _not_the_assignee(case, said.actor)
    else:
        why = _may_not_answer_child(case, said.actor, said.child, context)
    if why := why or _no_text(said.text):
        return why
    part = story.write("answer", said.text, said.actor)
    story.tell(lifecycle.Answered(said.actor, part or "", said.child))
    return None


def progress(story: Story, said: inbound.Progress, context: Context) -> Refused | None:
    """办理: a note on what was done."""
    why = _not_the_assignee(story.case, said.actor) or _no_text(said.text) or _bad_evidence(said.evidence)
    if why:
        return why
    part = story.write("progress", said.text, said.actor)
    story.tell(lifecycle.Progressed(said.actor, part or "", said.evidence))
    return None


def hand_over(story: Story, said: inbound.HandOver, context: Context) -> Refused | None:
    """A child order to a department: one has the lead (主办), others assist (协办)."""
    case = story.case
    if why := _not_the_assignee(case, said.actor):
        return why
    if not context.has_department(said.to):
        return refused("unknown_department", field="to")
    if any(child.department == said.to for child in case.open_children):
        return refused("already_handed_over", department=said.to)
    if said.role == "main" and any(child.role == "main" for child in case.open_children):
        return refused("main_handler_exists")
    part = story.write("hand_over", said.text, said.actor)
    child = ids.following(story.cause.id, "child", 1)
    story.tell(lifecycle.HandedOver(said.actor, child, said.to, said.role, part))
    return None


def transfer(story: Story, said: inbound.Transfer, context: Context) -> Refused | None:
    """The assignee passes the case to another deputy whose mandate covers it, and who has not had it taken
    back or returned it before."""
    case = story.case
    if why := _not_the_assignee(case, said.actor) or _may_not_transfer(story, said, context):
        return why
    part = story.write("transfer", said.text, said.actor)
    end_pause(story, context, said.actor, story.at)
    story.tell(lifecycle.Transferred(said.actor, said.to, said.reason, part))
    transfer_to(story, context, said.actor.id, said.to)
    return None


def give_back(story: Story, said: inbound.Return, context: Context) -> Refused | None:
    """退单: "not mine". Routing chooses somebody else; past the policy's cap a person arbitrates."""
    case = story.case
    if why := _not_the_assignee(case, said.actor):
        return why
    policy = policy_of(case, context)[0]
    if said.reason not in policy.return_reasons:
        return refused("unknown_reason", field="reason")
    part = story.write("return", said.text, said.actor)
    end_pause(story, context, said.actor, story.at)
    count = case.returns + 1
    is_too_often = count > policy.max_returns
    story.tell(lifecycle.Returned(said.actor, said.reason, count, is_too_often, part))
    arbitration = Reason("returned_too_often", {"times": str(count)}) if is_too_often else None
    place(story, context, "returned", story.at, arbitration=arbitration)
    return None


def pause(story: Story, said: inbound.Pause, context: Context) -> Refused | None:
    """The clocks stand still for a reason that the policy allows, and for no longer than it allows."""
    case = story.case
    if why := _not_the_assignee(case, said.actor):
        return why
    if case.pause is not None:
        return refused("already_paused")
    policy = policy_of(case, context)[0]
    if said.reason not in policy.pause_reasons:
        return refused("unknown_reason", field="reason")
    latest = latest_end_of_pause(case, story.at, policy, context.calendar)
    until = latest if said.until is None else whole_milliseconds(said.until)
    if why := _unusable_pause(story.at, until, latest):
        return why
    part = story.write("pause", said.text, said.actor)
    story.tell(lifecycle.Paused(said.actor, said.reason, until, part))
    return None


def resume(story: Story, said: inbound.Resume, context: Context) -> Refused | None:
    """The clocks run on, moved by the pause."""
    if why := _not_the_assignee(story.case, said.actor):
        return why
    if story.case.pause is None:
        return refused("not_paused")
    end_pause(story, context, said.actor, story.at)
    return None


def resolve(story: Story, said: inbound.Resolve, context: Context) -> Refused | None:
    """办结: the answer goes to the resident, who is asked to judge it."""
    case = story.case
    if why := _not_the_assignee(case, said.actor) or _may_not_resolve(case, said, context):
        return why
    part = story.write("resolve", said.text, said.actor)
    end_pause(story, context, said.actor, story.at)
    policy = policy_of(case, context)[0]
    story.tell(
        lifecycle.Resolved(
            actor=said.actor,
            outcome=said.outcome,
            words=part or "",
            times=case.resolutions + 1,
            rate_until=context.calendar.ends(story.at, policy.rating).at,
            evidence=said.evidence,
        )
    )
    return None


def reveal_contact(story: Story, said: inbound.RevealContact, context: Context) -> Refused | None:
    """The assignee is shown the resident's contact; the resident sees this record."""
    if why := _not_the_assignee(story.case, said.actor):
        return why
    if not story.case.has_contact:
        return refused("no_contact")
    story.tell(lifecycle.ContactRevealed(said.actor))
    return None


def _not_the_assignee(case: Case, actor: Actor) -> Refused | None:
    if actor.kind == "deputy" and actor.id == case.assignee:
        return None
    return refused("not_your_case")


def _no_text(text: str) -> Refused | None:
    return None if text.strip() else refused("text_needed")


def _bad_evidence(evidence: tuple[str, ...]) -> Refused | None:
    return (
        None if all(is_id(attachment) for attachment in evidence) else refused("malformed", field="evidence")
    )


def _may_not_answer_child(case: Case, actor: Actor, child: str, context: Context) -> Refused | None:
    """The department's answer is entered by the department itself, by staff, or by the assignee."""
    order = next((known for known in case.children if known.id == child), None)
    if order is None:
        return refused("unknown_child", field="child")
    if order.answered is not None:
        return refused("already_answered", child=child)
    if actor.kind == "staff" and _speaks_for(case, actor, order, context):
        return None
    return _not_the_assignee(case, actor)


def _speaks_for(case: Case, actor: Actor, order: Child, context: Context) -> bool:
    if actor.id == order.department:
        return True
    return context.staff(actor.id) is not None and not is_of_another_station(case, actor, context)


def _may_not_transfer(story: Story, said: inbound.Transfer, context: Context) -> Refused | None:
    case, to = story.case, said.to
    if to == case.assignee:
        return refused("same_deputy")
    if not context.has_deputy(to):
        return refused("unknown_deputy", field="to")
    if to in case.excluded:
        return refused("excluded", deputy=to)
    policy = policy_of(case, context)[0]
    if said.reason is not None and said.reason not in policy.return_reasons:
        return refused("unknown_reason", field="reason")
    if case.transfers >= policy.max_transfers:
        return refused("transferred_too_often", times=str(case.transfers))
    on = context.calendar.civil_date(story.at)
    if not context.holds_mandate(to, case.grid or "", case.topic or "", on):
        return refused("no_mandate", deputy=to)
    return None


def _unusable_pause(at: datetime, until: datetime, latest: datetime) -> Refused | None:
    if latest <= at:
        return refused("pauses_used_up")
    if until <= at:
        return refused("pause_in_the_past")
    if until > latest:
        return refused("pause_too_long", latest=latest.isoformat())
    return None


def _may_not_resolve(case: Case, said: inbound.Resolve, context: Context) -> Refused | None:
    if case.open_children:
        return refused("children_open", open=str(len(case.open_children)))
    topic = context.topic(case.topic or "")
    needs_evidence = topic is not None and topic.evidence and said.outcome not in NOTHING_TO_SHOW
    if needs_evidence and not said.evidence:
        return refused("evidence_needed", topic=case.topic or "")
    return _bad_evidence(said.evidence) or _no_text(said.text)
