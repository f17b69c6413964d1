"""`GET /v1/places`: places by what was heard. Public, as the names of a city are."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Snapshot
from lianxin_intake.context import Intake, json_response
from lianxin_intake.desk.places import MAX_QUERY, Match, PlaceFinder
from lianxin_intake.documentation import problems
from lianxin_intake.opening import address_of
from lianxin_intake.rates import Buckets, retry_after
from lianxin_intake.rights import city_of

# Of one address: an office with ten desks that ask at every few letters.
ASKED_PER_S, ASKED_BURST = 10.0, 50.0
_SHORT_LIVED = {"Cache-Control": "public, max-age=60"}


class Places:
    """The finder of the city in force, made anew when another one comes into force."""

    def __init__(self) -> None:
        self._made: tuple[Snapshot, PlaceFinder] | None = None
        self._making = asyncio.Lock()

    async def of(self, city: Snapshot) -> PlaceFinder:
        """The finder of `city`. The first question after a switch makes it, off the event loop."""
        async with self._making:
            if self._made is None or self._made[0] is not city:
                self._made = (city, await asyncio.to_thread(PlaceFinder, city))
            return self._made[1]


def place_routes(intake: Intake, places: Places, asked: Buckets | None = None) -> APIRouter:
    """The route for places. `asked`: the limit by address, where it is not the usual one."""
    routes = APIRouter(tags=["lists"])
    asked = asked or Buckets(ASKED_PER_S, ASKED_BURST)

    @routes.get(
        "/v1/places",
        responses={
            200: {"content": {"application/json": {"example": _EXAMPLE}}},
            **{int(status): extra for status, extra in problems(429, 503).items()},
        },
    )
    async def find(
        request: Request,
        q: Annotated[
            str,
            Query(
                min_length=1, max_length=MAX_QUERY, description="What was heard, or its pinyin or initials."
            ),
        ],
        limit: Annotated[int, Query(ge=1, le=50)] = 8,
    ) -> Response:
        """Districts, streets, communities, grids and stations that `q` may mean, the best first; several
        words narrow it down: `金匮街道 永定桥`. `grid` is what to send as an opinion's grid; null where a
        region has several. `exact` says that `q` is its whole name. 429 above 10 a second from one
        address."""
        if wait := asked.take(address_of(request)):
            raise ProblemError(
                429,
                "too_many_requests",
                "Too many questions come from this address at once",
                "Wait as long as Retry-After says, and ask after the last letter only.",
                headers=retry_after(wait),
            )
        finder = await places.of(city_of(intake.registry))
        found = await asyncio.to_thread(finder.find, q, limit)
        return json_response(200, {"items": [_shown(match) for match in found]}, _SHORT_LIVED)

    return routes


def _shown(match: Match) -> dict[str, Any]:
    place = match.place
    return {
        "kind": place.kind,
        "id": place.id,
        "name": place.name,
        "within": list(place.within),
        "grid": place.grid,
        "exact": match.rank == 0,
    }


_EXAMPLE = {
    "items": [
        {
            "kind": "community",
            "id": "320213001001",
            "name": "永定桥社区",
            "within": ["梁溪区", "金匮街道"],
            "grid": "320213001001001",
            "exact": True,
        }
    ]
}
