"""How fast intake accepts, as ratios in one run: `python -m benchmarks.intake [--seconds 4] [--rounds 3]`.

Single POSTs of one opinion each (new ones, so nothing is recognised), every 202 after the broker's
acknowledgement, against

- the same server (uvicorn, uvloop, httptools, FastAPI) answering an empty endpoint: `GET /livez` of the same
  process, and a POST of the same body that is read and thrown away in a second process like it;
- a general HTTP-to-Kafka proxy (`peer_proxy.py`): the same client posts the same body to it, and it writes
  one record per request with acks=all to the same topic of the same broker;
- a bare producer: a loop over aiokafka's own producer (idempotent, acks=all, as it comes), and the chassis's
  publisher, each writing the same records with as many writers as connections.

Then, at half the rate that was found, what a single POST takes: sent by the clock, and timed from when it was
due, so that a slow answer hides no other. And lines a second of NDJSON through `POST /v1/opinions:batch`.

Rounds alternate, so that a machine that slows down slows all of them; the figure is the median of the rounds.
The load comes from a process of its own over plain sockets (about 15 us a request). The processor time of
broker and intake per accepted opinion is printed too. Needs Java; Kafka's jars and the proxy's are fetched at
the first run.
"""

import argparse
import asyncio
import http.client
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import psutil
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from benchmarks.peer_proxy import NAME, PATH, proxies, proxy_command
from nacl.encoding import Base64Encoder
from nacl.public import PrivateKey

from lianxin_chassis.publisher import Publisher
from lianxin_chassis.settings import Settings
from lianxin_chassis.topics import ensure
from lianxin_contracts import ids, registry, topics
from lianxin_contracts.envelope import OutRecord
from lianxin_contracts.registry import ChannelKey, hash_of_key
from lianxin_local.city_files import CityFiles, Found
from lianxin_local.kafka import Kafka, answers
from lianxin_local.ports import is_free
from lianxin_local.registry_publish import operator, publish_city, publish_keys, publisher

LINES = 20_000  # of one upload
ROOT = Path(__file__).parent.parent
THIS = [sys.executable, "-m", "benchmarks.intake"]
KEY = "lx_bench_" + secrets.token_hex(8)
BODY = json.dumps(
    {
        "text": "扬名街道金匮桥下的路灯坏了三天，晚上看不见路，请尽快安排人修理。" * 3,
        "topic": "0101",
        "station": "S1",
        "location": {"lat": 31.5689, "lon": 120.2986, "crs": "gcj02"},
    },
    ensure_ascii=False,
).encode()
CITY = (
    ("city", registry.City("bench", "Bench")),
    ("grid", registry.Grid("320213001001001", "G", "320213001001", "320213001", "320213")),
    ("station", registry.Station("S1", "Station", "320213001001001")),
    ("topic", registry.Topic("0101", "道路", "Roads")),
    ("channel", registry.Channel("bench", "Bench")),
)


def request_bytes(method: str, path: str, port: int, body: bytes = b"") -> bytes:
    """One HTTP/1.1 request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    if body:
        lines += [
            f"Authorization: Bearer {KEY}",
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


async def load(
    port: int, request: bytes, connections: int, seconds: float, rate: float = 0.0
) -> dict[str, float]:
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


def loaded(
    port: int, method: str, path: str, connections: int, seconds: float, rate: float = 0.0
) -> dict[str, float]:
    """`load` in a process of its own."""
    command = [*THIS, "--load", str(port), method, path, str(connections), str(seconds), KEY, str(rate)]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout))


async def produce(bootstrap: str, writers: int, seconds: float) -> float:
    """Records per second that a bare publisher gets acknowledged with `writers` waiting at a time."""
    one = Publisher(Settings(service="bench", kafka_bootstrap=bootstrap))
    await one.start()
    until = time.perf_counter() + seconds
    written = 0

    async def write() -> None:
        nonlocal written
        while time.perf_counter() < until:
            record = OutRecord(topics.INBOUND, ids.fresh().encode(), BODY, (), int(time.time() * 1000))
            await one.publish([record])
            written += 1

    started = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(writers)))
    elapsed = time.perf_counter() - started
    await one.stop()
    return written / elapsed


async def produce_plainly(bootstrap: str, writers: int, seconds: float) -> float:
    """Records per second that a loop over aiokafka's producer gets acknowledged."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    started = time.perf_counter()
    written = 0

    async def write() -> None:
        nonlocal written
        while time.perf_counter() < started + seconds:
            await producer.send_and_wait(topics.INBOUND, BODY, key=ids.fresh().encode())
            written += 1

    await asyncio.gather(*(write() for _ in range(writers)))
    elapsed = time.perf_counter() - started
    await producer.stop()
    return written / elapsed


