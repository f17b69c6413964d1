"""Many opinions in one request: one result out for each that comes in, in order, while more come. Here is the
way itself (`Upload`) and `POST /v1/opinions:batch`; `files` takes the same way.

Memory and disk are bounded on both sides. In: a window of lines is judged and handed in before the next
chunk is read. Out: many clients read nothing until they have sent everything, so results wait on disk, up
to a limit; beyond it no line is taken until some were read, and where nobody reads, the upload ends.
"""

import asyncio
import tempfile
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lianxin_chassis.logs import get_logger
from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Snapshot
from lianxin_intake import opinion
from lianxin_intake.context import Intake, RawRoute
from lianxin_intake.documentation import BATCH
from lianxin_intake.door import Prepared
from lianxin_intake.reading import (
    NDJSON,
    Line,
    LineSplitter,
    chunks_of,
    headers_of,
    idempotency_key,
    require_type,
)
from lianxin_intake.results import Outcome, judged, results_of
from lianxin_intake.rights import Caller

log = get_logger(__name__)

# As many lines as are handed to the broker at once.
WINDOW = 500
# Results up to this size stay in memory, the rest waits in a temporary file; bytes.
SPOOL_BYTES = 1024 * 1024
# What may wait there unread, bytes: the results of some 300,000 lines.
MOST_UNREAD_BYTES = 64 * 1024 * 1024
# How long an upload stands still for a client that does not read its results, seconds.
READ_PATIENCE_S = 30.0
_READ_BYTES = 64 * 1024


def batch_routes(intake: Intake) -> APIRouter:
    """The route for many opinions."""
    routes = APIRouter(route_class=RawRoute)

    @routes.post("/v1/opinions:batch", status_code=200, openapi_extra=BATCH, tags=["opinions"])
    async def submit_batch(request: Request) -> Response:
        """Hand in many opinions, one JSON object a line. Each line is judged on its own and gets its own
        result line with `line` (from 1) and `status`: 202 with the receipt, else a `problem`.

        Some 300,000 results wait for a client that sends everything before it reads; who sends more must
        read while sending, else the last result says from which line on nothing was taken.

        A line's id is stable through its `external_id`, else through the request's Idempotency-Key and
        the line's number: the same upload sent again counts once.
        """
        headers = headers_of(request)
        caller, city = intake.submitter(headers)
        require_type(headers, NDJSON)
        upload = Lines(intake, caller, city, idempotency_key(headers), headers.get("traceparent"))
        return Streamed(upload.results(request))

    return routes


class Streamed(Response):
    """Sends result lines while the request is still being read. Starlette's own StreamingResponse listens
    for the client's going away by reading from the request, which would swallow lines."""

    media_type = "application/x-ndjson"

    def __init__(self, lines: AsyncIterator[bytes]) -> None:
        super().__init__(headers={"Cache-Control": "no-store"})
        del self.headers["content-length"]
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what comes; as ASGI says."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self._lines:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@dataclass(frozen=True, slots=True)
class Piece:
    """One opinion of an upload: its number there, and its judgement, which raises `ProblemError`."""

    number: int
    judge: Callable[[], Prepared]


class Upload(ABC):
    """Many opinions on their way in, by one key."""

    def __init__(self, intake: Intake, caller: Caller) -> None:
        self._intake = intake
        self._caller = caller

    @abstractmethod
    def pieces(self, request: Request) -> AsyncIterator[Sequence[Piece]]:
        """What the body holds, as it comes. Raises `ProblemError` where the client goes away."""

    @abstractmethod
    def told(self, number: int, result: dict[str, Any]) -> bytes:
        """What the sender is told of piece `number`; `result` as of `results_of`."""

    def end(self) -> bytes:
        """What follows on the last result."""
        return b""

    async def judged_and_taken(self, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
        """Hand in what may be accepted; a result for each."""
        return await results_of(self._intake, outcomes)

    async def results(self, request: Request) -> AsyncIterator[bytes]:
        """The results, as they come about."""
        with Spool(MOST_UNREAD_BYTES) as spool:
            reading = asyncio.create_task(self._read(request, spool), name="batch")
            try:
                async for chunk in spool.chunks():
                    yield chunk
                await reading
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, request: Request, spool: "Spool") -> None:
        try:
            taking = True
            async with aclosing(self.pieces(request)) as coming:  # type: ignore[type-var]  # all are generators
                async for pieces in coming:
                    # What is not taken any more is read all the same: the client may read only when all is
                    # sent.
                    taking = taking and await self._handle(pieces, spool)
            spool.write(self.end())
        except ProblemError:
            log.info("a batch ended before its last line", channel=self._caller.channel.id)
        finally:
            spool.end()

    async def _handle(self, pieces: Sequence[Piece], spool: "Spool") -> bool:
        """Whether the upload goes on: False where nobody reads the results."""
        for start in range(0, len(pieces), WINDOW):
            if not await spool.room(READ_PATIENCE_S):
                log.warning("the results of a batch are not read", channel=self._caller.channel.id)
                spool.write(self.told(pieces[start].number, unread()))
                return False
            spool.write(await self._window(pieces[start : start + WINDOW]))
            await asyncio.sleep(0)  # a window that holds only faults has waited for nothing
        return True

    async def _window(self, pieces: Sequence[Piece]) -> bytes:
        """Judge and hand in up to `WINDOW` pieces; what is told of them."""
        outcomes = [await self._judge(piece) for piece in pieces]
        results = await self.judged_and_taken(outcomes)
        return b"".join(
            self.told(piece.number, result) for piece, result in zip(pieces, results, strict=True)
        )

    async def _judge(self, piece: Piece) -> Outcome:
        # An upload is slowed down, not refused: it is read no faster than its key may send. Every piece
        # counts, an empty one too: each costs a result.
        while wait := self._intake.rates.take(self._caller.key):  # noqa: ASYNC110 - time alone ends this wait
            await asyncio.sleep(wait)
        return judged(piece.judge)


