"""The public surface as channels, residents, deputies and staff use it: HTTP and nothing else.

What was not confirmed (429, 503, no answer) is sent again under the same key until it is, or until the
patience ends: a repeat is recognised and counts once.
"""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from lianxin_contracts.envelope import rfc3339
from lianxin_local.keys import demo_keys_of
from lianxin_local.stack import Stack

# What says "not confirmed: send it again".
AGAIN = frozenset({429, 502, 503, 504})
LONGEST_PAUSE_S = 5.0
ANSWER_WITHIN_S = 60.0
# What `GET /v1/stations` gives at most.
MOST_STATIONS = 10_000
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services are, and the keys to use. Who says when something happened needs an `act_key` with
    the scopes backdate and replay, and posts with it too (`submit_key`)."""

    intake: str
    notifier: str
    metrics: str
    submit_key: str
    act_key: str

    @classmethod
    def of(cls, stack: Stack, *, event_time: bool = False) -> "Addresses":
        """Those of a local stack, with its demo keys; `event_time`: opinions are posted with the key that may
        date back."""
        keys = demo_keys_of(stack.home)
        return cls(
            stack.url("intake"),
            stack.url("notifier"),
            stack.url("metrics"),
            keys.staff if event_time else keys.submit,
            keys.staff,
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """An opinion was accepted (202)."""

    id: str
    tracking_code: str


class Refused(Exception):
    """The surface will never take this: `status` (4xx), `code` for programs, `detail` for people."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail


class Unconfirmed(Exception):
    """Still not confirmed when the patience was over; it may or may not have been written."""


