"""Reading a request: its media type, its key, and its body up to a limit that holds while it is read."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

from starlette.requests import Request

from lianxin_chassis.problems import ProblemError

Headers = Mapping[str, str]

MAX_KEY = 255
JSON = frozenset({"application/json"})
NDJSON = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines"}
)


def headers_of(request: Request) -> Headers:
    """The request's headers, by name in lower case; the last of equal names counts. One pass: Starlette's own
    look each name up anew, from the first header on."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}


def require_type(headers: Headers, accepted: frozenset[str]) -> None:
    """Raises 415 where the body is not of an `accepted` media type, in UTF-8 and uncompressed."""
    given = headers.get("content-type", "")
    if given in accepted and "content-encoding" not in headers:
        return
    if given.partition(";")[0].strip().lower() not in accepted:
        raise _unsupported(f"Send Content-Type: {min(accepted)}; this was {given[:80] or 'none'}.")
    require_plain(headers)


def require_plain(headers: Headers) -> None:
    """Raises 415 where the body is compressed or not in UTF-8."""
    parameters = headers.get("content-type", "").partition(";")[2]
    if (
        parameters
        and "charset" in (lower := parameters.lower())
        and "utf-8" not in lower
        and "utf8" not in lower
    ):
        raise _unsupported("Send the body in UTF-8.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise _unsupported("Send the body uncompressed, without Content-Encoding.")


def idempotency_key(headers: Headers) -> str | None:
    """The request's Idempotency-Key. Raises 400 for one that is empty, too long or not printable ASCII."""
    key = headers.get("idempotency-key")
    if key is None:
        return None
    # The draft's own syntax is a quoted string (draft-ietf-httpapi-idempotency-key-header); most send it
    # bare.
    bare = key[1:-1] if len(key) >= 2 and key[0] == key[-1] == '"' else key
    if not bare or len(bare) > MAX_KEY or not (bare.isascii() and bare.isprintable()):
        raise ProblemError(
            400,
            "bad_idempotency_key",
            "The Idempotency-Key can't be used",
            f"Send 1 to {MAX_KEY} printable ASCII characters, such as a random UUID.",
            field="Idempotency-Key",
        )
    return bare


async def read_body(request: Request, headers: Headers, limit: int) -> bytes:
    """The whole body. Raises 413 as soon as it is known to be longer than `limit` bytes."""
    announced = headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise body_too_large(limit)
    chunk, more = await _next_chunk(request)
    if not more and len(chunk) <= limit:
        return chunk
    body = bytearray(chunk)
    while more and len(body) <= limit:
        chunk, more = await _next_chunk(request)
        body += chunk
    if len(body) > limit:
        raise body_too_large(limit)
    return bytes(body)


async def chunks_of(request: Request) -> AsyncIterator[bytes]:
    """The body's chunks, none of them empty. Raises 400 where the client goes away before the end."""
    more = True
    while more:
        chunk, more = await _next_chunk(request)
        if chunk:
            yield chunk


async def _next_chunk(request: Request) -> tuple[bytes, bool]:
    """The next piece of the body, and whether there is more. Straight from ASGI: Starlette's stream is an
    asynchronous generator, which costs a small request 5 us."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ProblemError(400, "incomplete", "The body ended too early")
    return message.get("body", b""), message.get("more_body", False)


def body_too_large(limit: int) -> ProblemError:
    """413, with the limit in bytes."""
    return ProblemError(413, "too_large", "The body is too large", f"At most {limit} bytes.", limit=limit)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an upload, counted from 1; `raw` is None where it was longer than the limit."""

    number: int
    raw: bytes | None


class LineSplitter:
    """Cuts chunks into lines, holding at most one line of `limit` bytes and the chunk in hand."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._begun = bytearray()
        self._skipping = False
        self._number = 0

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that end in `chunk`."""
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            self._add(piece)
            yield self._cut()
        self._add(rest)

    def end(self) -> Iterator[Line]:
        """The last line, where it had no line break of its own."""
        if self._begun or self._skipping:
            yield self._cut()

    def _add(self, piece: bytes) -> None:
        if self._skipping or len(self._begun) + len(piece) > self._limit:
            self._skipping = True
            self._begun.clear()
        else:
            self._begun += piece

    def _cut(self) -> Line:
        self._number += 1
        line = Line(self._number, None if self._skipping else bytes(self._begun).rstrip(b"\r"))
        self._begun.clear()
        self._skipping = False
        return line


def _unsupported(detail: str) -> ProblemError:
    return ProblemError(415, "unsupported_media_type", "The body is not in a form that is read here", detail)
