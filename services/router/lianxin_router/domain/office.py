"""What the congress's office does: decide who holds a case, press for one, and release words; and what the
router itself does when the city changes or two issues turn out to be one."""
# ruff: noqa: ARG001  (the functions share one signature, so that a table can hold them)

from lianxin_contracts import inbound, lifecycle
from lianxin_contracts.inbound import Actor
from lianxin_router.domain.case import Case
from lianxin_router.domain.codes import is_id
from lianxin_router.domain.lifecycle_table import HELD
from lianxin_router.domain.placing import (
    SYSTEM,
    area_of,
    end_pause,
    keeps_mandate,
    place,
    responsible,
)
from lianxin_router.domain.ports import Context
from lianxin_router.domain.stations import is_of_station
from lianxin_router.domain.story import Refused, Story, refused


def assign(story: Story, said: inbound.Assign, context: Context) -> Refused | None:
    """A person decides: in triage and arbitration, or over the head of the present assignee. Naming a deputy
    is a ruling; correcting grid or topic lets the router decide again."""
    case = story.case
    # Staff of a station place what came in there and waits; nothing is taken from a deputy by them.
    own = case.stage == "triage" and is_of_station(case, said.actor, context)
    if not own and (why := _not_in_office(case, said.actor, ("triage", "supervisor"), context)):
        return why
    if why := _unusable_ruling(story, said, context):
        return why
    part = story.write("assign", said.text, said.actor)
    if case.assignee is not None:
        end_pause(story, context, said.actor, story.at)
        story.tell(lifecycle.TakenBack(case.assignee, "staff", (case.assignee,)))
    place(story, context, "staff", story.at, grid=said.grid, topic=said.topic, assignee=said.to, words=part)
    return None


def supervise(story: Story, said: inbound.Supervise, context: Context) -> Refused | None:
    """督办: a supervisor presses for the case."""
    case = story.case
    if why := _not_in_office(case, said.actor, ("supervisor",), context):
        return why
    for receiver in said.to:
        if not context.has_deputy(receiver) and context.staff(receiver) is None:
            return refused("unknown_receiver", field="to")
    part = story.write("supervise", said.text, said.actor)
    receivers = tuple(dict.fromkeys((*responsible(case, context), *said.to)))
    story.tell(lifecycle.Supervised(said.actor, part, receivers))
    return None


def publish(story: Story, said: inbound.Publish, context: Context) -> Refused | None:
    """公开: anybody may read the redacted text of `said` from now on, in place of what was released before.
    What a resident took back is not released."""
    case = story.case
    if why := _not_in_office(case, said.actor, ("triage", "supervisor"), context):
        return why
    if case.withdrawn:
        return refused("withdrawn")
    if not case.readable:
        return refused("unreadable")
    part = story.write("published", said.text, said.actor)
    if part is None:
        return refused("text_needed")
    story.delete_released()
    story.tell(lifecycle.Published(said.actor, part))
    return None


def unpublish(story: Story, said: inbound.Unpublish, context: Context) -> Refused | None:
    """撤回公开: the released words are deleted."""
    case = story.case
    if why := _not_in_office(case, said.actor, ("triage", "supervisor"), context):
        return why
    if case.published is None:
        return refused("not_published")
    story.delete_released()
    story.tell(lifecycle.Unpublished(said.actor))
    return None


def review(story: Story, said: inbound.Review, context: Context) -> Refused | None:
    """After a new registry: a case whose assignee lost the mandate is routed again, and so is one that nobody
    has accepted yet and whose assignee is away."""
    case = story.case
    if case.stage not in HELD or case.assignee is None:
        return refused("nothing_to_review")
    if not keeps_mandate(case, context, story.at):
        reason = "mandate_lost"
    elif case.stage == "assigned" and context.on_leave(case.assignee, context.calendar.civil_date(story.at)):
        reason = "leave"
    else:
        return refused("nothing_to_review")
    end_pause(story, context, SYSTEM, story.at)
    story.tell(lifecycle.TakenBack(case.assignee, reason, (case.assignee,)))  # type: ignore[arg-type]
    place(story, context, reason, story.at)  # type: ignore[arg-type]
    return None


def merge(story: Story, said: inbound.Merge, context: Context) -> Refused | None:
    """The case's issue turned out to be the same as another one, and the case follows it there."""
    if story.case.issue != said.left or said.issue == said.left or not is_id(said.issue):
        return refused("nothing_to_merge")
    story.tell(lifecycle.IssueMerged(said.left, said.issue))
    return None


def _not_in_office(case: Case, actor: Actor, roles: tuple[str, ...], context: Context) -> Refused | None:
    """Whether `actor` is staff with one of `roles`, for the area of the case where that is known."""
    staff = context.staff(actor.id) if actor.kind == "staff" else None
    if staff is None or not set(roles) & set(staff.roles):
        return refused("not_allowed")
    area = area_of(case)
    if staff.areas and area is not None and not any(area.startswith(own) for own in staff.areas):
        return refused("not_your_area", area=area)
    return None


def _unusable_ruling(story: Story, said: inbound.Assign, context: Context) -> Refused | None:
    case = story.case
    if not case.readable:
        return refused("unreadable")
    if said.to is None and said.grid is None and said.topic is None:
        return refused("nothing_to_assign")
    if said.grid is not None and context.grid(said.grid) is None:
        return refused("unknown_grid", field="grid")
    if said.topic is not None and context.topic(said.topic) is None:
        return refused("unknown_topic", field="topic")
    if said.to is None:
        return None
    if not context.has_deputy(said.to):
        return refused("unknown_deputy", field="to")
    if said.to == case.assignee and said.grid is None and said.topic is None:
        return refused("same_deputy")
    if not context.holds_mandate(said.to, None, None, context.calendar.civil_date(story.at)):
        return refused("no_mandate", deputy=said.to)
    return None
