"""`/t/{code}`: what became of an opinion, for whoever holds its tracking code; and what may be said about it:
a rating, a withdrawal, an erasure."""

from datetime import UTC, datetime
from typing import Literal

from fastapi import APIRouter
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids, inbound
from lianxin_intake.attachments import upload_of
from lianxin_intake.context import Intake
from lianxin_intake.door import invalid
from lianxin_intake.following import read_tracked, told_when_unreadable
from lianxin_intake.identity import is_opinion_id
from lianxin_intake.pages.forms import key_of, read_form
from lianxin_intake.pages.rendering import PageRoute, look_of, page
from lianxin_intake.pages.standing import standing
from lianxin_intake.projection import photos_of
from lianxin_intake.residents import RatingBody, rating_faults
from lianxin_intake.saying import RESIDENT, say
from lianxin_intake.tracking import normalised

Said = Literal["rating", "withdrawal", "erasure"]


def tracking_page_routes(intake: Intake) -> APIRouter:
    """The page that follows an opinion, and the forms on it."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)

    @routes.get("/t")
    async def ask(request: Request) -> Response:
        """Where a code can be typed in; with `?code=`, on to its page."""
        code = request.query_params.get("code", "").strip()
        plain = normalised(code) if code else None
        if plain is not None:
            return _to(request, plain)
        return page("code.html", request, status=422 if code else 200, given=code)

    @routes.get("/t/{code}")
    async def follow(request: Request) -> Response:
        """Where the opinion stands, newest first."""
        code = code_of(request)
        id_ = await opened_by(intake, request, code)
        if id_ is None:
            return page("unknown.html", request, status=404, code=shown(code))
        intake.opening.require_use(id_, "read")
        with told_when_unreadable():
            tracked, words = await read_tracked(intake, id_)
            uploads = {upload for photo in photos_of(tracked) if (upload := upload_of(photo)) is not None}
            there = await intake.photos.store.there(uploads) if uploads else set()
        return page(
            "tracking.html",
            request,
            code=shown(code),
            standing=standing(
                tracked,
                words,
                look_of(request).language,
                intake.registry.current,
                datetime.now(UTC),
                there,
            ),
            said=request.query_params.get("said", ""),
            judged=request.query_params.get("judged", ""),
            key=ids.fresh(),
            slip=look_of(request).address(f"/t/{shown(code)}/slip", id=id_),
        )

    @routes.post("/t/{code}/rating")
    async def rate(request: Request) -> Response:
        """Judge the answer; dissatisfied reopens."""
        fields = await read_form(request)
        body = RatingBody(score=fields.get("score", ""), comment=fields.get("comment"))
        if found := rating_faults(body):
            raise invalid(found)
        said = inbound.Rated(actor=RESIDENT, score=body.score, comment=body.comment)  # type: ignore[arg-type]
        judged = {"judged": fields["answers"]} if fields.get("answers", "").isdecimal() else {}
        return await _said(intake, request, fields, "opinion.rated", said, "rating", **judged)

    @routes.post("/t/{code}/withdrawal")
    async def withdraw(request: Request) -> Response:
        """Take the opinion back."""
        said = inbound.Withdrawn(actor=RESIDENT)
        return await _said(
            intake, request, _sure(await read_form(request)), "opinion.withdrawn", said, "withdrawal"
        )

    @routes.post("/t/{code}/erasure")
    async def erase(request: Request) -> Response:
        """Have every word and contact deleted."""
        said = inbound.ErasureRequested(actor=RESIDENT)
        fields = _sure(await read_form(request))
        return await _said(intake, request, fields, "opinion.erasure_requested", said, "erasure")

    return routes


def shown(plain: str) -> str:
    """A normalised code, grouped for reading aloud."""
    return f"{plain[:4]}-{plain[4:8]}-{plain[8:]}"


def code_of(request: Request) -> str:
    """The code in the address, normalised. Raises 404 for what is no code."""
    plain = normalised(str(request.path_params["code"]))
    if plain is None:
        raise ProblemError(
            404,
            "no_code",
            "This is no tracking code",
            "A code has 13 letters and digits, such as 7QK2-M4XW-9PZ3H; one of them is wrong.",
        )
    return plain


async def opened_by(intake: Intake, request: Request, code: str) -> str | None:
    """The opinion that `code` opens, None where none is known (yet). An address with `?id=`, as the receipt's
    has it, needs no database to be sure. Raises 429 for an address that guessed too often."""
    intake.opening.require_guesses(request)
    named = request.query_params.get("id", "")
    if is_opinion_id(named) and intake.door.codes.opens(code, named):
        return named
    with told_when_unreadable():
        found = await (await intake.tracking.store()).id_of_code(code)
    if found is None:
        intake.opening.guessed_wrong(request)
    return found


async def _said(
    intake: Intake,
    request: Request,
    fields: dict[str, str],
    type_: str,
    said: Struct,
    what: Said,
    **more: str,
) -> Response:
    """Publish it and go back to the page, whose address says `what` was said, and `more`. Raises 404 for a
    code that opens nothing, 422 without a key."""
    code = code_of(request)
    id_ = await opened_by(intake, request, code)
    if id_ is None:
        raise ProblemError(404, "unknown_code", "No opinion is known under this code", "Check the code.")
    key = key_of(fields)
    if key is None:
        raise ProblemError(422, "not_a_page", "This form is not ours", "Send a UUID as key.")
    intake.opening.require_use(id_, "command")
    await say(intake, id_, type_, said, key=key, traceparent=request.headers.get("traceparent"))
    return _to(request, code, id=id_, said=what, **more)


def _sure(fields: dict[str, str]) -> dict[str, str]:
    """`fields`, where the box that says "I am sure" is ticked. Raises 422."""
    if fields.get("sure") != "yes":
        raise ProblemError(422, "not_sure", "The box is not ticked", "Send sure=yes.")
    return fields


def _to(request: Request, code: str, **more: str) -> Response:
    address = look_of(request).address(f"/t/{shown(code)}", **more)
    return RedirectResponse(address, 303, {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"})
