"""What the router has decided: the open cases, followed on `opinions.lifecycle` as the operator may.

Whoever acts for many deputies learns here who has each case and what became of each command, instead of
asking about every one over HTTP. Memory holds the open cases, a bounded number of the newest closed ones, and
the bare fact (about 70 bytes) that the others are closed.
"""

import asyncio
import contextlib
import heapq
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import TypeVar

import msgspec

from lianxin_chassis.follower import Follower
from lianxin_chassis.records import Record
from lianxin_chassis.settings import Settings
from lianxin_contracts import codec, topics
from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import Clock
from lianxin_contracts.lifecycle import CommandRefused, Submitted, Triaged
from lianxin_local.registry_publish import operator
from lianxin_local.stack import Stack
from lianxin_local.tansu import FETCH_MAX_WAIT_MS
from lianxin_router.domain.case import Case
from lianxin_router.domain.clocks import next_due
from lianxin_router.domain.evolve import evolve

# What moves no clock and changes no hands: read only for the command that it answers.
BESIDE = frozenset(
    {
        b"issue.joined", b"issue.merged", b"issue.surged", b"opinion.supported",
        b"opinion.seen", b"contact.revealed",
    }
)  # fmt: skip
# Commands whose outcome is remembered for who asks late, and closed cases that are kept whole.
MOST_REMEMBERED = 50_000
MOST_CLOSED = 4_000
CATCH_UP_S = 600.0

T = TypeVar("T")
Knock = tuple[str, Clock, datetime]
Watcher = Callable[[Event, Case], None]


def settings_of(stack: Stack) -> Settings:
    """How to reach the stack's broker as a reader that waits for what comes."""
    wait = FETCH_MAX_WAIT_MS if stack.broker == "tansu" else 50
    return operator(stack.bootstrap).model_copy(update={"kafka_fetch_max_wait_ms": wait})


