"""How a route under `/open311` is served: every error in Open311's form, also where there is no route."""

import uuid
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_intake.open311.answers import form_of_path, refusal

log = get_logger(__name__)


class Open311Route(APIRoute):
    """Hands the request to its function as it is, and answers what that raises as a list of errors."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The function, with its errors caught."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint

        async def handle(request: Request) -> Response:
            try:
                return await endpoint(request)
            except ProblemError as error:
                return refusal(form_of_path(request.url.path), error)
            except Exception as error:
                reference = str(uuid.uuid4())
                log.error(
                    "unexpected error",
                    reference=reference,
                    method=request.method,
                    route=self.path,
                    exc_info=error,
                )
                problem = ProblemError(
                    500, "internal", "Something went wrong on our side", f"Reference {reference}."
                )
                return refusal(form_of_path(request.url.path), problem)

        return handle


class Elsewhere:
    """Answers every path and method that none of `routes` takes, with 404 or 405."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; as ASGI says."""
        allowed = sorted(
            method
            for route in self._routes
            if isinstance(route, APIRoute) and route.matches(scope)[0] is Match.PARTIAL
            for method in route.methods or ()
        )
        if allowed:
            error = ProblemError(
                405,
                "method_not_allowed",
                "The method is not allowed here",
                f"There is {', '.join(allowed)}.",
                headers={"Allow": ", ".join(allowed)},
            )
        else:
            error = ProblemError(
                404, "not_found", "There is no such resource", "See GET /open311/v2/discovery.xml."
            )
        await refusal(form_of_path(scope["path"]), error)(scope, receive, send)
