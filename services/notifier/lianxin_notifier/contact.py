"""Opening a resident's contact. The one place where it is in clear; nothing here is logged or kept."""

import base64
import binascii

import msgspec
from msgspec import Struct
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, SealedBox


class Contact(Struct, frozen=True, omit_defaults=True):
    """How to reach a resident."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None

    def __repr__(self) -> str:
        return "Contact(…)"  # so that no log line and no traceback can show it


class Reachable(Contact, frozen=True, omit_defaults=True):
    """The same with the opinion's tracking code, which intake seals in with it: for messages to the resident
    themselves, never for a deputy's eyes. None where the opinion came in before there was one inside."""

    code: str | None = None

    def __repr__(self) -> str:
        return "Reachable(…)"


class Unopenable(Exception):
    """The sealed contact can't be opened with this key."""


class ContactOpener:
    """Holds the private key."""

    def __init__(self, private_key: str) -> None:
        """`private_key`: 32 bytes of Curve25519 in base64. Raises ValueError where it isn't; the message does
        not repeat it."""
        try:
            raw = base64.b64decode(private_key, validate=True)
        except binascii.Error as error:
            raise ValueError("LIANXIN_CONTACT_PRIVATE_KEY is no base64") from error
        if len(raw) != PrivateKey.SIZE:
            raise ValueError(f"LIANXIN_CONTACT_PRIVATE_KEY has {len(raw)} bytes, expected {PrivateKey.SIZE}")
        self._box = SealedBox(PrivateKey(raw))

    def open(self, sealed: str) -> Contact:
        """The contact in a libsodium sealed box in base64. Raises `Unopenable`."""
        found = self.open_to_write(sealed)
        return Contact(found.name, found.phone, found.email)

    def open_to_write(self, sealed: str) -> Reachable:
        """The same, for a message to the resident. Raises `Unopenable`."""
        try:
            return msgspec.json.decode(self._box.decrypt(base64.b64decode(sealed)), type=Reachable)
        except (CryptoError, binascii.Error, ValueError, TypeError) as error:
            # Without the cause: its message may hold what was inside.
            raise Unopenable(type(error).__name__) from None
