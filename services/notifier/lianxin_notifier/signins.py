"""Signing in and being signed in: cookies, and the tokens by which a form shows that our page made it."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from lianxin_chassis.forms import require_own_page
from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_notifier.identity import IdentityProvider, Proof
from lianxin_notifier.people import Person, person_of
from lianxin_notifier.rights import Registry, city_of
from lianxin_notifier.sessions import Session, Sessions

log = get_logger(__name__)

CSRF_HEADER = "x-csrf-token"


@dataclass(frozen=True, slots=True)
class Signed:
    """Somebody who is signed in, and the token that their forms carry."""

    session: Session
    person: Person
    csrf: str


class SignIns:
    """Knows who is signed in. `public_url` decides whether cookies travel by https alone."""

    def __init__(
        self, secret: bytes, public_url: str, sessions: Sessions, registry: Registry, valid: timedelta
    ) -> None:
        self.sessions = sessions
        self.public_url = public_url
        self._secret = secret
        self._registry = registry
        self._valid = valid
        self._secure = public_url.startswith("https:")
        # With this prefix a browser takes the cookie from this host alone, and by https alone.
        self._cookie = "__Host-lianxin" if self._secure else "lianxin"

    async def signed(self, request: Request) -> Signed | None:
        """Who sends `request`; None where nobody is signed in (any more), or the registry forgot them."""
        token = request.cookies.get(self._cookie)
        if not token:
            return None
        session = await self.sessions.of_token(token, datetime.now(UTC))
        if session is None:
            return None
        person = person_of(session.person, city_of(self._registry))
        return None if person is None else Signed(session, person, self._csrf(session))

    async def sign_in(
        self, provider: IdentityProvider[Proof], proof: Proof, request: Request, response: Response
    ) -> Person:
        """Open a session for whom `provider` sees in `proof`, and put its cookie on `response`; the one that
        the browser had before ends. Raises what the provider raises, and 403 for somebody whom the registry
        does not know."""
        city = city_of(self._registry)
        known = await provider.identify(proof)
        person = person_of(known.person, city)
        if person is None:
            raise ProblemError(403, "person_unknown", "Nobody has this id any more")
        now = datetime.now(UTC)
        before = await self.sessions.of_token(request.cookies.get(self._cookie, ""), now)
        token, session = await self.sessions.open(
            person.id,
            provider.name,
            now,
            self._valid,
            subject=known.subject,
            provider_session=known.session,
        )
        if before is not None:
            await self.sessions.revoke(before.id, now)
        response.set_cookie(
            self._cookie,
            token,
            max_age=int(self._valid.total_seconds()),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",  # strict would lose whoever comes by the link of an alert
        )
        log.info("signed in", person=person.id, session=session.id, provider=provider.name)
        return person

    async def sign_out(self, signed: Signed, response: Response) -> None:
        """End the session and take its cookie away."""
        await self.sessions.revoke(signed.session.id, datetime.now(UTC))
        response.delete_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="lax")
        log.info("signed out", person=signed.person.id, session=signed.session.id)

    def require_form(self, request: Request, signed: Signed, fields: Mapping[str, str]) -> None:
        """Raises 403 for a form that no page of ours made for this session."""
        require_own_page(request, self.public_url)
        self._require_token(signed, fields.get("csrf", ""))

    def require_header(self, request: Request, signed: Signed) -> None:
        """As `require_form`, for a call of our script, which carries the token in a header."""
        require_own_page(request, self.public_url)
        self._require_token(signed, request.headers.get(CSRF_HEADER, ""))

    def _require_token(self, signed: Signed, given: str) -> None:
        if not hmac.compare_digest(given.encode(), signed.csrf.encode()):
            raise ProblemError(
                403,
                "form_forged",
                "This form was not made for this session",
                "Open the page and send it anew.",
            )

    def _csrf(self, session: Session) -> str:
        return hmac.digest(self._secret, f"csrf:{session.id}".encode(), "sha256").hex()[:32]
