"""What deputies and staff do, and what became of it."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from msgspec.structs import replace

from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Outage
from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids
from lianxin_contracts.envelope import OutRecord
from lianxin_notifier.actions import MAX_BODY, ActionRequest, command, parse, record_of
from lianxin_notifier.context import Notifier, json_response, uuid_of
from lianxin_notifier.rights import Caller, actor_of, city_of

log = get_logger(__name__)


def action_routes(notifier: Notifier) -> APIRouter:
    """`POST /v1/cases/{id}/actions` (scope act) and `GET /v1/commands/{id}` (scope act or read)."""
    router = APIRouter(tags=["actions"])

    @router.post(
        "/v1/cases/{case}/actions",
        status_code=202,
        summary="Act on a case",
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ActionRequest"}}},
            }
        },
    )
    async def act(case: str, request: Request) -> Response:
        """202 with `command_id` once the broker has acknowledged the command. What became of it:
        `GET /v1/commands/{command_id}`. With an `Idempotency-Key` a repeat is recognised."""
        caller = notifier.caller(request, "act")
        body = await _json_body(request)
        asked = parse(body)
        opinion = uuid_of(case, "case")
        _require_right_to_date(caller, asked)
        # On the log with all that follows from it: who really acted may be asked years later.
        actor = replace(actor_of(asked.as_, city_of(notifier.registry)), via=caller.channel)
        given = request.headers.get("idempotency-key")
        key = given or ids.fresh()
        event = command(opinion, asked, actor, key, datetime.now(UTC))
        if given is not None:
            await notifier.keys.claim(event.id, body)
        await _publish(notifier, record_of(event), key)
        # Ids and codes only: which key acted, for whom, on what.
        log.info("acted", channel=caller.channel, actor=actor.id, action=asked.action, command=event.id)
        return json_response(202, {"command_id": event.id})

    @router.get("/v1/commands/{command_id}", summary="What became of an action")
    async def what_became(command_id: str, request: Request) -> Response:
        """`pending` until the router has decided; a command that nobody gave stays so."""
        notifier.caller(request, "act", "read")
        store = await notifier.live.get()
        result = await store.command(uuid_of(command_id, "command"))
        if result is None:
            return json_response(200, {"status": "pending"})
        code = {"code": result.code} if result.code is not None else {}
        return json_response(200, {"status": result.status, **code})

    return router


async def _publish(notifier: Notifier, record: OutRecord, key: str) -> None:
    try:
        await notifier.publisher.publish([record], notifier.publish_deadline_s)
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


async def _json_body(request: Request) -> bytes:
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
