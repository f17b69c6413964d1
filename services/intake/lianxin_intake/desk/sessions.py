"""Who sits at the desk: a cookie that a channel key opened, sealed under the server's secret.

The cookie holds the key's hash and never the key. Nothing is stored here: a session ends by itself after an
hour without a page and after ten in any case, at once when the key is revoked, and on this browser when its
user signs out.
"""

import base64
import binascii
import hmac
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Struct
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox
from starlette.responses import Response

from lianxin_contracts import ids

COOKIE = "lianxin_desk"
PATH = "/desk"
IDLE_S = 3600
LONGEST_S = 10 * 3600  # a long shift
_LONGEST_SEALED = 2048  # characters
T = TypeVar("T", bound=Struct)


class Sealed:
    """Seals small structs of one purpose into text that nobody else can read or make."""

    def __init__(self, secret: bytes, purpose: str) -> None:
        self._box = SecretBox(hmac.digest(secret, f"sealed:{purpose}".encode(), "sha256"))

    def seal(self, what: Struct) -> str:
        """`what` as text for a cookie or an address."""
        return base64.urlsafe_b64encode(self._box.encrypt(msgspec.json.encode(what))).decode()

    def open(self, text: str, model: type[T]) -> T | None:
        """What was sealed here; None for anything else."""
        if len(text) > _LONGEST_SEALED:
            return None
        try:
            raw = self._box.decrypt(base64.b64decode(text, altchars=b"-_", validate=True))
            return msgspec.json.decode(raw, type=model)
        except (CryptoError, binascii.Error, ValueError, msgspec.MsgspecError):
            return None


class Session(Struct, frozen=True):
    """Somebody who showed the key with the hash `key`: `since` and last `seen`, seconds since the epoch."""

    id: str
    key: str
    since: int
    seen: int


class Sessions:
    """Begins, recognises and ends sessions under one secret."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock
        self._sealed = Sealed(secret, "desk session")

    def begin(self, key: str) -> Session:
        """A new session of the key with the hash `key`."""
        now = int(self._clock())
        return Session(ids.fresh(), key, now, now)

    def read(self, cookie: str | None) -> Session | None:
        """The session that `cookie` holds, seen now; None where there is none or it is over."""
        session = self._sealed.open(cookie, Session) if cookie else None
        now = int(self._clock())
        if session is None or now - session.seen > IDLE_S or now - session.since > LONGEST_S:
            return None
        return msgspec.structs.replace(session, seen=now)

    def keep(self, response: Response, session: Session) -> None:
        """Have the browser keep `session`: for the desk's pages alone, out of reach of scripts and of other
        sites, over TLS (or on this machine) only."""
        response.set_cookie(
            COOKIE,
            self._sealed.seal(session),
            max_age=IDLE_S,
            path=PATH,
            secure=True,
            httponly=True,
            samesite="strict",
        )

    def forget(self, response: Response) -> None:
        """Have the browser forget its session."""
        response.delete_cookie(COOKIE, path=PATH, secure=True, httponly=True, samesite="strict")

    def token(self, session: Session) -> str:
        """What the forms of `session` carry, and no page of another site knows."""
        return hmac.digest(self._secret, f"desk form:{session.id}".encode(), "sha256").hex()[:32]

    def accepts(self, token: str, session: Session) -> bool:
        """Whether a form with `token` is one of `session`."""
        return hmac.compare_digest(token.encode(), self.token(session).encode())
