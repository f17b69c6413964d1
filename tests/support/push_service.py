"""A push service (RFC 8030) and the browsers behind it: it checks who sends (RFC 8292) and what a push
service checks of headers, and each browser opens what it is sent (RFC 8291), by code of their own."""

import base64
import hashlib
import hmac
import json
import os
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@dataclass
class Screen:
    """One browser: its subscription, and what came to it."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    auth: bytes = field(default_factory=lambda: os.urandom(16))
    shown: list[dict[str, Any]] = field(default_factory=list)

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def subscription(self) -> dict[str, Any]:
        """What `PushSubscription.toJSON()` gives."""
        keys = {"p256dh": _text(self.public), "auth": _text(self.auth)}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    def open(self, body: bytes) -> bytes:
        """Decrypt one record of aes128gcm. Raises where it is not for this browser."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, sealed = body[21 : 21 + length], body[21 + length :]
        assert len(sealed) <= size
        shared = self.key.exchange(
            ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        )
        secret = _hkdf(self.auth, shared, b"WebPush: info\x00" + self.public + sender, 32)
        key = _hkdf(salt, secret, b"Content-Encoding: aes128gcm\x00", 16)
        nonce = _hkdf(salt, secret, b"Content-Encoding: nonce\x00", 12)
        padded = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\x00")
        assert padded[-1] == 2
        return padded[:-1]


class PushService:
    """Listens on 127.0.0.1. `forced` answers come first, in turn, as (status, headers)."""

    def __init__(self) -> None:
        self.screens: dict[str, Screen] = {}
        self.gone: set[str] = set()
        self.forced: list[tuple[int, dict[str, str]]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.refused: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told = {name.lower(): value for name, value in self.headers.items()}
                service.asked.append((self.path, told))
                status, headers = service.forced.pop(0) if service.forced else service.judge(self.path, told)
                if status == 201:
                    screen = service.screens[self.path]
                    screen.shown.append(json.loads(screen.open(body)))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: pytest shows what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def screen(self, host: str = "127.0.0.1") -> Screen:
        """A browser that has just subscribed; its endpoint names this server by `host`."""
        path = f"/push/{os.urandom(12).hex()}"
        self.screens[path] = Screen(f"http://{host}:{self.port}{path}")
        return self.screens[path]

    def judge(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
        """The status that a push service answers, and why it was none of the good ones."""
        wrong = self._wrong(headers)
        if wrong is not None:
            self.refused.append(wrong)
            return 403 if wrong.startswith("vapid") else 400, {}
        if path in self.gone:
            return 410, {}
        if path not in self.screens:
            return 404, {}
        return 201, {"Location": f"{self.origin}/message/{os.urandom(6).hex()}"}

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _wrong(self, headers: dict[str, str]) -> str | None:
        if not headers.get("ttl", "").isdigit():
            return "ttl"  # RFC 8030 5.2: 400 without it
        if headers.get("urgency", "normal") not in ("very-low", "low", "normal", "high"):
            return "urgency"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", headers.get("topic", "t")):
            return "topic"
        if headers.get("content-encoding") != "aes128gcm":
            return "content-encoding"
        return self._wrong_vapid(headers.get("authorization", ""), headers["host"])

    def _wrong_vapid(self, authorization: str, host: str) -> str | None:
        found = re.fullmatch(r"vapid t=([\w-]+)\.([\w-]+)\.([\w-]+), k=([\w-]+)", authorization)
        if found is None:
            return "vapid form"
        head, claims = json.loads(_raw(found[1])), json.loads(_raw(found[2]))
        signature = _raw(found[3])
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _raw(found[4]))
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            key.verify(encode_dss_signature(r, s), f"{found[1]}.{found[2]}".encode(), ec.ECDSA(SHA256()))
        except InvalidSignature:
            return "vapid signature"
        if head != {"typ": "JWT", "alg": "ES256"} or len(signature) != 64:
            return "vapid algorithm"
        if claims["aud"] != f"http://{host}":
            return "vapid audience"
        if not time.time() < claims["exp"] <= time.time() + 24 * 3600:
            return "vapid expiry"
        return None if re.match(r"(mailto:|https:)", claims["sub"]) else "vapid subject"


def _hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 for at most one block."""
    extracted = hmac.new(salt, secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()[:length]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
