"""Servers that speak the protocols of group robots and of an SMS gateway, as their providers document them.

They check what the provider checks (token, signature, age, form, rate) by code of their own and answer with
its codes and its HTTP status.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token"
SECRET = "SEC-a-secret"

Said = tuple[int, dict[str, str], Any]


class Provider:
    """Listens on 127.0.0.1; `said` are the texts that it took. `forced` answers come first, in turn."""

    def __init__(self, judge: Callable[["Provider", dict[str, list[str]], Any], Said]) -> None:
        self.said: list[str] = []
        self.forced: list[tuple[int, dict[str, str], bytes]] = []
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        self.tokens: list[str] = []  # that were given out, the newest last
        self.most = 20  # messages before the provider's limit, which here does not pass
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                provider.posted.append((self.path, {k.lower(): v for k, v in self.headers.items()}, raw))
                if provider.forced:
                    status, headers, body = provider.forced.pop(0)
                elif self.command == "GET":
                    status, headers, answer = judge(provider, parse_qs(urlsplit(self.path).query), None)
                    body = json.dumps(answer).encode()
                else:
                    form = self.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
                    given = parse_qs(raw.decode()) if form else json.loads(raw)
                    status, headers, answer = judge(provider, parse_qs(urlsplit(self.path).query), given)
                    body = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing: pytest shows what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, text: str) -> bool:
        """Whether one more is within the limit; if so it is said."""
        if len(self.said) >= self.most:
            return False
        self.said.append(text)
        return True

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def wecom(provider: Provider, query: dict[str, list[str]], body: Any) -> Said:
    """`/cgi-bin/webhook/send?key=…`."""
    if query.get("key") != [TOKEN]:
        return 200, {}, {"errcode": 93000, "errmsg": "invalid webhook url"}
    if body.get("msgtype") != "text":
        return 200, {}, {"errcode": 40008, "errmsg": "invalid message type"}
    text = body["text"]["content"]
    if len(text.encode()) > 2048:
        return 200, {}, {"errcode": 40058, "errmsg": "text.content exceed max length 2048"}
    if not provider.take(text):
        return 200, {}, {"errcode": 45009, "errmsg": "api freq out of limit"}
    return 200, {}, {"errcode": 0, "errmsg": "ok"}


CORPID, AGENTID, MEMBERS = "ww-corp", 1000002, ("ZhangSan", "LiSi")


def wecom_app(provider: Provider, query: dict[str, list[str]], body: Any) -> Said:
    """`/cgi-bin/gettoken` and `/cgi-bin/message/send`; what it takes twice within the interval shows once."""
    if body is None:
        if query.get("corpid") != [CORPID]:
            return 200, {}, {"errcode": 40013, "errmsg": "invalid corpid"}
        if query.get("corpsecret") != [SECRET]:
            return 200, {}, {"errcode": 40001, "errmsg": "invalid credential"}
        provider.tokens.append(f"token-{len(provider.tokens) + 1}")
        token = provider.tokens[-1]
        return 200, {}, {"errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": 7200}
    if query.get("access_token") != provider.tokens[-1:]:
        return 200, {}, {"errcode": 42001, "errmsg": "access_token expired"}
    if body["agentid"] != AGENTID:
        return 200, {}, {"errcode": 40056, "errmsg": "invalid agentid"}
    card = body["textcard"]
    if body["msgtype"] != "textcard" or not (card["title"] and card["description"] and card["url"]):
        return 200, {}, {"errcode": 40008, "errmsg": "invalid message type"}
    if len(card["title"].encode()) > 128 or len(card["description"].encode()) > 512:
        return 200, {}, {"errcode": 45002, "errmsg": "content size out of limit"}
    known = [one.lower() for one in MEMBERS]
    asked = body["touser"].split("|")
    invalid = [one for one in asked if one.lower() not in known]
    if len(invalid) == len(asked):
        return 200, {}, {"errcode": 81013, "errmsg": "user & party & tag all invalid"}
    text = json.dumps([body["touser"], card], ensure_ascii=False)
    if body.get("enable_duplicate_check") != 1 or not 0 < body["duplicate_check_interval"] <= 14_400:
        return 200, {}, {"errcode": 40035, "errmsg": "invalid parameter"}
    if text not in provider.said and not provider.take(text):
        return 200, {}, {"errcode": 45009, "errmsg": "api freq out of limit"}
    answer = {"errcode": 0, "errmsg": "ok", "invaliduser": "|".join(invalid), "msgid": "m1"}
    return 200, {}, answer


def dingtalk(provider: Provider, query: dict[str, list[str]], body: Any) -> Said:
    """`/robot/send?access_token=…&timestamp=…&sign=…`."""
    if query.get("access_token") != [TOKEN]:
        return 200, {}, {"errcode": 300005, "errmsg": "token is not exist"}
    stamp = query.get("timestamp", ["0"])[0]
    if abs(time.time() * 1000 - int(stamp)) > 3_600_000:
        return 200, {}, {"errcode": 310000, "errmsg": "invalid timestamp"}
    mac = hmac.new(SECRET.encode(), digestmod=hashlib.sha256)
    mac.update(stamp.encode() + b"\n" + SECRET.encode())
    if query.get("sign") != [base64.encodebytes(mac.digest()).decode().strip()]:
        return 200, {}, {"errcode": 310000, "errmsg": "sign not match"}
    if not provider.take(body["text"]["content"]):
        return 200, {}, {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}
    return 200, {}, {"errcode": 0, "errmsg": "ok"}


def feishu(provider: Provider, query: dict[str, list[str]], body: Any) -> Said:
    """`/open-apis/bot/v2/hook/…`; the signature travels in the body."""
    mac = hmac.new(f"{body.get('timestamp')}\n{SECRET}".encode(), digestmod=hashlib.sha256)
    fresh = abs(time.time() - int(body.get("timestamp", 0))) < 3600
    if not fresh or body.get("sign") != base64.encodebytes(mac.digest()).decode().strip():
        return 200, {}, {"code": 19021, "msg": "sign match fail or timestamp is not within one hour"}
    if body.get("msg_type") != "text":
        return 400, {}, {"code": 9499, "msg": "Bad Request", "data": {}}
    if not provider.take(body["content"]["text"]):
        return 200, {}, {"code": 11232, "msg": "frequency limited"}
    return 200, {}, {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}


def gateway(provider: Provider, query: dict[str, list[str]], body: Any) -> Said:
    """An SMS gateway of the common kind: a code in a JSON answer."""
    mobile = body["mobile"][0] if isinstance(body["mobile"], list) else body["mobile"]
    content = body["content"][0] if isinstance(body["content"], list) else body["content"]
    if not mobile.removeprefix("+").isdigit():
        return 200, {}, {"result": {"code": "BAD_NUMBER"}}
    if not provider.take(content):
        return 200, {}, {"result": {"code": 1001}}
    return 200, {}, {"result": {"code": 0, "sid": "7"}}