class Lines(Upload):
    """An upload of one JSON object a line; what is told of each is a line too."""

    def __init__(
        self, intake: Intake, caller: Caller, city: Snapshot, key: str | None, traceparent: str | None
    ) -> None:
        super().__init__(intake, caller)
        self._city = city
        self._key = key
        self._traceparent = traceparent

    async def pieces(self, request: Request) -> AsyncIterator[Sequence[Piece]]:
        """The lines."""
        splitter = LineSplitter(opinion.MAX_BYTES)
        async for chunk in chunks_of(request):
            yield [self._piece(line) for line in splitter.feed(chunk)]
        yield [self._piece(line) for line in splitter.end()]

    def told(self, number: int, result: dict[str, Any]) -> bytes:
        """A result line."""
        return msgspec.json.encode({"line": number, **result}) + b"\n"

    def _piece(self, line: Line) -> Piece:
        def judge() -> Prepared:
            return self._intake.door.prepare(
                plain(line),
                self._caller,
                self._city,
                line=f"{self._key}/{line.number}" if self._key is not None else None,
                traceparent=self._traceparent,
            )

        return Piece(line.number, judge)


def plain(line: Line) -> bytes:
    """What `line` holds. Raises 413 where it is too long, and 400 where it is empty."""
    if line.raw is None:
        raise ProblemError(
            413,
            "too_large",
            "The line is too long",
            f"At most {opinion.MAX_BYTES} bytes.",
            limit=opinion.MAX_BYTES,
        )
    if not line.raw.strip():
        raise ProblemError(400, "empty_line", "The line is empty", "Send one JSON object on each line.")
    return line.raw


def unread() -> dict[str, Any]:
    """The last result of an upload whose results nobody read: it and all after it were not taken."""
    problem = {
        "type": "urn:lianxin:problem:results_unread",
        "code": "results_unread",
        "title": "The results were not read",
        "detail": "This line and all after it were not taken. Read the results while sending, or send fewer "
        "lines at once; send again from this line on.",
    }
    return {"status": 503, "problem": problem}


class Spool:
    """What was written and not read yet: in memory up to `SPOOL_BYTES`, beyond that in a temporary file; of
    `most` bytes at most, and the results of one window."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._file = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - closed with self
        self._written = 0
        self._read = 0
        self._ended = False
        self._more = asyncio.Event()
        self._less = asyncio.Event()

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> None:
        """Add `chunk` at the end."""
        self._file.seek(self._written)
        self._file.write(chunk)
        self._written += len(chunk)
        self._more.set()

    async def room(self, patience_s: float) -> bool:
        """Wait until there is room for more; False where nobody read anything for `patience_s` seconds. What
        was read makes room when all is read: only then the file shrinks."""
        while self._written >= self._most:
            self._less.clear()
            try:
                async with asyncio.timeout(patience_s):
                    await self._less.wait()
            except TimeoutError:
                return False
        return True

    def end(self) -> None:
        """Nothing more will be written."""
        self._ended = True
        self._more.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Everything that is written, until the end."""
        while True:
            if self._read < self._written:
                self._file.seek(self._read)
                chunk = self._file.read(_READ_BYTES)
                self._read += len(chunk)
                if self._read == self._written:
                    # All read: begin again, so that the file grows only while the client does not read.
                    self._file.seek(0)
                    self._file.truncate()
                    self._read = self._written = 0
                self._less.set()
                yield chunk
            elif self._ended:
                return
            else:
                self._more.clear()
                await self._more.wait()
