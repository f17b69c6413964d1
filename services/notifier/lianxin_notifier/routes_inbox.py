"""A deputy's inbox: the list, and the stream of what comes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import outage
from lianxin_chassis.problems import ProblemError
from lianxin_contracts.lifecycle import Stage
from lianxin_notifier.alerts import Numbered
from lianxin_notifier.context import Notifier, json_response
from lianxin_notifier.documentation import A_DEPUTY, INBOX, STREAM
from lianxin_notifier.rights import Caller, city_of, receiver_for

log = get_logger(__name__)

MOST_ITEMS = 500
# A new stream waits this long before it comes back after a break, ms; browsers honour it.
RETRY_MS = 1_000


class EventStream(EventSourceResponse):
    """Says its media type to the document too."""

    media_type = "text/event-stream"


def inbox_routes(notifier: Notifier) -> APIRouter:
    """`GET /v1/inbox` and `GET /v1/alerts/stream`. Keys of scope act or read."""
    router = APIRouter(tags=["inbox"])

    @router.get("/v1/inbox", summary="What waits in an inbox, newest first", responses=INBOX)
    async def inbox(
        request: Request,
        deputy: Annotated[str | None, Query(max_length=128, openapi_examples=A_DEPUTY)] = None,
        stage: Stage | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_ITEMS)] = 50,
        after: Annotated[str | None, Query(max_length=20, description="`next` of the page before")] = None,
    ) -> Response:
        caller = await notifier.caller(request, "act", "read")
        receiver = receiver_for(caller, deputy, city_of(notifier.registry))
        store = await notifier.live.get()
        items = await store.inbox(receiver, stage, _number(after, "after"), limit)
        more = str(items[-1].number) if len(items) == limit else None
        return json_response(200, {"items": items, "next": more})

    @router.get(
        "/v1/alerts/stream",
        summary="Alerts as they come, as server-sent events",
        response_class=EventStream,
        responses=STREAM,
    )
    async def stream(
        request: Request,
        deputy: Annotated[str | None, Query(max_length=128, openapi_examples=A_DEPUTY)] = None,
        last_event_id: Annotated[str | None, Query(max_length=20)] = None,
    ) -> Response:
        """Events of type `alert`; each one's id is its number in this inbox. A client that comes back with
        `Last-Event-ID` (the header, or the parameter `last_event_id`) gets what it has missed, each number
        once and in order; without it the stream begins with what comes next. `ready` says that it has begun,
        and after which number."""
        caller = await notifier.caller(request, "act", "read")
        receiver = receiver_for(caller, deputy, city_of(notifier.registry))
        asked = _number(request.headers.get("last-event-id") or last_event_id, "Last-Event-ID")
        newest = await notifier.ledger.last(receiver)
        last = newest if asked is None else min(asked, newest)

        async def events() -> AsyncIterator[ServerSentEvent]:
            ready = msgspec.json.encode({"after": last, "number": newest}).decode()
            yield ServerSentEvent(ready, event="ready", retry=RETRY_MS)
            async for alert in notifier.hub.follow(receiver, last):
                if not await _still_signed_in(notifier, caller):
                    return
                yield event_of(alert)

        return EventStream(
            events(),
            ping=notifier.heartbeat_s,
            headers={"Cache-Control": "no-store"},
        )

    return router


def event_of(alert: Numbered) -> ServerSentEvent:
    """One alert as it goes through the stream."""
    data = {
        "id": alert.opinion,
        "number": alert.number,
        "at": alert.at,
        "event": alert.entry.event,
        "stage": alert.entry.stage,
        "state": alert.entry.state,
        "topic": alert.entry.topic,
        "grid": alert.entry.grid,
        "assigned_at": alert.entry.assigned_at,
        "due": alert.entry.due,
    }
    return ServerSentEvent(msgspec.json.encode(data).decode(), event="alert", id=str(alert.number))


async def _still_signed_in(notifier: Notifier, caller: Caller) -> bool:
    """Whether whoever reads the stream by a sign-in may go on: a stream outlives the look at its cookie."""
    if caller.session is None:
        return True
    try:
        return await notifier.signins.sessions.holds(caller.session, datetime.now(UTC))
    except Exception as error:
        if outage(error) is None:
            raise
        # While the database is away nobody can revoke anything either.
        log.warning("a sign-in is not checked", error=type(error).__name__)
        return True


def _number(text: str | None, name: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise ProblemError(422, "invalid", "A field is missing or wrong", f"{name} must be a number.")
    return int(text)
