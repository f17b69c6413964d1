"""`/inbox`: what waits for whoever is signed in, by due time; and for staff what is late in their areas."""

from datetime import UTC, datetime
from typing import get_args

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lianxin_chassis.forms import read_form
from lianxin_chassis.logs import get_logger
from lianxin_chassis.pages import day_and_time, look_of
from lianxin_chassis.problems import ProblemError
from lianxin_contracts.lifecycle import Stage
from lianxin_notifier.context import Notifier
from lianxin_notifier.pages.device_page import push_part
from lianxin_notifier.pages.lines import deputy_name, line_of
from lianxin_notifier.pages.offline import keepable
from lianxin_notifier.pages.rendering import PageRoute, page, visitor
from lianxin_notifier.rights import city_of

log = get_logger(__name__)

MOST_LINES = 200
# What can be looked for in a list; nothing means all that waits.
FILTERS: tuple[Stage, ...] = ("triage", "assigned", "accepted", "in_progress", "resolved", "closed")


def inbox_page_routes(notifier: Notifier) -> APIRouter:
    """The list, the supervisors' list and the administrators' list of sign-ins."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)

    @routes.get("/")
    async def home(request: Request) -> Response:
        return RedirectResponse(look_of(request).address("/inbox"), 303)

    @routes.get("/inbox")
    async def inbox(request: Request) -> Response:
        signed = await visitor(notifier, request)
        stage = request.query_params.get("stage")
        if stage not in get_args(Stage):
            stage = None
        # The number first: what comes while the list is read is then told by the stream.
        number = await notifier.ledger.last(signed.person.id)
        items = await (await notifier.live.get()).work(signed.person.id, stage, MOST_LINES)
        if not items and stage is None and signed.person.roles == {"station"}:
            # Nothing was sent to them; what they work on is the station's.
            return RedirectResponse(look_of(request).address("/station"), 303, {"Cache-Control": "no-store"})
        city, language, now = city_of(notifier.registry), look_of(request).language, datetime.now(UTC)
        lines = [line_of(item, now, language, city) for item in items]
        shown = [one for one in FILTERS if one != "triage" or not signed.person.is_deputy]
        return page(
            "inbox.html",
            request,
            signed,
            headers=keepable(signed.person),
            lines=lines,
            late=sum(1 for line in lines if line.deadline.urgency == "late"),
            new=sum(1 for line in lines if line.stage in ("assigned", "triage")),
            stage=stage,
            filters=shown,
            number=number,
            more=len(items) == MOST_LINES,
            push=await push_part(notifier, request, signed),
        )

    @routes.get("/supervision")
    async def supervision(request: Request) -> Response:
        """What is late in deputies' hands, longest first."""
        signed = await visitor(notifier, request)
        if not signed.person.may("staff", "supervisor", "administrator"):
            raise ProblemError(403, "role_missing", "This is for staff")
        city, language, now = city_of(notifier.registry), look_of(request).language, datetime.now(UTC)
        found = await (await notifier.live.get()).late(now, signed.person.areas, MOST_LINES)
        lines = [line_of(item, now, language, city, holder) for holder, item in found]
        return page("supervision.html", request, signed, lines=lines, more=len(lines) == MOST_LINES)

    @routes.get("/signins")
    async def signins(request: Request) -> Response:
        """Who is signed in, for administrators."""
        signed = await visitor(notifier, request)
        if not signed.person.may("administrator"):
            raise ProblemError(403, "role_missing", "This is for administrators")
        city, language = city_of(notifier.registry), look_of(request).language
        rows = [
            (session, deputy_name(session.person, city), day_and_time(session.created, language, city))
            for session in await notifier.signins.sessions.known(None, MOST_LINES)
        ]
        return page("signins.html", request, signed, rows=rows, now=datetime.now(UTC))

    @routes.post("/signins")
    async def revoke(request: Request) -> Response:
        """End one sign-in."""
        signed = await visitor(notifier, request)
        fields = await read_form(request)
        notifier.signins.require_form(request, signed, fields)
        if not signed.person.may("administrator"):
            raise ProblemError(403, "role_missing", "This is for administrators")
        await notifier.signins.sessions.revoke(fields.get("session", ""), datetime.now(UTC))
        log.info("a sign-in was revoked", by=signed.person.id, session=fields.get("session"))
        return RedirectResponse(look_of(request).address("/signins"), 303, {"Cache-Control": "no-store"})

    return routes
