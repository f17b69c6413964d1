"""The processes of metrics for tests, and the log that they read."""

import asyncio
import math
import sys
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from lianxin_chassis.topics import ensure
from lianxin_contracts import topics
from lianxin_contracts.envelope import Event, to_record
from lianxin_metrics.settings import MetricsSettings
from tests.metrics.published import Said, said
from tests.support.brokers import Broker
from tests.support.ports import free_port
from tests.support.processes import Spawned
from tests.support.wait import eventually

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
OF_THE_FACTS = (
    "lianxin_cases", "lianxin_opinion_events", "lianxin_ratings", "lianxin_acknowledge_seconds",
    "lianxin_first_response_seconds", "lianxin_closure_seconds", "lianxin_final_closure_seconds",
)  # fmt: skip


class Running:
    """One process of metrics: `worker` or `api`. `service` names its group and its database, so that tests
    which share a broker don't meet."""

    def __init__(self, kind: str, directory: Path, broker: Broker, database_url: str, service: str) -> None:
        self.kind = kind
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", f"lianxin_metrics.{kind}"]
        self._log = directory / f"{kind}-{self.port}.log"
        self._env = {
            "LIANXIN_SERVICE": service,
            "LIANXIN_KAFKA_BOOTSTRAP": broker.bootstrap,
            "LIANXIN_KAFKA_IDEMPOTENT": "false" if broker.kind == "tansu" else "true",
            "LIANXIN_KAFKA_FETCH_MAX_WAIT_MS": "20" if broker.kind == "tansu" else "500",
            "LIANXIN_KAFKA_SESSION_TIMEOUT_MS": "6000",
            "LIANXIN_KAFKA_HEARTBEAT_MS": "500",
            "LIANXIN_MONGO_URL": database_url,
            "LIANXIN_HTTP_PORT": str(self.port),
            "LIANXIN_REBUILD_HANDOVER_S": "8",
        }
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.spawned: Spawned | None = None
        self.revivals = 0
        self._wanted = False
        self._turn = threading.Lock()

    def start(self, *, ready: bool = True) -> "Running":
        with self._turn:
            self._wanted = True
            self.spawned = Spawned(self._command, self._log, self._env)
        if ready:
            eventually(self.is_ready, timeout=120)
        return self

    def rebuild(self) -> Spawned:
        """`--rebuild` with the same surroundings."""
        return Spawned([*self._command, "--rebuild"], self._log.with_suffix(".rebuild.log"), self._env)

    def supervise(self) -> None:
        """Start it again where it ended by itself and cleanly: what a worker does when another generation of
        the facts is live."""
        with self._turn:
            spawned = self.spawned
            if self._wanted and spawned is not None and spawned.process.poll() == 0:
                self.revivals += 1
                self.spawned = Spawned(self._command, self._log, self._env)

    def is_ready(self) -> bool:
        assert self.spawned is not None
        assert self.spawned.process.poll() in (None, 0), self.spawned.tail()
        return self.http.get("/readyz").status_code == 200

    def kill(self) -> None:
        with self._turn:
            self._wanted = False
            if self.spawned is not None:
                self.spawned.kill()

    def stop(self) -> None:
        with self._turn:
            self._wanted = False
            if self.spawned is not None:
                self.spawned.stop()

    def samples(self) -> Samples:
        """What a scrape shows of the facts; `le` as a plain number, empty stages left out."""
        return of_the_facts(self.http.get("/metrics").text)

    def counted(self, what: str = "closed") -> float:
        for family in text_string_to_metric_families(self.http.get("/metrics").text):
            for sample in family.samples:
                if sample.name == "lianxin_counted_opinions" and sample.labels == {"what": what}:
                    return sample.value
        return math.nan


def of_the_facts(text: str) -> Samples:
    return {
        (sample.name, labels_of(sample.labels)): sample.value
        for family in text_string_to_metric_families(text)
        if family.name in OF_THE_FACTS
        for sample in family.samples
        if not (family.name == "lianxin_cases" and sample.value == 0)
    }


def labels_of(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Sorted, with `le` in one spelling."""
    same = {
        k: (f"{float(v):g}" if v == "+Inf" else str(int(float(v)))) if k == "le" else v
        for k, v in labels.items()
    }
    return tuple(sorted(same.items()))


def prepare_topics(broker: Broker) -> None:
    """Create the topics as the services do."""
    settings = MetricsSettings(kafka_bootstrap=broker.bootstrap)
    asyncio.run(ensure(settings))


def publish(broker: Broker, events: Iterable[Event], topic: str = topics.LIFECYCLE) -> None:
    """Write `events` in their order, keyed by their subject, and wait until all are acknowledged."""

    async def write() -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=broker.bootstrap,
            acks="all",
            linger_ms=5,
            enable_idempotence=broker.kind == "kafka",
        )
        await producer.start()
        try:
            sent = []
            for event in events:
                record = to_record(event, topic, event.subject)
                sent.append(
                    await producer.send(
                        record.topic, record.value, key=record.key, headers=list(record.headers),
                        timestamp_ms=record.timestamp_ms,
                    )
                )  # fmt: skip
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    asyncio.run(write())


def read_log(broker: Broker) -> list[Said]:
    """All of `opinions.lifecycle` as it stands, raw."""

    async def read() -> list[Said]:
        consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        try:
            partitions = [TopicPartition(topics.LIFECYCLE, n) for n in range(12)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            found = []
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [said(r.key, r.value, r.headers) for r in records]
            return found
        finally:
            await consumer.stop()

    return asyncio.run(read())


def differences(shown: Samples, expected: Samples) -> Sequence[str]:
    """Where two sets of samples differ; sums of seconds within a microsecond."""
    return [
        f"{name}{dict(labels)}: shown {shown.get((name, labels))}, expected {expected.get((name, labels))}"
        for name, labels in sorted({*shown, *expected})
        if not math.isclose(
            shown.get((name, labels), math.nan),
            expected.get((name, labels), math.nan),
            rel_tol=1e-12,
            abs_tol=1e-6,
        )
    ]


class Watch:
    """Scrapes every process of `watched` over and over, and notes each counter that is lower than that
    process has shown before, also before it was restarted. What is away is asked again."""

    def __init__(self, *watched: Running) -> None:
        self._watched = watched
        self._highest: dict[int, Samples] = {process.port: {} for process in watched}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.falls: list[str] = []
        self.scrapes = 0

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        with httpx.Client(timeout=5) as http:
            while not self._end.wait(0.1):
                for process in self._watched:
                    try:
                        text = http.get(f"{process.url}/metrics").text
                    except httpx.HTTPError:
                        continue
                    self._note(process, of_the_facts(text))

    def _note(self, process: Running, shown: Samples) -> None:
        if not shown:
            return  # just started: nothing is read yet, and nothing is shown
        self.scrapes += 1
        highest = self._highest[process.port]
        for key, before in highest.items():
            if shown.get(key, 0) < before - 1e-6:
                self.falls.append(f"{process.kind}: {key} fell from {before} to {shown.get(key)}")
        counters = {key: value for key, value in shown.items() if key[0] != "lianxin_cases"}
        highest |= {key: max(value, highest.get(key, 0)) for key, value in counters.items()}
