"""The public surface as a channel, a deputy and a resident use it: HTTP and nothing else.

A request that was not confirmed (503, 429, no answer) is sent again with the same key until it is, or until
the deadline. Everything else that was not expected is raised.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

# What says "not confirmed: send it again".
AGAIN = frozenset({429, 502, 503, 504})
LONGEST_PAUSE_S = 2.0


class Failed(Exception):
    """One case could not be driven on; `str()` says where it stands."""


class Unexpected(Failed):
    """An answer that the surface does not promise."""


class OutOfTime(Failed):
    """Still not confirmed, or not where it should be, at the deadline."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer, and how many requests it took."""

    status: int
    body: Any
    tries: int


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as an open inbox is told it: its number in the inbox, the opinion, and what happened."""

    number: int
    opinion: str
    event: str


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services are, and the keys to use: as `lianxin status --json` tells them."""

    intake: str
    notifier: str
    metrics: str
    submit_key: str
    staff_key: str

    @classmethod
    def of_status(cls, told: Mapping[str, Any]) -> "Addresses":
        services, keys = told["services"], told["keys"]
        return cls(
            intake=services["intake"]["url"],
            notifier=services["notifier"]["url"],
            metrics=services["metrics"]["url"],
            submit_key=keys["submit"],
            staff_key=keys["staff"],
        )


