"""`/livez`, `/readyz` and `/metrics`, the same in every process."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from lianxin_chassis.metric_names import READY

Check = Callable[[], bool | str]
"""True when ready; False, or a text that says why not."""


def health_routes(checks: Mapping[str, Check]) -> APIRouter:
    """Routes that tell a supervisor and Prometheus how this process is.

    `/livez` answers 200 as long as the loop turns. `/readyz` answers 200 when every check is True, else 503,
    with a JSON object that names what isn't ready. `/metrics` is Prometheus's text format; `lianxin_ready` in
    it says the same as `/readyz`.
    """
    router = APIRouter(include_in_schema=False)

    @router.get("/livez")
    async def livez() -> JSONResponse:
        return JSONResponse({"status": "alive"})

    def waiting() -> dict[str, bool | str]:
        answers = {name: check() for name, check in checks.items()}
        return {name: answer or "not ready" for name, answer in answers.items() if answer is not True}

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        if missing := waiting():
            return JSONResponse({"status": "waiting", "waiting_for": missing}, status_code=503)
        return JSONResponse({"status": "ready", "checks": sorted(checks)})

    @router.get("/metrics")
    async def metrics() -> Response:
        READY.set(0 if waiting() else 1)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return router
