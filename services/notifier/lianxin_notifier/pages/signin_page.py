"""`/signin`: asking for a link, and the page that a link opens, whose button uses it up."""

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from lianxin_chassis.forms import read_form, require_own_page
from lianxin_chassis.pages import look_of
from lianxin_chassis.problems import ProblemError
from lianxin_chassis.rates import Buckets, address_of, retry_after
from lianxin_contracts import ids
from lianxin_notifier.context import Notifier
from lianxin_notifier.identity import LinkProvider
from lianxin_notifier.oidc.provider import OidcProvider
from lianxin_notifier.pages.oidc_page import FAULTS
from lianxin_notifier.pages.rendering import PageRoute, page, visitor
from lianxin_notifier.people import named, person_of
from lianxin_notifier.rights import city_of
from lianxin_notifier.signin_links import own_path
from lianxin_notifier.signin_mail import SignInMailer

MOST_OF_A_NAME = 254  # characters; a mail address has no more (RFC 5321)


class Asking:
    """How often links may be asked for, on this instance, and the mails on their way."""

    def __init__(self, mailer: SignInMailer, by_address: Buckets, by_name: Buckets) -> None:
        self.mailer = mailer
        self.by_address = by_address
        self.by_name = by_name
        self.sending: set[asyncio.Task[None]] = set()


def signin_page_routes(notifier: Notifier, asking: Asking, *, closed: bool) -> APIRouter:
    """The pages of signing in. `closed`: this instance has no secret and lets nobody in."""
    routes = APIRouter(route_class=PageRoute, include_in_schema=False)
    provider = LinkProvider(notifier.links, notifier.signins.sessions)
    oidc = None if closed else notifier.oidc

    def require_open() -> None:
        if closed:
            raise ProblemError(503, "signin_closed", "Nobody can sign in here", "It needs a sign-in secret.")

    @routes.get("/signin")
    async def ask(request: Request) -> Response:
        """Where a link can be asked for, or the city's identity service gone to; with what went wrong there,
        or that whoever comes has signed out."""
        to = own_path(request.query_params.get("to", ""))
        fault = request.query_params.get("fault")
        out = oidc is not None and request.query_params.get("out") == "1"
        there = out and oidc is not None and await oidc.end_session(notifier.signins.public_url) is not None
        return page(
            "ask.html",
            request,
            None,
            asked=False,
            to=to,
            oidc=oidc,
            fault=fault if fault in FAULTS else None,
            out=out,
            out_there=there,
        )

    @routes.post("/signin")
    async def send(request: Request) -> Response:
        """Mail a link to whoever it is. The answer is the same whether there is such a person or not, and
        comes as soon: nobody learns here who is a deputy's mail address."""
        require_open()
        require_own_page(request, notifier.signins.public_url)
        fields = await read_form(request)
        who = fields.get("who", "")[:MOST_OF_A_NAME]
        to = own_path(fields.get("to", ""))
        wait = asking.by_address.take(address_of(request)) or asking.by_name.take(who.lower())
        if wait:
            raise ProblemError(
                429, "too_many_links", "Too many links were asked for", headers=retry_after(wait)
            )
        person = named(who, city_of(notifier.registry)) if who else None
        if person is not None:
            link = notifier.links.address(person.id, ids.fresh(), notifier.link_valid_s, to)
            task = asyncio.create_task(asking.mailer.send(person, link, int(notifier.link_valid_s / 60)))
            asking.sending.add(task)
            task.add_done_callback(asking.sending.discard)
        return page("ask.html", request, None, asked=True, to=to, oidc=None, fault=None, out=False)

    @routes.get("/signin/{token}")
    async def look(request: Request) -> Response:
        """The page behind a link: it says whom the button signs in. Opening it changes nothing."""
        require_open()
        link = provider.look(str(request.path_params["token"]))
        to = own_path(request.query_params.get("to", ""))
        signed = await notifier.signins.signed(request)
        if signed is not None and signed.person.id == link.person:
            return RedirectResponse(look_of(request).address(to), 303, {"Cache-Control": "no-store"})
        person = person_of(link.person, city_of(notifier.registry))
        return page("signin.html", request, None, name=person.name if person else link.person, to=to)

    @routes.post("/signin/{token}")
    async def sign_in(request: Request) -> Response:
        """Use the link up and sign in."""
        require_open()
        require_own_page(request, notifier.signins.public_url)
        fields = await read_form(request)
        address = look_of(request).address(own_path(fields.get("to", "")))
        response = RedirectResponse(
            address, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        )
        await notifier.signins.sign_in(provider, str(request.path_params["token"]), request, response)
        return response

    @routes.post("/signout")
    async def sign_out(request: Request) -> Response:
        """End this sign-in."""
        signed = await visitor(notifier, request)
        notifier.signins.require_form(request, signed, await read_form(request))
        # Whoever came by the identity service is offered to sign out there, too.
        more = {"out": "1"} if signed.session.provider == OidcProvider.name else {}
        address = look_of(request).address("/signin", **more)
        response = RedirectResponse(address, 303, {"Cache-Control": "no-store"})
        await notifier.signins.sign_out(signed, response)
        return response

    return routes
