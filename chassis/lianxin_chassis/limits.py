"""When so much fails that the code must be wrong and not the data."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


class TooManyDeadLetters(Exception):
    """The limits of dead letters are reached: the consumer stops before it puts more aside."""


@dataclass(frozen=True, slots=True)
class DeadLetterLimits:
    """Stop at `in_a_row` failures with no success between, or when `share` of the records of the last
    `window_s` seconds failed and they are at least `at_least`."""

    in_a_row: int = 50
    share: float = 0.01
    window_s: float = 600.0
    at_least: int = 50


class FailureCount:
    """Counts what was handled and what failed against `limits`. Records that only follow a parked key are
    neither: they say nothing of the code. Outcomes are one per record in order, True where it was handled."""

    def __init__(self, limits: DeadLetterLimits) -> None:
        self._limits = limits
        self._row = 0
        # (second, handled, failed), one entry a second
        self._window: deque[list[float]] = deque()

    def handled(self, count: int) -> None:
        """`count` records went through and none failed."""
        if count:
            self._row = 0
            self._add(count, 0)

    def weigh(self, outcomes: Sequence[bool]) -> None:
        """Raises `TooManyDeadLetters` where `outcomes`, not counted yet, would reach a limit."""
        limits = self._limits
        row = self._row
        for handled in outcomes:
            row = 0 if handled else row + 1
            if row >= limits.in_a_row:
                raise TooManyDeadLetters(f"{row} dead letters in a row")
        new = outcomes.count(False)
        if not new:
            return
        self._forget_old()
        failed = new + sum(entry[2] for entry in self._window)
        total = failed + len(outcomes) - new + sum(entry[1] for entry in self._window)
        if failed >= limits.at_least and failed >= limits.share * total:
            raise TooManyDeadLetters(f"{failed:g} of {total:g} records failed in {limits.window_s:g} s")

    def note(self, outcomes: Sequence[bool]) -> None:
        """Count `outcomes`, which are durable now."""
        for handled in outcomes:
            self._row = 0 if handled else self._row + 1
        failed = outcomes.count(False)
        self._add(len(outcomes) - failed, failed)

    def _add(self, handled: int, failed: int) -> None:
        now = float(int(time.monotonic()))
        if not self._window or self._window[-1][0] != now:
            self._window.append([now, 0, 0])
        self._window[-1][1] += handled
        self._window[-1][2] += failed
        self._forget_old()

    def _forget_old(self) -> None:
        oldest = int(time.monotonic()) - self._limits.window_s
        while self._window and self._window[0][0] < oldest:
            self._window.popleft()
