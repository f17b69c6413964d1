"""What the routes of intake work with: made once in `api`, handed to every group of routes."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.problems import ProblemError
from lianxin_contracts import ids
from lianxin_contracts.registry import Scope, Snapshot
from lianxin_intake.door import Door, Prepared, Publishing
from lianxin_intake.generation import LiveTracking
from lianxin_intake.opening import Opening
from lianxin_intake.photos.desk import PhotoDesk
from lianxin_intake.rates import Buckets, retry_after
from lianxin_intake.reading import Headers, idempotency_key
from lianxin_intake.recent import RecentCommands, RecentOpinions
from lianxin_intake.rights import Caller, Registry, caller_of, not_loaded, require


@dataclass(frozen=True, slots=True)
class Intake:
    """The parts of one intake process."""

    registry: Registry
    publisher: Publishing
    door: Door
    recent: RecentOpinions
    commands: RecentCommands
    tracking: LiveTracking
    rates: Buckets
    opening: Opening
    page_posts: Buckets
    photos: PhotoDesk
    photo_rates: Buckets
    public_url: str
    deadline_s: float
    # Where the workbench is, whose pages may upload evidence; empty for nowhere.
    workbench_url: str = ""

    def submitter(self, headers: Headers, *scopes: Scope, keyed: bool = True) -> tuple[Caller, Snapshot]:
        """Who is posting with one of `scopes` (`submit` where none is named), and the city. `keyed`: the
        route heeds an Idempotency-Key, so a 503 hands one back. Raises 401, 403 or 503."""
        city = self.registry.current
        if city is None:
            raise not_loaded((idempotency_key(headers) or ids.fresh()) if keyed else None)
        caller = caller_of(headers.get("authorization"), self.registry, city)
        require(caller, *(scopes or ("submit",)))
        return caller, city

    def require_rate(self, caller: Caller) -> None:
        """Raises 429 where the caller's key sends faster than its limit."""
        wait = self.rates.take(caller.key)
        if wait:
            raise ProblemError(
                429,
                "too_many_requests",
                "This key sends too much at once",
                "Wait as long as Retry-After says, or send many opinions at once to POST /v1/opinions:batch, "
                "which is read no faster than the key may send. For more in the long run ask the operator.",
                headers=retry_after(wait),
            )

    def status_url(self, opinion: str) -> str:
        """Where an opinion can be followed. Holds no code: addresses end in logs."""
        return f"{self.public_url}/v1/opinions/{opinion}"

    def receipt(self, prepared: Prepared) -> dict[str, Any]:
        """What the sender of an accepted opinion gets."""
        return {"id": prepared.id, "tracking_code": prepared.code, "status_url": self.status_url(prepared.id)}


class RawRoute(APIRoute):
    """A route that hands the request to its function as it is: no parsing by FastAPI, yet listed in
    `/docs`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function itself."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


def json_response(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    """`body` as JSON, not to be cached."""
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
