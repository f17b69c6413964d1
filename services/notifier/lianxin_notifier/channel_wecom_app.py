"""Messages of a WeCom application 企业微信应用消息 to one member: a card that opens the case.

After the provider's documents 获取access_token and 发送应用消息; never tried on the provider's own servers.
The member is named by userid. A token is the application's own for two hours, and asking for it too often is
refused, so all connections share it. WeCom recognises a message that it had within four hours
(`enable_duplicate_check`), so every attempt of an alert is the same to the letter.
"""

import asyncio
import time
from collections.abc import Callable
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from lianxin_contracts.registry import Snapshot
from lianxin_notifier.alerts import Due
from lianxin_notifier.letters import Language, civil, letter
from lianxin_notifier.posting import Answer, Poster, status_outcome
from lianxin_notifier.retrying import SENT, Outcome

MOST_TITLE = 128  # bytes
MOST_DESCRIPTION = 512  # bytes
DUPLICATES_S = 4 * 3600  # the longest that WeCom looks back
RENEW_BEFORE_S = 300.0  # a token is renewed so long before its end, if the server's clock is right
_BUSY = -1
_OLD_TOKEN = (40014, 42001)  # not valid (any more): another one mends it
_LIMITED = {45009: 60.0, 45033: 5.0}  # too many calls, with the seconds until it is worth trying again
_WORDS = {
    60020: "this server's address is not among the trusted ones of the application (企业可信IP)",
    60011: "the application may not see this member (可见范围)",
    40001: "the secret is wrong",
    40013: "the corpid is wrong",
    40056: "the agentid is wrong",
    81013: "no member of this userid",
}


class Application(Struct, frozen=True, forbid_unknown_fields=True):
    """The application, as the administration page of WeCom shows it. `url` is another where a proxy stands
    between, or a WeCom of one's own."""

    corpid: str
    secret: str
    agentid: int
    url: str = "https://qyapi.weixin.qq.com"

    def __repr__(self) -> str:
        return "Application(…)"


def application_of(text: str) -> Application | None:
    """The application that `text`, JSON, describes; None where it is empty. Raises ValueError, which names
    the place and never a value."""
    if not text.strip():
        return None
    try:
        return msgspec.json.decode(text, type=Application)
    except msgspec.DecodeError as error:
        raise ValueError(f"LIANXIN_WECOM_APP: {error}") from None


def message(application: Application, due: Due, city: Snapshot, public_url: str) -> bytes:
    """The body of `message/send`. The moment at which the alert was raised keeps two alerts on one case
    apart, which WeCom would else take for one."""
    zone, english = ZoneInfo(city.city.zone), _english(due, city)
    language: Language = "en" if english else "zh"
    lines = [f'<div class="gray">{civil(due.raised, zone, language)}</div>']
    if due.entry.due is not None:
        moment = civil(due.entry.due, zone, language)
        lines.append(f'<div class="highlight">{"Due: " if english else "时限："}{moment}</div>')
    card = {
        "title": _cut(letter(due, city, public_url).subject, MOST_TITLE),
        "description": _cut("".join(lines), MOST_DESCRIPTION),
        "url": f"{public_url}{due.page}",
        "btntxt": "Open" if english else "查看",
    }
    return msgspec.json.encode(
        {
            "touser": due.target,
            "msgtype": "textcard",
            "agentid": application.agentid,
            "textcard": card,
            "enable_duplicate_check": 1,
            "duplicate_check_interval": DUPLICATES_S,
        }
    )


class Said(Struct, frozen=True):
    """What WeCom answers; `invaliduser` are userids, joined by "|"."""

    errcode: int
    invaliduser: str = ""
    access_token: str = ""
    expires_in: float = 7_200.0