class Cases:
    """Every open case on replayed time (`live`: also those on the wall clock's), as the log has it, and the
    newest closed ones and outcomes, `remember` of each at most. `watch` is told of every event that changes
    one."""

    def __init__(
        self, *, live: bool = False, watch: Watcher | None = None, remember: int = MOST_REMEMBERED
    ) -> None:
        self._remembered = remember
        self.open: dict[str, Case] = {}
        self.offices: dict[str, tuple[str, ...]] = {}
        """The staff who were told of each case that is in triage."""
        self.events: Counter[str] = Counter()
        self._live = live
        self._watch = watch
        self._closed: OrderedDict[str, Case] = OrderedDict()
        self._gone: set[int] = set()
        self._answered: OrderedDict[str, str | None] = OrderedDict()
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._refused: dict[str, str] = {}
        self._asked: dict[str, asyncio.Future[str | None]] = {}
        self._due: list[tuple[datetime, str, Clock]] = []

    def get(self, case: str) -> Case | None:
        """The case as far as the log is known; None before it is opened, or long after it was closed."""
        return self.open.get(case) or self._closed.get(case)

    def is_closed(self, case: str) -> bool:
        """Whether the case is closed, as far as the log is known."""
        return hash(case) in self._gone and case not in self.open

    async def when(self, case: str, is_so: Callable[[Case], bool], within_s: float) -> Case | None:
        """The case as soon as `is_so` or closed; None where it was closed so long ago that nothing else is
        known. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while (known := self.get(case)) is None or not is_so(known):
                if self.is_closed(case):
                    return known
                changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._waiting.setdefault(case, []).append(changed)
                await changed
        return known

    async def placed(self, case: str, within_s: float) -> Case | None:
        """The case once it is with a deputy, in triage, or past that; None as in `when`. Raises
        TimeoutError."""
        return await self.when(case, lambda known: known.stage != "submitted", within_s)

    async def outcome(self, command: str, within_s: float) -> str | None:
        """What became of a command: None where it was done, else the code with which the router refused it.
        Raises TimeoutError."""
        if command in self._answered:
            return self._answered[command]
        asked = self._asked.setdefault(command, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(asked)
        finally:
            if not asked.done():
                self._asked.pop(command, None)

    def due(self, until: datetime, most: int) -> list[Knock]:
        """Take up to `most` open cases on replayed time whose next clock ran out by `until` (aware): (case,
        clock, instant), the earliest first. Each is given once; the case comes again with its next clock."""
        found: list[Knock] = []
        while self._due and self._due[0][0] <= until and len(found) < most:
            at, case, clock = heapq.heappop(self._due)
            known = self.open.get(case)
            if known is not None and next_due(known) == (clock, at):
                found.append((case, clock, at))
        return found

    def next_due(self) -> datetime | None:
        """When the next clock of an open case on replayed time runs out."""
        while self._due:
            at, case, clock = self._due[0]
            known = self.open.get(case)
            if known is not None and next_due(known) == (clock, at):
                return at
            heapq.heappop(self._due)
        return None

    def apply(self, record: Record) -> None:
        """Take in one record of the lifecycle. Raises `Undecodable` for one that can't be read: then nothing
        that follows of its case can be known."""
        headers = dict(record.headers)
        key = (record.key or b"").decode()
        type_ = headers.get("ce_type") or b""
        self.events[type_.decode()] += 1
        cause = (headers.get("ce_causationid") or b"").decode()
        if type_ not in BESIDE and (key in self.open or type_ in (b"opinion.submitted", b"command.refused")):
            event = codec.decode(record.topic, record.value or b"", record.headers)
            if isinstance(event.data, CommandRefused):
                self._refused[cause] = event.data.code
            self._evolve(event)
        # What fell due meanwhile is told under the same cause: the last event of the decision says the end.
        if cause and headers.get("ce_continues") != b"true":
            self._answer(cause, self._refused.pop(cause, None))

    def _evolve(self, event: Event) -> None:
        before = self.open.get(event.subject)
        if before is None:
            first = event.data
            if not isinstance(first, Submitted) or not (first.replayed or self._live):
                return
        case = evolve(before, event)
        if case.explanation is not None and case.stage != "triage":
            # Most of what a case holds, and only whoever decides in triage looks at it.
            case = msgspec.structs.replace(case, explanation=None)
        if case.stage == "closed":
            self.open.pop(case.id, None)
            self._gone.add(hash(case.id))
            _remember(self._closed, case.id, case, min(self._remembered, MOST_CLOSED))
        else:
            self.open[case.id] = case
            was = None if before is None else next_due(before)
            if case.replayed and (due := next_due(case)) is not None and due != was:
                heapq.heappush(self._due, (due[1], case.id, due[0]))
        if isinstance(event.data, Triaged):
            self.offices[case.id] = event.data.receivers
        elif case.stage != "triage":
            self.offices.pop(case.id, None)
        for waiting in self._waiting.pop(case.id, ()):
            if not waiting.done():
                waiting.set_result(None)
        if self._watch is not None:
            self._watch(event, case)

    def _answer(self, command: str, refusal: str | None) -> None:
        _remember(self._answered, command, refusal, self._remembered)
        asked = self._asked.pop(command, None)
        if asked is not None and not asked.done():
            asked.set_result(refusal)


@contextlib.asynccontextmanager
async def following(stack: Stack, cases: Cases) -> AsyncIterator[Cases]:
    """`cases` kept up with the log from its start; entered when what was there is read. What breaks the
    reading is raised at the end of the block. Raises TimeoutError where the end is not reached."""
    follower = Follower(settings_of(stack), [topics.LIFECYCLE], cases.apply)
    reading = asyncio.create_task(follower.run(), name="cases")
    caught_up = asyncio.create_task(follower.wait_caught_up(CATCH_UP_S))
    try:
        await asyncio.wait([reading, caught_up], return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            await reading
        await caught_up
        yield cases
    finally:
        caught_up.cancel()
        follower.stop()
        await reading


def _remember(kept: OrderedDict[str, T], name: str, what: T, most: int) -> None:
    kept[name] = what
    kept.move_to_end(name)
    if len(kept) > most:
        kept.popitem(last=False)
