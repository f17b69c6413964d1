"""The part `push.html` of a page: a button that has this browser take alerts, and the own browsers; and the
script that the browser runs when an alert comes."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from lianxin_chassis.forms import read_form
from lianxin_chassis.logs import get_logger
from lianxin_chassis.pages import day_and_time, look_of
from lianxin_notifier.context import Notifier
from lianxin_notifier.pages.rendering import STATIC, PageRoute, visitor
from lianxin_notifier.rights import city_of
from lianxin_notifier.signins import Signed

log = get_logger(__name__)

# Pages that hold the part, and so may be gone back to.
PAGES = ("/inbox", "/preferences")
_WORKER_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class PushPart:
    """What `push.html` shows: the own browsers as (id, label, since), and the page that it stands on."""

    devices: list[tuple[str, str, str]]
    page: str


async def push_part(notifier: Notifier, request: Request, signed: Signed) -> PushPart | None:
    """The part for `signed`; None where web push is not set up."""
    if notifier.push_key is None:
        return None
    city, language = city_of(notifier.registry), look_of(request).language
    found = await notifier.devices.of_person(signed.person.id)
    rows = [(one.id, one.label, day_and_time(one.created, language, city)) for one in found]
    return PushPart(rows, request.url.path)


def device_page_routes(notifier: Notifier) -> APIRouter:
    """The form behind the list of own browsers, and `/push-worker.js`."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)

    @routes.post("/devices")
    async def remove(request: Request) -> Response:
        """No more alerts in one of the own browsers."""
        signed = await visitor(notifier, request)
        fields = await read_form(request)
        notifier.signins.require_form(request, signed, fields)
        if await notifier.devices.remove(signed.person.id, fields.get("device", "")):
            log.info("a browser takes no more alerts", person=signed.person.id, device=fields["device"])
        page = fields.get("page", "")
        address = look_of(request).address(page if page in PAGES else PAGES[0])
        return RedirectResponse(f"{address}#push", 303, {"Cache-Control": "no-store"})

    @routes.get("/push-worker.js")
    async def worker(_: Request) -> Response:
        """The service worker. It stands at the root so that its clicks may open any of our pages."""
        return FileResponse(STATIC / "push-worker.js", media_type="text/javascript", headers=_WORKER_HEADERS)

    return routes
