"""How fast the router places opinions, as ratios in one run: `python -m benchmarks.router [--opinions 4000]`.

Opinions of the sample city lie ready on `opinions.inbound`; the router's worker takes them through locate,
classify, cluster, assign, persist and publish. Printed are

- opinions per second, and the processor time per opinion of the router, the broker and the database;
- the ratio of that rate to cores / (processor seconds per opinion): 1 would be a machine that never waits;
- the same work by a one-at-a-time Faust agent (`peer_faust.py`: the same handler, one by one), and the ratio;
- processor time of the pure stages, measured by themselves;
- the processor time per opinion in the sample city with `--stored` cases in the database, against a city with
  a thousandth of the grids, deputies and stored cases (`cities.py`); no text is like another there, so that
  both cities do the same work. Not covered: more issue keys than cases, a larger registry than the sample.
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from benchmarks.cities import opinions, small_city, store
from benchmarks.peer_faust import GROUP as PEER_GROUP
from benchmarks.servers import ISSUE_SECRET, SAMPLE_CITY, Servers, servers

from lianxin_chassis.follower import Follower
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.records import Record
from lianxin_contracts import topics
from lianxin_contracts.envelope import Event, OutRecord, to_record
from lianxin_local.city_files import read_city
from lianxin_router.city import City
from lianxin_router.desk import Desk
from lianxin_router.domain.decide import decide
from lianxin_router.domain.submission import first_request
from lianxin_router.handle import records_of
from lianxin_router.routing.classify import classify
from lianxin_router.routing.cluster import Fingerprinter
from lianxin_router.routing.locate import locate

ROUTER = ["-m", "lianxin_router.worker"]
PLACED = ("opinion.assigned", "opinion.triaged")


class Placed:
    """Counts the opinions that the lifecycle says are placed."""

    def __init__(self) -> None:
        self.ids: set[bytes] = set()
        self._changed = asyncio.Event()

    def apply(self, record: Record) -> None:
        """For the follower."""
        if record.key is not None and dict(record.headers)["ce_type"].decode() in PLACED:
            self.ids.add(record.key)
            self._changed.set()

    async def reach(self, count: int, deadline_s: float = 300.0) -> None:
        """Return when `count` opinions are placed."""
        async with asyncio.timeout(deadline_s):
            while len(self.ids) < count:
                self._changed.clear()
                await self._changed.wait()


async def timed(running: Servers, said: list[Event]) -> tuple[float, dict[str, float]]:
    """Seconds until all of `said` are placed, and the processor seconds of each process meanwhile."""
    settings = running.settings()
    placed = Placed()
    follower = Follower(settings, [topics.LIFECYCLE], placed.apply, from_end=True)
    following = asyncio.create_task(follower.run())
    await follower.wait_caught_up(60)
    writer = Publisher(settings)
    await writer.start()
    records: list[OutRecord] = [to_record(event, topics.INBOUND, event.subject) for event in said]
    before, started = running.spent(), time.perf_counter()
    for at in range(0, len(records), 500):
        await writer.publish(records[at : at + 500], deadline_s=60)
    await placed.reach(len(said))
    seconds = time.perf_counter() - started
    spent = {name: after - before.get(name, 0.0) for name, after in running.spent().items()}
    follower.stop()
    await asyncio.gather(following, writer.stop())
    return seconds, spent


async def begin_at_the_end(running: Servers) -> None:
    """Set the peer's group to the end of what has been said."""
    client = AIOKafkaConsumer(
        bootstrap_servers=running.bootstrap, group_id=PEER_GROUP, enable_auto_commit=False
    )
    await client.start()
    try:
        partitions = [
            TopicPartition(topics.INBOUND, n) for n in range(topics.BY_NAME[topics.INBOUND].partitions)
        ]
        client.assign(partitions)
        await client.commit(await client.end_offsets(partitions))
    finally:
        await client.stop()


def pure_stages(city: City, fingerprinter: Fingerprinter, said: list[Event]) -> dict[str, float]:
    """Processor microseconds per opinion of each pure stage, each by itself."""

    def cost(step: Callable[[Event], object]) -> float:
        started = time.process_time()
        for event in said:
            step(event)
        return (time.process_time() - started) / len(said) * 1e6

    requests = {event.id: first_request(event) for event in said}
    clues = {id_: request.clues for id_, request in requests.items() if request.clues is not None}
    desk = Desk(city.index, fingerprinter)
    context = city.context(desk)
    for event in said:
        prepared = desk.prepare(requests[event.id])
        desk.know_loads(prepared.deputies, {})
    desk.know_loads(city.snapshot.deputies, {})
    stages = {
        "locate": cost(lambda event: locate(clues[event.id], city.index)),
        "classify": cost(lambda event: classify(clues[event.id], city.index)),
        "fingerprint": cost(lambda event: fingerprinter.of(None, event.data.text)),  # type: ignore[attr-defined]
    }
    decisions = {}

    def decided(event: Event) -> None:
        decisions[event.id] = decide(None, event, context)

    stages["match, assign, decide and evolve"] = cost(decided)
    stages["encode what is published"] = cost(lambda event: records_of(decisions[event.id], event))
    return stages


