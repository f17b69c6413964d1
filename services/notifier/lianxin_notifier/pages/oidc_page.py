"""`/signin/oidc`: to the city's identity service and back, and the logouts that it tells us of.

Leaving is a link and no form: browsers hold a form's redirects to our own pages (`form-action`).
"""

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lianxin_chassis.forms import read_form
from lianxin_chassis.logs import get_logger
from lianxin_chassis.pages import look_of
from lianxin_chassis.problems import ProblemError
from lianxin_chassis.rates import Buckets, address_of, retry_after
from lianxin_notifier.context import Notifier, json_response
from lianxin_notifier.oidc.assembly import CALLBACK
from lianxin_notifier.oidc.attempts import ATTEMPT_HOLDS
from lianxin_notifier.oidc.provider import OidcProvider, Return
from lianxin_notifier.pages.rendering import PageRoute
from lianxin_notifier.signin_links import own_path

log = get_logger(__name__)

# What the page of signing in has words for (`fault.…` in the texts).
FAULTS = ("oidc_away", "oidc_stale", "oidc_refused", "oidc_invalid", "oidc_nobody", "person_unknown", "busy")
# A whole office may come from one address in the morning; each return costs a question to the service.
RETURNS_A_SECOND, RETURNS_AT_ONCE = 2.0, 120.0
_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def oidc_page_routes(notifier: Notifier, provider: OidcProvider) -> APIRouter:
    """Leaving, coming back, signing out there, and being told of logouts."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    secure = notifier.signins.public_url.startswith("https:")
    cookie = "__Host-lianxin-oidc" if secure else "lianxin-oidc"
    returns = Buckets(RETURNS_A_SECOND, RETURNS_AT_ONCE)

    @routes.get("/signin/oidc")
    async def leave(request: Request) -> Response:
        """Off to the service; this browser keeps the attempt."""
        look = look_of(request)
        to = own_path(request.query_params.get("to", ""))
        try:
            address, attempt = await provider.leave(look.address(to))
        except ProblemError as error:
            return RedirectResponse(look.address("/signin", fault=error.code, to=to), 303, _PRIVATE)
        response = RedirectResponse(address, 303, _PRIVATE)
        response.set_cookie(
            cookie,
            provider.attempts.cookie(attempt),
            max_age=int(ATTEMPT_HOLDS.total_seconds()),
            path="/",
            secure=secure,
            httponly=True,
            samesite="lax",  # the way back comes from another site
        )
        return response

    @routes.get(CALLBACK)
    async def come_back(request: Request) -> Response:
        """Back from the service, with a code or an error."""
        attempt = provider.attempts.of_cookie(request.cookies.get(cookie, ""), datetime.now(UTC))
        to = attempt.to if attempt is not None else "/inbox"
        response = RedirectResponse(to, 303, _PRIVATE)
        try:
            if returns.take(address_of(request)):
                raise ProblemError(429, "busy", "Too many sign-ins from this address")
            came = Return(attempt, dict(request.query_params))
            await notifier.signins.sign_in(provider, came, request, response)
        except ProblemError as error:
            if error.code not in FAULTS:
                raise
            log.info("nobody was signed in", code=error.code)
            response = RedirectResponse(_fault_page(to, error.code), 303, _PRIVATE)
            if error.code in ("oidc_stale", "busy"):
                return response  # another attempt of this browser may be under way
        response.delete_cookie(cookie, path="/", secure=secure, httponly=True, samesite="lax")
        return response

    @routes.get("/signin/oidc/out")
    async def out_there(request: Request) -> Response:
        """Sign out at the service, too: it asks there whether that was meant."""
        back = f"{notifier.signins.public_url.rstrip('/')}/signin"
        address = await provider.end_session(back)
        return RedirectResponse(address or look_of(request).address("/signin"), 303, _PRIVATE)

    @routes.post("/signin/oidc/logouts")
    async def told(request: Request) -> Response:
        """The service tells that somebody signed out there (Back-Channel Logout 1.0, 2.5)."""
        if wait := returns.empty_for(f"logout {address_of(request)}"):
            raise ProblemError(429, "busy", "Too many logouts", headers=retry_after(wait))
        try:
            ended = await provider.ended((await read_form(request)).get("logout_token", ""))
        except ProblemError as error:
            if error.status != 400:
                raise
            returns.take(f"logout {address_of(request)}")
            return json_response(400, {"error": "invalid_request"})
        log.info("sign-ins were ended by the identity service", sessions=ended)
        return json_response(200, {})

    return routes


def _fault_page(to: str, code: str) -> str:
    """The page of signing in, in the look of the address `to`, with what went wrong."""
    path, _, query = to.partition("?")
    return f"/signin?{'&'.join(filter(None, (f'fault={code}', f'to={path}', query)))}"
