"""`/s/{station}`: the page behind a station's QR code 选民有话说. It works without a script; with one it
keeps a draft, and sends it once when the line is back."""

import math
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids
from lianxin_contracts.registry import Snapshot, Station, Topic
from lianxin_intake.context import Intake, json_response
from lianxin_intake.door import Prepared
from lianxin_intake.ground import drawing, grids_around
from lianxin_intake.opening import address_of
from lianxin_intake.pages.forms import key_of, read_form, require_own_page
from lianxin_intake.pages.rendering import (
    Look,
    PageRoute,
    fault_text,
    look_of,
    message,
    page,
    wants_json,
)
from lianxin_intake.pages.tokens import PageTokens
from lianxin_intake.rates import retry_after
from lianxin_intake.rights import Caller, city_of

# The field that people don't see and simple robots fill in.
HONEYPOT = "website"
_PLAIN = ("text", "topic", "address", "grid")
_CONTACT = ("name", "phone", "email")
# Beside these the resident's own words are kept in the page that is shown again.
_RETRIED = {
    "page_expired",
    "idempotency_conflict",
    "not_confirmed",
    "too_many_requests",
    "registry_not_loaded",
}


def station_page_routes(intake: Intake, secret: bytes) -> APIRouter:
    """The station's page and the door behind it."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    tokens = PageTokens(secret)

    @routes.get("/s/{station}")
    async def show(request: Request) -> Response:
        """The page, empty."""
        city = city_of(intake.registry)
        return _form(request, tokens, city, station_of(request, city), {}, ids.fresh())

    @routes.post("/s/{station}")
    async def send(request: Request) -> Response:
        """Take in what the page sends: 303 to the page that follows it, or 202 for our script."""
        city = city_of(intake.registry)
        station = station_of(request, city)
        require_own_page(request, intake.public_url)
        fields = await read_form(request)
        try:
            prepared = await _take_in(intake, tokens, city, station, fields, request)
        except ProblemError as error:
            return _refused(request, tokens, city, station, fields, error)
        address = _receipt(request, station, prepared)
        if wants_json(request):
            return json_response(202, {"tracking_code": prepared.code, "page": address})
        return RedirectResponse(address, 303, {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"})

    return routes


async def _take_in(
    intake: Intake,
    tokens: PageTokens,
    city: Snapshot,
    station: Station,
    fields: dict[str, str],
    request: Request,
) -> Prepared:
    """Hand in what the form's `fields` say. Raises what the door raises, 403 for an old page, 422 for a form
    that no page of ours makes, 429 above the address's limit."""
    if not tokens.accepts(fields.get("token", ""), station.id):
        raise ProblemError(
            403,
            "page_expired",
            "This page was opened too long ago",
            "Send it again with the page_token given here.",
            page_token=tokens.of(station.id),
        )
    key = key_of(fields)
    if key is None or HONEYPOT in fields:
        raise ProblemError(
            422,
            "not_a_page",
            "This form was not filled in by a person",
            f"Leave {HONEYPOT} empty and send a UUID as key; programs use POST /v1/opinions with a key.",
        )
    if wait := intake.page_posts.take(address_of(request)):
        raise ProblemError(
            429,
            "too_many_requests",
            "Too many opinions come from this address at once",
            "Wait as long as Retry-After says; what was typed stays.",
            headers=retry_after(wait),
        )
    raw = msgspec.json.encode(body_of(fields, station.id, look_of(request).language))
    prepared = intake.door.prepare(
        raw, page_caller(city), city, key=key, traceparent=request.headers.get("traceparent")
    )
    (refused,) = await intake.door.hand_in([prepared])
    if refused is not None:
        raise refused
    return prepared


def _receipt(request: Request, station: Station, prepared: Prepared) -> str:
    """Where the sender is led: to the page that follows it, at a kiosk to the slip, which leads back."""
    look = look_of(request)
    if look.kiosk:
        return look.address(f"/t/{prepared.code}/slip", id=prepared.id, station=station.id)
    return look.address(f"/t/{prepared.code}", id=prepared.id)