def report(name: str, count: int, seconds: float, spent: dict[str, float]) -> tuple[float, float]:
    """Print one measurement; returns (opinions per second, processor seconds per opinion)."""
    rate, each = count / seconds, sum(spent.values()) / count
    parts = ", ".join(f"{process} {cost / count * 1e6:,.0f} us" for process, cost in spent.items())
    print(f"{name}: {rate:,.0f} opinions/s; processor time per opinion {each * 1e6:,.0f} us ({parts})")
    return rate, each


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of some rounds: opinions per second, processor seconds per opinion."""

    rate: float
    each: float


def rounds_of(running: Servers, name: str, said: Iterable[list[Event]]) -> Measured:
    """Measure one round for each list of opinions, print each."""
    rates, costs = [], []
    for number, one in enumerate(said, 1):
        seconds, spent = asyncio.run(timed(running, one))
        rate, each = report(f"{name}, round {number}", len(one), seconds, spent)
        rates.append(rate)
        costs.append(each)
    return Measured(statistics.median(rates), statistics.median(costs))


def in_small_city(count: int, rounds: int, stored: int) -> Measured:
    """The router where there is a thousandth of everything."""
    files = small_city()
    city = files.snapshot()
    with servers(files) as running:
        running.start_service("router", ROUTER)
        asyncio.run(timed(running, opinions(500, 2, city, unlike=True)))
        asyncio.run(store(running, stored, sorted(city.deputies)))
        said = (opinions(count, 70 + number, city, unlike=True) for number in range(rounds))
        return rounds_of(running, f"small city, {stored:,} cases stored before", said)


def run(options: argparse.Namespace) -> None:
    """Measure and print."""
    count, rounds, stored = options.opinions, options.rounds, options.stored
    cores = os.cpu_count() or 1
    city = read_city(SAMPLE_CITY).snapshot()
    print("pure stages, processor time per opinion, one thread:")
    fingerprinter = Fingerprinter(ISSUE_SECRET.encode())
    stages = pure_stages(City.of(city, fingerprinter), fingerprinter, opinions(1_000, 1, city))
    for stage, microseconds in stages.items():
        print(f"  {stage}: {microseconds:,.0f} us")
    with servers() as running:
        running.start_service("router", ROUTER)
        asyncio.run(timed(running, opinions(500, 2, city)))  # warm: connections, indexes, JIT
        plain = rounds_of(running, "router", (opinions(count, 10 + n, city) for n in range(rounds)))
        if stored:
            asyncio.run(store(running, stored, sorted(city.deputies)))
            said = (opinions(count, 50 + n, city, unlike=True) for n in range(rounds))
            big = rounds_of(running, f"sample city, {stored:,} cases stored before", said)
        running.stop("router")
        asyncio.run(begin_at_the_end(running))
        running.start_service("peer", ["-m", "benchmarks.peer_faust"], LIANXIN_MONGO_DATABASE="lianxin_peer")
        asyncio.run(timed(running, opinions(50, 4, city)))
        said = (opinions(options.peer_opinions, 60 + n, city) for n in range(rounds))
        peer = rounds_of(running, "one-at-a-time Faust agent", said)
    if stored:
        small = in_small_city(count, rounds, max(1, stored // 1_000))
    print(f"\n{count} opinions, {rounds} rounds, {cores} cores, medians:")
    print(
        f"rate / (cores / processor seconds per opinion): {plain.rate * plain.each / cores:.2f} (target 0.7)"
    )
    print(
        "  which is the share of the processors that router, broker and database kept busy: waste raises it"
    )
    print(f"rate / one-at-a-time Faust agent: {plain.rate / peer.rate:.1f} (target 5)")
    print(f"topic of one message, one thread: {stages['classify'] / 1000:.3f} ms (target < 1)")
    if stored:
        print(
            f"cost per opinion, sample city with {stored:,} cases / small city: {big.each / small.each:.2f}"
        )
        print("  (target 1.2; grids 1,254 : 1, deputies 8,129 : 8, stored cases 1,000 : 1)")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--opinions", type=int, default=4_000)
    parser.add_argument("--peer-opinions", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stored", type=int, default=50_000, help="0: don't compare the two cities")
    run(parser.parse_args())


if __name__ == "__main__":
    main()
