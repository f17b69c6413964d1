"""Page tokens: what a station's page carries, so that only a page of ours, opened lately, can send."""

import hmac
import re
import time
from collections.abc import Callable

from lianxin_chassis.problems import ProblemError

VALID_S = 7 * 24 * 3600  # as long as an offline outbox may be late
_CLOCK_SKEW_S = 300
_FORM = re.compile(r"(\d{1,11})\.([0-9a-f]{32})")


class PageTokens:
    """Makes and checks tokens under one secret: `<seconds since the epoch>.<HMAC of station and time>`."""

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._clock = clock

    def of(self, station: str) -> str:
        """A token for the page of `station`, good for `VALID_S` seconds."""
        return self._signed(station, int(self._clock()))

    def accepts(self, token: str, station: str) -> bool:
        """Whether `token` was made here for `station` and is still good."""
        parts = _FORM.fullmatch(token)
        if parts is None:
            return False
        made = int(parts[1])
        age = self._clock() - made
        return -_CLOCK_SKEW_S <= age <= VALID_S and hmac.compare_digest(token, self._signed(station, made))

    def _signed(self, station: str, made: int) -> str:
        mac = hmac.digest(self._secret, f"page:{station}:{made}".encode(), "sha256").hex()[:32]
        return f"{made}.{mac}"


def page_expired(token: str) -> ProblemError:
    """403: the page's token is too old; the answer hands back a fresh one."""
    return ProblemError(
        403,
        "page_expired",
        "This page was opened too long ago",
        "Send it again with the page_token given here.",
        page_token=token,
    )
