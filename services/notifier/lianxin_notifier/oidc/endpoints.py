"""Asking an identity service: where its endpoints are, its keys, and its tokens. The only file of this folder
that speaks HTTP.

Its addresses are the operator's own choice and may lie inside; what must hold is TLS, but for named hosts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, TypeVar
from urllib.parse import quote_plus

import httpx
import msgspec

from lianxin_chassis.logs import get_logger
from lianxin_notifier.metric_names import OIDC_FAULTS
from lianxin_notifier.oidc.addresses import may_be_asked
from lianxin_notifier.oidc.tokens import Key, usable_keys

log = get_logger(__name__)

MOST_BYTES = 256 * 1024  # of any answer
MOST_KEYS = 100
# After a fault nobody asks again for so long: whoever waits meanwhile hears of it at once, seconds.
REST_S = 3.0
# A token may name a key that does not exist; for such the keys are read anew no more often, seconds.
KEYS_AGAIN_S = 30.0


class AwayError(Exception):
    """The service can't be reached, or answers as no such service does."""


class NotGrantedError(Exception):
    """The service does not take the code: it is used, old, or somebody else's."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is needed of the discovery document (OpenID Connect Discovery 1.0, 3)."""

    authorization: str
    token: str
    keys: str
    userinfo: str | None
    end_session: str | None
    secret_in_body: bool
    names_issuer: bool


@dataclass(frozen=True, slots=True)
class Client:
    """Us, as the service knows us. Without a secret PKCE alone protects the code."""

    id: str
    secret: str
    redirect: str


T = TypeVar("T")


