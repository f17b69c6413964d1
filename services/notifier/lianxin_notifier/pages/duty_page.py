"""`/duty/{station}`: the wall screen of a station. Anybody may read it: it holds nothing personal."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.pages import day, local_time, look_of
from lianxin_chassis.problems import ProblemError
from lianxin_notifier.context import Notifier
from lianxin_notifier.pages.duty import figures, next_contact_day, on_duty
from lianxin_notifier.pages.lines import deadline, topic_name
from lianxin_notifier.pages.qr import data_uri
from lianxin_notifier.pages.rendering import PageRoute, page, text
from lianxin_notifier.rights import city_of

# The figures are of the station's newest opinions; a station gets about one a day.
MOST_COUNTED = 500
MOST_SHOWN = 6
MOST_DEPUTIES = 6


def duty_page_routes(notifier: Notifier, intake_url: str) -> APIRouter:
    """The wall screen. `intake_url`: where residents' phones reach the station's page; empty for no code."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)

    @routes.get("/duty/{station}")
    async def screen(request: Request) -> Response:
        city, look, now = city_of(notifier.registry), look_of(request), datetime.now(UTC)
        station = city.stations.get(str(request.path_params["station"]))
        if station is None:
            raise ProblemError(404, "station_unknown", "There is no such station")
        opinions = await (await notifier.live.get()).of_station(station.id, MOST_COUNTED)
        today = local_time(now, city).date()
        contact = next_contact_day(station.id, today, city)
        zone = ZoneInfo(city.city.zone)
        orders = [
            {
                # Topic, stage and dates only: words and the exact place are not for a wall.
                "topic": topic_name(one.topic, look.language, city),
                "stage": one.stage,
                "stage_words": text(f"stage.{one.stage}", look.language),
                "deadline": deadline(one.due, now, look.language, city),
            }
            for one in opinions[:MOST_SHOWN]
        ]
        present = on_duty(station.id, today, city)
        return page(
            "duty.html",
            request,
            None,
            station=station,
            city_name=city.city.name,
            today=day(now, look.language, city),
            at=f"{local_time(now, city):%H:%M}",
            present=[city.deputies[one].name for one in present[:MOST_DEPUTIES] if one in city.deputies],
            more=max(0, len(present) - MOST_DEPUTIES),
            figures=figures(opinions, now),
            orders=orders,
            contact=day(datetime.combine(contact, time(12), zone), look.language, city) if contact else None,
            contact_today=contact == today,
            code=data_uri(f"{intake_url.rstrip('/')}/s/{station.id}") if intake_url else None,
        )

    return routes
