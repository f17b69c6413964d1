"""What deputies and staff do, and what became of it."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Outage, outage
from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids
from lianxin_contracts.inbound import Actor
from lianxin_contracts.registry import Snapshot
from lianxin_notifier.actions import MAX_BODY, ActionRequest, command, parse, record_of
from lianxin_notifier.context import Notifier, json_response, uuid_of
from lianxin_notifier.documentation import ACT, ACT_BODY, COMMAND
from lianxin_notifier.inbox import Opinion
from lianxin_notifier.people import person_of
from lianxin_notifier.rights import Caller, acting, city_of

log = get_logger(__name__)


def action_routes(notifier: Notifier) -> APIRouter:
    """`POST /v1/cases/{id}/actions` (scope act) and `GET /v1/commands/{id}` (scope act or read)."""
    router = APIRouter(tags=["actions"])

    @router.post(
        "/v1/cases/{case}/actions",
        status_code=202,
        summary="Act on a case",
        openapi_extra=ACT_BODY,
        responses=ACT,
    )
    async def act(case: str, request: Request) -> Response:
        """202 with `command_id` once the broker has acknowledged the command. What became of it:
        `GET /v1/commands/{command_id}`. With an `Idempotency-Key` a repeat is recognised."""
        caller = await notifier.caller(request, "act", writing=True)
        body = await json_body(request)
        asked = parse(body)
        opinion = uuid_of(case, "case")
        _require_right_to_date(caller, asked)
        actor = acting(caller, asked.as_, city_of(notifier.registry))
        if caller.person is not None:
            await require_seat_if_known(notifier, opinion, actor)
        given = request.headers.get("idempotency-key")
        command_id = await give(
            notifier, caller, opinion, asked, actor, given or ids.fresh(), body if given is not None else None
        )
        return json_response(202, {"command_id": command_id})

    @router.get("/v1/commands/{command_id}", summary="What became of an action", responses=COMMAND)
    async def what_became(command_id: str, request: Request) -> Response:
        """`pending` until the router has decided; a command that nobody gave stays so."""
        await notifier.caller(request, "act", "read")
        store = await notifier.live.get()
        result = await store.command(uuid_of(command_id, "command"))
        if result is None:
            return json_response(200, {"status": "pending"})
        code = {"code": result.code} if result.code is not None else {}
        return json_response(200, {"status": result.status, **code})

    return router


async def give(
    notifier: Notifier,
    caller: Caller,
    case: str,
    asked: ActionRequest,
    actor: Actor,
    key: str,
    body: bytes | None = None,
) -> str:
    """Publish what `actor` asks for on `case` under idempotency key `key`, and return the command's id. With
    `body` another one under the same key is a conflict (409). Raises 503 where it was not confirmed, 403 for
    an erasure by anybody but an administrator."""
    require_role(notifier, asked, actor)
    event = command(case, asked, actor, key, datetime.now(UTC))
    if body is not None:
        await notifier.keys.claim(event.id, body)
    try:
        await notifier.publisher.publish([record_of(event)], notifier.publish_deadline_s)
    except Outage as error:
        log.warning("an action was not confirmed", error=type(error).__name__)
        raise ProblemError(
            503,
            "not_confirmed",
            "The action was not confirmed",
            "Send it again with the Idempotency-Key of this answer: then it is heeded once.",
            headers={"Retry-After": "2", "Idempotency-Key": key},
            idempotency_key=key,
        ) from error
    # Ids and codes only: who acted by which key or session, for whom, on what.
    log.info(
        "acted",
        channel=caller.channel,
        session=caller.session,
        actor=actor.id,
        action=asked.action,
        command=event.id,
    )
    return event.id


def require_role(notifier: Notifier, asked: ActionRequest, actor: Actor) -> None:
    """Raises 403 for an erasure by anybody but an administrator: it can't be taken back. All else the router
    judges."""
    if asked.action != "erase":
        return
    person = person_of(actor.id, city_of(notifier.registry))
    if person is None or not person.may("administrator"):
        raise ProblemError(403, "role_missing", "This is for administrators")


async def require_seat_if_known(notifier: Notifier, case: str, actor: Actor) -> None:
    """Raises 404 or 403 for a case that is not in this person's inbox. Where the database is away the router
    alone judges, which does so anyway."""
    try:
        store = await notifier.live.get()
        opinion = (await store.opinions([case])).get(case)
    except Exception as error:
        if outage(error) is None:
            raise
        log.warning("a seat is not checked", error=type(error).__name__)
        return
    if opinion is None:
        raise ProblemError(404, "case_unknown", "There is no such case")
    require_seat(opinion, actor, city_of(notifier.registry))


def require_seat(opinion: Opinion, actor: Actor, city: Snapshot) -> None:
    """Raises 403 for somebody who neither has the case in the inbox nor is of the office, which sees every
    case, or of the station at which it came in."""
    seat = opinion.seats.get(actor.id)
    if seat is not None and seat.state != "left":
        return
    person = person_of(actor.id, city)
    if person is None or not person.looks_into(opinion.station):
        raise ProblemError(403, "not_your_case", "This case is not in the inbox of this person")


async def json_body(request: Request) -> bytes:
    """The body, read no further than it may be long. Raises 415 or 413."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise ProblemError(415, "unsupported_media_type", "Send application/json")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise ProblemError(413, "too_large", "The body is too large", f"At most {MAX_BODY} bytes.")
    return bytes(body)


def _require_right_to_date(caller: Caller, asked: ActionRequest) -> None:
    if asked.occurred_at is not None and not caller.may("backdate"):
        raise ProblemError(
            403, "backdate_not_allowed", "This key may not date back", "Leave out occurred_at."
        )
