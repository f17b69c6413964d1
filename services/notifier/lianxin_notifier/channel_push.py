"""Web push (RFC 8030): an alert to every browser in which its receiver takes alerts.

A browser that the push service knows no more is forgotten. What one push service has taken is not sent there
again when another has to be tried once more. Push services are addresses that browsers told us, so they are
held to what may be posted to like a webhook's (`posting.py`).
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from lianxin_contracts.registry import Snapshot
from lianxin_notifier.alerts import Due
from lianxin_notifier.device_store import Device, DeviceStore
from lianxin_notifier.letters import Language, civil, letter
from lianxin_notifier.posting import Answer, Poster, status_outcome
from lianxin_notifier.protection import Breaker
from lianxin_notifier.retrying import SENT, Outcome
from lianxin_notifier.web_push import Vapid, encrypted, padless

# A phone that was off over a long weekend still gets it; the case is in the inbox anyway.
TTL_S = 3 * 24 * 3600
# RFC 8030 5.3: `high` may wake a device that saves its battery; `normal` waits for little.
URGENT = frozenset({"clock.breached", "opinion.supervised", "opinion.reopened", "issue.surged"})
GONE = (404, 410)  # RFC 8030 7.3: the subscription has expired or was cancelled
# When one browser has it, others are tried so many times in all, and then the person counts as reached.
PARTLY_ATTEMPTS = 3


def payload(due: Due, city: Snapshot, public_url: str) -> bytes:
    """What the browser shows, and what a press opens: topic, street and time limit, nobody's name or words.
    `tag` is the case's, so that news of a case takes the place of what the screen still shows of it."""
    deputy = city.deputies.get(due.receiver)
    language: Language = "en" if deputy is not None and deputy.language == "en" else "zh"
    lines = []
    if due.entry.due is not None:
        moment = civil(due.entry.due, ZoneInfo(city.city.zone), language)
        lines.append(f"Due: {moment}" if language == "en" else f"时限：{moment}")
    return msgspec.json.encode(
        {
            "title": letter(due, city, public_url).subject,
            "body": "\n".join(lines),
            "path": due.page,
            "tag": due.opinion or due.alert,
            "language": "en" if language == "en" else "zh-CN",
            "urgent": due.entry.event in URGENT,
        }
    )


def headers(due: Due, authorization: str) -> dict[str, str]:
    """The headers of RFC 8030. `Topic`, at most 32 characters, has what was not delivered yet of the same
    case replaced; it is a hash, since the push service reads it."""
    return {
        "Authorization": authorization,
        "Content-Encoding": "aes128gcm",
        "Content-Type": "application/octet-stream",
        "TTL": str(TTL_S),
        "Urgency": "high" if due.entry.event in URGENT else "normal",
        "Topic": padless(hashlib.sha256(f"push:{due.opinion or due.alert}".encode()).digest())[:32],
    }


class PushServices:
    """Spares push services that are in trouble, each for itself; of one worker."""

    def __init__(self, failures: int, rest: timedelta) -> None:
        self._failures = failures
        self._rest = rest
        self._breakers: dict[str, Breaker] = {}

    def enter(self, endpoint: str, now: datetime) -> bool:
        """Whether the service of `endpoint` may be asked now."""
        breaker = self._breakers.get(urlsplit(endpoint).netloc)
        return breaker is None or not breaker.enter(now)

    def note(self, endpoint: str, answered: bool, now: datetime) -> None:
        """How asking ended."""
        host = urlsplit(endpoint).netloc
        if answered:
            self._breakers.pop(host, None)
        else:
            self._breakers.setdefault(host, Breaker(self._failures, self._rest)).note(False, now)


class PushSlot:
    """Pushes to one person's browsers at a time. `deliver` never raises for what push services do; it raises
    PyMongo's errors, as the one channel that has to ask the database where to send to."""

    def __init__(
        self,
        vapid: Vapid,
        devices: DeviceStore,
        services: PushServices,
        poster: Poster,
        city: Callable[[], Snapshot],
        public_url: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._vapid = vapid
        self._devices = devices
        self._services = services
        self._poster = poster
        self._city = city
        self._public_url = public_url
        self._now = now

    async def deliver(self, due: Due) -> Outcome:
        """Push to every browser that has not got it."""
        city = self._city()
        devices = await self._devices.of_person(due.receiver)
        taken = await self._devices.taken(due.alert, devices)
        words = payload(due, city, self._public_url)
        left = [device for device in devices if device.id not in taken]
        outcomes = await asyncio.gather(*(self._push(due, device, words) for device in left))
        return summary([SENT] * len(taken) + list(outcomes), due.attempt)

    async def close(self) -> None:
        """Drop the connections."""
        await self._poster.close()

    async def _push(self, due: Due, device: Device, words: bytes) -> Outcome:
        endpoint, now = device.browser.endpoint, self._now()
        if not self._services.enter(endpoint, now):
            return Outcome("retry", "the push service is spared")
        sealed = encrypted(words, device.browser)
        answer = await self._poster.post(
            endpoint, sealed, headers(due, self._vapid.authorization(endpoint, now)), read=False
        )
        outcome = answer if isinstance(answer, Outcome) else _verdict(answer)
        passing = outcome.result == "retry" and outcome.wait_s is None
        self._services.note(endpoint, not passing, self._now())
        if outcome == SENT:
            await self._devices.took(due.alert, device, self._now())
        elif outcome.result == "skipped":
            await self._devices.gone(device)
        return outcome


def summary(outcomes: Sequence[Outcome], attempt: int) -> Outcome:
    """What came of an attempt from what came of it at each browser."""
    passing = [one for one in outcomes if one.result == "retry"]
    reached = any(one.result == "sent" for one in outcomes)
    if passing and not (reached and attempt >= PARTLY_ATTEMPTS):
        waits = [one.wait_s for one in passing if one.wait_s is not None]
        unknown = any(one.unknown for one in passing)
        return Outcome(
            "retry", passing[0].reason, unknown, min(waits) if len(waits) == len(passing) else None
        )
    if reached:
        return SENT
    refused = next((one for one in outcomes if one.result == "dead"), None)
    if refused is not None:
        return refused
    return Outcome("skipped", "the browsers are gone" if outcomes else "no browser takes alerts")


def _verdict(answer: Answer) -> Outcome:
    if answer.status in GONE:
        return Outcome("skipped", f"http {answer.status}")
    return status_outcome(answer)