class Surface:
    """One client for all services; use as an async context manager. `patience_s` bounds each call."""

    def __init__(self, addresses: Addresses, *, connections: int = 64, patience_s: float = 120.0) -> None:
        self._addresses = addresses
        self._patience = patience_s
        self.retried = 0
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._http = httpx.AsyncClient(timeout=15.0, limits=limits, trust_env=False)

    async def __aenter__(self) -> "Surface":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    # -- what a channel does

    async def stations(self, limit: int = 1000) -> list[dict[str, Any]]:
        """The public list of stations."""
        return await self._items(f"{self._addresses.intake}/v1/stations?limit={limit}")

    async def topics(self) -> list[dict[str, Any]]:
        """The public list of topics."""
        return await self._items(f"{self._addresses.intake}/v1/topics")

    async def submit(self, body: dict[str, Any], key: str) -> Answer:
        """Hand in an opinion; returns the 202."""
        return await self._send(
            "POST", f"{self._addresses.intake}/v1/opinions", {202}, body, key, self._submit
        )

    async def opinion(self, id_: str, code: str | None = None) -> dict[str, Any]:
        """Where an opinion stands: with the tracking code as its resident, without as its channel."""
        url = f"{self._addresses.intake}/v1/opinions/{id_}"
        if code is not None:
            return self._object(await self._send("GET", f"{url}?code={code}", {200}))
        return self._object(await self._send("GET", url, {200}, headers=self._submit))

    async def rate(self, id_: str, code: str, score: str, comment: str | None, key: str) -> Answer:
        """Judge an answer as its resident."""
        body = {"score": score, "tracking_code": code} | ({"comment": comment} if comment else {})
        url = f"{self._addresses.intake}/v1/opinions/{id_}/rating"
        return await self._send("POST", url, {200, 202}, body, key)

    async def support(self, id_: str, supporter: str, key: str) -> Answer:
        """Say, as a channel, that `supporter` has the same concern."""
        url = f"{self._addresses.intake}/v1/opinions/{id_}/support"
        return await self._send("POST", url, {202}, {"supporter": supporter}, key, self._submit)

    # -- what a deputy does

    async def inbox(self, deputy: str, stage: str | None = None) -> list[dict[str, Any]]:
        """The whole inbox of one deputy or staff member, all pages."""
        items: list[dict[str, Any]] = []
        url = httpx.URL(f"{self._addresses.notifier}/v1/inbox", params={"deputy": deputy, "limit": 500})
        if stage is not None:
            url = url.copy_add_param("stage", stage)
        page: str | None = None
        while True:
            at = url if page is None else url.copy_add_param("after", page)
            answer = self._object(await self._send("GET", str(at), {200}, headers=self._staff))
            items += answer["items"]
            if answer.get("next") is None or not answer["items"]:
                return items
            page = str(answer["next"])

    async def alerts(self, deputy: str, after: int = 0) -> AsyncIterator[Alert]:
        """What an open inbox is told above number `after`, until the connection ends. Raises httpx.HTTPError
        where it can't be had or breaks."""
        url = httpx.URL(f"{self._addresses.notifier}/v1/alerts/stream", params={"deputy": deputy})
        headers = self._staff | {"Last-Event-ID": str(after)}
        async with self._http.stream("GET", url, headers=headers, timeout=60.0) as stream:
            stream.raise_for_status()
            event = ""
            async for line in stream.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event == "alert":
                    told = json.loads(value)
                    yield Alert(told["number"], told["id"], told["event"])

    async def alerts_so_far(self, deputy: str, count: int) -> list[Alert]:
        """The first `count` alerts of an inbox, from its start; fewer where the rest does not come within the
        patience."""
        found: list[Alert] = []
        try:
            async with asyncio.timeout(self._patience):
                async for alert in self.alerts(deputy):
                    found.append(alert)
                    if len(found) >= count:
                        break
        except TimeoutError:
            pass  # what is missing is seen by whoever compares
        return found

    async def act(self, case: str, action: str, as_: str, key: str, **fields: Any) -> str:
        """One action on a case in the name of `as_`; returns the command's id."""
        body = {"action": action, "as": as_, **fields}
        url = f"{self._addresses.notifier}/v1/cases/{case}/actions"
        return str(self._object(await self._send("POST", url, {202}, body, key, self._staff))["command_id"])

    async def command(self, id_: str) -> dict[str, Any]:
        """What became of a command."""
        url = f"{self._addresses.notifier}/v1/commands/{id_}"
        return self._object(await self._send("GET", url, {200}, headers=self._staff))

    # -- what Prometheus does

    async def metrics_text(self) -> str:
        """What the metrics service shows to Prometheus."""
        answer = await self._http.get(f"{self._addresses.metrics}/metrics")
        answer.raise_for_status()
        return answer.text

    # -- how

    @property
    def _submit(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._addresses.submit_key}"}

    @property
    def _staff(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._addresses.staff_key}"}

    async def _items(self, url: str) -> list[dict[str, Any]]:
        return list(self._object(await self._send("GET", url, {200}))["items"])

    @staticmethod
    def _object(answer: Answer) -> dict[str, Any]:
        if not isinstance(answer.body, dict):
            raise Unexpected(f"no JSON object: {answer.body!r}")
        return answer.body

    async def _send(
        self,
        method: str,
        url: str,
        wanted: Collection[int],
        body: dict[str, Any] | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = dict(headers or {}) | ({"Idempotency-Key": key} if key is not None else {})
        deadline = time.monotonic() + self._patience
        tries = 0
        while True:
            tries += 1
            pause = min(LONGEST_PAUSE_S, 0.05 * 2**tries)
            try:
                answer = await self._http.request(method, url, json=body, headers=sent)
            except httpx.TransportError as error:
                last = f"{type(error).__name__}: {error}"
            else:
                if answer.status_code in wanted:
                    return Answer(answer.status_code, answer.json(), tries)
                last = f"{answer.status_code} {answer.text[:500]}"
                if answer.status_code not in AGAIN:
                    raise Unexpected(f"{method} {url}: {last}")
                pause = min(LONGEST_PAUSE_S, max(pause, float(answer.headers.get("retry-after", 0))))
            if time.monotonic() + pause > deadline:
                raise OutOfTime(f"{method} {url}: not confirmed in {self._patience:g} s, last {last}")
            self.retried += 1
            await asyncio.sleep(pause)
