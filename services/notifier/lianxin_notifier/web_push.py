"""What a web push looks like on its way: encrypted for one browser (RFC 8291, aes128gcm of RFC 8188), in the
name of this server (RFC 8292, VAPID). Pure but for the salts and keys, which are random.

The few lines of cryptography are put together here from the reference library, because the packages for it
don't fit (`docs/dependencies.md`); the standard's own example is a test.
"""

import base64
import binascii
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Meta, Struct

CURVE = ec.SECP256R1()
POINT_BYTES = 65  # an uncompressed point of P-256
AUTH_BYTES = 16  # RFC 8291 3.2
RECORD_BYTES = 4_096  # RFC 8291 4: push services need not take more
MOST_PLAIN = RECORD_BYTES - 103  # bytes: header 86, tag 16, delimiter 1
# RFC 8292 2: at most 24 hours; room for clocks that disagree.
TOKEN_VALID = timedelta(hours=12)
MOST_ENDPOINT = 2_048  # characters; those of today's push services have some 200


@dataclass(frozen=True, slots=True)
class Browser:
    """Where one browser takes pushes, and the keys that only it can open them with."""

    endpoint: str
    key: bytes
    auth: bytes

    def __repr__(self) -> str:
        return "Browser(…)"  # who has the endpoint and the keys can write to the screen


class Keys(Struct, frozen=True):
    """The browser's keys (RFC 8291), base64url."""

    p256dh: Annotated[str, Meta(max_length=128)]
    auth: Annotated[str, Meta(max_length=64)]


class Subscription(Struct, frozen=True):
    """A `PushSubscription` as browsers write it; further fields are not looked at."""

    endpoint: Annotated[str, Meta(max_length=2_048)]
    keys: Keys


def browser_of(endpoint: str, p256dh: str, auth: str) -> Browser:
    """What a browser's `PushSubscription` says. Raises ValueError, which names the field, never a value."""
    try:
        url = urlsplit(endpoint)
        plain = url.scheme in ("http", "https") and url.hostname and url.username is None and url.port != 0
    except ValueError:
        plain = False
    if not plain or len(endpoint) > MOST_ENDPOINT or not endpoint.isascii() or not endpoint.isprintable():
        raise ValueError("endpoint must be a plain http or https URL")
    key, secret = unpadded(p256dh, "p256dh"), unpadded(auth, "auth")
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(CURVE, key)
    except ValueError:
        raise ValueError("p256dh must be a point of P-256") from None
    if len(key) != POINT_BYTES or len(secret) != AUTH_BYTES:
        raise ValueError("p256dh must have 65 bytes and auth 16")
    return Browser(endpoint, key, secret)


def encrypted(
    plain: bytes,
    browser: Browser,
    *,
    salt: bytes | None = None,
    own: ec.EllipticCurvePrivateKey | None = None,
) -> bytes:
    """`plain` so that `browser` alone can read it, in one record. `salt` and `own` are random unless a test
    fixes them. Raises ValueError for more than `MOST_PLAIN` bytes."""
    if len(plain) > MOST_PLAIN:
        raise ValueError("too long for one push")
    salt = salt or os.urandom(16)
    own = own or ec.generate_private_key(CURVE)
    sender = _point(own.public_key())
    shared = own.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, browser.key))
    secret = _derived(shared, browser.auth, b"WebPush: info\0" + browser.key + sender, 32)
    content_key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    # 2 delimits the last record, and there is but one (RFC 8188 2).
    sealed = AESGCM(content_key).encrypt(nonce, plain + b"\x02", None)
    return salt + RECORD_BYTES.to_bytes(4, "big") + bytes([len(sender)]) + sender + sealed


class Vapid:
    """This server's name towards push services. `contact` is a mailto: or https: address of whom they may
    turn to."""

    def __init__(self, private_key: str, contact: str) -> None:
        """`private_key`: the 32 bytes of a P-256 key in base64url. Raises ValueError for anything else."""
        number = int.from_bytes(_bytes_of_key(private_key), "big")
        try:
            self._key = ec.derive_private_key(number, CURVE)
        except ValueError:
            raise ValueError("LIANXIN_PUSH_PRIVATE_KEY: not a private key of P-256") from None
        self._contact = contact
        self.public = padless(_point(self._key.public_key()))

    def authorization(self, endpoint: str, now: datetime) -> str:
        """The `Authorization` of a push to `endpoint`: a JWT (ES256) for that push service alone."""
        url = urlsplit(endpoint)
        claims = {
            "aud": f"{url.scheme}://{url.netloc}",
            "exp": int((now + TOKEN_VALID).timestamp()),
            "sub": self._contact,
        }
        head = padless(msgspec.json.encode({"typ": "JWT", "alg": "ES256"}))
        signed = f"{head}.{padless(msgspec.json.encode(claims))}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = padless(r.to_bytes(32, "big") + s.to_bytes(32, "big"))  # RFC 7518 3.4
        return f"vapid t={signed}.{signature}, k={self.public}"


def padless(raw: bytes) -> str:
    """`raw` in base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unpadded(text: str, name: str) -> bytes:
    """What `text`, base64url with or without padding, stands for. Raises ValueError, which tells `name`."""
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{name} must be base64url") from None


def _bytes_of_key(text: str) -> bytes:
    raw = unpadded(text, "LIANXIN_PUSH_PRIVATE_KEY")
    if len(raw) != 32:
        raise ValueError("LIANXIN_PUSH_PRIVATE_KEY: 32 bytes in base64url are needed")
    return raw


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
