"""What another system of the city saw on the spot: a fact on the case, which decides nothing."""

from lianxin_contracts import inbound, lifecycle
from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import Actor
from lianxin_contracts.words import Words
from lianxin_router.domain.codes import is_id
from lianxin_router.domain.ports import Context
from lianxin_router.domain.story import Refused, Story, refused, whole_milliseconds


def record(story: Story, said: inbound.Visited, context: Context) -> Refused | None:
    """走访: somebody went and looked. At any stage, since a finished case is looked at again (回访). Nobody
    is made responsible by it, and no clock stops: only the deputy who holds the case answers for it."""
    if why := _may_not_record(story.cause, said.actor, context):
        return why
    if not all(is_id(attachment) for attachment in said.evidence):
        return refused("malformed", field="evidence")
    # Said to be later than it was recorded: a clock that runs ahead.
    visited_at = story.at if said.visited_at is None else min(whole_milliseconds(said.visited_at), story.at)
    story.tell(lifecycle.Visited(said.actor, visited_at, _note(story, said), said.evidence))
    return None


def _note(story: Story, said: inbound.Visited) -> str | None:
    """Forward what was noted; the part that holds it, None where nothing was."""
    text = (said.text or "").strip()
    if not text and said.media_url is None:
        return None
    part = story.cause.id
    story.forward(Words(story.cause.subject, part, "visit", text, said.actor, media_url=said.media_url))
    return part


def _may_not_record(command: Event, actor: Actor, context: Context) -> Refused | None:
    """A channel speaks for itself, or names a deputy of the city whose visit it recorded."""
    channel = command.source.removeprefix("/intake/")
    if actor.kind == "channel" and actor.id == channel and actor.via is None:
        return None
    if actor.kind != "deputy" or actor.via != channel:
        return refused("not_allowed", actor=actor.kind)
    return None if context.has_deputy(actor.id) else refused("unknown_deputy", field="actor")
