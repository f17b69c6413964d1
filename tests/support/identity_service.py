"""An OpenID provider of our own, that can be told to lie. It signs by hand, with none of the product's
libraries for tokens, and takes a code only with the client's secret, the right redirect and
PKCE's verifier."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

Claims = dict[str, Any]
CLIENT, SECRET = "lianxin workbench", "a secret: with/signs+"


@dataclass
class SigningKey:
    """An RSA key under a name."""

    id: str
    private: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def document(self) -> Claims:
        numbers = self.private.public_key().public_numbers()
        length = (numbers.n.bit_length() + 7) // 8
        return {
            "kty": "RSA",
            "kid": self.id,
            "use": "sig",
            "n": text(numbers.n.to_bytes(length, "big")),
            "e": text(numbers.e.to_bytes(3, "big")),
        }

    def pem(self) -> bytes:
        public = self.private.public_key()
        return public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unsigned(header: Claims, claims: Claims) -> str:
    return ".".join(text(json.dumps(part).encode()) for part in (header, claims))


def rs256(key: SigningKey, claims: Claims, **header: Any) -> str:
    """Signed as it should be, but for what `header` says."""
    body = _unsigned({"alg": "RS256", "kid": key.id, "typ": "JWT", **header}, claims)
    return f"{body}.{text(key.private.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def hs256(secret: bytes, key: SigningKey, claims: Claims) -> str:
    """Signed by HMAC under what anybody knows."""
    body = _unsigned({"alg": "HS256", "kid": key.id, "typ": "JWT"}, claims)
    return f"{body}.{text(hmac.digest(secret, body.encode(), 'sha256'))}"


def unsigned(key: SigningKey, claims: Claims, algorithm: str = "none") -> str:
    return f"{_unsigned({'alg': algorithm, 'kid': key.id, 'typ': 'JWT'}, claims)}."


class IdentityService:
    """A provider on a port of this machine. `grant` stands for somebody who signs in at its page."""

    def __init__(self) -> None:
        self._first = SigningKey("first")
        self.key = self._first
        self.published = [self.key]
        self.lie: Callable[[Claims], str] | None = None
        self.discovery: Claims = {}
        self.userinfo: Claims = {}
        self.down = False
        self.asked: list[str] = []
        self._codes: dict[str, tuple[Claims, Claims]] = {}
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.answer(self, b"")

            def do_POST(self) -> None:
                service.answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "IdentityService":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def grant(self, address: str, **claims: Any) -> dict[str, str]:
        """Somebody with `claims` signs in at `address`; returns what goes back in the address."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        code = secrets.token_urlsafe(16)
        self._codes[code] = (asked, claims)
        return {"code": code, "state": asked["state"]}

    def claims(self, nonce: str | None = None, **more: Any) -> Claims:
        """What an honest token says."""
        now = int(time.time())
        told = {"iss": self.issuer, "aud": CLIENT, "sub": "s-1", "iat": now, "exp": now + 300}
        return {**told, **({} if nonce is None else {"nonce": nonce}), **more}

    def rotate(self) -> None:
        """Sign with a new key, and publish that alone."""
        self.key = SigningKey(secrets.token_hex(4))
        self.published = [self.key]

    def behave(self) -> None:
        """Stop lying, and sign with the first key."""
        self.key, self.published = self._first, [self._first]
        self.lie, self.down, self.discovery, self.userinfo = None, False, {}, {}

    def answer(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        path = urlsplit(request.path).path
        self.asked.append(path)
        if self.down:
            status, told = 500, {"error": "server_error"}
        elif path == "/.well-known/openid-configuration":
            status, told = 200, self._document()
        elif path == "/keys":
            status, told = 200, {"keys": [{"kty": "unheard-of"}, *(key.document() for key in self.published)]}
        elif path == "/token":
            status, told = self._token(request.headers.get("Authorization", ""), body)
        elif path == "/userinfo" and request.headers.get("Authorization") == "Bearer access":
            status, told = 200, self.userinfo
        else:
            status, told = 404, {}
        raw = json.dumps(told).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(raw)))
        request.end_headers()
        request.wfile.write(raw)

    def _document(self) -> Claims:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=wuxi",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "end_session_endpoint": f"{self.issuer}/logout",
            **self.discovery,
        }

    def _token(self, authorization: str, body: bytes) -> tuple[int, Claims]:
        given = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        name, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if (unquote_plus(name), unquote_plus(secret)) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        asked, claims = self._codes.pop(given.get("code", ""), ({}, {}))
        challenge = text(hashlib.sha256(given.get("code_verifier", "").encode()).digest())
        if (
            asked.get("code_challenge_method") != "S256"
            or asked["code_challenge"] != challenge
            or asked["redirect_uri"] != given.get("redirect_uri")
        ):
            return 400, {"error": "invalid_grant"}
        told = self.claims(asked["nonce"], **claims)
        token = self.lie(told) if self.lie is not None else rs256(self.key, told)
        return 200, {"access_token": "access", "token_type": "Bearer", "id_token": token}
