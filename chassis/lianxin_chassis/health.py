"""`/livez`, `/readyz` and `/metrics`, the same in every process."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Check = Callable[[], bool | str]
"""True when ready; False, or a text that says why not."""


def health_routes(checks: Mapping[str, Check]) -> APIRouter:
    """Routes that tell a supervisor and Prometheus how this process is.

    `/livez` answers 200 as long as the loop turns. `/readyz` answers 200 when every check is True, else 503,
    with a JSON object that names what isn't ready. `/metrics` is Prometheus's text format.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/livez")
    async def livez() -> JSONResponse:
        return JSONResponse({"status": "alive"})

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        answers = {name: check() for name, check in checks.items()}
        waiting = {name: answer or "not ready" for name, answer in answers.items() if answer is not True}
        if waiting:
            return JSONResponse({"status": "waiting", "waiting_for": waiting}, status_code=503)
        return JSONResponse({"status": "ready", "checks": sorted(answers)})

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router
