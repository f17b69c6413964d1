"""The calls of Open311 GeoReport v2, in XML and JSON."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids
from lianxin_contracts.registry import Scope, Snapshot
from lianxin_intake import opinion, visits
from lianxin_intake.context import Intake
from lianxin_intake.following import told_when_unreadable
from lianxin_intake.identity import is_opinion_id
from lianxin_intake.open311 import asking, catalogue, documentation, saying, showing
from lianxin_intake.open311.answers import Form, answer, form_of
from lianxin_intake.open311.serving import Elsewhere, Open311Route
from lianxin_intake.opening import address_of
from lianxin_intake.projection import Tracked
from lianxin_intake.rates import Buckets, retry_after
from lianxin_intake.reading import Headers, headers_of, idempotency_key, read_body, require_type
from lianxin_intake.rights import Caller, city_of
from lianxin_intake.sentences import Language, language_of
from lianxin_intake.store import Selection, TrackingStore

T = TypeVar("T")

FORM_URLENCODED = frozenset({"application/x-www-form-urlencoded"})
# Anonymous reads per second and address on this instance, and how many may come at once. A list of a thousand
# requests costs up to 85 ms of processor time (XML with extensions), one request next to nothing.
READS_PER_S, LISTS_PER_S = 10.0, 2.0
READS_BURST = 100.0
_VARIES = {"Vary": "Accept-Language"}


def open311_routes(intake: Intake) -> APIRouter:
    """All of `/open311`. What none of the calls takes is answered in Open311's own form too."""
    routes = APIRouter(route_class=Open311Route, tags=["open311"])
    _add_catalogue(routes, intake)
    _add_submission(routes, intake)
    _add_reading(routes, intake)
    elsewhere = Elsewhere(tuple(routes.routes))
    routes.routes.append(Route("/open311/{rest:path}", elsewhere, include_in_schema=False))
    return routes


def _add_catalogue(routes: APIRouter, intake: Intake) -> None:
    # Discovery is older than version 2 of the specification, and some look for it above.
    @routes.get("/open311/discovery.{form}", include_in_schema=False)
    @routes.get("/open311/v2/discovery.{form}", openapi_extra=documentation.DISCOVERY)
    async def discovery(request: Request) -> Response:
        """Where this API is, in which forms, and how to come by a key."""
        found = catalogue.discovery(city_of(intake.registry), intake.public_url)
        return answer(_form(request), "discovery", found)

    @routes.get("/open311/v2/services.{form}", openapi_extra=documentation.SERVICES)
    async def services(request: Request) -> Response:
        """The topics of the city as services; `group` is the topic of the first level."""
        form, city, language = _asked(intake, request)
        return answer(form, "services", catalogue.services(city, language), headers=_VARIES)

    @routes.get("/open311/v2/services/{service_code}.{form}", openapi_extra=documentation.DEFINITION)
    async def definition(request: Request) -> Response:
        """The attributes that a request of this service may have; none is required."""
        form, city, _ = _asked(intake, request)
        found = catalogue.service_definition(city, request.path_params["service_code"])
        return answer(form, "service_definition", found)


def _add_submission(routes: APIRouter, intake: Intake) -> None:
    @routes.post("/open311/v2/requests.{form}", openapi_extra=documentation.POST)
    async def submit(request: Request) -> Response:
        """Hand in one request. 200 means that it is durably stored, as 202 does of `POST /v1/opinions`.

        Sent again with the same Idempotency-Key or `attribute[external_id]` it is counted once.
        `media_url` is kept as a link and never fetched; `device_id` and `account_id` are not kept.
        """
        form = _form(request)
        headers = headers_of(request)
        key = idempotency_key(headers)
        arguments, caller, city = await _posted(intake, request, headers, "submit")
        raw = msgspec.json.encode(saying.body_of(arguments, city))
        prepared = intake.door.prepare(raw, caller, city, key=key, traceparent=headers.get("traceparent"))
        (refused,) = await intake.door.hand_in([prepared])
        if refused is not None:
            raise refused
        receipt = {
            "service_request_id": prepared.id,
            "service_notice": f"查询码 Tracking code: {prepared.code}",
            "account_id": None,
        }
        return answer(form, "service_requests", [receipt])

    @routes.post("/open311/v2/servicerequestupdates.{form}", openapi_extra=documentation.POST_UPDATE)
    async def update(request: Request) -> Response:
        """mySociety's extension: another system of the city, with a key of the scope `field`, tells what was
        seen or done on the spot. It becomes a visit (`visit.recorded`): where a request stands is for the
        deputy to say. The same `update_id` or Idempotency-Key again is counted once.
        """
        form = _form(request)
        headers = headers_of(request)
        arguments, caller, city = await _posted(intake, request, headers, visits.SCOPE)
        own = arguments.get("update_id")
        key = f"open311:{own}" if own is not None else idempotency_key(headers) or ids.fresh()
        raw = msgspec.json.encode(saying.update_of(arguments))
        visit = visits.prepare(intake, raw, caller, city, key=key, traceparent=headers.get("traceparent"))
        receipt = await visits.record(intake, visit)
        return answer(form, "service_request_updates", [{"update_id": receipt["command_id"]}])


