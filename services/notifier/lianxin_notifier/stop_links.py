"""Links by which a resident stops the messages about one opinion: what they hold and who may have made them.

A link opens a page whose button stops them; opening it alone does nothing, because mail scanners open every
address. What was stopped stands on `alerts.deliveries` as a message that was skipped, so that a dropped
database does not forget it. No I/O.
"""

import base64
import binascii
import hmac
import uuid
from datetime import datetime

from lianxin_contracts import ids
from lianxin_contracts.deliveries import Delivery
from lianxin_contracts.envelope import OutRecord
from lianxin_notifier.alerts import RESIDENT, delivery_record

_MAC_BYTES = 16


class StopLinks:
    """Makes and reads links under one secret."""

    def __init__(self, secret: bytes, public_url: str) -> None:
        self._secret = secret
        self._public_url = public_url.rstrip("/")

    def address(self, opinion: str) -> str:
        """The address of the page where the messages about `opinion` (a UUID) can be stopped. It never
        expires: a message may be read years later."""
        raw = uuid.UUID(opinion).bytes
        token = base64.urlsafe_b64encode(raw + self._mac(raw)).rstrip(b"=").decode()
        return f"{self._public_url}/stop/{token}"

    def opinion(self, token: str) -> str | None:
        """The opinion that `token` is about; None where it was not made here."""
        try:
            both = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        raw, mac = both[:16], both[16:]
        return str(uuid.UUID(bytes=raw)) if hmac.compare_digest(mac, self._mac(raw)) else None

    def _mac(self, raw: bytes) -> bytes:
        return hmac.digest(self._secret, b"stop:" + raw, "sha256")[:_MAC_BYTES]


def stop_id(opinion: str) -> str:
    """The id under which it stands that `opinion`'s resident wants no more messages."""
    return ids.derived(opinion, RESIDENT, "stop")


def stopped(opinion: str) -> Delivery:
    """What is put on record when they say so; the same however often."""
    return Delivery(
        alert=stop_id(opinion),
        cause="",
        opinion=opinion,
        receiver=RESIDENT,
        channel="mail",
        status="skipped",
        attempt=0,
        error="stopped by the resident",
        about="resident.stop",
    )


def stop_record(opinion: str, at: datetime) -> OutRecord:
    """The record of that."""
    return delivery_record(stopped(opinion), at)
