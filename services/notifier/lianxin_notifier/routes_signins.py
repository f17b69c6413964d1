"""Sign-ins for administrators: who is signed in, ending it, and a link to hand to somebody."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids
from lianxin_notifier.context import Notifier, json_response
from lianxin_notifier.documentation import A_DEPUTY, LINK, REVOKED, SIGNINS
from lianxin_notifier.people import person_of
from lianxin_notifier.rights import city_of

log = get_logger(__name__)

Who = Annotated[
    str,
    Query(max_length=128, description="the id of a deputy or member of staff", openapi_examples=A_DEPUTY),
]


def signin_routes(notifier: Notifier) -> APIRouter:
    """`GET`, `POST` and `DELETE /v1/signins`: keys of scope staff, or an administrator who is signed in."""
    router = APIRouter(tags=["sign-ins"])

    @router.get("/v1/signins", summary="Sign-ins, newest first", responses=SIGNINS)
    async def known(
        request: Request,
        person: Annotated[str | None, Query(max_length=128, openapi_examples=A_DEPUTY)] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        await _by(notifier, request)
        found = await notifier.signins.sessions.known(person, limit)
        return json_response(200, {"items": found})

    @router.post("/v1/signins", status_code=201, summary="A link that signs somebody in", responses=LINK)
    async def hand_out(request: Request, person: Who) -> Response:
        """A link for this person, to be handed over by a way that is theirs alone; it works once."""
        who = await _by(notifier, request, writing=True)
        if person_of(person, city_of(notifier.registry)) is None:
            raise ProblemError(404, "deputy_unknown", "Nobody has this id")
        link = notifier.links.address(person, ids.fresh(), notifier.link_valid_s)
        log.info("a link was handed out", by=who, person=person)
        return json_response(201, {"link": link, "valid_s": int(notifier.link_valid_s)})

    @router.delete("/v1/signins", summary="End every sign-in of one person", responses=REVOKED)
    async def revoke_all(request: Request, person: Who) -> Response:
        who = await _by(notifier, request, writing=True)
        ended = await notifier.signins.sessions.revoke_all(person, datetime.now(UTC))
        log.info("sign-ins revoked", by=who, person=person, sessions=ended)
        return json_response(200, {"revoked": ended})

    @router.delete("/v1/signins/{session}", summary="End one sign-in", responses=REVOKED)
    async def revoke(session: str, request: Request) -> Response:
        who = await _by(notifier, request, writing=True)
        if not await notifier.signins.sessions.revoke(session, datetime.now(UTC)):
            raise ProblemError(404, "session_unknown", "No open sign-in has this id")
        log.info("a sign-in was revoked", by=who, session=session)
        return json_response(200, {"revoked": 1})

    return router


async def _by(notifier: Notifier, request: Request, *, writing: bool = False) -> str:
    """Who asks. Raises 401 or 403 for anybody but a key of scope staff and an administrator."""
    caller = await notifier.caller(request, "staff", writing=writing)
    if caller.person is not None and not caller.person.may("administrator"):
        raise ProblemError(403, "role_missing", "This is for administrators")
    return caller.name
