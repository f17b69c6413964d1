"""Which opinion a request is: the same request always gets the same id, however often it is sent.

The Idempotency-Key wins over the body's `external_id`: who sends a key says what a repeat is. Without
either an opinion gets a fresh id; should the broker not confirm it, the answer hands back a signed key
that names this id, so that the next try means the same opinion.
"""

import base64
import hmac
import uuid
from dataclasses import dataclass

from lianxin_contracts import ids

_PREFIX = "retry."
_MAC_BYTES = 15  # 120 bits, 20 characters of base64


@dataclass(frozen=True, slots=True)
class Identity:
    """An opinion's id; `fresh` where it was made just now, so that nobody can have used it before."""

    opinion: str
    fresh: bool


class Identities:
    """Gives ids, and keys for repeats, under one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of(self, channel: str, key: str | None, *names: str | None) -> Identity:
        """The identity of what `channel` sent under the Idempotency-Key `key`, else under the first of
        `names` that there is. A key that we handed back names its id; any other is hashed with the channel.
        """
        if key is not None and key.startswith(_PREFIX) and (opinion := self._named(channel, key)):
            return Identity(opinion, fresh=False)
        for name in (key, *names):
            if name is not None:
                return Identity(ids.opinion_id(channel, name), fresh=False)
        return Identity(ids.fresh(), fresh=True)

    def retry_key(self, channel: str, opinion: str) -> str:
        """The Idempotency-Key that names `opinion` itself, good for `channel` alone."""
        mac = hmac.digest(self._secret, f"retry:{channel}:{opinion}".encode(), "sha256")[:_MAC_BYTES]
        return f"{_PREFIX}{opinion}.{base64.urlsafe_b64encode(mac).decode()}"

    def _named(self, channel: str, key: str) -> str | None:
        opinion = key[len(_PREFIX) :].rpartition(".")[0]
        return (
            opinion if hmac.compare_digest(key.encode(), self.retry_key(channel, opinion).encode()) else None
        )


def is_opinion_id(text: str) -> bool:
    """Whether `text` is an id that intake could have given: a UUID of version 5 or 7 in its usual form."""
    if len(text) != 36:
        return False
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        return False
    return parsed.version in (5, 7) and str(parsed) == text
