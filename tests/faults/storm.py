"""A storm of alerts by mail: who gets them, what is done to the processes meanwhile, and what is seen of it.

The lifecycle records are written as the router would; neither intake nor router is needed. Everything that is
drawn (opinions, receivers, moments of kills) follows from the seed.
"""

import asyncio
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from lianxin_contracts import codec, registry, topics
from lianxin_contracts.deliveries import Delivery
from lianxin_contracts.envelope import OutRecord
from lianxin_local.city_files import CityFiles, Found
from lianxin_local.registry_publish import operator, publish_city, publisher
from lianxin_notifier.alerts import alert_id
from tests.faults.storm_verdict import Accepted, Told
from tests.notifier.lifecycles import SUBMITTED, History, assigned
from tests.notifier.running import Running
from tests.notifier.small_city import GRID, SQUARE, STREET
from tests.support.smtp import SmtpServer
from tests.support.wait import eventually_async

AT_ONCE = 500  # opinions written together
# Every so many-th deputy has an address that there is no mailbox for.
NO_MAILBOX_EVERY = 128
# The moments of the strikes, as shares of the alerts that have an end.
FIRST, LAST = 0.02, 0.95
# How long the mail server is away after a kill, or hangs, s.
AWAY_S, HANGS_S = (0.3, 3.0), (2.0, 6.0)


def deputies(count: int) -> dict[str, str]:
    """Their numbers and mail addresses."""
    return {f"D{n:05}": f"d{n:05}@deputies.test" for n in range(1, count + 1)}


def without_mailbox(addresses: dict[str, str]) -> list[str]:
    """The addresses that the mail server refuses for good."""
    return list(addresses.values())[::NO_MAILBOX_EVERY]


async def load_city(bootstrap: str, addresses: dict[str, str]) -> None:
    """Publish a city of one grid whose deputies have one mail address each."""
    records = (
        ("city", registry.City("wuxi", "无锡")),
        ("region", registry.Region("320213", "district", "梁溪区")),
        ("region", registry.Region(STREET, "street", "金匮街道", parent="320213")),
        ("grid", registry.Grid(GRID, "网格一", "320213001001", STREET, "320213", SQUARE)),
        ("topic", registry.Topic("01", "城市建设", "City")),
        ("topic", registry.Topic("0101", "道路", "Roads", parent="01")),
        *(
            ("deputy", registry.Deputy(id_, f"代表{id_}", "street", channels=(f"mail:{address}",)))
            for id_, address in addresses.items()
        ),
    )
    async with publisher(operator(bootstrap)) as writer:
        found = tuple(Found(kind, data, "storm", line) for line, (kind, data) in enumerate(records, 1))
        await publish_city(writer, CityFiles(found))


@dataclass(slots=True)
class Feeder:
    """Writes `alerts` opinions, each assigned to one deputy, when fewer than `ahead` are under way.
    `expected` holds every alert by mail that was asked for, with its receiver."""

    bootstrap: str
    alerts: int
    ahead: int
    seed: int
    receivers: Sequence[str]
    expected: dict[str, str] = field(default_factory=dict)
    written: int = 0

    async def run(self, ended: Callable[[], int]) -> None:
        """Until all are written."""
        async with publisher(operator(self.bootstrap)) as writer:
            for records in self._batches():
                await eventually_async(lambda: self.written - ended() < self.ahead, timeout=3_600, every=0.1)
                await writer.publish(records, 120)
                self.written = len(self.expected)

    def _batches(self) -> Iterator[list[OutRecord]]:
        chance = random.Random(f"storm/{self.seed}")
        for start in range(0, self.alerts, AT_ONCE):
            records: list[OutRecord] = []
            for _ in range(min(AT_ONCE, self.alerts - start)):
                case = History(str(uuid.UUID(int=chance.getrandbits(128), version=4)))
                receiver = chance.choice(self.receivers)
                records += [case.next(SUBMITTED), case.next(assignment := assigned(receiver))]
                cause = case.event(assignment).id
                self.expected[alert_id(cause, receiver, "mail")] = receiver
            yield records