class Surface:
    """One client for all services; an async context manager. `patience_s` bounds each call; `repeated` counts
    the requests that had to be sent again. At most `connections` requests are under way at once."""

    def __init__(self, addresses: Addresses, *, connections: int = 64, patience_s: float = 300.0) -> None:
        self._at = addresses
        self._patience = patience_s
        self._connections = connections
        self._http: aiohttp.ClientSession | None = None
        self.repeated = 0

    async def __aenter__(self) -> Self:
        # Not `trust_env`: everything that is spoken to here is named, and no proxy is meant.
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.close()

    # -- what a channel does

    async def submit(self, body: Body, key: str) -> Receipt:
        """Hand in one opinion under the idempotency key `key`. Raises `Refused` and `Unconfirmed`."""
        url = f"{self._at.intake}/v1/opinions"
        return _receipt(await self._send("POST", url, {202}, body, self._may_submit, key))

    async def submit_many(self, bodies: Sequence[Body]) -> list[Receipt | Refused]:
        """Hand in opinions at once; what became of each, in order. Each needs an `external_id`, by which a
        repeat is recognised. Raises ValueError without one, `Refused` where the whole request is (key, type),
        and `Unconfirmed`."""
        if not all(body.get("external_id") for body in bodies):
            raise ValueError("without an external_id an opinion that is sent again would count twice")
        results: list[Receipt | Refused | None] = [None] * len(bodies)
        deadline = time.monotonic() + self._patience
        left = list(range(len(bodies)))
        while left:
            pause = 0.0
            for number, result in zip(left, await self._lines([bodies[at] for at in left]), strict=False):
                if result["status"] in AGAIN:
                    pause = max(pause, float(result["problem"].get("retry_after", 1)))
                elif result["status"] == 202:
                    results[number] = _receipt(result)
                else:
                    results[number] = _refused(result["status"], result["problem"])
            left = [at for at in left if results[at] is None]
            if left:
                self.repeated += len(left)
                if time.monotonic() + pause > deadline:
                    raise Unconfirmed(f"{len(left)} opinions not confirmed in {self._patience:g} s")
                await asyncio.sleep(max(pause, 0.05))
        return [result for result in results if result is not None]

    async def support(
        self, opinion: str, supporter: str, key: str, *, occurred_at: datetime | None = None
    ) -> None:
        """Say, as a channel, that `supporter` has the same concern; `occurred_at` (aware) as in `rate`.
        Raises `Refused` and `Unconfirmed`."""
        body: Body = {"supporter": supporter}
        if occurred_at is not None:
            body["occurred_at"] = rfc3339(occurred_at)
        url = f"{self._at.intake}/v1/opinions/{opinion}/support"
        await self._send("POST", url, {202}, body, self._may_submit, key)

    async def opinion(self, opinion: str) -> Body:
        """Where an opinion stands, as its channel sees it."""
        url = f"{self._at.intake}/v1/opinions/{opinion}"
        return await self._send("GET", url, {200}, None, self._may_submit)

    async def stations(self) -> list[Body]:
        """Every station of the public list, by name."""
        answer = await self._send("GET", f"{self._at.intake}/v1/stations?limit={MOST_STATIONS}", {200})
        return list(answer["items"])

    async def topics(self) -> list[Body]:
        """The public list of topics."""
        return list((await self._send("GET", f"{self._at.intake}/v1/topics", {200}))["items"])

    # -- what a resident does

    async def rate(
        self,
        opinion: str,
        tracking_code: str,
        score: str,
        key: str,
        *,
        comment: str | None = None,
        occurred_at: datetime | None = None,
    ) -> str:
        """Judge an answer as its resident; the command's id. `occurred_at` (aware) needs a key that may date
        back, shown beside the tracking code. Raises `Refused` and `Unconfirmed`."""
        body = {"score": score, "tracking_code": tracking_code} | ({"comment": comment} if comment else {})
        headers = None
        if occurred_at is not None:
            body["occurred_at"] = rfc3339(occurred_at)
            headers = self._may_act
        url = f"{self._at.intake}/v1/opinions/{opinion}/rating"
        return str((await self._send("POST", url, {202}, body, headers, key))["command_id"])

    # -- what a deputy or a member of staff does

    async def act(
        self, case: str, action: str, as_: str, key: str, occurred_at: datetime | None = None, **fields: Any
    ) -> str:
        """One action on a case in the name of `as_`, at `occurred_at` (aware; now without); the command's id.
        Raises `Refused` and `Unconfirmed`."""
        body: Body = {"action": action, "as": as_, **fields}
        if occurred_at is not None:
            body["occurred_at"] = rfc3339(occurred_at)
        url = f"{self._at.notifier}/v1/cases/{case}/actions"
        return str((await self._send("POST", url, {202}, body, self._may_act, key))["command_id"])

    async def command(self, command: str) -> Body:
        """What became of a command: `{status, code?}`."""
        return await self._send(
            "GET", f"{self._at.notifier}/v1/commands/{command}", {200}, None, self._may_act
        )

    async def inbox(self, deputy: str, stage: str | None = None, limit: int = 500) -> list[Body]:
        """The newest `limit` entries of one inbox."""
        url = f"{self._at.notifier}/v1/inbox?deputy={deputy}&limit={limit}" + (
            f"&stage={stage}" if stage else ""
        )
        return list((await self._send("GET", url, {200}, None, self._may_act))["items"])

    # -- how

    @property
    def _may_submit(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._at.submit_key}"}

    @property
    def _may_act(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._at.act_key}"}

    async def _lines(self, bodies: Sequence[Body]) -> list[Body]:
        """The result lines of one upload; fewer than were sent where it was cut short."""
        data = b"".join(msgspec.json.encode(body) + b"\n" for body in bodies)
        headers = self._may_submit | {"Content-Type": "application/x-ndjson"}
        raw = await self._answer("POST", f"{self._at.intake}/v1/opinions:batch", {200}, data, headers)
        return [msgspec.json.decode(line) for line in raw.splitlines()]

    async def _send(
        self,
        method: str,
        url: str,
        wanted: Collection[int],
        body: Body | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Body:
        sent = dict(headers or {}) | ({"Idempotency-Key": key} if key is not None else {})
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            sent["Content-Type"] = "application/json"
        answer: Body = msgspec.json.decode(await self._answer(method, url, wanted, data, sent))
        return answer

    async def _answer(
        self, method: str, url: str, wanted: Collection[int], data: bytes | None, headers: Mapping[str, str]
    ) -> bytes:
        """The answer's body. Sends again what was not confirmed."""
        if self._http is None:
            raise RuntimeError("a Surface is used as `async with`")
        deadline = time.monotonic() + self._patience
        pause = 0.05
        while True:
            try:
                async with self._http.request(method, url, data=data, headers=headers) as answer:
                    status, raw = answer.status, await answer.read()
                    after = answer.headers.get("Retry-After", "")
                if status in wanted:
                    return raw
                if status not in AGAIN:
                    raise _refused(status, raw)
                last = f"{status} {raw[:300].decode(errors='replace')}"
                wait = max(pause, float(after) if after.isdigit() else 0.0)
            except (aiohttp.ClientError, TimeoutError) as error:
                last, wait = f"{type(error).__name__}: {error}", pause
            if time.monotonic() + wait > deadline:
                raise Unconfirmed(f"{method} {url}: not confirmed in {self._patience:g} s, last {last}")
            self.repeated += 1
            await asyncio.sleep(wait)
            pause = min(LONGEST_PAUSE_S, 2 * pause)


def _receipt(answer: Body) -> Receipt:
    return Receipt(answer["id"], answer["tracking_code"])


def _refused(status: int, problem: bytes | Body) -> Refused:
    if isinstance(problem, bytes):
        try:
            found = msgspec.json.decode(problem)
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = None
        problem = found if isinstance(found, dict) else {"detail": problem[:300].decode(errors="replace")}
    return Refused(
        status, str(problem.get("code", "unknown")), str(problem.get("detail") or problem.get("title", ""))
    )