class Fresh(Generic[T]):
    """A value that is fetched when needed and then for `holds_s` seconds not again. While it can't be fetched
    anew the old one serves; several who need it wait for one fetch."""

    def __init__(self, fetch: Callable[[], Awaitable[T]], holds_s: float, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._holds_s = holds_s
        self._clock = clock
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._fetched = self._failed = self._asked_again = float("-inf")

    async def get(self, *, again_after_s: float | None = None) -> T:
        """The value. With `again_after_s` it is fetched anew, unless that was asked for no longer than
        so many seconds ago. Raises AwayError where there is none."""
        async with self._lock:
            now = self._clock()
            old = now - self._fetched >= self._holds_s
            if again_after_s is not None and now - self._asked_again >= again_after_s:
                self._asked_again, old = now, True
            if old and now - self._failed >= REST_S:
                try:
                    self._value = await self._fetch()
                    self._fetched = self._clock()
                except AwayError as error:
                    self._failed = self._clock()
                    log.warning(
                        "the identity service is away", error=str(error), kept=self._value is not None
                    )
            if self._value is None:
                raise AwayError("nothing was ever fetched")
            return self._value


class Endpoints:
    """One identity service, found by its issuer."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        issuer: str,
        plain_hosts: frozenset[str],
        *,
        deadline_s: float,
        refresh_s: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._http = http
        self._issuer = issuer
        self._plain_hosts = plain_hosts
        self._deadline_s = deadline_s
        self._metadata = Fresh(self._discover, refresh_s, clock)
        self._keys = Fresh(self._read_keys, refresh_s, clock)

    async def metadata(self) -> Metadata:
        """Where things are. Raises AwayError."""
        return await self._metadata.get()

    async def keys(self, *, again: bool = False) -> tuple[Key, ...]:
        """The keys that sign; `again`: one is missing among those, though not asked for at will. Raises
        AwayError."""
        return await self._keys.get(again_after_s=KEYS_AGAIN_S if again else None)

    async def exchange(self, client: Client, code: str, verifier: str) -> Mapping[str, Any]:
        """The tokens for `code`. Raises NotGrantedError and AwayError."""
        where = await self.metadata()
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": client.redirect,
            "code_verifier": verifier,
        }
        headers: dict[str, str] = {}
        if client.secret and not where.secret_in_body:
            # Encoded before it is joined: RFC 6749, 2.3.1.
            basic = httpx.BasicAuth(quote_plus(client.id), quote_plus(client.secret))
            request = next(basic.auth_flow(httpx.Request("POST", where.token)))
            headers["Authorization"] = request.headers["Authorization"]
        else:
            fields["client_id"] = client.id
            if client.secret:
                fields["client_secret"] = client.secret
        status, body = await self._ask("token", "POST", where.token, fields, headers)
        if status == 200:
            return body
        if status == 400 and body.get("error") == "invalid_grant":
            raise NotGrantedError("invalid_grant")
        OIDC_FAULTS.labels("token").inc()
        log.error("the identity service gives no tokens", status=status, error=_code(body))
        raise AwayError(f"the token endpoint answers {status}")

    async def userinfo(self, access_token: str) -> Mapping[str, Any]:
        """What the service says of whom `access_token` is; nothing where it has no such endpoint. Raises
        AwayError."""
        address = (await self.metadata()).userinfo
        if address is None:
            return {}
        headers = {"Authorization": f"Bearer {access_token}"}
        status, body = await self._ask("userinfo", "GET", address, None, headers)
        if status != 200:
            OIDC_FAULTS.labels("userinfo").inc()
            raise AwayError(f"the userinfo endpoint answers {status}")
        return body

    async def _discover(self) -> Metadata:
        address = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        body = await self._get("discovery", address)
        if body.get("issuer") != self._issuer:
            # Discovery 1.0, 4.3. Whoever could answer for another issuer could pose as it.
            raise self._fault("discovery", "the document names another issuer")
        methods = body.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return Metadata(
            authorization=self._address(body, "authorization_endpoint"),
            token=self._address(body, "token_endpoint"),
            keys=self._address(body, "jwks_uri"),
            userinfo=self._address(body, "userinfo_endpoint") if "userinfo_endpoint" in body else None,
            end_session=self._address(body, "end_session_endpoint")
            if "end_session_endpoint" in body
            else None,
            secret_in_body="client_secret_basic" not in methods,
            names_issuer=body.get("authorization_response_iss_parameter_supported") is True,
        )

    async def _read_keys(self) -> tuple[Key, ...]:
        body = await self._get("keys", (await self.metadata()).keys)
        found = body.get("keys")
        if not isinstance(found, list) or len(found) > MOST_KEYS:
            raise self._fault("keys", "the key set can't be read")
        return usable_keys(found)

    async def _get(self, step: str, address: str) -> Mapping[str, Any]:
        status, body = await self._ask(step, "GET", address, None, {})
        if status != 200:
            raise self._fault(step, f"{step} answers {status}")
        return body

    async def _ask(
        self,
        step: str,
        method: str,
        address: str,
        fields: Mapping[str, str] | None,
        headers: Mapping[str, str],
    ) -> tuple[int, Mapping[str, Any]]:
        """The status and the JSON object of an answer; an empty one where a refusal has none."""
        raw = bytearray()
        try:
            async with (
                asyncio.timeout(self._deadline_s),
                self._http.stream(
                    method, address, data=fields, headers={"Accept": "application/json", **headers}
                ) as answer,
            ):
                async for part in answer.aiter_bytes():
                    raw += part
                    if len(raw) > MOST_BYTES:
                        raise self._fault(step, "the answer is too long")
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._fault(step, type(error).__name__) from error
        try:
            body = msgspec.json.decode(bytes(raw))
        except msgspec.DecodeError:
            body = None
        if isinstance(body, dict):
            return answer.status_code, body
        if answer.status_code == 200:
            raise self._fault(step, "the answer is no JSON object")
        return answer.status_code, {}

    def _address(self, body: Mapping[str, Any], name: str) -> str:
        address = body.get(name)
        if not isinstance(address, str) or not may_be_asked(address, self._plain_hosts):
            raise self._fault("discovery", f"{name} is no address by https")
        return address

    def _fault(self, step: str, why: str) -> AwayError:
        OIDC_FAULTS.labels(step).inc()
        return AwayError(f"{step}: {why}")


def _code(body: Mapping[str, Any]) -> str:
    """The error's code, if it is one of a code's characters: anything else might be somebody's data."""
    code = body.get("error")
    return code if isinstance(code, str) and code.isascii() and code.replace("_", "").isalpha() else "unknown"
