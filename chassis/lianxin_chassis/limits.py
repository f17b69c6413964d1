"""When so much fails that the code must be wrong and not the data."""

import time
from collections import deque
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
    neither: they say nothing of the code."""

    def __init__(self, limits: DeadLetterLimits) -> None:
        self._limits = limits
        self._row = 0
        # (second, handled, failed), one entry a second
        self._window: deque[list[float]] = deque()

    def handled(self, count: int) -> None:
        """`count` records went through."""
        if count:
            self._row = 0
            self._add(count, 0)

    def failed(self, count: int) -> None:
        """`count` records failed. Raises `TooManyDeadLetters` when that reaches a limit."""
        if not count:
            return
        self._row += count
        self._add(0, count)
        limits = self._limits
        if self._row >= limits.in_a_row:
            raise TooManyDeadLetters(f"{self._row} dead letters in a row")
        handled = sum(entry[1] for entry in self._window)
        failed = sum(entry[2] for entry in self._window)
        if failed >= limits.at_least and failed >= limits.share * (handled + failed):
            raise TooManyDeadLetters(
                f"{failed:g} of {handled + failed:g} records failed in {limits.window_s:g} s"
            )

    def _add(self, handled: int, failed: int) -> None:
        now = float(int(time.monotonic()))
        if not self._window or self._window[-1][0] != now:
            self._window.append([now, 0, 0])
        self._window[-1][1] += handled
        self._window[-1][2] += failed
        while self._window[0][0] < now - self._limits.window_s:
            self._window.popleft()
