"""Links that sign one person in: what they hold and who may have made them. No I/O.

A link opens a page whose button uses it up; the link alone does nothing, so that mail scanners and previews
of chats, which open every address, leave it as good as it was.
"""

import base64
import binascii
import hmac
import re
import time
from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

_MAC_BYTES = 24
# Only our own pages: a link must not lead elsewhere after signing in.
_OWN_PATH = re.compile(r"/(inbox|duty|station|supervision|signins)(/[A-Za-z0-9_-]+)*")


class Link(Struct, frozen=True, array_like=True):
    """What a link says: who, by which number it is used up, and until when it holds (seconds since the
    epoch)."""

    person: Annotated[str, Meta(min_length=1, max_length=128)]
    nonce: Annotated[str, Meta(min_length=16, max_length=64)]
    expires: int


class SignInLinks:
    """Makes and reads links under one secret."""

    def __init__(self, secret: bytes, public_url: str, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._public_url = public_url.rstrip("/")
        self._clock = clock

    def address(self, person: str, nonce: str, valid_s: float, to: str = "/inbox") -> str:
        """The address that signs `person` in within `valid_s` seconds, and then goes to our page `to`. Two
        addresses with one `nonce` are one link: who has used either has used both."""
        return f"{self._public_url}/signin/{self.token(person, nonce, valid_s)}?to={own_path(to)}"

    def token(self, person: str, nonce: str, valid_s: float) -> str:
        """What stands in the address."""
        body = msgspec.json.encode(Link(person, nonce, int(self._clock() + valid_s)))
        return f"{_text(body)}.{_text(self._mac(body))}"

    def read(self, token: str) -> Link | None:
        """What `token` says, whether it still holds or not; None where it was not made here."""
        try:
            body, mac = (_bytes(part) for part in token.split("."))
            if not hmac.compare_digest(mac, self._mac(body)):
                return None
            return msgspec.json.decode(body, type=Link)
        except (ValueError, binascii.Error, msgspec.MsgspecError):
            return None

    def expired(self, link: Link) -> bool:
        """Whether its time is over."""
        return self._clock() >= link.expires

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, b"signin:" + body, "sha256")[:_MAC_BYTES]


def own_path(to: str) -> str:
    """`to` where it is one of our own pages, else the inbox."""
    return to if _OWN_PATH.fullmatch(to) else "/inbox"


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
