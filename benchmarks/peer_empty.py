"""The peer that intake is measured against: a server like it whose route reads the body and answers 202.

`python -m benchmarks.peer_empty PORT`
"""

import sys

from fastapi import APIRouter, FastAPI, Request, Response

from lianxin_chassis.process import run_api
from lianxin_chassis.settings import Settings
from lianxin_intake.context import RawRoute


def create() -> FastAPI:
    """The application."""
    app = FastAPI()
    routes = APIRouter(route_class=RawRoute)

    @routes.post("/v1/opinions", status_code=202)
    async def empty(request: Request) -> Response:
        await request.body()
        return Response(b"{}", status_code=202, media_type="application/json")

    app.include_router(routes)
    return app


if __name__ == "__main__":
    run_api(create, Settings(service="empty", http_port=int(sys.argv[1])))
