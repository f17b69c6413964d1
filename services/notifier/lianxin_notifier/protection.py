"""Spares a channel that is in trouble, and keeps to a provider's rate. Pure: every moment is an argument.

A rate is for all workers together, each of which keeps to an equal part of it (`workers.py`); should they go
over it for a moment, the provider's own answer to that (`Outcome.wait_s`) holds. Breakers are each worker's
own: what one finds out by ten attempts, another does as soon.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from lianxin_notifier.alerts import Due, Outside
from lianxin_notifier.retrying import Outcome

MINUTE = timedelta(minutes=1)
NOTHING = timedelta()


class Breaker:
    """Opens after `failures` passing errors in a row; then one attempt each `rest` is let through, until one
    gets an answer."""

    def __init__(self, failures: int, rest: timedelta) -> None:
        self._failures = failures
        self._rest = rest
        self._in_a_row = 0
        self._until: datetime | None = None
        self._opened: datetime | None = None

    def resting(self, now: datetime) -> timedelta:
        """How long nothing is let through yet."""
        return NOTHING if self._until is None else max(NOTHING, self._until - now)

    def enter(self, now: datetime) -> timedelta:
        """Nothing where an attempt may be made now, else how long to wait. Of an open breaker's attempts the
        first after a rest may, and those behind it wait for another rest."""
        wait = self.resting(now)
        if not wait and self._until is not None:
            self._until = now + self._rest
        return wait

    def note(self, answered: bool, now: datetime) -> None:
        """How an attempt ended: the channel answered (be it with a refusal), or it was a passing error."""
        if answered:
            self._in_a_row, self._until, self._opened = 0, None, None
            return
        self._in_a_row += 1
        if self._in_a_row >= self._failures:
            self._until = now + self._rest
            self._opened = self._opened or now

    def open_for(self, now: datetime) -> timedelta:
        """How long it has been open."""
        return NOTHING if self._opened is None else now - self._opened

    @property
    def closed(self) -> bool:
        """Whether everything is let through."""
        return self._until is None


class Pace:
    """At most so many attempts in any minute."""

    def __init__(self) -> None:
        self._made: deque[datetime] = deque()

    def enter(self, most: int, now: datetime) -> timedelta:
        """Nothing where an attempt may be made now, with at most `most` in a minute (0: as many as there
        are); it is then counted. Else how long to wait."""
        if not most:
            return NOTHING
        while self._made and self._made[0] <= now - MINUTE:
            self._made.popleft()
        if len(self._made) >= most:
            return self._made[-most] + MINUTE - now
        self._made.append(now)
        return NOTHING


class Guard:
    """Breakers and paces of one channel.

    What breaks together has one breaker: a mail server, a provider, the host of a webhook. What is counted
    together has one pace: each robot, each member of WeCom, else the channel.
    """

    def __init__(
        self,
        kind: Outside,
        failures: int,
        rest: timedelta,
        per_minute: int = 0,
        workers: Callable[[], int] = lambda: 1,
    ) -> None:
        self._workers = workers
        self._kind = kind
        self._failures = failures
        self._rest = rest
        self._per_minute = per_minute
        self._breakers: dict[str, Breaker] = {}
        self._paces: dict[str, Pace] = {}
        self._held: dict[str, datetime] = {}

    def enter(self, due: Due, now: datetime) -> timedelta:
        """Nothing where `due` may be attempted now, else how long to leave it."""
        counted = self._counted(due)
        if (held := self._held.get(counted)) is not None:
            if held > now:
                return held - now
            del self._held[counted]
        if (breaker := self._breakers.get(self._breaks(due))) and (wait := breaker.resting(now)):
            return wait
        wait = self._paces.setdefault(counted, Pace()).enter(self._share(), now)
        return wait or (breaker.enter(now) if breaker else NOTHING)

    def note(self, due: Due, outcome: Outcome, now: datetime) -> None:
        """How the attempt ended."""
        if outcome.wait_s is not None:  # an answer: come back later
            self._held[self._counted(due)] = now + timedelta(seconds=outcome.wait_s)
        key = self._breaks(due)
        answered = outcome.result != "retry" or outcome.wait_s is not None
        if answered:
            self._breakers.pop(key, None)
        else:
            self._breakers.setdefault(key, Breaker(self._failures, self._rest)).note(False, now)

    def resting(self, now: datetime) -> timedelta:
        """How long the whole channel is left alone, so that nothing needs to be claimed."""
        breaker = self._breakers.get(self._kind)
        return breaker.resting(now) if breaker else NOTHING

    def silent(self, now: datetime, due: Due | None = None) -> timedelta:
        """For how long what takes `due` (None: the whole channel) has not answered any more."""
        breaker = self._breakers.get(self._kind if due is None else self._breaks(due))
        return breaker.open_for(now) if breaker else NOTHING

    @property
    def open(self) -> int:
        """How many breakers are open."""
        return sum(not breaker.closed for breaker in self._breakers.values())

    def _share(self) -> int:
        """This worker's part of the rate, one a minute at least; 0: no limit. Equal parts do, because all
        workers take from one queue."""
        return max(1, self._per_minute // self._workers()) if self._per_minute else 0

    def _breaks(self, due: Due) -> str:
        if self._kind == "push":  # its own slots spare push services, of which one person may use several
            return due.receiver
        return urlsplit(due.target).netloc if self._kind == "webhook" else self._kind

    def _counted(self, due: Due) -> str:
        by_target = ("wecom", "wecom_app", "dingtalk", "feishu")
        return due.target if self._kind in by_target else self._breaks(due)
