"""Pictures: fetched from WeChat, handed to whoever keeps them. Only WeChat's documented HTTP is spoken here.

`POST /cgi-bin/stable_token` gives an access token, the same one to every instance, for up to two hours;
`GET /cgi-bin/media/get` the file, or JSON with an `errcode` in an answer of 200.
"""

import asyncio
from collections.abc import Mapping
from time import monotonic
from urllib.parse import urlsplit

import httpx
import msgspec

from lianxin_chassis.logs import get_logger
from lianxin_intake.wechat.accounts import WechatAccount

log = get_logger(__name__)

MAX_BYTES = 10 * 1024 * 1024  # WeChat's limit for a picture
# WeChat hands out the next token in the last five minutes of the one before; both hold for that long.
EARLY_S = 300.0
_STALE = frozenset({40001, 40014, 42001})  # the token is wrong, malformed or over


class Unfetched(Exception):
    """The picture can't be had; `str()` says why, without secrets."""


class _Token(msgspec.Struct):
    access_token: str = ""
    expires_in: float = 0
    errcode: int = 0


class _Problem(msgspec.Struct):
    errcode: int = 0


class Pictures:
    """Fetches pictures of the accounts. `hosts`: the domains that a picture's own address may be on."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        api: str,
        accounts: Mapping[str, WechatAccount],
        hosts: tuple[str, ...],
    ) -> None:
        self._client = client
        self._api = api.rstrip("/")
        self._accounts = accounts
        self._hosts = hosts
        self._tokens: dict[str, tuple[str, float]] = {}
        self._asking = asyncio.Lock()

    async def fetch(self, channel: str, media_id: str, url: str) -> bytes:
        """The picture that `channel`'s account got as `media_id`, or at `url` where the account has no
        secret. Raises `Unfetched`."""
        try:
            if self._accounts[channel].app_secret is not None and media_id:
                return await self._by_media_id(channel, media_id)
            return await self._by_url(url)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unfetched(type(error).__name__) from None

    async def _by_media_id(self, channel: str, media_id: str) -> bytes:
        for attempt in (1, 2):
            token = await self._token(channel)
            type_, body = await self._read(
                f"{self._api}/cgi-bin/media/get", {"access_token": token, "media_id": media_id}
            )
            if type_.startswith("image/"):
                return body
            code = _errcode(body)
            if code not in _STALE or attempt == 2:
                break
            self._tokens.pop(channel, None)
        raise Unfetched(f"errcode {code}")

    async def _by_url(self, url: str) -> bytes:
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            host = ""
        known = any(host == allowed or host.endswith(f".{allowed}") for allowed in self._hosts)
        if not known or not url.startswith(("http://", "https://")):
            raise Unfetched("the address is not WeChat's")
        type_, body = await self._read(url, None)
        if not type_.startswith("image/"):
            raise Unfetched("no picture")
        return body

    async def _read(self, url: str, query: dict[str, str] | None) -> tuple[str, bytes]:
        """Media type and body, as far as the limit. Redirects are not followed."""
        async with self._client.stream("GET", url, params=query, follow_redirects=False) as answer:
            if answer.status_code != 200:
                raise Unfetched(f"status {answer.status_code}")
            body = bytearray()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise Unfetched("too large")
            return answer.headers.get("content-type", ""), bytes(body)

    async def _token(self, channel: str) -> str:
        async with self._asking:  # one question for all that wait
            kept = self._tokens.get(channel)
            if kept is not None and monotonic() < kept[1]:
                return kept[0]
            account = self._accounts[channel]
            assert account.app_secret is not None
            answer = await self._client.post(
                f"{self._api}/cgi-bin/stable_token",
                json={
                    "grant_type": "client_credential",
                    "appid": account.app_id,
                    "secret": account.app_secret.get_secret_value(),
                },
            )
            try:
                token = msgspec.json.decode(answer.content, type=_Token)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                raise Unfetched("the answer for a token can't be read") from None
            if not token.access_token:
                log.error("WeChat gives no access token", channel=channel, errcode=token.errcode)
                raise Unfetched(f"no token, errcode {token.errcode}")
            self._tokens[channel] = token.access_token, monotonic() + max(0.0, token.expires_in - EARLY_S)
            return token.access_token


def _errcode(body: bytes) -> int:
    try:
        return msgspec.json.decode(body, type=_Problem).errcode
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return -1
