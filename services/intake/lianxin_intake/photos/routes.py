"""`POST /v1/attachments`: a photo in. `GET /v1/attachments/{id}`: a photo out, for who may see it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.problems import ProblemError, problem
from lianxin_contracts import links
from lianxin_intake.attachments import upload_of
from lianxin_intake.context import Intake, RawRoute, json_response
from lianxin_intake.opening import address_of
from lianxin_intake.pages.forms import require_own_page
from lianxin_intake.pages.rendering import problem_page
from lianxin_intake.pages.station import page_caller
from lianxin_intake.pages.tokens import PageTokens, page_expired
from lianxin_intake.photos.bodies import read_image
from lianxin_intake.photos.desk import bad_image, told_when_away
from lianxin_intake.photos.documentation import SHOW, UPLOAD
from lianxin_intake.photos.images import BadImage
from lianxin_intake.photos.store import Kept
from lianxin_intake.rates import retry_after
from lianxin_intake.reading import headers_of, idempotency_key
from lianxin_intake.rights import caller_of, city_of

PAGE_TOKEN = "lianxin-page-token"
PERMIT = "lianxin-upload-permit"
# Evidence belongs to this channel, whoever uploads it: what the notifier calls its own pages.
WORKBENCH = "workbench"
# What a browser may send us from the workbench's pages, and for how long it need not ask again, seconds.
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": f"Content-Type, Idempotency-Key, {PERMIT}",
    "Access-Control-Max-Age": "600",
}
# Whatever a browser thinks it is: shown as an image alone, never run, never kept.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Content-Disposition": 'inline; filename="photo.jpg"',
    "Cache-Control": "private, no-store",
    "Referrer-Policy": "no-referrer",
    "Vary": "Authorization",
}


def photo_routes(intake: Intake, secret: bytes) -> APIRouter:
    """The routes of photos."""
    routes = APIRouter(route_class=RawRoute, tags=["attachments"])
    tokens = PageTokens(secret)

    @routes.post("/v1/attachments", status_code=201, openapi_extra=UPLOAD)
    async def upload(request: Request) -> Response:
        """Hand in one photo, to be named by an opinion (`attachments`) or as a deputy's evidence.

        Send the image itself, or a form with one file. It is checked, turned upright, made smaller where it
        is larger than 2,048 pixels and drawn anew: no position, no camera, nothing but the picture is kept.
        Needs a key with the scope `submit` or `act`; from the workbench a permit of the notifier
        (`Lianxin-Upload-Permit`). What no opinion names within a day is dropped.
        """
        if PERMIT in request.headers:
            return await _evidence(intake, request)
        if PAGE_TOKEN not in request.headers:
            return await _upload(intake, request, _keyed(intake, request))
        try:
            return await _upload(intake, request, _paged(intake, tokens, request))
        except ProblemError as error:
            return problem_page(request, error)  # in the resident's words

    @routes.options("/v1/attachments", include_in_schema=False)
    async def may_upload(request: Request) -> Response:
        """A browser asks whether a page of the workbench, which is another origin, may upload here."""
        allowed = _cross_origin(intake, request)
        return Response(status_code=204, headers={**allowed, **_PREFLIGHT} if allowed else {"Vary": "Origin"})

    @routes.get("/v1/attachments/{attachment}", openapi_extra=SHOW)
    async def show(request: Request) -> Response:
        """A photo as JPEG, or with `?size=thumb` a small one. For who may see it: with the tracking code of
        its opinion (`?code=`), the key of the channel that sent it or its opinion, or a link that the
        deputies' workbench made (`?until=&sig=`)."""
        attachment = str(request.path_params["attachment"])
        id_ = upload_of(attachment)
        linked = _linked(intake, request, attachment)
        with told_when_away():
            kept = await intake.photos.store.find(id_) if id_ is not None else None
            allowed = linked or await _may_see(intake, request, kept)
            if kept is None or not allowed:
                raise _not_found()
            if request.query_params.get("size") == "thumb":
                content = await intake.photos.store.thumb(kept.upload)
            else:
                content = await intake.photos.store.full(kept)
        if content is None:
            raise _not_found()
        # The workbench is another origin; its link says all that there is to say.
        policy = {"Cross-Origin-Resource-Policy": "cross-origin" if linked else "same-origin"}
        return Response(content, media_type="image/jpeg", headers=_HEADERS | policy)

    return routes


async def _upload(intake: Intake, request: Request, sender: tuple[str, str]) -> Response:
    """Take in what `request` brings. `sender`: the channel, and what its limit goes by."""
    channel, limited_by = sender
    key = idempotency_key(headers_of(request))
    if wait := intake.photo_rates.take(limited_by):
        raise ProblemError(
            429,
            "too_many_requests",
            "Too many photos come at once",
            "Wait as long as Retry-After says.",
            headers=retry_after(wait),
        )
    with intake.photos.place():
        raw = await read_image(request)
        try:
            taken = await intake.photos.take(raw, channel, key)
        except BadImage as error:
            raise bad_image(error) from None
    address = f"/v1/attachments/{taken.id}"
    return json_response(
        201, {"id": taken.id, "width": taken.width, "height": taken.height}, {"Location": address}
    )


