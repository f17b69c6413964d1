"""Webhooks: a signed CloudEvent, posted to public addresses only.

Body: a CloudEvent 1.0 in structured JSON mode whose `id` is the alert's (the same for every attempt). Header
`Lianxin-Signature: t={seconds since the epoch},v1={hex}`, where v1 is HMAC-SHA256 with the shared secret over
`{t}.{body}`; a receiver refuses an old `t`. A repeat whose predecessor may have arrived carries
`Lianxin-Repeated-After-Crash: true`.
"""

import hashlib
import hmac
import time
from dataclasses import dataclass

import msgspec

from lianxin_contracts.envelope import rfc3339
from lianxin_notifier.alerts import Due
from lianxin_notifier.posting import Allowed, Poster, status_outcome
from lianxin_notifier.retrying import Outcome

SIGNATURE = "Lianxin-Signature"
REPEATED = "Lianxin-Repeated-After-Crash"


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """How webhooks are posted. `deadline_s` bounds one attempt, name look-up included."""

    secret: bytes
    allowed: Allowed
    deadline_s: float


def signature(secret: bytes, moment: int, body: bytes) -> str:
    """The signature header's value for `body` at `moment` (seconds since the epoch)."""
    digest = hmac.new(secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def body_of(due: Due) -> bytes:
    """The CloudEvent for `due`: codes, times and ids only; byte for byte the same for every attempt."""
    if not due.opinion:
        return _notice_body(due)
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": due.alert,
            "source": "/notifier",
            "type": "alert.raised",
            "subject": due.opinion,
            "time": rfc3339(due.raised),
            "datacontenttype": "application/json",
            "data": {
                "event": due.entry.event,
                "opinion": due.opinion,
                "receiver": due.receiver,
                "stage": due.entry.stage,
                "topic": due.entry.topic,
                "grid": due.entry.grid,
                "street": due.street,
                "assigned_at": due.entry.assigned_at,
                "due": due.entry.due,
            },
        }
    )


def _notice_body(due: Due) -> bytes:
    """The CloudEvent of what is about no single case: a digest, a summary, a reminder."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": due.alert,
            "source": "/notifier",
            "type": due.entry.event,
            "time": rfc3339(due.raised),
            "datacontenttype": "application/json",
            "data": {
                "receiver": due.receiver,
                "counts": due.counts,
                "station": due.station,
                "day": due.day,
            },
        }
    )


class WebhookSlot:
    """One poster. `deliver` never raises for what the other side does."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._secret = settings.secret
        self._poster = Poster(settings.allowed, settings.deadline_s)

    async def deliver(self, due: Due) -> Outcome:
        """Post one alert."""
        body = body_of(due)
        headers = {
            "Content-Type": "application/cloudevents+json",
            SIGNATURE: signature(self._secret, int(time.time()), body),
        }
        if due.repeated:
            headers[REPEATED] = "true"
        answer = await self._poster.post(due.target, body, headers, read=False)
        return answer if isinstance(answer, Outcome) else status_outcome(answer)

    async def close(self) -> None:
        """Drop the connections."""
        await self._poster.close()
