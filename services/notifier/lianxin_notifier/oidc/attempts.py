"""One attempt to sign in, from leaving for the identity service to coming back. No I/O.

The browser that left holds the attempt in a signed cookie; state, nonce and PKCE's verifier are made of its
id under our secret. So nothing is kept here, no other browser can bring the answer back, and the cookie tells
whoever reads it none of the three.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

# Long enough for a password, a second factor and a look for the phone.
ATTEMPT_HOLDS = timedelta(minutes=10)
_MOST_COOKIE = 2048  # characters


class _Sealed(Struct, frozen=True, array_like=True):
    id: Annotated[str, Meta(min_length=32, max_length=64)]
    begun: int
    to: Annotated[str, Meta(max_length=512)]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt. `to` is the address of ours to go to afterwards."""

    id: str
    begun: datetime
    to: str
    state: str
    nonce: str
    verifier: str

    @property
    def challenge(self) -> str:
        """PKCE's S256 of the verifier (RFC 7636, 4.2)."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())

    @property
    def expires(self) -> datetime:
        """When it holds no more."""
        return self.begun + ATTEMPT_HOLDS


class Attempts:
    """Makes attempts and finds them again, under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def begin(self, to: str, now: datetime) -> Attempt:
        """A new one. `to` must be one of our own addresses: it is believed afterwards."""
        return self._attempt(_Sealed(secrets.token_urlsafe(32), int(now.timestamp()), to))

    def cookie(self, attempt: Attempt) -> str:
        """What the browser keeps of it."""
        body = msgspec.json.encode(_Sealed(attempt.id, int(attempt.begun.timestamp()), attempt.to))
        return f"{_text(body)}.{_text(self._mac(b'attempt', body))}"

    def of_cookie(self, cookie: str, now: datetime) -> Attempt | None:
        """The attempt that a browser kept; None for what was not made here or is too old."""
        if len(cookie) > _MOST_COOKIE:
            return None
        try:
            body, mac = (_bytes(part) for part in cookie.split("."))
            if not hmac.compare_digest(mac, self._mac(b"attempt", body)):
                return None
            attempt = self._attempt(msgspec.json.decode(body, type=_Sealed))
        except (ValueError, binascii.Error, msgspec.MsgspecError):
            return None
        return attempt if now < attempt.expires else None

    def _attempt(self, sealed: _Sealed) -> Attempt:
        state, nonce, verifier = (
            _text(self._mac(purpose, sealed.id.encode())) for purpose in (b"state", b"nonce", b"verifier")
        )
        return Attempt(
            sealed.id, datetime.fromtimestamp(sealed.begun, UTC), sealed.to, state, nonce, verifier
        )

    def _mac(self, purpose: bytes, body: bytes) -> bytes:
        return hmac.digest(self._secret, b"oidc:" + purpose + b":" + body, "sha256")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
