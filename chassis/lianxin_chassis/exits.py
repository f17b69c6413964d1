"""Ending the process at once where going on could lose data or where it can't go on."""

import asyncio
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Coroutine
from typing import Any, NoReturn

from lianxin_chassis.logs import get_logger

log = get_logger(__name__)

# sysexits.h EX_SOFTWARE: the supervisor starts the process again.
BROKEN = 70


def die(reason: str, **fields: object) -> NoReturn:
    """End the process without any clean-up: nothing that is in hand gets acknowledged on the way out."""
    log.critical("the process ends itself", reason=reason, **fields)
    sys.stderr.flush()
    os._exit(BROKEN)


def essential(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Run `work` beside the requests of an API; the process ends where it raises, since nobody could rely on
    what the process answers any more."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            die("a part of the process failed", part=name, error=repr(error))

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(ended)
    return task


class LoopWatchdog:
    """Ends the process when its event loop does not turn for `stall_s` seconds: a thread, because whatever
    blocks the loop also blocks every timer on it. Call `beat` from the loop, often."""

    def __init__(self, stall_s: float) -> None:
        self._stall = stall_s
        self._beat = time.monotonic()
        self._stop = threading.Event()

    def beat(self) -> None:
        """The loop turns."""
        self._beat = time.monotonic()

    def start(self) -> None:
        """Begin to watch."""
        self.beat()
        threading.Thread(target=self._watch, name="loop-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(min(1.0, self._stall / 4)):
            silent = time.monotonic() - self._beat
            if silent > self._stall:
                faulthandler.dump_traceback(file=sys.stderr)
                die("the event loop is blocked", seconds=round(silent, 1))
