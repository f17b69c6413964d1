"""Group robots of WeCom 企业微信, DingTalk 钉钉 and Feishu 飞书: a text posted to a chat group.

A robot's address is a secret (who has it can write to the group), so the registry names robots and the
notifier alone knows their addresses. After the providers' documents: WeCom 群机器人配置说明, DingTalk
自定义机器人接入 with 加签, Feishu 自定义机器人使用指南 with 签名校验; never tried on a provider's own server
(`docs/alerts.md`). None of them recognises a repeated message: a repeat says that it is one.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Literal

import httpx
import msgspec
from msgspec import Struct

from lianxin_contracts.registry import Snapshot
from lianxin_notifier.alerts import Due
from lianxin_notifier.letters import note
from lianxin_notifier.posting import Answer, Poster, status_outcome
from lianxin_notifier.retrying import SENT, Outcome

RobotKind = Literal["wecom", "dingtalk", "feishu"]
ROBOTS: tuple[RobotKind, ...] = ("wecom", "dingtalk", "feishu")
MOST_TEXT = {
    "wecom": 2_048,
    "dingtalk": 15_000,
    "feishu": 15_000,
}  # bytes; the latter two bound the body, 20 kB

# Too many messages, by code, with the seconds until it is worth trying again: WeCom and Feishu count by the
# minute, DingTalk shuts a robot out for ten.
_LIMITED: Mapping[RobotKind, Mapping[int, float]] = {
    "wecom": {45009: 60.0, 45033: 5.0},
    "dingtalk": {130101: 600.0, 410100: 600.0},
    "feishu": {11232: 60.0, 99991400: 60.0},
}
_BUSY = -1  # WeCom and DingTalk: 系统繁忙


class Robot(Struct, frozen=True, forbid_unknown_fields=True):
    """One robot: the address that the provider gave and, where the robot is set to be signed, its secret."""

    url: str
    secret: str = ""

    def __repr__(self) -> str:
        return "Robot(…)"  # no log line and no traceback can show it


class Robots(Struct, frozen=True, forbid_unknown_fields=True):
    """Every robot by provider and name."""

    wecom: dict[str, Robot] = {}
    dingtalk: dict[str, Robot] = {}
    feishu: dict[str, Robot] = {}


def robots_of(text: str) -> Robots:
    """The robots in `text`, JSON of the form `{"wecom": {"NAME": {"url": …}}, "feishu": …}`; none where it is
    empty. Raises ValueError, which names the place and never a value."""
    if not text.strip():
        return Robots()
    try:
        return msgspec.json.decode(text, type=Robots)
    except msgspec.DecodeError as error:
        raise ValueError(f"LIANXIN_ROBOTS: {error}") from None


def request_of(kind: RobotKind, robot: Robot, text: str, now: float) -> tuple[str, bytes]:
    """Address and body of the request that has `robot` say `text`; `now` is seconds since the epoch."""
    text = _cut(text, MOST_TEXT[kind])
    if kind == "wecom":
        return robot.url, _json({"msgtype": "text", "text": {"content": text}})
    if kind == "dingtalk":
        url = httpx.URL(robot.url)
        if robot.secret:
            stamp = str(int(now * 1000))
            signed = _mac(robot.secret.encode(), f"{stamp}\n{robot.secret}".encode())
            url = url.copy_merge_params({"timestamp": stamp, "sign": signed})
        return str(url), _json({"msgtype": "text", "text": {"content": text}})
    body: dict[str, object] = {"msg_type": "text", "content": {"text": text}}
    if robot.secret:
        stamp = str(int(now))
        # The text that is signed is the key, and the message is empty: so Feishu's documentation has it.
        body |= {"timestamp": stamp, "sign": _mac(f"{stamp}\n{robot.secret}".encode(), b"")}
    return robot.url, _json(body)


def verdict(kind: RobotKind, answer: Answer) -> Outcome:
    """What the provider's answer means. The code in the body says more than the status: mostly 200."""
    code = _code(answer.body)
    if code is None:
        by_status = status_outcome(answer)
        # 200 with something else than an answer: a proxy's page, or one cut short.
        return Outcome("retry", "no answer of a robot", unknown=True) if by_status == SENT else by_status
    if code == 0:
        return SENT
    reason = f"{kind} {code}"
    if (wait := _LIMITED[kind].get(code)) is not None or answer.status == 429:
        return Outcome("retry", reason, wait_s=answer.wait_s or wait or 60.0)
    if code == _BUSY or answer.status >= 500:
        return Outcome("retry", reason)
    return Outcome("dead", reason)


class RobotSlot:
    """Posts for the robots of one provider. `deliver` never raises for what the other side does."""

    def __init__(
        self,
        kind: RobotKind,
        robots: Mapping[str, Robot],
        poster: Poster,
        city: Callable[[], Snapshot],
        public_url: str,
    ) -> None:
        self._kind = kind
        self._robots = robots
        self._poster = poster
        self._city = city
        self._public_url = public_url

    async def deliver(self, due: Due) -> Outcome:
        """Have the robot that `due.target` names say it."""
        city = self._city()
        robot = self._robots.get(due.target)
        if robot is None:
            return Outcome("dead", "no robot of this name")
        try:
            url, body = request_of(self._kind, robot, note(due, city, self._public_url), time.time())
        except httpx.InvalidURL:
            return Outcome("dead", "not a URL")
        answer = await self._poster.post(url, body, {"Content-Type": "application/json; charset=utf-8"})
        return answer if isinstance(answer, Outcome) else verdict(self._kind, answer)

    async def close(self) -> None:
        """Drop the connections."""
        await self._poster.close()


class _Coded(Struct):
    """The codes of the three: `errcode` (WeCom, DingTalk), `code` and the older `StatusCode` (Feishu)."""

    errcode: int | None = None
    code: int | None = None
    status: int | None = msgspec.field(default=None, name="StatusCode")


def _code(body: bytes) -> int | None:
    try:
        coded = msgspec.json.decode(body, type=_Coded)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return next((code for code in (coded.errcode, coded.code, coded.status) if code is not None), None)


def _mac(key: bytes, message: bytes) -> str:
    return base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


def _cut(text: str, most: int) -> str:
    """`text`, at most `most` bytes of UTF-8 and no half character."""
    return text.encode()[:most].decode(errors="ignore")
