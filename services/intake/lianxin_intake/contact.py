"""The contact is sealed at the edge: intake holds the public key alone and can't read what it sealed."""

import base64
import binascii

import msgspec
from msgspec import Struct
from nacl.public import PublicKey, SealedBox


class Contact(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How to reach a resident, in clear: never kept, never logged."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None

    def __repr__(self) -> str:
        return "Contact(…)"  # so that no log line and no traceback can show it


class ContactSealer:
    """Seals contacts for the holder of the private key."""

    def __init__(self, public_key: str) -> None:
        """`public_key`: 32 bytes of Curve25519 in base64. Raises ValueError where it isn't."""
        try:
            raw = base64.b64decode(public_key, validate=True)
        except binascii.Error as error:
            raise ValueError("LIANXIN_CONTACT_PUBLIC_KEY is no base64") from error
        if len(raw) != PublicKey.SIZE:
            raise ValueError(f"LIANXIN_CONTACT_PUBLIC_KEY has {len(raw)} bytes, expected {PublicKey.SIZE}")
        self._box = SealedBox(PublicKey(raw))

    def seal(self, contact: Contact, code: str) -> str:
        """`contact` as a libsodium sealed box in base64; inside is the JSON object {name, phone, email} with
        what was given, and `code`, the opinion's tracking code: whoever may write to the resident can name it
        to them, and needs no secret with which every code could be made."""
        inside = {**msgspec.to_builtins(contact), "code": code}
        return base64.b64encode(self._box.encrypt(msgspec.json.encode(inside))).decode()