def page_caller(city: Snapshot) -> Caller:
    """Who speaks by a page: the channel of kind `page`; needs no key. Raises 503 where the city has none."""
    channels = sorted((c for c in city.channels.values() if c.kind == "page"), key=lambda c: c.id)
    if not channels:
        raise ProblemError(
            503,
            "no_page_channel",
            "This city takes no opinions by page yet",
            "Its registry needs a channel of kind 'page'.",
            headers=retry_after(60),
        )
    return Caller(channels[0], frozenset({"submit"}), f"page:{channels[0].id}")


def body_of(fields: dict[str, str], station: str, language: str) -> dict[str, Any]:
    """The body of an opinion, as `POST /v1/opinions` takes it, that a form's `fields` say."""
    body: dict[str, Any] = {name: fields[name] for name in _PLAIN if name in fields}
    body |= {"station": station, "language": language}
    contact = {name: fields[name] for name in _CONTACT if name in fields}
    if contact:
        body["contact"] = contact
    point = point_of(fields)
    if point is not None:
        body["location"] = point
    return body


def point_of(fields: dict[str, str]) -> dict[str, float] | None:
    """What the phone's positioning gave, degrees of WGS-84; a value that is no number is left out: the words
    and the station still say where."""
    try:
        lat, lon = float(fields["lat"]), float(fields["lon"])
    except (KeyError, ValueError):
        return None
    return {"lat": lat, "lon": lon} if math.isfinite(lat) and math.isfinite(lon) else None


def station_of(request: Request, city: Snapshot) -> Station:
    """The station that the address names. Raises 404 for one that the city doesn't have."""
    station = city.stations.get(str(request.path_params["station"]))
    if station is None:
        raise ProblemError(404, "no_station", "There is no such station", "See GET /v1/stations.")
    return station


def _refused(
    request: Request,
    tokens: PageTokens,
    city: Snapshot,
    station: Station,
    fields: dict[str, str],
    error: ProblemError,
) -> Response:
    """The page again with everything that was typed, and what is wrong with it."""
    if wants_json(request) or (error.status != 422 and error.code not in _RETRIED):
        raise error
    # What was refused under a key was not taken in; what was not confirmed keeps its key, to count once.
    key = ids.fresh() if error.code == "idempotency_conflict" else key_of(fields) or ids.fresh()
    return _form(request, tokens, city, station, fields, key, error)


def _form(
    request: Request,
    tokens: PageTokens,
    city: Snapshot,
    station: Station,
    fields: dict[str, str],
    key: str,
    error: ProblemError | None = None,
) -> Response:
    look = look_of(request)
    wrong = mistakes(error, look) if error is not None else {}
    around = grids_around(city, station)
    return page(
        "station.html",
        request,
        status=error.status if error is not None else 200,
        headers=dict(error.headers or {}) if error is not None else None,
        referrer="same-origin",
        city=city.city.name,
        station=station,
        token=tokens.of(station.id),
        key=key,
        given=fields,
        topics=topic_groups(city, look),
        mistakes=wrong,
        around=around,
        drawn=drawing(around[:1]) is not None,
        home=look.home(station.id),
        # What is wrong must not lie folded away.
        unfolded=bool(wrong.keys() & {"topic", "contact", *_CONTACT}),
        message=message(error, look.language) if error is not None else None,
    )


def topic_groups(city: Snapshot, look: Look) -> list[tuple[str, list[tuple[str, str]]]]:
    """The topics to choose from: name of the first level, then (code, name) of the second."""

    def name(topic: Topic) -> str:
        return topic.name_en if look.language == "en" else topic.name

    ordered = [topic for _, topic in sorted(city.topics.items())]
    return [
        (name(first), [(topic.id, name(topic)) for topic in ordered if topic.parent == first.id])
        for first in ordered
        if first.parent is None
    ]


def mistakes(error: ProblemError, look: Look) -> dict[str, str]:
    """What is wrong, by field, in the resident's words."""
    found: dict[str, str] = {}
    for fault in error.extra.get("errors", ()):
        field = str(fault["field"]).removeprefix("contact.")
        found.setdefault(field, fault_text(fault["code"], look.language))
    return found
