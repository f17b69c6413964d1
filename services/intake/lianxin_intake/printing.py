"""`GET /qr/…`: the code of each station, and posters to print. Public, as what hangs on a wall is.

They need the registry alone. One document is drawn at a time, in a thread, so that opinions go on being
accepted while somebody prints a whole district.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Region, Snapshot, Station
from lianxin_intake import poster, qr
from lianxin_intake.context import Intake
from lianxin_intake.documentation import printed
from lianxin_intake.rates import retry_after
from lianxin_intake.rights import city_of

# The largest street of the sample city has 39. A page takes 5 ms of a processor and 4 kB.
MOST_POSTERS = 100
# Behind the one that is being drawn. More would wait longer than people and proxies do.
MOST_WAITING = 8
_BUSY_S = 5.0

# A code changes with the public address alone, a poster with the station's name too.
_CODE_LIVES = {"Cache-Control": "public, max-age=86400"}
_POSTER_LIVES = {"Cache-Control": "public, max-age=300"}

_StationId = Annotated[str, Path(description="The station's id: see GET /v1/stations.")]
_Paper = Annotated[poster.Paper, Query(description="The size of the paper, upright.")]


class Press:
    """Draws one thing at a time, off the event loop."""

    def __init__(self, waiting: int = MOST_WAITING) -> None:
        self._most = waiting + 1
        self._asked = 0
        self._free = asyncio.Semaphore(1)

    async def run(self, draw: Callable[[], bytes]) -> bytes:
        """What `draw` returns. Raises 503 where too many wait already."""
        if self._asked >= self._most:
            raise ProblemError(
                503,
                "busy",
                "Too many posters are being drawn",
                "Ask again after as many seconds as Retry-After says.",
                headers=retry_after(_BUSY_S),
            )
        self._asked += 1
        try:
            async with self._free:
                return await asyncio.to_thread(draw)
        finally:
            self._asked -= 1


def printing_routes(intake: Intake) -> APIRouter:
    """The codes and the posters."""
    routes = APIRouter(tags=["posters"], default_response_class=Response)
    press = Press()

    def address_of(station: Station) -> str:
        return f"{intake.public_url.rstrip('/')}/s/{quote(station.id, safe='')}"

    def poster_of(station: Station) -> poster.Poster:
        return poster.Poster(station.id, station.name, address_of(station))

    @routes.get("/qr/region/{region}.pdf", openapi_extra=printed("application/pdf", 404, 422, 503))
    async def posters_of_a_region(
        region: Annotated[
            str, Path(description="The code of a district (6 digits), street (9) or community (12).")
        ],
        paper: _Paper = "a4",
    ) -> Response:
        """The posters of all stations in a region, one page each, by id: at most 100, so take a city
        street by street."""
        city = city_of(intake.registry)
        where = _region(city, region)
        posters = [poster_of(station) for station in stations_in(city, where)]
        drawn = await press.run(lambda: poster.draw(posters, paper, f"{where.name} 选民有话说"))
        return _document(drawn, f"{where.id}-{paper}.pdf")

    @routes.get("/qr/{station}.pdf", openapi_extra=printed("application/pdf", 404, 422, 503))
    async def poster_of_a_station(station: _StationId, paper: _Paper = "a4") -> Response:
        """The station's poster, one page to print."""
        found = _station(city_of(intake.registry), station)
        one = poster_of(found)
        drawn = await press.run(lambda: poster.draw([one], paper, f"{found.name} 选民有话说"))
        return _document(drawn, f"{found.id}-{paper}.pdf")

    @routes.get("/qr/{station}.svg", openapi_extra=printed("image/svg+xml", 404, 422, 503))
    async def code_as_svg(station: _StationId) -> Response:
        """The QR code of the station's page, for any size: one millimetre a module, the quiet zone in it."""
        found = _station(city_of(intake.registry), station)
        drawn = await asyncio.to_thread(qr.svg, address_of(found), found.name)
        return Response(drawn, media_type="image/svg+xml", headers=_CODE_LIVES)

    @routes.get("/qr/{station}.png", openapi_extra=printed("image/png", 404, 422, 503))
    async def code_as_png(
        station: _StationId,
        scale: Annotated[int, Query(ge=1, le=qr.LARGEST_SCALE, description="Pixels a module.")] = 10,
    ) -> Response:
        """The QR code of the station's page as a picture, the quiet zone in it."""
        found = _station(city_of(intake.registry), station)
        drawn = await asyncio.to_thread(qr.png, address_of(found), scale)
        return Response(drawn, media_type="image/png", headers=_CODE_LIVES)

    return routes


def stations_in(city: Snapshot, region: Region) -> list[Station]:
    """The stations whose grid lies in `region`, by id. Raises 404 where there is none, 422 where there are
    more than `MOST_POSTERS`."""
    found = sorted(
        (station for station in city.stations.values() if station.grid.startswith(region.id)),
        key=lambda station: station.id,
    )
    if not found:
        raise ProblemError(404, "no_stations", f"There is no station in {region.name}")
    if len(found) > MOST_POSTERS:
        raise ProblemError(
            422,
            "too_many_stations",
            f"{region.name} has {len(found)} stations, at most {MOST_POSTERS} go into one document",
            "Ask for each of its streets: codes of 9 digits.",
        )
    return found


def _station(city: Snapshot, id_: str) -> Station:
    station = city.stations.get(id_)
    if station is None:
        raise ProblemError(404, "unknown_station", "No station has this id", "See GET /v1/stations.")
    return station


def _region(city: Snapshot, code: str) -> Region:
    region = city.regions.get(code)
    if region is None:
        raise ProblemError(
            404,
            "unknown_region",
            "No region has this code",
            "A district has 6 digits, a street 9, a community 12.",
        )
    return region


def _document(drawn: bytes, name: str) -> Response:
    shown = {"Content-Disposition": f"inline; filename*=UTF-8''{quote(name, safe='')}"}
    return Response(drawn, media_type="application/pdf", headers=_POSTER_LIVES | shown)
