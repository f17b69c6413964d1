"""What a station's page asks for beside itself: the map of its grids, the words that topics are known by,
similar opinions nearby; and "me too", which supports one of them. The page goes on without any of it."""

import hmac
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids, inbound
from lianxin_contracts.lifecycle import RoundedPlace
from lianxin_contracts.registry import Snapshot, Station
from lianxin_intake.context import Intake, json_response
from lianxin_intake.following import told_when_unreadable
from lianxin_intake.ground import drawing, grid_at, grids_around
from lianxin_intake.identity import is_opinion_id
from lianxin_intake.nearby import RECENT, SUPPORTABLE, Near, family, similar
from lianxin_intake.open311.showing import street_name
from lianxin_intake.opening import address_of
from lianxin_intake.pages.forms import key_of, read_form, require_own_page
from lianxin_intake.pages.rendering import Look, PageRoute, day, look_of, text
from lianxin_intake.pages.station import page_caller, point_of, station_of
from lianxin_intake.pages.tokens import PageTokens
from lianxin_intake.rates import Buckets, retry_after
from lianxin_intake.rights import city_of
from lianxin_intake.saying import say
from lianxin_intake.store import Selection

# Looks at what lies nearby, per second and address, and how many may come at once: visitors share one.
LOOKS_PER_S, LOOKS_BURST = 2.0, 60.0
# Of a street's opinions of alike topics, how many are looked through.
LOOKED_THROUGH = 60
# Of released words, characters.
BEGINNING = 120
_SHORT_LIVED = {"Cache-Control": "public, max-age=600"}


def beside_routes(intake: Intake, secret: bytes) -> APIRouter:
    """Everything below `/s/{station}/`."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    tokens = PageTokens(secret)
    looks = Buckets(LOOKS_PER_S, LOOKS_BURST)

    @routes.get("/s/{station}/map")
    async def map_(request: Request) -> Response:
        """The grids around the station, as `drawing`. 404 where none has an outline."""
        city = city_of(intake.registry)
        drawn = drawing(grids_around(city, station_of(request, city)))
        if drawn is None:
            raise ProblemError(404, "no_map", "No grid around this station has an outline", "Use words.")
        return json_response(200, drawn, _SHORT_LIVED)

    @routes.get("/s/{station}/topics")
    async def topics(request: Request) -> Response:
        """The topics with their names and the words that they are known by: the page looks for them itself,
        so that nothing leaves the phone before it is sent."""
        city = city_of(intake.registry)
        station_of(request, city)
        return json_response(200, {"topics": topic_words(city, look_of(request))}, _SHORT_LIVED)

    @routes.get("/s/{station}/nearby")
    async def nearby(request: Request) -> Response:
        """Up to three similar opinions: what each is, in one line, and the token to support it with."""
        city = city_of(intake.registry)
        station = station_of(request, city)
        if wait := looks.take(address_of(request)):
            raise ProblemError(
                429, "too_many_requests", "Asked too often", "Wait.", headers=retry_after(wait)
            )
        query = dict(request.query_params)
        topic, place = query.get("topic", ""), place_of(query)
        street = street_of(city, station, query.get("grid"), place)
        alike = family(city, topic)
        if street is None or not alike:
            return json_response(200, {"items": []})
        now = datetime.now(UTC)
        wanted = Selection(now - RECENT, now, LOOKED_THROUGH, topics=alike, stages=SUPPORTABLE)
        with told_when_unreadable():
            store = await intake.tracking.store()
            found = await store.submitted_in(street, wanted)
            chosen = similar(found, topic, place, city)
            ids_shown = {near.opinion for near in chosen}
            released = await store.released(one for one in found if one.id in ids_shown)
        look = look_of(request)
        items = [
            {
                "opinion": near.opinion,
                "token": tokens.of(_supporting(near.opinion)),
                "line": line(near, look, city),
                # Only what a person of the office has released.
                "words": beginning(released.get(near.opinion, "")),
            }
            for near in chosen
        ]
        return json_response(200, {"items": items})

    @routes.post("/s/{station}/support")
    async def support(request: Request) -> Response:
        """Say "me too" of an opinion that was shown nearby. `supporter` is a UUID made on the phone: only a
        hash of it is kept, another for each opinion, and it counts once."""
        city = city_of(intake.registry)
        station_of(request, city)
        require_own_page(request, intake.public_url)
        fields = await read_form(request)
        opinion, supporter = fields.get("opinion", ""), key_of({"key": fields.get("supporter", "")})
        shown_here = is_opinion_id(opinion) and tokens.accepts(fields.get("token", ""), _supporting(opinion))
        if supporter is None or not shown_here:
            raise ProblemError(
                422, "not_a_page", "This was not shown by a page of ours", "Look again at what is nearby."
            )
        if wait := intake.page_posts.take(address_of(request)):
            raise ProblemError(
                429,
                "too_many_requests",
                "Too much comes from this address",
                "Wait.",
                headers=retry_after(wait),
            )
        channel = page_caller(city).channel.id
        who = hmac.digest(secret, f"supporter:{channel}:{opinion}:{supporter}".encode(), "sha256").hex()[:32]
        event_id = ids.derived("command", opinion, "opinion.supported", who)
        await say(
            intake,
            opinion,
            "opinion.supported",
            inbound.Supported(supporter=who, channel=channel),
            key=event_id,
            source=f"/intake/{channel}",
            event_id=event_id,
            traceparent=request.headers.get("traceparent"),
        )
        return json_response(202, {"shown": text("me_too_done", look_of(request).language)})

    return routes


def topic_words(city: Snapshot, look: Look) -> list[list[Any]]:
    """[code, name, code of the first level or "", {weight: words separated by blanks}] for each topic."""
    rows: list[list[Any]] = []
    for code, topic in sorted(city.topics.items()):
        by_weight: dict[str, list[str]] = {}
        for word, weight in topic.words.items():
            by_weight.setdefault(f"{weight:g}", []).append(word)
        words = {weight: " ".join(found) for weight, found in sorted(by_weight.items())}
        name = topic.name_en if look.language == "en" else topic.name
        rows.append([code, name, topic.parent or "", words])
    return rows


def place_of(query: dict[str, str]) -> RoundedPlace | None:
    """The place that the page names, rounded here too: no address of ours answers for an exact one."""
    point = point_of(query)
    return None if point is None else RoundedPlace(round(point["lat"], 3), round(point["lon"], 3))


def street_of(city: Snapshot, station: Station, grid: str | None, place: RoundedPlace | None) -> str | None:
    """The street to look in: that of the grid named, of the place, or the station's own."""
    named = city.grids.get(grid or "")
    if named is None and place is not None:
        named = grid_at(city.grids.values(), place.lat, place.lon)
    named = named or city.grids.get(station.grid)
    return named.street if named is not None else None


def line(near: Near, look: Look, city: Snapshot) -> str:
    """What is told of `near`: topic, street, distance, stage, day."""
    language = look.language
    parts = [near.topic.name_en if language == "en" else near.topic.name]
    street = street_name(near.street, city)
    if street is not None:
        parts.append(street)
    if near.metres is not None:
        parts.append(text("nearby_metres", language, metres=near.metres))
    parts.append(text(f"nearby_stage.{near.stage}", language))
    parts.append(text("nearby_since", language, day=day(near.since, language, city)))
    return " · ".join(parts)


def beginning(words: str) -> str:
    """As much of `words` as tells what they are about."""
    return words if len(words) <= BEGINNING else f"{words[: BEGINNING - 1]}…"


def _supporting(opinion: str) -> str:
    return f"support {opinion}"