async def _evidence(intake: Intake, request: Request) -> Response:
    """Take in a deputy's photo. Problems too are for the page's script, so they carry the same permission."""
    allowed = _cross_origin(intake, request)
    try:
        response = await _upload(intake, request, _permitted(intake, request))
    except ProblemError as error:
        response = problem(
            error.status,
            error.code,
            error.title,
            error.detail,
            headers={"Cache-Control": "no-store", **(error.headers or {})},
            **error.extra,
        )
    response.headers.update({"Vary": "Origin", **allowed})
    return response


def _permitted(intake: Intake, request: Request) -> tuple[str, str]:
    """The channel of whoever holds a permit of the notifier's. Raises 403 for one that is not good."""
    secret = intake.photos.links
    holder = links.permitted(secret, request.headers[PERMIT], datetime.now(UTC)) if secret else None
    if holder is None:
        raise ProblemError(
            403,
            "permit_expired",
            "This permit does not allow an upload",
            "Ask the workbench for another one and send the photo again.",
        )
    return WORKBENCH, f"permit:{holder}"


def _cross_origin(intake: Intake, request: Request) -> Mapping[str, str]:
    """What lets a page of the workbench, and no other site's, read our answer."""
    origin, workbench = request.headers.get("origin"), urlsplit(intake.workbench_url)
    if not intake.workbench_url or origin != f"{workbench.scheme}://{workbench.netloc}":
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "Retry-After",
        "Vary": "Origin",
    }


def _keyed(intake: Intake, request: Request) -> tuple[str, str]:
    """The channel of a key that may hand in photos. Raises 401, 403 or 503."""
    caller = caller_of(request.headers.get("authorization"), intake.registry, city_of(intake.registry))
    if not (caller.may("submit") or caller.may("act")):
        raise ProblemError(
            403,
            "scope_missing",
            "This key may not do that",
            "It needs the scope 'submit' or 'act'. Ask the operator for a key that has it.",
        )
    return caller.channel.id, caller.key


def _paged(intake: Intake, tokens: PageTokens, request: Request) -> tuple[str, str]:
    """The channel of a station's page that carries a token. Raises 403 for another page, 404 or 503."""
    city = city_of(intake.registry)
    require_own_page(request, intake.public_url)
    station = request.query_params.get("station", "")
    if station not in city.stations:
        raise ProblemError(404, "no_station", "There is no such station", "See GET /v1/stations.")
    if not tokens.accepts(request.headers[PAGE_TOKEN], station):
        raise page_expired(tokens.of(station))
    return page_caller(city).channel.id, f"page:{address_of(request)}"


def _linked(intake: Intake, request: Request, attachment: str) -> bool:
    """Whether a link's signature opens it. Raises 403 for one that does not, or no more."""
    query = request.query_params
    if "sig" not in query:
        return False
    until, links_secret = query.get("until", ""), intake.photos.links
    good = (
        bool(links_secret)
        and until.isascii()
        and until.isdigit()
        and len(until) <= 11
        and links.opens(links_secret, attachment, int(until), query["sig"], datetime.now(UTC))
    )
    if not good:
        raise ProblemError(
            403, "link_expired", "This link does not open the photo", "Load the page anew that has the link."
        )
    return True


async def _may_see(intake: Intake, request: Request, kept: Kept | None) -> bool:
    """Whether a tracking code or a key opens it. Raises 401 without either, 403 for a code that opens
    nothing, 429 above the limits of codes."""
    code = request.query_params.get("code")
    if code is not None:
        opinion = await _opinion(intake, request, code)
        return kept is not None and opinion in kept.opinions
    city = city_of(intake.registry)
    channel = caller_of(request.headers.get("authorization"), intake.registry, city).channel.id
    if kept is None or kept.channel == channel:
        return kept is not None
    tracked = await (await intake.tracking.store()).load(kept.opinions)
    return any(one.channel == channel for one in tracked.values())


async def _opinion(intake: Intake, request: Request, code: str) -> str:
    """The opinion that `code` opens."""
    intake.opening.require_guesses(request)
    opinion = await (await intake.tracking.store()).id_of_code(code)
    if opinion is None:
        intake.opening.guessed_wrong(request)
        raise ProblemError(
            403, "tracking_code_wrong", "No opinion is known under this code", "Check the code.", field="code"
        )
    # Beside the page's own limit: a page shows many photos.
    intake.opening.require_use(f"photos of {opinion}", "read")
    return opinion


def _not_found() -> ProblemError:
    return ProblemError(
        404, "not_found", "There is no such photo", "It may be another's, erased, or was never named."
    )
