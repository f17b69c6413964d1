"""走访: a visit that another system of the city recorded, as `POST /v1/events` and Open311 bring it.

A visit is a fact on an opinion that there is. What somebody found and nobody has said yet is an opinion of
its own: it is handed in first. Whether the opinion exists is the router's to say, since accepting needs the
broker alone.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from lianxin_contracts import ids
from lianxin_contracts.inbound import MAX_TEXT, Actor, Visited
from lianxin_contracts.registry import Scope, Snapshot
from lianxin_intake import opinion
from lianxin_intake.context import Intake
from lianxin_intake.door import invalid, unreadable
from lianxin_intake.opinion import Fault, Unreadable
from lianxin_intake.rights import Caller, require
from lianxin_intake.saying import say
from lianxin_intake.web_links import HOW, is_link

TYPE = "visit.recorded"
SCOPE: Scope = "field"
REFUSED = "The visit can't be recorded as it is"


class VisitBody(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One visit: to which opinion, by which deputy (an id; nobody's where others went), when, and what was
    noted."""

    opinion: str = ""
    deputy: str | None = None
    visited_at: datetime | None = None
    text: str | None = None
    attachments: tuple[str, ...] = ()
    media_url: str | None = None


FIELDS = tuple(field.name for field in msgspec.structs.fields(VisitBody))
_decoder = msgspec.json.Decoder(VisitBody)


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit that may be recorded, under the name `key` by which a repeat is known."""

    opinion: str
    said: Visited
    channel: str
    key: str
    traceparent: str | None


def prepare(
    intake: Intake, raw: bytes, caller: Caller, city: Snapshot, *, key: str, traceparent: str | None
) -> Visit:
    """Judge the visit in `raw`. Raises 400, 403 or 422, saying what is wrong and where."""
    require(caller, SCOPE)
    try:
        body = opinion.decode(raw, _decoder, FIELDS)
    except Unreadable as error:
        raise unreadable(error) from None
    found = faults(body, city, datetime.now(UTC))
    found += intake.door.attachment_faults(body.attachments, caller.channel.id)
    if found:
        raise invalid(found, REFUSED)
    channel = caller.channel.id
    actor = Actor("channel", channel) if body.deputy is None else Actor("deputy", body.deputy, channel)
    said = Visited(actor, body.visited_at, body.text, body.attachments, body.media_url)
    return Visit(str(uuid.UUID(body.opinion)), said, channel, key, traceparent)


def faults(body: VisitBody, city: Snapshot, now: datetime) -> list[Fault]:
    """Everything that is wrong with `body` in `city`, uploads aside."""
    found = _opinion_faults(body.opinion)
    if body.deputy is not None and body.deputy not in city.deputies:
        found.append(Fault("deputy", "unknown_deputy", "There is no deputy with this id; leave it out."))
    if body.visited_at is not None:
        found += [
            Fault("visited_at", fault.code, fault.message)
            for fault in opinion.time_faults(body.visited_at, now, any_age=True)
        ]
    if body.text is not None:
        if len(body.text) > MAX_TEXT:
            found.append(Fault("text", "too_long", f"{len(body.text)} characters; at most {MAX_TEXT}."))
        found += opinion.character_faults(body.text)
    if len(body.attachments) > opinion.MAX_ATTACHMENTS:
        found.append(Fault("attachments", "too_many", f"At most {opinion.MAX_ATTACHMENTS} attachments."))
    if body.media_url is not None and not is_link(body.media_url):
        found.append(Fault("media_url", "no_link", HOW))
    return found


async def record(intake: Intake, visit: Visit) -> dict[str, Any]:
    """Have the broker confirm `visit`; its receipt. Raises 409 and 503 as `say`."""
    digest = intake.door.digest(visit.said)
    receipt = await say(
        intake,
        visit.opinion,
        TYPE,
        visit.said,
        key=visit.key,
        traceparent=visit.traceparent,
        source=f"/intake/{visit.channel}",
        event_id=ids.derived("visit", visit.channel, visit.opinion, visit.key, digest),
    )
    intake.door.claim(visit.said.evidence)
    return receipt


def _opinion_faults(id_: str) -> list[Fault]:
    if not id_:
        return [
            Fault(
                "opinion",
                "missing",
                "Say which opinion was visited: its id. What nobody has said yet is handed in first, as "
                "opinion.submitted; its answer holds the id.",
            )
        ]
    try:
        uuid.UUID(id_)
    except ValueError:
        return [Fault("opinion", "no_id", "Send the id that the opinion was accepted with, a UUID.")]
    return []
