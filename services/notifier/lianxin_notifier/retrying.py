"""When a failed delivery is tried again, and when it is given up. Pure."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended.

    `retry` is a passing error; `dead` one that no repetition mends; `skipped`: there is nowhere to send it to
    (any more), and nothing went wrong. `unknown` says that the other side may
    have taken the message although no answer came: a repeat is then marked as one. `reason` is for the record
    and holds no personal data. `wait_s` is how long the other side asked to be left alone, seconds.
    """

    result: Literal["sent", "retry", "dead", "skipped"]
    reason: str | None = None
    unknown: bool = False
    wait_s: float | None = None


SENT = Outcome("sent")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Waits between attempts: `first_s` seconds, doubled each time up to `longest_s`, at most `attempts`."""

    first_s: float
    longest_s: float
    attempts: int

    def next_attempt(self, attempt: int, now: datetime, chance: float | None = None) -> datetime | None:
        """When to try again after the `attempt`-th attempt failed at `now`; None when it was the last one.

        Each wait is shortened by up to half at random (`chance` 0..1), so that what failed together does not
        come back together.
        """
        if attempt >= self.attempts:
            return None
        wait = min(self.longest_s, self.first_s * 2.0 ** min(attempt - 1, 60))
        share = random.random() if chance is None else chance
        return now + timedelta(seconds=wait * (1.0 - share / 2.0))
