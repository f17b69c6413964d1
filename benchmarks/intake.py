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
The load comes from a process of its own (`http_load.py`). The processor time of
broker and intake per accepted opinion is printed too. Needs Java; Kafka's jars and the proxy's are fetched at
the first run.
"""

import argparse
import asyncio
import http.client
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvloop
from benchmarks.http_load import ROOT, Told, loaded, request_bytes
from benchmarks.peer_producers import lying, produce, produce_plainly
from benchmarks.peer_proxy import NAME, PATH, proxies, proxy_command
from benchmarks.servers import free_ports, wait_for
from nacl.encoding import Base64Encoder
from nacl.public import PrivateKey

from lianxin_chassis.settings import Settings
from lianxin_chassis.topics import ensure
from lianxin_contracts import registry
from lianxin_contracts.registry import ChannelKey, hash_of_key
from lianxin_local.city_files import CityFiles, Found
from lianxin_local.kafka import Kafka, answers
from lianxin_local.registry_publish import operator, publish_city, publish_keys, publisher

LINES = 20_000  # of one upload
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


@dataclass(frozen=True, slots=True)
class Peers:
    """Where everything that is measured listens. `proxy` is None where it is left out."""

    bootstrap: str
    intake: int
    empty: int
    proxy: int | None
    processes: dict[str, psutil.Process]

    def posts(self, connections: int, seconds: float, rate: float = 0.0) -> Told:
        """Single POSTs to intake, `rate` a second or (0) as many as are answered."""
        return loaded(self.intake, _post(self.intake, "/v1/opinions"), connections, seconds, rate)

    def livez(self, connections: int, seconds: float) -> Told:
        """An empty endpoint of the same process."""
        return loaded(self.intake, request_bytes("GET", "/livez", self.intake), connections, seconds)

    def empties(self, connections: int, seconds: float) -> Told:
        """The same POST to the server that throws it away."""
        return loaded(self.empty, _post(self.empty, "/v1/opinions"), connections, seconds)

    def proxied(self, proxy: int, connections: int, seconds: float) -> Told:
        """The same body to the proxy. Ends the run where an answer did not stand for a record."""
        before = asyncio.run(lying(self.bootstrap))
        told = loaded(proxy, _post(proxy, PATH), connections, seconds)
        if (written := asyncio.run(lying(self.bootstrap)) - before) != told["answers"]:
            raise SystemExit(f"the proxy answered {told['answers']:.0f} requests and wrote {written} records")
        return told

    def spent(self) -> dict[str, float]:
        """Seconds of processor time of each process so far."""
        times = {name: process.cpu_times() for name, process in self.processes.items()}
        return {name: float(one.user + one.system) for name, one in times.items()}


def _post(port: int, path: str) -> bytes:
    return request_bytes("POST", path, port, BODY, KEY)


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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave no server behind
    ports = free_ports()
    broker_port, controller, intake_port, empty_port, proxy_port = (next(ports) for _ in range(5))
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
            spawn([sys.executable, "-m", "benchmarks.peer_empty", str(empty_port)])
            wait_for(lambda: is_up(intake_port, "/readyz"), "intake")
            wait_for(lambda: is_up(empty_port, "/openapi.json"), "the empty server")
            if with_proxy:
                spawn(proxy_command(Path(directory), proxy_port, kafka.bootstrap))
                wait_for(lambda: proxies(proxy_port, BODY), "the proxy")
            processes = {"broker": psutil.Process(started[0].pid), "intake": psutil.Process(started[1].pid)}
            proxy = proxy_port if with_proxy else None
            peers = Peers(kafka.bootstrap, intake_port, empty_port, proxy, processes)
            measure(peers, seconds, rounds, connections)
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                process.wait(30)
            log.close()


def measure(peers: Peers, seconds: float, rounds: int, connections: int) -> None:
    """The rounds, and what comes of them."""
    warm(peers, connections)
    rates: dict[str, list[float]] = defaultdict(list)
    costs: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        before = peers.spent()
        posts = peers.posts(connections, seconds)
        for name, after in peers.spent().items():
            costs[name].append((after - before[name]) / posts["answers"])
        print(
            f"round {number + 1}: accepts p50 {posts['p50_ms']:.1f} ms, p99 {posts['p99_ms']:.1f} ms", end=""
        )
        for what, rate in {"accepts": posts["rate"], **beside(peers, connections, seconds)}.items():
            rates[what].append(rate)
            print(f", {what} {rate:,.0f}/s", end="", flush=True)
        print()
    print(f"\n{connections} connections, {rounds} rounds of {seconds:g} s, {os.cpu_count()} cores, medians:")
    rate = tell({what: statistics.median(found) for what, found in rates.items()})
    half = peers.posts(connections, max(10.0, seconds), rate / 2)
    print(
        f"at half of {rate:,.0f}/s ({half['rate']:,.0f}/s): p50 {half['p50_ms']:.1f} ms, "
        f"p99 {half['p99_ms']:.1f} ms"
    )
    for name, found in costs.items():
        print(f"processor time per accepted opinion, {name}: {statistics.median(found) * 1e6:.0f} us")


def warm(peers: Peers, connections: int) -> None:
    """Code paths, the broker's and the proxy's compilers: a Java process needs longer."""
    peers.posts(connections, 2)
    peers.empties(connections, 1)
    if peers.proxy is not None:
        peers.proxied(peers.proxy, connections, 8)


def beside(peers: Peers, connections: int, seconds: float) -> dict[str, float]:
    """What one round's accepts are measured against, each a second."""
    found = {
        "/livez": peers.livez(connections, seconds)["rate"],
        "empty POST": peers.empties(connections, seconds)["rate"],
        "publisher": uvloop.run(produce(peers.bootstrap, BODY, connections, seconds)),
        "aiokafka loop": uvloop.run(produce_plainly(peers.bootstrap, BODY, connections, seconds)),
        "NDJSON lines": uploaded(peers.intake, LINES),
    }
    if peers.proxy is not None:
        found["proxy"] = peers.proxied(peers.proxy, connections, seconds)["rate"]
    return found


def tell(medians: dict[str, float]) -> float:
    """Print the ratios; returns the accepts a second."""
    rate = medians["accepts"]
    print(
        f"accepts / empty endpoint of the same process (/livez): {rate / medians['/livez']:.2f} (target 0.5)"
    )
    print(f"accepts / empty POST of the same server, body read: {rate / medians['empty POST']:.2f}")
    print(f"accepts / bare aiokafka producer loop: {rate / medians['aiokafka loop']:.2f}")
    print(f"accepts / the chassis's publisher alone: {rate / medians['publisher']:.2f}")
    print(f"NDJSON lines / accepts: {medians['NDJSON lines'] / rate:.2f}")
    if "proxy" in medians:
        print(f"accepts / {NAME}: {rate / medians['proxy']:.2f} (target 3)")
    else:
        print("accepts / HTTP-to-Kafka proxy: not measured (--no-proxy)")
    return rate


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--no-proxy", action="store_true", help="without the HTTP-to-Kafka proxy's jars")
    options = parser.parse_args()
    run(options.seconds, options.rounds, options.connections, not options.no_proxy)


if __name__ == "__main__":
    main()