async def _posted(
    intake: Intake, request: Request, headers: Headers, scope: Scope
) -> tuple[dict[str, str], Caller, Snapshot]:
    """The arguments of a POST, whose key has `scope`, and the city. Raises 400, 403, 404, 413, 415, 429 and
    503."""
    require_type(headers, FORM_URLENCODED)
    arguments = saying.read_form(await read_body(request, headers, opinion.MAX_BYTES))
    if "api_key" not in arguments:
        raise ProblemError(
            403, "no_key", "The api_key is missing", "Send a channel key as the argument api_key."
        )
    caller, city = intake.submitter({**headers, "authorization": f"Bearer {arguments['api_key']}"}, scope)
    catalogue.require_jurisdiction(
        city, arguments.get("jurisdiction_id") or request.query_params.get("jurisdiction_id")
    )
    intake.require_rate(caller)
    return arguments, caller, city


def _add_reading(routes: APIRouter, intake: Intake) -> None:
    reads, lists = Buckets(READS_PER_S, READS_BURST), Buckets(LISTS_PER_S, READS_BURST)

    @routes.get("/open311/v2/requests.{form}", openapi_extra=documentation.REQUESTS)
    async def requests(request: Request) -> Response:
        """Where requests stand: topic, street, stage, dates and rounded coordinates; words where a redacted
        version was released."""
        form, city, language = _asked(intake, request)
        query = request.query_params
        extended = asking.flag(query, "extensions")
        ids = asking.ids_asked(query)
        wanted = asking.selection(query, datetime.now(UTC))
        for code in wanted.topics:
            catalogue.require_service(city, code)
        _require_rate(lists, request)
        if ids:
            found = await _by_id(intake, ids)
            if not found:
                raise saying.unknown_request()
        else:
            found = await _read(intake, lambda store: store.submitted_within(wanted, timelines=extended))
        shown = await _shown(intake, found, language, city, extended=extended)
        return answer(form, "service_requests", shown, headers=_VARIES)

    @routes.get("/open311/v2/requests/{service_request_id}.{form}", openapi_extra=documentation.REQUEST)
    async def one_request(request: Request) -> Response:
        """Where one request stands, in a list of one."""
        form, city, language = _asked(intake, request)
        extended = asking.flag(request.query_params, "extensions")
        _require_rate(reads, request)
        found = await _by_id(intake, [request.path_params["service_request_id"].lower()])
        if not found:
            raise saying.unknown_request()
        shown = await _shown(intake, found, language, city, extended=extended)
        return answer(form, "service_requests", shown, headers=_VARIES)

    @routes.get("/open311/v2/tokens/{token}.{form}", openapi_extra=documentation.TOKEN)
    async def token(request: Request) -> Response:
        """Always 404: requests get their id at once, and no token is ever given out."""
        _asked(intake, request)
        raise ProblemError(
            404,
            "unknown_token",
            "The token was not found",
            "No tokens are given out here: POST requests answers with the service_request_id itself.",
        )

    @routes.get("/open311/v2/servicerequestupdates.{form}", openapi_extra=documentation.UPDATES)
    async def updates(request: Request) -> Response:
        """mySociety's extension: the changes of stage from start_date to end_date, by request in the order
        of its last change. Pages count requests."""
        form, _, language = _asked(intake, request)
        start, end = asking.span(request.query_params, datetime.now(UTC))
        page, size = asking.paging(request.query_params)
        wanted = Selection(start=start, end=end, skip=(page - 1) * size, limit=size)
        _require_rate(lists, request)
        found = await _read(intake, lambda store: store.changed_within(wanted))
        shown = [one for tracked in found for one in showing.updates(tracked, start, end, language)]
        return answer(form, "service_request_updates", shown, headers=_VARIES)


def _form(request: Request) -> Form:
    return form_of(request.path_params["form"])


def _asked(intake: Intake, request: Request) -> tuple[Form, Snapshot, Language]:
    """The form, the city and the language of a GET. Raises 404 for another form or city, 503 without one."""
    form, city = _form(request), city_of(intake.registry)
    catalogue.require_jurisdiction(city, request.query_params.get("jurisdiction_id"))
    return form, city, language_of(request.headers.get("accept-language"), "zh")


def _require_rate(bucket: Buckets, request: Request) -> None:
    wait = bucket.take(address_of(request))
    if wait:
        raise ProblemError(
            429,
            "too_many_requests",
            "This address asks too much at once",
            "Wait as long as Retry-After says, or ask for more with each call (page_size).",
            headers=retry_after(wait),
        )


async def _by_id(intake: Intake, ids: list[str]) -> list[Tracked]:
    """Those of `ids` that were handed in and are not erased, in that order; also one that was handed in here
    a moment ago and is not projected yet."""
    wanted = [id_ for id_ in ids if is_opinion_id(id_)]
    known = await _read(intake, lambda store: store.load(wanted)) if wanted else {}
    found = []
    for id_ in wanted:
        tracked = known.get(id_)
        if tracked is None and (remembered := intake.recent.get(id_)) is not None:
            tracked = Tracked(id=id_, sequence=0, opened=True, submitted_at=remembered.submitted_at)
        if tracked is not None and tracked.opened and not tracked.erased:
            found.append(tracked)
    return found


async def _shown(
    intake: Intake, found: list[Tracked], language: Language, city: Snapshot, *, extended: bool
) -> list[dict[str, Any]]:
    """`found` as anybody may see it, with what was released of its words. Raises 503 as `_read`."""
    released: dict[str, str] = {}
    if any(tracked.released_words is not None for tracked in found):
        released = await _read(intake, lambda store: store.released(found))
    return [
        showing.request(tracked, language, city, extended=extended, released=released.get(tracked.id))
        for tracked in found
    ]


async def _read(intake: Intake, question: Callable[[TrackingStore], Awaitable[T]]) -> T:
    """What the projection answers. Raises 503 while it can't be read."""
    with told_when_unreadable():
        return await question(await intake.tracking.store())