def verdict(answer: Answer) -> Said | Outcome:
    """What an answer says where its code is 0, else what it means for the alert."""
    try:
        said = msgspec.json.decode(answer.body, type=Said)
    except (msgspec.DecodeError, UnicodeDecodeError):
        by_status = status_outcome(answer)
        return Outcome("retry", "no answer of WeCom", unknown=True) if by_status == SENT else by_status
    if said.errcode == 0:
        return said
    words = _WORDS.get(said.errcode)
    reason = f"wecom_app {said.errcode}" + (f": {words}" if words else "")
    if (wait := _LIMITED.get(said.errcode)) is not None or answer.status == 429:
        return Outcome("retry", reason, wait_s=answer.wait_s or wait or 60.0)
    if said.errcode == _BUSY or said.errcode in _OLD_TOKEN or answer.status >= 500:
        return Outcome("retry", reason)
    return Outcome("dead", reason)


class Tokens:
    """The application's token, shared by all connections of one worker and asked for once at a time."""

    def __init__(
        self, application: Application, poster: Poster, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = f"{application.url}/cgi-bin/gettoken?" + urlencode(
            {"corpid": application.corpid, "corpsecret": application.secret}
        )
        self._poster = poster
        self._clock = clock
        self._token = ""
        self._until = 0.0
        self._one = asyncio.Lock()

    async def get(self) -> str | Outcome:
        """A token that is good, or why there is none."""
        async with self._one:
            if self._token and self._clock() < self._until:
                return self._token
            answer = await self._poster.get(self._url)
            if isinstance(answer, Outcome):
                # Nothing was sent yet, whatever became of this request.
                return Outcome(answer.result, answer.reason, wait_s=answer.wait_s)
            said = verdict(answer)
            if isinstance(said, Outcome):
                return Outcome(said.result, said.reason, wait_s=said.wait_s)
            if not said.access_token:
                return Outcome("retry", "WeCom gave no token")
            self._token = said.access_token
            self._until = self._clock() + max(60.0, said.expires_in - RENEW_BEFORE_S)
            return self._token

    def refused(self, token: str) -> None:
        """WeCom does not take `token`; one that another connection has had renewed since stays."""
        if token == self._token:
            self._token = ""

    async def close(self) -> None:
        """Drop the connections."""
        await self._poster.close()


class WecomAppSlot:
    """Sends for one application. `deliver` never raises for what WeCom does."""

    def __init__(
        self,
        application: Application,
        tokens: Tokens,
        poster: Poster,
        city: Callable[[], Snapshot],
        public_url: str,
    ) -> None:
        self._application = application
        self._tokens = tokens
        self._poster = poster
        self._city = city
        self._public_url = public_url

    async def deliver(self, due: Due) -> Outcome:
        """Send one card; with a new token at once where the one at hand is refused."""
        city = self._city()
        body = message(self._application, due, city, self._public_url)
        outcome = Outcome("retry", "no token")
        for _ in range(2):
            token = await self._tokens.get()
            if isinstance(token, Outcome):
                return token
            outcome, old = await self._send(body, token, due.target)
            if not old:
                break
            self._tokens.refused(token)
        return outcome

    async def close(self) -> None:
        """Drop the connections."""
        await self._poster.close()
        await self._tokens.close()

    async def _send(self, body: bytes, token: str, member: str) -> tuple[Outcome, bool]:
        """What came of it, and whether another token would mend it."""
        url = f"{self._application.url}/cgi-bin/message/send?" + urlencode({"access_token": token})
        answer = await self._poster.post(url, body, {"Content-Type": "application/json; charset=utf-8"})
        if isinstance(answer, Outcome):
            return answer, False
        said = verdict(answer)
        if isinstance(said, Outcome):
            old = any(said.reason == f"wecom_app {code}" for code in _OLD_TOKEN)
            return said, old
        if member.lower() in said.invaliduser.lower().split("|"):  # WeCom's userids have no case
            return Outcome(
                "dead", "wecom_app: no such member, or one whom the application may not see"
            ), False
        return SENT, False


def _english(due: Due, city: Snapshot) -> bool:
    deputy = city.deputies.get(due.receiver)
    return deputy is not None and deputy.language == "en"


def _cut(text: str, most: int) -> str:
    """`text`, at most `most` bytes of UTF-8 and no half character."""
    return text.encode()[:most].decode(errors="ignore")
