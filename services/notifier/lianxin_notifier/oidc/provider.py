"""The identity service as a provider of our port: leaving for it, coming back from it, and its logouts."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_notifier.identity import Known
from lianxin_notifier.metric_names import OIDC_FAULTS
from lianxin_notifier.oidc.attempts import Attempt, Attempts
from lianxin_notifier.oidc.endpoints import AwayError, Client, Endpoints, Metadata, NotGrantedError
from lianxin_notifier.oidc.people_of_claims import ClaimMapping, person_meant, value_of
from lianxin_notifier.oidc.tokens import (
    Expected,
    KeyUnknownError,
    Logout,
    TokenRefusedError,
    id_token,
    logout_token,
)
from lianxin_notifier.rights import Registry, city_of
from lianxin_notifier.sessions import Sessions

log = get_logger(__name__)

_MOST_CODE = 4096  # characters


@dataclass(frozen=True, slots=True)
class Return:
    """What a browser brings back: the attempt that it kept, if it did, and what stands in the address."""

    attempt: Attempt | None
    query: Mapping[str, str]


class OidcProvider:
    """Whoever the identity service has signed in is the person whom its claims mean. `label` is its name on
    the button; empty for a general one."""

    name = "oidc"

    def __init__(
        self,
        endpoints: Endpoints,
        attempts: Attempts,
        client: Client,
        expected: Expected,
        mapping: ClaimMapping,
        sessions: Sessions,
        registry: Registry,
        *,
        scopes: str,
        label: str,
    ) -> None:
        self.attempts = attempts
        self.label = label
        self._endpoints = endpoints
        self._client = client
        self._expected = expected
        self._mapping = mapping
        self._sessions = sessions
        self._registry = registry
        self._scopes = scopes

    async def leave(self, to: str) -> tuple[str, Attempt]:
        """The address at the service where somebody signs in who then goes to `to`, one of our own. Raises
        503 where the service is away."""
        where = await self._metadata()
        attempt = self.attempts.begin(to, datetime.now(UTC))
        asked = {
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": self._client.redirect,
            "scope": self._scopes,
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        return _with_query(where.authorization, asked), attempt

    async def identify(self, proof: Return) -> Known:
        """As the port says. Raises 403 for what is not believed or is nobody, 410 for an attempt that is
        over, 503 where the service is away."""
        where = await self._metadata()
        attempt = proof.attempt
        if attempt is None or not _same(proof.query.get("state", ""), attempt.state):
            raise ProblemError(410, "oidc_stale", "This attempt is not of this browser, or is too old")
        self._require_issuer(proof.query.get("iss"), where)
        # Used up before anything is asked: of two returns with one state only the first is heard.
        if not await self._sessions.use_up(f"oidc:{attempt.id}", attempt.expires):
            raise ProblemError(410, "oidc_stale", "This attempt was used")
        code = proof.query.get("code", "")
        if "error" in proof.query or not 0 < len(code) <= _MOST_CODE:
            raise ProblemError(403, "oidc_refused", "The identity service signed nobody in")
        return await self._redeem(code, attempt)

    async def end_session(self, back: str) -> str | None:
        """The address at the service that signs out there, too, and comes back to `back`; None where it has
        none or is away."""
        try:
            address = (await self._endpoints.metadata()).end_session
        except AwayError:
            return None
        if address is None:
            return None
        return _with_query(address, {"client_id": self._client.id, "post_logout_redirect_uri": back})

    async def ended(self, token: str) -> int:
        """End the sign-ins that a logout token names; returns how many. Raises 400 for one that is not
        believed, 503 where the service is away."""
        try:
            logout = await self._logout(token)
        except TokenRefusedError as error:
            OIDC_FAULTS.labels("logout").inc()
            log.warning("a logout token is not believed", why=str(error))
            raise ProblemError(400, "invalid_request", "This logout token is not believed") from None
        except AwayError as error:
            raise _away() from error
        subject = None if logout.subject is None else self._subject(logout.subject)
        session = None if logout.session is None else self._subject(logout.session)
        return await self._sessions.revoke_at_provider(subject, session, logout.at, datetime.now(UTC))

    async def _redeem(self, code: str, attempt: Attempt) -> Known:
        try:
            tokens = await self._endpoints.exchange(self._client, code, attempt.verifier)
            claims = await self._claims(tokens, attempt)
            value = value_of(claims, self._mapping)
            if value is None and isinstance(access := tokens.get("access_token"), str):
                value = value_of(await self._more(access, claims), self._mapping)
        except AwayError as error:
            raise _away() from error
        except (NotGrantedError, TokenRefusedError) as error:
            OIDC_FAULTS.labels("refused").inc()
            log.warning("an answer of the identity service is not believed", why=str(error))
            raise ProblemError(
                403, "oidc_invalid", "What the identity service said is not believed"
            ) from None
        person = person_meant(value, self._mapping, city_of(self._registry)) if value else None
        if person is None:
            log.warning(
                "whom the identity service means is unknown", claim=self._mapping.claim, said=bool(value)
            )
            raise ProblemError(403, "oidc_nobody", "The registry does not know whom it means")
        session = claims.get("sid")
        return Known(
            person.id,
            self._subject(str(claims["sub"])),
            self._subject(session) if isinstance(session, str) and session else None,
        )

    async def _claims(self, tokens: Mapping[str, Any], attempt: Attempt) -> Mapping[str, Any]:
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise TokenRefusedError("there is no ID token")
        now = datetime.now(UTC)
        try:
            keys = await self._endpoints.keys()
            return id_token(token, keys, self._expected, attempt.nonce, attempt.begun, now)
        except KeyUnknownError:  # the keys were changed, perhaps
            keys = await self._endpoints.keys(again=True)
            return id_token(token, keys, self._expected, attempt.nonce, attempt.begun, now)

    async def _logout(self, token: str) -> Logout:
        now = datetime.now(UTC)
        try:
            return logout_token(token, await self._endpoints.keys(), self._expected, now)
        except KeyUnknownError:
            return logout_token(token, await self._endpoints.keys(again=True), self._expected, now)

    async def _more(self, access_token: str, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the service says beside the ID token; heeded only of the same subject (Core 1.0, 5.3.2)."""
        more = await self._endpoints.userinfo(access_token)
        return more if more.get("sub") == claims["sub"] else {}

    def _require_issuer(self, given: str | None, where: Metadata) -> None:
        """Raises 403 for an answer of another service (RFC 9207)."""
        if given is None and not where.names_issuer:
            return
        if given != self._expected.issuer:
            raise ProblemError(403, "oidc_invalid", "Another identity service answered")

    async def _metadata(self) -> Metadata:
        try:
            return await self._endpoints.metadata()
        except AwayError as error:
            raise _away() from error

    def _subject(self, id_: str) -> str:
        """What is kept of a subject or session of the service: enough to know it again, nothing to read."""
        return hashlib.sha256(f"{self._expected.issuer}\n{id_}".encode()).hexdigest()


def _away() -> ProblemError:
    return ProblemError(
        503, "oidc_away", "The identity service is away", "Sign in by a link.", {"Retry-After": "5"}
    )


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _with_query(address: str, more: Mapping[str, str]) -> str:
    parts = urlsplit(address)
    query = "&".join(filter(None, (parts.query, urlencode(more))))
    return parts._replace(query=query, fragment="").geturl()
