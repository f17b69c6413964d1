"""`/station`: what came in at the stations that a member of staff works for."""

import asyncio
from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.pages import look_of
from lianxin_chassis.problems import ProblemError
from lianxin_notifier.context import Notifier
from lianxin_notifier.inbox import Opinion
from lianxin_notifier.pages.lines import line_of_opinion
from lianxin_notifier.pages.rendering import PageRoute, page, visitor
from lianxin_notifier.rights import city_of

MOST_LINES = 200  # of each station


def station_page_routes(notifier: Notifier) -> APIRouter:
    """The list of a station's staff."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)

    @routes.get("/station")
    async def station(request: Request) -> Response:
        signed = await visitor(notifier, request)
        if not signed.person.may("station"):
            raise ProblemError(403, "role_missing", "This is for staff of stations")
        city, language, now = city_of(notifier.registry), look_of(request).language, datetime.now(UTC)
        store = await notifier.live.get()
        stations = [city.stations[one] for one in signed.person.stations if one in city.stations]
        found = await asyncio.gather(*(store.of_station(one.id, MOST_LINES) for one in stations))
        newest = sorted((one for some in found for one in some), key=_submitted, reverse=True)
        return page(
            "station.html",
            request,
            signed,
            stations=stations,
            lines=[line_of_opinion(one, now, language, city) for one in newest],
            more=any(len(some) == MOST_LINES for some in found),
        )

    return routes


def _submitted(opinion: Opinion) -> datetime:
    return opinion.submitted or datetime.min.replace(tzinfo=UTC)