@dataclass(slots=True)
class Watcher:
    """Follows `alerts.deliveries` from its start."""

    bootstrap: str
    told: Told = field(default_factory=Told)

    async def run(self) -> None:
        """For ever; cancel it."""
        count = topics.BY_NAME[topics.DELIVERIES].partitions
        partitions = [TopicPartition(topics.DELIVERIES, n) for n in range(count)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            while True:
                for records in (await consumer.getmany(timeout_ms=500, max_records=2_000)).values():
                    for record in records:
                        data = codec.decode(topics.DELIVERIES, record.value, record.headers).data
                        assert isinstance(data, Delivery)
                        self.told.take(data)
        finally:
            await consumer.stop()


@dataclass(frozen=True, slots=True)
class Strike:
    """At `progress` (0..1): to which worker or to the mail server what is done, for `seconds`."""

    progress: float
    what: str  # "worker 0", "worker 1", "mail server killed", "mail server hangs", "database dropped"
    seconds: float = 0.0


def draw(kills: int, server_kills: int, hangs: int, drops: int, seed: int) -> list[Strike]:
    """Strikes in order of their moments."""
    chance = random.Random(f"strikes/{seed}")
    whats = [f"worker {chance.randrange(2)}" for _ in range(kills)]
    whats += ["mail server killed"] * server_kills + ["mail server hangs"] * hangs
    whats += ["database dropped"] * drops
    chance.shuffle(whats)
    moments = sorted(chance.uniform(FIRST, LAST) for _ in whats)
    lasts = {"mail server killed": AWAY_S, "mail server hangs": HANGS_S}
    return [
        Strike(moment, what, chance.uniform(*lasts.get(what, (0.0, 0.0))))
        for moment, what in zip(moments, whats, strict=True)
    ]


@dataclass(slots=True)
class Storm:
    """Two workers and a mail server, and what befalls them. `behaviour` is how the mail server behaves while
    it neither hangs nor is away; `addresses` are the deputies and their mail addresses."""

    addresses: dict[str, str]
    workers: tuple[Running, Running]
    smtp: SmtpServer
    behaviour: dict[str, object]
    watcher: Watcher
    feeder: Feeder
    drop_database: Callable[[], object]
    say: Callable[[str], object]
    struck: Counter[str] = field(default_factory=Counter)
    _began: float = field(default_factory=time.monotonic)

    @property
    def progress(self) -> float:
        """The share of the alerts that have an end."""
        return self.watcher.told.ended / self.feeder.alerts

    @property
    def elapsed_s(self) -> float:
        """Since it began, s."""
        return time.monotonic() - self._began

    async def run(self, strikes: Sequence[Strike], within_s: float) -> None:
        """Feed, strike, and wait until every alert has an end."""
        self.smtp.behave(**self.behaviour)  # type: ignore[arg-type]
        await load_city(self.feeder.bootstrap, self.addresses)
        for worker in self.workers:
            worker.spawn()
        for worker in self.workers:
            await eventually_async(lambda worker=worker: worker.is_ready(), timeout=120)  # type: ignore[misc]
        self._began = time.monotonic()
        async with asyncio.timeout(within_s):
            beside = [asyncio.create_task(self.watcher.run()), asyncio.create_task(self._tell())]
            working = [
                asyncio.create_task(self.feeder.run(lambda: self.watcher.told.ended)),
                asyncio.create_task(self._strike_all(strikes)),
                asyncio.create_task(self._keep_up()),
            ]
            try:
                await self._until_ended(working[:2], [*beside, *working])
            finally:
                for task in (*beside, *working):
                    task.cancel()
                await asyncio.gather(*beside, *working, return_exceptions=True)
        self.say(self._line())

    async def _until_ended(self, needed: list[asyncio.Task[None]], all_: list[asyncio.Task[None]]) -> None:
        while not (all(task.done() for task in needed) and self.watcher.told.ended >= self.feeder.alerts):
            await asyncio.sleep(0.1)
            for task in all_:
                if task.done():
                    task.result()  # one that failed fails the run

    async def _keep_up(self) -> None:
        """Start a worker again that has ended, as a supervisor does."""
        while True:
            for worker in self.workers:
                if worker.spawned is not None and not worker.spawned.alive:
                    worker.spawn()
            await asyncio.sleep(0.1)

    async def _strike_all(self, strikes: Sequence[Strike]) -> None:
        for strike in strikes:
            await eventually_async(lambda at=strike.progress: self.progress >= at, timeout=3_600, every=0.02)  # type: ignore[misc]
            await self._strike(strike)
            self.struck[strike.what] += 1

    async def _strike(self, strike: Strike) -> None:
        if strike.what == "mail server killed":
            self.smtp.kill()
            await asyncio.sleep(strike.seconds)
            self.smtp.spawn()
        elif strike.what == "mail server hangs":
            self.smtp.behave(**self.behaviour | {"hang": True})  # type: ignore[arg-type]
            await asyncio.sleep(strike.seconds)
            self.smtp.behave(**self.behaviour)  # type: ignore[arg-type]
        elif strike.what == "database dropped":
            self.drop_database()
        else:
            worker = self.workers[int(strike.what.removeprefix("worker "))]
            await eventually_async(lambda: worker.spawned is not None and worker.spawned.alive)
            worker.kill()

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(5.0)
            self.say(self._line())

    def _line(self) -> str:
        ended, all_ = self.watcher.told.ended, self.feeder.alerts
        rate = ended / max(self.elapsed_s, 0.001)
        return (
            f"storm: {self.elapsed_s:5.0f} s  {ended:7,} of {all_:,} ended ({rate:.0f}/s), "
            f"{self.feeder.written:,} written, {self.struck.total()} strikes\n"
        )


def accepted_by(smtp: SmtpServer) -> list[Accepted]:
    """The mail server's own record."""
    return [Accepted(m["message_id"], m["to"][0], m["repeated"]) for m in smtp.messages()]
