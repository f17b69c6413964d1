"""`/s/{station}/codes`: tracking codes that a kiosk has ready for what it can't send at once.

The code of an opinion is a keyed hash of its id, and the id follows from the key that the page sends with it.
So whoever gives out the key beforehand can give out the code: a kiosk fetches a few pairs while it has a
line, and who speaks without one still goes home with a code, good from the moment that the line is back.

The keys are made here, at random: nobody can ask for the code of a key that somebody else holds. A pair opens
nothing until an opinion was sent under its key, which is for whoever fetched it alone to do.
"""

from uuid import uuid4

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.problems import ProblemError
from lianxin_intake.context import Intake, json_response
from lianxin_intake.opening import address_of
from lianxin_intake.pages.forms import read_form, require_own_page
from lianxin_intake.pages.rendering import PageRoute
from lianxin_intake.pages.station import page_caller, station_of
from lianxin_intake.pages.tokens import PageTokens, page_expired
from lianxin_intake.rates import retry_after
from lianxin_intake.rights import city_of

# So many people can come while the line is down; a station's hall sees fewer in an afternoon.
PAIRS = 30


def reserve_routes(intake: Intake, secret: bytes) -> APIRouter:
    """The reserve of codes."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    tokens = PageTokens(secret)

    @routes.post("/s/{station}/codes")
    async def reserve(request: Request) -> Response:
        """`PAIRS` new pairs of a key and the code of the opinion that is sent under it. Needs the token of
        the station's page; counts as one sending of its address."""
        city = city_of(intake.registry)
        station = station_of(request, city)
        require_own_page(request, intake.public_url)
        fields = await read_form(request)
        if not tokens.accepts(fields.get("token", ""), station.id):
            raise page_expired(tokens.of(station.id))
        if wait := intake.page_posts.take(address_of(request)):
            raise ProblemError(
                429, "too_many_requests", "Asked too often", "Wait.", headers=retry_after(wait)
            )
        channel = page_caller(city).channel.id
        made = [str(uuid4()) for _ in range(PAIRS)]
        return json_response(200, {"codes": [[key, intake.door.code_of(channel, key)] for key in made]})

    return routes
