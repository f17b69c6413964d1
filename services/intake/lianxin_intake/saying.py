"""One command about an opinion, from somebody's words to the broker's acknowledgement."""

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from lianxin_chassis.outages import NotConfirmed, Overloaded
from lianxin_chassis.problems import ProblemError
from lianxin_chassis.tracing import child
from lianxin_contracts import ids, inbound, topics
from lianxin_contracts.envelope import Event, to_record
from lianxin_intake.context import Intake
from lianxin_intake.door import RETRY_AFTER_S, conflict
from lianxin_intake.rates import retry_after

RESIDENT = inbound.Actor(kind="resident", id="resident")
# What the source of an event says where no channel's key was shown, only the tracking code.
TRACKING_SOURCE = "/intake/tracking"


async def say(
    intake: Intake,
    id_: str,
    type_: str,
    said: Struct,
    *,
    key: str | None = None,
    traceparent: str | None = None,
    source: str = TRACKING_SOURCE,
    event_id: str | None = None,
    at: datetime | None = None,
) -> dict[str, Any]:
    """Publish one command about opinion `id_`, said at `at` (now without), under the Idempotency-Key `key`
    (a fresh one without); the receipt, once the broker has it.

    Raises 409 where something else is known to have been said under the key, and 503, with the key, where
    the broker did not confirm. Where what was said is not known any more, it is part of the event's id, so
    that the router decides on it too.
    """
    key = key or ids.fresh()
    digest = intake.door.digest(said) + (f"@{at.isoformat()}" if at is not None else "")
    name = ids.derived("command", source, id_, type_, key)
    if intake.commands.get(name) not in (None, digest):
        raise conflict("Something else was said of this opinion under this Idempotency-Key")
    is_first = intake.commands.remember(name, digest)
    now = datetime.now(UTC)
    event = Event(
        id=event_id or ids.derived("command", RESIDENT.id, id_, type_, key, digest),
        source=source,
        type=type_,
        subject=id_,
        time=at or now,
        recordedtime=now,
        data=said,
        traceparent=child(traceparent),
    )
    try:
        await intake.publisher.publish([to_record(event, topics.INBOUND, id_)], intake.deadline_s)
    except (NotConfirmed, Overloaded) as error:
        if is_first and (isinstance(error, Overloaded) or error.unsent):
            intake.commands.forget(name)
        raise ProblemError(
            503,
            "not_confirmed",
            "It could not be confirmed in time",
            f"Send it again in {RETRY_AFTER_S} seconds with the Idempotency-Key given here: it counts once.",
            headers={**retry_after(RETRY_AFTER_S), "Idempotency-Key": key},
            idempotency_key=key,
        ) from None
    return {"id": id_, "command_id": event.id, "status_url": intake.status_url(id_)}
