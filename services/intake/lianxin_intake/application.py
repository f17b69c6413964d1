"""The FastAPI application with one short cut: the hot route is served before the framework's layers.

FastAPI and Starlette wrap each request in seven layers that the hot route needs none of; they cost it as
much processor time as everything that intake itself does, the broker's client included. What the layers
would have done with an error is done here, by the handlers that are installed for every route.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lianxin_chassis.problems import ProblemError

Endpoint = Callable[[Request], Awaitable[Response]]


class IntakeApp(FastAPI):
    """Serves `hot` directly and everything else as FastAPI does. A hot route is registered as usual too,
    so that `/docs` lists it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.hot: dict[tuple[str, str], Endpoint] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; as ASGI says."""
        if scope["type"] == "http":
            endpoint = self.hot.get((scope["method"], scope["path"]))
            if endpoint is not None:
                response = await self._answer(endpoint, Request(scope, receive, send))
                await response(scope, receive, send)
                return
        await super().__call__(scope, receive, send)

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        try:
            return await endpoint(request)
        except ProblemError as error:
            handler: Any = self.exception_handlers[ProblemError]
            response: Response = await handler(request, error)
        except Exception as error:  # noqa: BLE001 - logged and answered with 500 by the handler of all routes
            handler = self.exception_handlers[Exception]
            response = await handler(request, error)
        return response
