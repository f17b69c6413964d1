"""WeChat's own API as it documents it, for tests: access tokens and pictures."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class WechatServer:
    """`secrets` by AppID; `media` by media id. `expire()` makes the tokens given out so far stale."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}
        self.media: dict[str, bytes] = {}
        self.tokens_asked = 0
        self.expires_in = 7200
        self._generation = 0

    def expire(self) -> None:
        self._generation += 1

    def token(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.tokens_asked += 1
        if asked.get("grant_type") != "client_credential":
            return {"errcode": 40002, "errmsg": "invalid grant_type"}
        if self.secrets.get(asked.get("appid", "")) != asked.get("secret"):
            return {"errcode": 40125, "errmsg": "invalid appsecret"}
        return {"access_token": f"token-{self._generation}", "expires_in": self.expires_in}

    def picture(self, token: str, media_id: str) -> bytes | dict[str, Any]:
        if token != f"token-{self._generation}":
            return {"errcode": 42001, "errmsg": "access_token expired"}
        return self.media.get(media_id, {"errcode": 40007, "errmsg": "invalid media_id"})


@contextmanager
def serving(server: WechatServer) -> Iterator[str]:
    """The address under which `server` is asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/cgi-bin/stable_token"
            self._answer(server.token(json.loads(body)))

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(asked.query).items()}
            if asked.path == "/cgi-bin/media/get":
                self._answer(server.picture(query.get("access_token", ""), query.get("media_id", "")))
            else:
                self._answer(server.media.get(asked.path, {"errcode": 1}))

        def _answer(self, answer: bytes | dict[str, Any]) -> None:
            picture = isinstance(answer, bytes)
            raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg" if picture else "application/json; encoding=utf-8")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            """Nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        http.server_close()
