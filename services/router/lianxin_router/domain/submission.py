"""The resident speaks first: an opinion comes in, whole or unreadable."""

from datetime import timedelta

from lianxin_contracts import inbound, lifecycle
from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import Actor
from lianxin_contracts.lifecycle import Reason
from lianxin_contracts.words import OPINION_PART, Words
from lianxin_router.domain.codes import ids_among, is_id, language_tag
from lianxin_router.domain.placing import place, put_unread_into_triage
from lianxin_router.domain.ports import Clues, Context, RouteRequest, Unreadable
from lianxin_router.domain.story import Refused, Story, refused, whole_milliseconds

# Older than this, an opinion from a direct channel is replayed, not late (design, section 3, time).
LIVE_WITHIN = timedelta(hours=1)
# So long a desk or an outbox may hold an opinion up. What nobody could read, so that its way in is unknown,
# is replayed when it is older.
HELD_UP_WITHIN = timedelta(days=7)


def submit(story: Story, said: inbound.Submitted, context: Context) -> Refused | None:
    """Open the case, forward its words and contact, and give it to somebody.

    The same body again changes nothing; another body under the same id is refused, for nothing is ever
    replaced. A case that was opened unreadable is filled in, and keeps the time at which it was first seen.
    """
    if story.exists and story.case.opened is not None and story.case.readable:
        is_same = story.case.digest == said.digest
        return refused("already_submitted" if is_same else "idempotency_conflict")
    if story.exists and story.case.stage == "closed":
        return refused("closed", stage="closed")  # withdrawn while it could not be read
    if said.contact is not None:
        story.forward_contact(OPINION_PART, said.contact)
    story.forward(
        Words(
            opinion=story.cause.subject,
            part=OPINION_PART,
            kind="opinion",
            text=said.text,
            by=Actor(kind="channel", id=said.channel),
            title=said.title,
            address=said.address,
            place=said.place,
            language=said.language,
            media_url=said.media_url,
        )
    )
    story.tell(
        lifecycle.Submitted(
            channel=said.channel,
            digest=said.digest,
            kind=said.kind,
            entry=said.entry,
            replayed=is_replayed(story.cause, said.entry),
            station=said.station if context.has_station(said.station or "") else None,
            topic=said.topic if context.topic(said.topic or "") else None,
            near=None if said.place is None else context.near(said.place),
            language=language_tag(said.language),
            attachments=ids_among(said.attachments),
            has_contact=said.contact is not None,
            words=OPINION_PART,
        )
    )
    place(story, context, "submitted", story.at, clues=clues_of(said))
    return None


def first_request(command: Event) -> RouteRequest:
    """What routing will be asked when `command`, an `opinion.submitted`, opens its case: so that a worker can
    look up beforehand, for a whole batch, what routing needs."""
    at = whole_milliseconds(command.time)
    said: inbound.Submitted = command.data  # type: ignore[assignment]
    return RouteRequest(
        opinion=command.subject,
        kind=said.kind,
        at=at,
        submitted_at=at,
        why="submitted",
        clues=clues_of(said),
    )


def clues_of(said: inbound.Submitted) -> Clues:
    """What routing may go by."""
    return Clues(
        text=said.text,
        title=said.title,
        topic=said.topic,
        station=said.station,
        grid=said.grid,
        place=said.place,
        address=said.address,
        language=said.language,
    )


def submit_unreadable(story: Story, said: Unreadable, context: Context) -> Refused | None:
    """Open a case for a submission that nobody could read, so that a person sees it: it was answered 202."""
    if story.exists and story.case.opened is not None:
        return refused("already_submitted")
    channel = said.channel if is_id(said.channel) else "unknown"
    reason = said.reason if is_id(said.reason) else "unknown"
    replayed = story.cause.recordedtime - story.cause.time > HELD_UP_WITHIN
    story.tell(lifecycle.Submitted(channel=channel, digest="", readable=False, replayed=replayed))
    put_unread_into_triage(story, context, Reason("unreadable", {"reason": reason}))
    return None


def is_replayed(command: Event, entry: inbound.Entry) -> bool:
    """Whether the case lives on the times of its commands, so that the wall clock must not knock for it."""
    return entry == "direct" and command.recordedtime - command.time > LIVE_WITHIN
