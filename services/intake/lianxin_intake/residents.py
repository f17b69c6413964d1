"""What is said about an opinion after it was handed in: rating, withdrawal and erasure by whoever holds
the tracking code (no key suffices), support by a channel for somebody who shares the concern."""

import hmac
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from fastapi import APIRouter
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids, inbound
from lianxin_intake import opinion
from lianxin_intake.context import Intake, RawRoute, json_response
from lianxin_intake.documentation import spoken
from lianxin_intake.door import earlier_time_faults, invalid, unreadable
from lianxin_intake.identity import is_opinion_id
from lianxin_intake.opinion import Fault, Unreadable
from lianxin_intake.reading import JSON, headers_of, idempotency_key, read_body, require_type
from lianxin_intake.saying import RESIDENT, TRACKING_SOURCE, say

MAX_BYTES = 64 * 1024
MAX_COMMENT = 2_000  # characters
MAX_SUPPORTER = 200
SCORES = ("satisfied", "basically", "dissatisfied")
T = TypeVar("T", bound=Struct)


class RatingBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a rating. The score is checked by hand: a wrong one is the resident's mistake, not a
    type's. `occurred_at` is for whoever replays what was said earlier, and shows a key beside the code."""

    score: str = ""
    tracking_code: str = ""
    comment: str | None = None
    occurred_at: datetime | None = None


class CodeBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a withdrawal or an erasure."""

    tracking_code: str = ""


class SupportBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a support: the channel's own, stable name for the person. `occurred_at` as in a rating."""

    supporter: str = ""
    occurred_at: datetime | None = None


_RATING = msgspec.json.Decoder(RatingBody)
_CODE = msgspec.json.Decoder(CodeBody)
_SUPPORT = msgspec.json.Decoder(SupportBody)


def resident_routes(intake: Intake, secret: bytes) -> APIRouter:
    """The routes of whoever holds a tracking code, and the one for support."""
    routes = APIRouter(route_class=RawRoute, tags=["residents"])
    code = {"tracking_code": "7QK2-M4XW-9PZ3H"}

    @routes.post(
        "/v1/opinions/{opinion_id}/rating",
        status_code=202,
        openapi_extra=spoken({"score": "satisfied", "comment": "谢谢", **code}),
    )
    async def rate(request: Request) -> Response:
        """Judge the answer: satisfied 满意, basically 基本满意 or dissatisfied 不满意 (which reopens the
        case). Only who shows, beside the tracking code, a channel key with the scope 'backdate' may say when
        (`occurred_at`)."""
        id_ = opinion_of(request)
        body = await _read(request, _RATING, RatingBody)
        intake.opening.require(request, id_, body.tracking_code, "command")
        found = rating_faults(body)
        if body.occurred_at is not None:
            caller, _ = intake.submitter(headers_of(request))
            found += earlier_time_faults(body.occurred_at, caller, datetime.now(UTC))
        if found:
            raise invalid(found)
        said = inbound.Rated(actor=RESIDENT, score=body.score, comment=body.comment)  # type: ignore[arg-type]
        return await _say(intake, request, id_, "opinion.rated", said, at=body.occurred_at)

    @routes.post("/v1/opinions/{opinion_id}/withdrawal", status_code=202, openapi_extra=spoken(code))
    async def withdraw(request: Request) -> Response:
        """Take the opinion back: the case is closed, its words stay until they are erased."""
        id_ = await _opened_by_code(intake, request)
        return await _say(intake, request, id_, "opinion.withdrawn", inbound.Withdrawn(actor=RESIDENT))

    @routes.post("/v1/opinions/{opinion_id}/erasure", status_code=202, openapi_extra=spoken(code))
    async def erase(request: Request) -> Response:
        """Have every word and every contact of the opinion deleted, for good."""
        id_ = await _opened_by_code(intake, request)
        said = inbound.ErasureRequested(actor=RESIDENT)
        return await _say(intake, request, id_, "opinion.erasure_requested", said)

    @routes.post(
        "/v1/opinions/{opinion_id}/support",
        status_code=202,
        openapi_extra=spoken({"supporter": "user-4711"}, keyed=True),
    )
    async def support(request: Request) -> Response:
        """Say that somebody else has the same concern. `supporter` is the channel's own name for the
        person; it is hashed here, and counts once for each opinion. A key with the scope 'backdate' may say
        when (`occurred_at`)."""
        id_ = opinion_of(request)
        caller, _ = intake.submitter(headers_of(request))
        body = await _read(request, _SUPPORT, SupportBody)
        if not 1 <= len(body.supporter) <= MAX_SUPPORTER:
            raise invalid([Fault("supporter", "bad_supporter", f"Send 1 to {MAX_SUPPORTER} characters.")])
        at = body.occurred_at
        if at is not None and (found := earlier_time_faults(at, caller, datetime.now(UTC))):
            raise invalid(found)
        intake.require_rate(caller)
        channel = caller.channel.id
        who = hmac.digest(secret, f"supporter:{channel}:{body.supporter}".encode(), "sha256").hex()[:32]
        said = inbound.Supported(supporter=who, channel=channel)
        return await _say(
            intake,
            request,
            id_,
            "opinion.supported",
            said,
            source=f"/intake/{channel}",
            event_id=ids.derived("command", id_, "opinion.supported", who),
            at=at,
        )

    return routes


def opinion_of(request: Request) -> str:
    """The opinion that the path names. Raises 404 for what can't be one."""
    id_ = str(request.path_params["opinion_id"]).lower()
    if not is_opinion_id(id_):
        raise ProblemError(
            404, "not_found", "There is no such opinion", "The id in the address is not one of ours."
        )
    return id_


def rating_faults(body: RatingBody) -> list[Fault]:
    """What is wrong with a rating."""
    found = []
    if body.score not in SCORES:
        found.append(Fault("score", "unknown_score", f"Send one of {', '.join(SCORES)}."))
    if body.comment is not None and len(body.comment) > MAX_COMMENT:
        found.append(Fault("comment", "too_long", f"{len(body.comment)} characters; at most {MAX_COMMENT}."))
    elif body.comment is not None and opinion.has_control_characters(body.comment):
        found.append(Fault("comment", "control_character", "Remove control characters."))
    return found


async def _opened_by_code(intake: Intake, request: Request) -> str:
    id_ = opinion_of(request)
    body = await _read(request, _CODE, CodeBody)
    intake.opening.require(request, id_, body.tracking_code, "command")
    return id_


async def _read(request: Request, decoder: msgspec.json.Decoder[T], model: type[T]) -> T:
    headers = headers_of(request)
    require_type(headers, JSON)
    raw = await read_body(request, headers, MAX_BYTES)
    try:
        return opinion.decode(raw, decoder, tuple(field.name for field in msgspec.structs.fields(model)))
    except Unreadable as error:
        raise unreadable(error) from None


async def _say(
    intake: Intake,
    request: Request,
    id_: str,
    type_: str,
    said: Struct,
    *,
    source: str = TRACKING_SOURCE,
    event_id: str | None = None,
    at: datetime | None = None,
) -> Response:
    """As `say`, under the request's own Idempotency-Key; 202 when the broker has it."""
    headers = headers_of(request)
    receipt = await say(
        intake,
        id_,
        type_,
        said,
        key=idempotency_key(headers),
        traceparent=headers.get("traceparent"),
        source=source,
        event_id=event_id,
        at=at,
    )
    return json_response(202, receipt)