def uploaded(port: int, lines: int) -> float:
    """Lines per second of one upload of NDJSON, results read. Ends the run where a line was refused."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/x-ndjson"}
    started = time.perf_counter()
    connection.request("POST", "/v1/opinions:batch", (BODY + b"\n") * lines, headers)
    accepted = connection.getresponse().read().count(b'"status":202')
    elapsed = time.perf_counter() - started
    connection.close()
    if accepted != lines:
        raise SystemExit(f"of {lines} lines only {accepted} were accepted")
    return lines / elapsed


async def lying(bootstrap: str) -> int:
    """How many records lie on the topic that all of them write to."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topics.INBOUND, n) for n in range(topics.BY_NAME[topics.INBOUND].partitions)
        ]
        return int(sum((await consumer.end_offsets(partitions)).values()))
    finally:
        await consumer.stop()


def proxied_load(proxy: int, bootstrap: str, connections: int, seconds: float) -> dict[str, float]:
    """`loaded` of the proxy. Ends the run where an answer did not stand for a record."""
    before = asyncio.run(lying(bootstrap))
    told = loaded(proxy, "POST", PATH, connections, seconds)
    if (written := asyncio.run(lying(bootstrap)) - before) != told["answers"]:
        raise SystemExit(f"the proxy answered {told['answers']:.0f} requests and wrote {written} records")
    return told


def serve_empty(port: int) -> None:
    """The peer: a route like intake's own that reads the body and answers 202."""
    from fastapi import APIRouter, FastAPI, Request, Response

    from lianxin_chassis.process import run_api
    from lianxin_intake.context import RawRoute

    def create() -> FastAPI:
        app = FastAPI()
        routes = APIRouter(route_class=RawRoute)

        @routes.post("/v1/opinions", status_code=202)
        async def empty(request: Request) -> Response:
            await request.body()
            return Response(b"{}", status_code=202, media_type="application/json")

        app.include_router(routes)
        return app

    run_api(create, Settings(service="empty", http_port=port))


def free_ports(count: int) -> list[int]:
    """Ports below those that the system gives to clients."""
    return [port for port in range(21_000 + os.getpid() % 5_000, 32_000) if is_free(port)][:count]


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    """Return when `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come within {seconds:g} s")
        time.sleep(0.1)


def is_up(port: int, path: str) -> bool:
    """Whether a GET there is answered with success."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def fill(bootstrap: str) -> None:
    """Topics, the small city, the key."""
    await ensure(Settings(service="bench", kafka_bootstrap=bootstrap))
    async with publisher(operator(bootstrap)) as writer:
        await publish_keys(writer, [ChannelKey(hash_of_key(KEY), "bench", ("submit",))])
        await publish_city(writer, CityFiles(tuple(Found(k, data, "bench", 1) for k, data in CITY)))


def run(seconds: float, rounds: int, connections: int, with_proxy: bool) -> None:
    """Start everything, measure, print, stop everything."""
    broker_port, controller, intake_port, empty_port, proxy_port = free_ports(5)
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="lianxin-bench-") as directory:
        kafka = Kafka.at(Path(directory) / "kafka", broker_port, controller)
        kafka.prepare()
        log = (Path(directory) / "log").open("wb")
        environment = {
            **os.environ,
            "LIANXIN_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "LIANXIN_HTTP_PORT": str(intake_port),
            "LIANXIN_TRACKING_SECRET": secrets.token_hex(16),
            "LIANXIN_CONTACT_PUBLIC_KEY": PrivateKey.generate().public_key.encode(Base64Encoder).decode(),
            # No database: accepting needs none, and none shall take part of the machine.
            "LIANXIN_MONGO_URL": f"mongodb://127.0.0.1:{controller}/?serverSelectionTimeoutMS=60000",
        }

        def spawn(command: list[str]) -> None:
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=ROOT))

        try:
            spawn(kafka.command())
            wait_for(lambda: asyncio.run(answers(kafka.bootstrap)), "the broker")
            asyncio.run(fill(kafka.bootstrap))
            spawn([sys.executable, "-m", "lianxin_intake.api"])
            spawn([*THIS, "--empty", str(empty_port)])
            wait_for(lambda: is_up(intake_port, "/readyz"), "intake")
            wait_for(lambda: is_up(empty_port, "/openapi.json"), "the empty server")
            if with_proxy:
                spawn(proxy_command(Path(directory), proxy_port, kafka.bootstrap))
                wait_for(lambda: proxies(proxy_port, BODY), "the proxy")
            processes = {"broker": psutil.Process(started[0].pid), "intake": psutil.Process(started[1].pid)}
            proxy = proxy_port if with_proxy else None
            measure(kafka.bootstrap, intake_port, empty_port, proxy, processes, seconds, rounds, connections)
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                process.wait(30)
            log.close()


