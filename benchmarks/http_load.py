"""One HTTP request sent again and again over plain sockets, by a process of its own (about 15 us a request).

`loaded` starts the process; it is `python -m benchmarks.http_load PORT CONNECTIONS SECONDS RATE` with the
request on its standard input.
"""

import asyncio
import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import cast

import uvloop

ROOT = Path(__file__).parent.parent
Told = dict[str, float]
"""What `load` returns."""


def request_bytes(method: str, path: str, port: int, body: bytes = b"", key: str = "") -> bytes:
    """One HTTP/1.1 request as it goes over the wire; a body goes as JSON with the channel key."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    if body:
        lines += [
            f"Authorization: Bearer {key}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Client(asyncio.Protocol):
    """One keep-alive connection that sends the next request when the last one was answered."""

    def __init__(
        self, request: bytes, until: float, answered: list[float], wrong: list[bytes], pace: float, due: float
    ) -> None:
        """`pace`: seconds from one request to the next, the first `due` then; 0: as fast as answers come."""
        self._request = request
        self._until = until
        self._answered = answered
        self._wrong = wrong
        self._buffer = b""
        self._sent = due
        self._pace = pace
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first one."""
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def _next(self) -> None:
        if self._pace:
            wait = self._sent - time.perf_counter()
            asyncio.get_running_loop().call_later(max(0.0, wait), self._transport.write, self._request)
        else:
            self._sent = time.perf_counter()
            self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take an answer, send the next."""
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        start = head.lower().find(b"content-length: ") + 16
        length = int(head[start : (head + b"\r").find(b"\r", start)])
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        now = time.perf_counter()
        self._answered.append(now - self._sent)
        if head[9] != ord("2"):
            self._wrong.append(head[:200] + rest[:300])
        if now > self._until:
            self._transport.close()
        else:
            self._sent += self._pace
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server closed, or the time is over."""
        if exc is not None:
            self._wrong.append(repr(exc).encode())
        if not self.closed.done():
            self.closed.set_result(None)


async def load(port: int, request: bytes, connections: int, seconds: float, rate: float = 0.0) -> Told:
    """Answers per second and milliseconds at the median and the 99th percentile; `rate` requests a second, or
    as many as are answered (0)."""
    pace = connections / rate if rate else 0.0
    answered: list[float] = []
    wrong: list[bytes] = []
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    clients = []
    for number in range(connections):
        due = started + 0.2 + pace * number / connections
        _, client = await loop.create_connection(
            partial(Client, request, started + seconds, answered, wrong, pace, due), "127.0.0.1", port
        )
        clients.append(client)
    await asyncio.gather(*(client.closed for client in clients))
    elapsed = time.perf_counter() - started
    if wrong:
        raise SystemExit(f"{len(wrong)} wrong answers, the first: {wrong[0].decode(errors='replace')}")
    answered.sort()
    return {
        "answers": len(answered),
        "rate": len(answered) / elapsed,
        "p50_ms": answered[len(answered) // 2] * 1000,
        "p99_ms": answered[len(answered) * 99 // 100] * 1000,
    }


def loaded(port: int, request: bytes, connections: int, seconds: float, rate: float = 0.0) -> Told:
    """`load` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.http_load"]
    command += [str(port), str(connections), str(seconds), str(rate)]
    done = subprocess.run(command, check=True, input=request, stdout=subprocess.PIPE, cwd=ROOT)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Be that process."""
    port, connections, seconds, rate = sys.argv[1:]
    request = sys.stdin.buffer.read()
    print(json.dumps(uvloop.run(load(int(port), request, int(connections), float(seconds), float(rate)))))


if __name__ == "__main__":
    main()
