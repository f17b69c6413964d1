"""Playing a script: each step in its turn, many under way at once, each case's own steps one after the other.

Steps are begun in order of time. Opinions that come in a row are handed in together; what is done on a case
waits until the router has placed it, and until what was done on it before is decided. Clocks are knocked for
up to the earliest instant of which something is still under way.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from lianxin_local.play.cases import Cases
from lianxin_local.play.knocking import Knocker
from lianxin_local.play.pace import Meter, Pace
from lianxin_local.play.surface import Receipt, Refused, Surface
from lianxin_local.replay.acting import Acting, Left
from lianxin_local.replay.bookmark import Bookmark
from lianxin_local.replay.entries import Entry
from lianxin_local.replay.script import Kind, Script, Step
from lianxin_local.replay.tally import Tally

# So many opinions go in one request; the newest step under way is at most so many after the oldest.
AT_ONCE = 200
MOST_UNDER_WAY = 2_000
# How long an opinion waits for others to go with, and how often clocks and the bookmark are looked after, s.
GATHER_S = 0.05
KNOCK_EVERY_S = 0.2
SAVE_EVERY_S = 2.0


class Progress:
    """Which steps came to their end: everything before `done` did, and was entered in the script's order.

    What came to its end out of order waits to be entered, so that what is written down as done is exactly
    what the bookmark says.
    """

    def __init__(self, done: int) -> None:
        self.done = done
        self.begun = done
        self._ended: dict[int, Callable[[], None]] = {}

    @property
    def width(self) -> int:
        """How many steps were begun and are not entered."""
        return self.begun - self.done

    def begin(self) -> None:
        """The next step is under way."""
        self.begun += 1

    def end(self, number: int, enter: Callable[[], None]) -> None:
        """Step `number` came to its end; `enter` is called in its turn."""
        self._ended[number] = enter
        while (entering := self._ended.pop(self.done, None)) is not None:
            entering()
            self.done += 1


class Player:
    """Plays `script` from the bookmark on. `cases` and `knocker` None: nothing is done but handing in."""

    def __init__(
        self,
        surface: Surface,
        script: Script,
        bookmark: Bookmark,
        *,
        cases: Cases | None,
        knocker: Knocker | None,
        pace: Pace,
        patience_s: float,
    ) -> None:
        self._surface = surface
        self._script = script
        self._bookmark = bookmark
        self._cases = cases
        self._knocker = knocker
        self._pace = pace
        self._before = Tally.of(bookmark.told)
        self.tally = Tally.of(bookmark.told)
        self.opinions = Meter()
        self.steps = Meter()
        self.progress = Progress(bookmark.done)
        self._acting = Acting(surface, cases, patience_s) if cases is not None else None
        self._gathered: list[Step] = []
        self._receipts: dict[int, asyncio.Future[Receipt | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._previous: dict[int, asyncio.Task[None]] = {}
        self._room = asyncio.Event()
        self._failed: BaseException | None = None

    async def play(self) -> None:
        """Play to the end. Raises `Unconfirmed`, TimeoutError and `Refused` (a key without the right) where
        going on is of no use; what was confirmed by then is in the bookmark."""
        chores = [asyncio.create_task(self._every(SAVE_EVERY_S, self._save))]
        if self._cases is not None:
            chores.append(asyncio.create_task(self._every(KNOCK_EVERY_S, self._knock)))
        chores.append(asyncio.create_task(self._every(GATHER_S, self._hand_in)))
        try:
            for step in self._script.steps(self._bookmark.done):
                await self._pace.turn()
                await self._has_room()
                self.progress.begin()
                self._begin(step)
            await self._hand_in()
            while self._tasks and self._failed is None:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            self._raise_if_failed()
        finally:
            for task in (*chores, *self._tasks):
                task.cancel()
            await asyncio.gather(*chores, *self._tasks, return_exceptions=True)
            await self._save()

    async def settle(self, reached: datetime, within_s: float) -> None:
        """Have everything told that fell due by `reached` (aware). Raises TimeoutError."""
        if self._knocker is not None:
            await self._knocker.settle(reached, within_s)
            await self._save()

    # -- one step

    def _begin(self, step: Step) -> None:
        row = step.entry.row
        if step.kind is Kind.SUBMIT:
            if not step.is_last:
                self._receipts[row] = asyncio.get_running_loop().create_future()
            self._gathered.append(step)
            if len(self._gathered) >= AT_ONCE:
                self._start(self._submit(self._take()))
            return
        task = self._start(self._act(step, self._previous.get(row)))
        self._previous[row] = task
        task.add_done_callback(lambda ended: self._previous.get(row) is ended and self._previous.pop(row))

    async def _submit(self, steps: list[Step]) -> None:
        results = await self._surface.submit_many([step.entry.body for step in steps])
        for step, result in zip(steps, results, strict=True):
            receipt = result if isinstance(result, Receipt) else None
            if not step.is_last:
                self._receipts[step.entry.row].set_result(receipt)
            if receipt is not None:
                self.opinions.add()
            self._end(step, partial(self._enter_opinion, step, result))

    async def _act(self, step: Step, before: asyncio.Task[None] | None) -> None:
        assert self._acting is not None
        if before is not None:
            await asyncio.wait([before])
        receipt = await self._receipt(step.entry)
        said: str | bool = False
        if receipt is not None:
            try:
                said = await self._acting.act(step, receipt)
            except Left as left:
                said = left.code
        if step.is_last:
            self._receipts.pop(step.entry.row, None)
        self._end(step, partial(self._enter_action, step, said))

    def _enter_opinion(self, step: Step, result: Receipt | Refused) -> None:
        self.tally.sent += 1
        if isinstance(result, Receipt):
            self.tally.accepted += 1
        else:
            self.tally.refused.add(result.code, step.entry.row)

    def _enter_action(self, step: Step, said: str | bool) -> None:
        if isinstance(said, str):
            self.tally.not_done.add(f"{step.kind.name.lower()}: {said}", step.entry.row)
        elif said:
            self.tally.done[step.kind.name.lower()] += 1

    async def _receipt(self, entry: Entry) -> Receipt | None:
        """The receipt of an opinion that was handed in before; None where it was refused. After an
        interruption it is handed in once more, for the same answer."""
        known = self._receipts.get(entry.row)
        if known is None:
            known = self._receipts[entry.row] = asyncio.get_running_loop().create_future()
            (result,) = await self._surface.submit_many([entry.body])
            known.set_result(result if isinstance(result, Receipt) else None)
        return await asyncio.shield(known)

    def _end(self, step: Step, enter: Callable[[], None]) -> None:
        self.steps.add()
        self.progress.end(step.number, enter)
        self._room.set()

    # -- many at once

    async def _has_room(self) -> None:
        while self.progress.width >= MOST_UNDER_WAY:
            self._raise_if_failed()
            self._room.clear()
            await self._hand_in()
            await self._room.wait()
        self._raise_if_failed()

    def _start(self, work: Awaitable[None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed = self._failed or error
            self._room.set()

    def _raise_if_failed(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _take(self) -> list[Step]:
        gathered, self._gathered = self._gathered, []
        return gathered

    # -- chores

    async def _hand_in(self) -> None:
        if self._gathered:
            self._start(self._submit(self._take()))

    async def _knock(self) -> None:
        if self._knocker is not None and self.progress.done < len(self._script):
            await self._knocker.knock_up_to(self._script.at(self.progress.done))

    async def _save(self) -> None:
        tally, before = self.tally, self._before
        tally.seconds = before.seconds + self.opinions.seconds
        tally.highest = max(before.highest, self.opinions.highest)
        tally.highest_steps = max(before.highest_steps, self.steps.highest)
        tally.sent_again = before.sent_again + self._surface.repeated
        tally.knocks = before.knocks + (self._knocker.knocks if self._knocker is not None else 0)
        self._bookmark.done, self._bookmark.told = self.progress.done, tally.told()
        await asyncio.to_thread(self._bookmark.save)

    async def _every(self, seconds: float, chore: Callable[[], Awaitable[None]]) -> None:
        try:
            while True:
                await asyncio.sleep(seconds)
                await chore()
        except Exception as error:
            self._failed = self._failed or error
            self._room.set()
            raise
