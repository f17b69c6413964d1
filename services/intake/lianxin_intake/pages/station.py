"""`/s/{station}`: the page behind a station's QR code 选民有话说. It works without a script; with one it
keeps a draft, and sends it once when the line is back."""

import hashlib
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
from lianxin_intake.door import Prepared, invalid
from lianxin_intake.ground import drawing, grids_around
from lianxin_intake.opening import address_of
from lianxin_intake.opinion import Fault
from lianxin_intake.pages.forms import is_multipart, key_of, read_form_with_files, require_own_page
from lianxin_intake.pages.rendering import (
    Look,
    PageRoute,
    fault_text,
    home,
    look_of,
    message,
    page,
    wants_json,
)
from lianxin_intake.pages.tokens import PageTokens, page_expired
from lianxin_intake.photos.desk import PhotoDesk
from lianxin_intake.photos.images import BadImage
from lianxin_intake.rates import retry_after
from lianxin_intake.rights import Caller, city_of

MAX_PHOTOS = 9
# A form with photos takes the room of so many: two are read at a time.
FORM_PLACES = 6
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
    "photos_busy",
    "photos_unavailable",
}


def station_page_routes(intake: Intake, secret: bytes) -> APIRouter:
    """The station's page and the door behind it."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    tokens, root = PageTokens(secret), intake.public_url

    @routes.get("/s/{station}")
    async def show(request: Request) -> Response:
        """The page, empty."""
        city = city_of(intake.registry)
        return _form(request, root, tokens, city, station_of(request, city), {}, ids.fresh())

    @routes.post("/s/{station}")
    async def send(request: Request) -> Response:
        """Take in what the page sends: 303 to the page that follows it, or 202 for our script."""
        city = city_of(intake.registry)
        station = station_of(request, city)
        require_own_page(request, intake.public_url)
        _require_post(intake, request)
        with intake.photos.place(FORM_PLACES if is_multipart(request) else 0):
            fields, files = await read_form_with_files(request)
            return await answer(request, city, station, fields, files)

    async def answer(
        request: Request, city: Snapshot, station: Station, fields: dict[str, str], files: list[bytes]
    ) -> Response:
        try:
            prepared = await _take_in(intake, tokens, city, station, fields, files, request)
        except ProblemError as error:
            return _refused(request, root, tokens, city, station, fields, error)
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
    files: list[bytes],
    request: Request,
) -> Prepared:
    """Hand in what the form's `fields` say, with its photos: those of `files` are kept first, and their ids
    put among the fields, so that no retry needs them again.

    Raises what the door raises, 403 for an old page, 422 for a form that no page of ours makes, 429 above the
    address's limit."""
    if not tokens.accepts(fields.get("token", ""), station.id):
        raise page_expired(tokens.of(station.id))
    key = key_of(fields)
    if key is None or HONEYPOT in fields:
        raise ProblemError(
            422,
            "not_a_page",
            "This form was not filled in by a person",
            f"Leave {HONEYPOT} empty and send a UUID as key; programs use POST /v1/opinions with a key.",
        )
    if wait := intake.page_posts.take(address_of(request)):
        raise _too_many_posts(wait)
    caller = page_caller(city)
    await _keep(intake.photos, fields, files, caller.channel.id, key)
    raw = msgspec.json.encode(body_of(fields, station.id, look_of(request).language))
    prepared = intake.door.prepare(raw, caller, city, key=key, traceparent=request.headers.get("traceparent"))
    (refused,) = await intake.door.hand_in([prepared])
    if refused is not None:
        raise refused
    return prepared


async def _keep(
    photos: PhotoDesk, fields: dict[str, str], files: list[bytes], channel: str, key: str
) -> None:
    """Keep the photos of a plain form. Raises 422 for one that can't be taken, 503 without the database."""
    if len(files) + len(fields.get("attachments", "").split()) > MAX_PHOTOS:
        raise invalid([Fault("photos", "too_many_photos", f"At most {MAX_PHOTOS} photos.")])
    for raw in files:
        # By its content: the same form sent again brings the same photos.
        name = f"{key}:{hashlib.sha256(raw).hexdigest()}"
        try:
            taken = await photos.take(raw, channel, name)
        except BadImage as error:
            raise invalid([Fault("photos", error.code, error.message)]) from None
        kept = fields.get("attachments", "").split()
        if taken.id not in kept:
            fields["attachments"] = " ".join([*kept, taken.id])


def _require_post(intake: Intake, request: Request) -> None:
    """Raises 429 for an address above its limit, before its photos are read."""
    if wait := intake.page_posts.empty_for(address_of(request)):
        raise _too_many_posts(wait)


def _too_many_posts(wait: float) -> ProblemError:
    return ProblemError(
        429,
        "too_many_requests",
        "Too many opinions come from this address at once",
        "Wait as long as Retry-After says; what was typed stays.",
        headers=retry_after(wait),
    )


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
    if "attachments" in fields:
        body["attachments"] = fields["attachments"].split()
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
    root: str,
    tokens: PageTokens,
    city: Snapshot,
    station: Station,
    fields: dict[str, str],
    error: ProblemError,
) -> Response:
    """The page again with everything that was typed, and what is wrong with it. `root`: where the pages are
    from outside."""
    if wants_json(request) or (error.status != 422 and error.code not in _RETRIED):
        raise error
    # What was refused under a key was not taken in; what was not confirmed keeps its key, to count once.
    key = ids.fresh() if error.code == "idempotency_conflict" else key_of(fields) or ids.fresh()
    return _form(request, root, tokens, city, station, fields, key, error)


def _form(
    request: Request,
    root: str,
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
        home=home(look, station.id),
        ask_at=f"{root.rstrip('/').partition('://')[2]}/t",
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
