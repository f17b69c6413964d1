"""WeChat's side of an Official Account: signs and posts as its platform does, and reads the replies."""

import itertools
import os
import time
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

import httpx
from defusedxml import ElementTree

from lianxin_intake.wechat.accounts import key_of
from lianxin_intake.wechat.signing import decrypt, encrypt, is_signed, signature
from tests.intake.running import WECHAT, Running

_numbers = itertools.count(int(time.time() * 1_000_000))


class Platform:
    """Speaks to one account's callback for its followers."""

    def __init__(self, api: Running, channel: str = "wechat") -> None:
        self.api = api
        self.path = f"/wechat/{channel}"
        self.account = WECHAT[channel]
        self.key = key_of(self.account["aes_key"]) if "aes_key" in self.account else None

    def query(
        self, encrypted: str | None = None, *, at: float | None = None, nonce: str = ""
    ) -> dict[str, str]:
        timestamp, nonce = str(int(at or time.time())), nonce or os.urandom(5).hex()
        token = self.account["token"]
        query = {"signature": signature(token, timestamp, nonce), "timestamp": timestamp, "nonce": nonce}
        if encrypted is not None:
            query |= {
                "encrypt_type": "aes",
                "msg_signature": signature(token, timestamp, nonce, encrypted),
            }
        return query

    def post(self, body: bytes, *, api: Running | None = None) -> httpx.Response:
        encrypted = encrypt(body, self.key, self.account["app_id"]) if self.key is not None else None
        if encrypted is not None:
            body = f"<xml><ToUserName>gh_1</ToUserName><Encrypt>{encrypted}</Encrypt></xml>".encode()
        return (api or self.api).http.post(self.path, params=self.query(encrypted), content=body)

    def reply_of(self, answer: httpx.Response, openid: str) -> str:
        """The text that the person `openid` sees; "" for none."""
        assert answer.status_code == 200, answer.text
        if answer.text == "success":
            return ""
        document = self.document_of(answer)
        assert document.findtext("ToUserName") == openid
        assert document.findtext("MsgType") == "text"
        return document.findtext("Content") or ""

    def text_of(self, answer: httpx.Response) -> str:
        """The text that whoever wrote sees."""
        return self.document_of(answer).findtext("Content") or ""

    def document_of(self, answer: httpx.Response) -> Element:
        """The reply, opened and its signature checked."""
        document = ElementTree.fromstring(answer.content)
        if self.key is not None:
            encrypted = document.findtext("Encrypt") or ""
            parts = (document.findtext("TimeStamp") or "", document.findtext("Nonce") or "", encrypted)
            assert is_signed(document.findtext("MsgSignature") or "", self.account["token"], *parts)
            document = ElementTree.fromstring(decrypt(encrypted, self.key, self.account["app_id"]))
        return document


class Person:
    """A follower of the account."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.openid = f"o{os.urandom(13).hex()}"
        self.last = b""

    def message(self, kind: str, **fields: str) -> bytes:
        every = {
            "ToUserName": "gh_1",
            "FromUserName": self.openid,
            "CreateTime": str(int(time.time())),
            "MsgType": kind,
        }
        every |= fields if kind == "event" else {"MsgId": str(next(_numbers))} | fields
        inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in every.items())
        return f"<xml>{inside}</xml>".encode()

    def send(self, kind: str, **fields: str) -> str:
        self.last = self.message(kind, **fields)
        return self.again()

    def again(self, *, api: Running | None = None) -> str:
        """WeChat's own retry of the last message."""
        return self.platform.reply_of(self.platform.post(self.last, api=api), self.openid)

    def say(self, text: str) -> str:
        return self.send("text", Content=text)
