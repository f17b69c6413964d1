"""`GET /v1/stations` and `GET /v1/topics`: what a channel needs to fill in its forms. Public."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from lianxin_contracts.registry import Snapshot, Station, Topic
from lianxin_intake.context import Intake, json_response
from lianxin_intake.rights import city_of

_SHORT_LIVED = {"Cache-Control": "public, max-age=60"}


def list_routes(intake: Intake) -> APIRouter:
    """The public lists."""
    routes = APIRouter(tags=["lists"])

    @routes.get("/v1/stations", responses={200: {"content": {"application/json": {"example": _STATIONS}}}})
    async def stations(
        q: Annotated[
            str, Query(max_length=100, description="Part of the name, or the start of the id.")
        ] = "",
        limit: Annotated[int, Query(ge=1, le=10_000)] = 50,
    ) -> Response:
        """Deputies' stations whose name holds `q`, by name."""
        return json_response(
            200, {"items": matching_stations(city_of(intake.registry), q, limit)}, _SHORT_LIVED
        )

    @routes.get("/v1/topics", responses={200: {"content": {"application/json": {"example": _TOPICS}}}})
    async def topics() -> Response:
        """All topics, by code; a topic without `parent` is of the first level."""
        city = city_of(intake.registry)
        items = [_topic(topic) for _, topic in sorted(city.topics.items())]
        return json_response(200, {"items": items}, _SHORT_LIVED)

    return routes


def matching_stations(city: Snapshot, q: str, limit: int) -> list[dict[str, Any]]:
    """At most `limit` stations whose name holds `q` or whose id begins with it, by name."""
    wanted = q.strip().casefold()
    found = [
        station
        for station in city.stations.values()
        if wanted in station.name.casefold() or station.id.casefold().startswith(wanted)
    ]
    found.sort(key=lambda station: (station.name, station.id))
    return [_station(station) for station in found[:limit]]


def _station(station: Station) -> dict[str, Any]:
    return {"id": station.id, "name": station.name, "grid": station.grid, "kind": station.kind}


def _topic(topic: Topic) -> dict[str, Any]:
    return {"id": topic.id, "name": topic.name, "name_en": topic.name_en, "parent": topic.parent}


_STATIONS = {
    "items": [{"id": "ST-001", "name": "金匮街道代表之家", "grid": "320213001001001", "kind": "street_home"}]
}
_TOPICS = {"items": [{"id": "0101", "name": "道路破损", "name_en": "Road damage", "parent": "01"}]}