def spent(process: psutil.Process) -> float:
    """Seconds of processor time so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def measure(
    bootstrap: str,
    intake: int,
    empty: int,
    proxy: int | None,
    processes: dict[str, psutil.Process],
    seconds: float,
    rounds: int,
    connections: int,
) -> None:
    """The rounds, and what comes of them."""
    loaded(intake, "POST", "/v1/opinions", connections, 2)  # warm: code paths, broker's JIT
    loaded(empty, "POST", "/v1/opinions", connections, 1)
    if proxy is not None:
        loaded(proxy, "POST", PATH, connections, 8)  # a Java process needs longer until its code is compiled
    posts, livez, empties, bare, plain, batched, proxied = [], [], [], [], [], [], []
    costs: list[dict[str, float]] = []
    for number in range(rounds):
        livez.append(loaded(intake, "GET", "/livez", connections, seconds))
        before = {name: spent(process) for name, process in processes.items()}
        posts.append(loaded(intake, "POST", "/v1/opinions", connections, seconds))
        accepted = posts[-1]["rate"] * seconds
        costs.append({name: (spent(p) - before[name]) / accepted for name, p in processes.items()})
        empties.append(loaded(empty, "POST", "/v1/opinions", connections, seconds))
        bare.append({"rate": uvloop.run(produce(bootstrap, connections, seconds))})
        plain.append({"rate": uvloop.run(produce_plainly(bootstrap, connections, seconds))})
        batched.append({"rate": uploaded(intake, LINES)})
        if proxy is not None:
            proxied.append(proxied_load(proxy, bootstrap, connections, seconds))
        print(
            f"round {number + 1}: accepts {posts[-1]['rate']:,.0f}/s (p50 {posts[-1]['p50_ms']:.1f} ms, "
            f"p99 {posts[-1]['p99_ms']:.1f} ms), /livez {livez[-1]['rate']:,.0f}/s, "
            f"empty POST {empties[-1]['rate']:,.0f}/s, publisher {bare[-1]['rate']:,.0f}/s, "
            f"aiokafka loop {plain[-1]['rate']:,.0f}/s, NDJSON {batched[-1]['rate']:,.0f} lines/s"
            + (
                f", proxy {proxied[-1]['rate']:,.0f}/s (p50 {proxied[-1]['p50_ms']:.1f} ms)"
                if proxied
                else ""
            ),
            flush=True,
        )

    def median(rows: list[dict[str, float]]) -> float:
        return statistics.median(row["rate"] for row in rows)

    print(f"\n{connections} connections, {rounds} rounds of {seconds:g} s, {os.cpu_count()} cores, medians:")
    rate = median(posts)
    print(f"accepts / empty endpoint of the same process (/livez): {rate / median(livez):.2f} (target 0.5)")
    print(f"accepts / empty POST of the same server, body read: {rate / median(empties):.2f}")
    print(f"accepts / bare aiokafka producer loop: {rate / median(plain):.2f}")
    print(f"accepts / the chassis's publisher alone: {rate / median(bare):.2f}")
    print(f"NDJSON lines / accepts: {median(batched) / rate:.2f} ({median(batched):,.0f} lines/s)")
    half = loaded(intake, "POST", "/v1/opinions", connections, max(10.0, seconds), rate / 2)
    print(
        f"at half of {rate:,.0f}/s ({half['rate']:,.0f}/s): p50 {half['p50_ms']:.1f} ms, "
        f"p99 {half['p99_ms']:.1f} ms"
    )
    if proxied:
        print(f"accepts / {NAME}: {rate / median(proxied):.2f} (target 3)")
    else:
        print("accepts / HTTP-to-Kafka proxy: not measured (--no-proxy)")
    for name in processes:
        microseconds = statistics.median(cost[name] for cost in costs) * 1e6
        print(f"processor time per accepted opinion, {name}: {microseconds:.0f} us")


def main() -> None:
    """Measure, or be one of the helper processes."""
    global KEY  # the load process posts with the key of the process that started it
    arguments = sys.argv[1:]
    if arguments[:1] == ["--load"]:
        port, method, path, connections, seconds, KEY, rate = arguments[1:]
        request = request_bytes(method, path, int(port), BODY if method == "POST" else b"")
        print(json.dumps(uvloop.run(load(int(port), request, int(connections), float(seconds), float(rate)))))
    elif arguments[:1] == ["--empty"]:
        serve_empty(int(arguments[1]))
    else:
        parser = argparse.ArgumentParser(description=__doc__)
        parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
        parser.add_argument("--rounds", type=int, default=3)
        parser.add_argument("--connections", type=int, default=64)
        parser.add_argument("--no-proxy", action="store_true", help="without the HTTP-to-Kafka proxy's jars")
        options = parser.parse_args()
        run(options.seconds, options.rounds, options.connections, not options.no_proxy)


if __name__ == "__main__":
    main()
