"""XLSX: read by a process of its own (`sheet`), of which a few run at once."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_intake.files.delimited import no_heading
from lianxin_intake.files.rows import Row
from lianxin_intake.opinion import Fault
from lianxin_intake.rates import retry_after

log = get_logger(__name__)

MAX_XLSX_BYTES = 16 * 1024 * 1024
# Each may take 768 MiB and a processor.
AT_ONCE = 2
_BUSY_S = 5.0
_AT_A_TIME = 100
_LINE_BYTES = 8 * 1024 * 1024
_TOO_LARGE = {"workbook_too_large"}


class Desks:
    """Where workbooks are read: `AT_ONCE` of them."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._free = at_once

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a desk. Raises 503 where all are taken."""
        if self._free == 0:
            raise ProblemError(
                503,
                "busy",
                "Other workbooks are being read",
                "Nothing was taken. Send it again after as many seconds as Retry-After says, or as CSV.",
                headers=retry_after(_BUSY_S),
            )
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


class WorkbookTable:
    """The sheet `name` (the first without) of the workbook `data`; an async context manager."""

    def __init__(self, data: bytes, name: str | None) -> None:
        self._data = data
        self._command = ["-m", "lianxin_intake.files.sheet", *([] if name is None else [name])]
        self._process: asyncio.subprocess.Process | None = None
        self._feeding: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "WorkbookTable":
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *self._command, stdin=pipe, stdout=pipe, limit=_LINE_BYTES
        )
        self._feeding = asyncio.create_task(self._feed(self._process), name="workbook")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.gather(self._feeding, return_exceptions=True)
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                self._process.kill()
            await self._process.wait()

    async def heading(self) -> Row:
        """As `Table` says. Raises 413 and 422."""
        said = await self._next()
        if isinstance(said, dict):
            if "code" in said:
                status = 413 if said["code"] in _TOO_LARGE else 422
                raise ProblemError(status, said["code"], "The workbook can't be read", said["detail"])
            raise no_heading("The sheet is empty.")
        row = _row(said)
        if row.fault is not None:
            raise no_heading(row.fault.message)
        return row

    async def rows(self) -> AsyncIterator[Sequence[Row]]:
        """As `Table` says. Where the sheet ends too early, the last row says why."""
        last, rows = 0, []
        while isinstance(said := await self._next(), list):
            rows.append(_row(said))
            last = rows[-1].number
            if len(rows) == _AT_A_TIME:
                yield rows
                rows = []
        if "code" in said:
            rows.append(Row(last + 1, fault=Fault("row", said["code"], said["detail"])))
        yield rows

    async def _next(self) -> Any:
        """What the process says next; where it ended without a word, what that means."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            log.warning("a workbook was more than its reader may take", exit=await self._process.wait())
            detail = "Reading it takes too much memory or time: delete what is unused, or send it as CSV."
            return {"code": "workbook_too_large", "detail": detail}
        return msgspec.json.decode(line)

    async def _feed(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # what it said tells why it stopped
            process.stdin.write(self._data)
            await process.stdin.drain()
            process.stdin.close()
            await process.stdin.wait_closed()


def _row(said: list[Any]) -> Row:
    number, cells = said
    if cells is None:
        return Row(number, fault=Fault("row", "too_large", "The row is too long."))
    return Row(number, tuple(cells))
