"""`/t/{code}/slip`: the slip to print or to photograph: the code large, in print and as a QR code. It holds
nothing that was said, since slips are lost."""

import segno
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from lianxin_intake.context import Intake
from lianxin_intake.pages.rendering import PageRoute, home, look_of, page
from lianxin_intake.pages.tracking_page import code_of, opened_by, shown


def slip_routes(intake: Intake) -> APIRouter:
    """The slip."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    root = intake.public_url.rstrip("/")

    @routes.get("/t/{code}/slip")
    async def slip(request: Request) -> Response:
        """The slip of a code that opens something; at a kiosk (`station` in the address) with the way back
        to a page for the next person."""
        code = code_of(request)
        id_ = await opened_by(intake, request, code)
        if id_ is None:
            return page("unknown.html", request, status=404, code=shown(code))
        intake.opening.require_use(id_, "read")
        look, city = look_of(request), intake.registry.current
        station = request.query_params.get("station", "")
        known = look.kiosk and city is not None and station in city.stations
        return page(
            "slip.html",
            request,
            code=shown(code),
            # Not by the cached drawings of stations: a code is kept nowhere.
            qr=segno.make_qr(f"{root}/t/{shown(code)}", error="q").svg_data_uri(
                border=4, dark="#000", light="#fff"
            ),
            ask_at=f"{root.partition('://')[2]}/t",
            home=home(look, station) if known else None,
            tracking=look.address(f"/t/{shown(code)}", id=id_),
        )

    return routes
