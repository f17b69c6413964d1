"""How fast the router places opinions, as ratios in one run: `python benchmarks/router.py [--opinions 4000]`.

Opinions of the sample city lie ready on `opinions.inbound`; the router's worker takes them through locate,
classify, cluster, assign, persist and publish. Printed are

- opinions per second, and the processor time per opinion of the router, the broker and the database;
- the ratio of that rate to cores / (processor seconds per opinion): 1 would be a machine that never waits;
- the same work by a one-at-a-time Faust agent (`peer_faust.py`: the same handler, one by one), and the ratio;
- processor time of the pure stages, measured by themselves;
- with `--stored N`, the same with N cases stored before, and the ratio of the costs per opinion.
"""

import argparse
import asyncio
import os
import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from benchmarks.servers import SAMPLE_CITY, Servers, servers
from bson import Binary

from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.follower import Follower
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.records import Record
from lianxin_contracts import ids, inbound, topics
from lianxin_contracts.envelope import Event, OutRecord, to_record
from lianxin_contracts.registry import Snapshot
from lianxin_local.city_files import read_city
from lianxin_router.city import City
from lianxin_router.desk import Desk
from lianxin_router.domain.decide import decide
from lianxin_router.domain.submission import first_request
from lianxin_router.handle import records_of
from lianxin_router.routing.classify import classify
from lianxin_router.routing.cluster import fingerprints_of
from lianxin_router.routing.locate import locate
from lianxin_router.store import COLLECTIONS

PLACES = ("小区门口", "菜场南侧", "学校对面", "桥下", "三号楼前", "公交站旁", "河边步道", "地下车库入口")
MATTERS = (
    "路灯坏了几天，晚上看不见路",
    "垃圾堆放没人清运，味道很大",
    "占道经营，早高峰走不过去",
    "积水排不掉，雨后没法走",
    "工地夜里施工，吵得睡不着",
    "窨井盖松动，骑车差点摔倒",
    "公交班次太少，老人等很久",
    "拖欠工资两个月，找不到人",
)
PLACED = ("opinion.assigned", "opinion.triaged")


def opinions(count: int, seed: int, city: Snapshot) -> list[Event]:
    """Submissions at stations of the city; the same seed makes the same texts."""
    chance = random.Random(seed)
    stations = sorted(city.stations)
    now = datetime.now(UTC)
    made = []
    for number in range(count):
        days = chance.randrange(1, 400)
        text = f"{chance.choice(PLACES)}{chance.choice(MATTERS)}，已经第{days}天了。编号{number}"
        id_ = ids.derived("bench", str(seed), str(number))
        said = inbound.Submitted(
            channel="demo", text=text, digest=str(number), station=chance.choice(stations)
        )
        made.append(Event(ids.derived(id_, "said"), "/intake/demo", "opinion.submitted", id_, now, now, said))
    return made


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


async def store(running: Servers, count: int) -> None:
    """Put `count` closed and open cases of other times into the router's database."""
    db = open_database(running.settings("router"))
    cases = db[f"{COLLECTIONS[0]}.g1"]
    state = Binary(msgspec.msgpack.encode({"stored": "before"}))
    for at in range(0, count, 2_000):
        await cases.insert_many(
            [
                {
                    "_id": ids.derived("stored", str(number)),
                    "v": 1,
                    "causes": Binary(b""),
                    "opened": datetime(2026, 1, 1, tzinfo=UTC),
                    "issue": ids.derived("issue", str(number)),
                    "state": state,
                    # One case in fifty is still open, with deputies in turn.
                    **({"holder": f"D{number // 50 % 8129 + 1:04}"} if number % 50 == 0 else {}),
                }
                for number in range(at, min(at + 2_000, count))
            ],
            ordered=False,
        )
    await close_database(db)


def pure_stages(city: City, said: list[Event]) -> dict[str, float]:
    """Processor microseconds per opinion of each pure stage, each by itself."""

    def cost(step: Callable[[Event], object]) -> float:
        started = time.process_time()
        for event in said:
            step(event)
        return (time.process_time() - started) / len(said) * 1e6

    requests = {event.id: first_request(event) for event in said}
    clues = {id_: request.clues for id_, request in requests.items() if request.clues is not None}
    desk = Desk(city.index)
    context = city.context(desk)
    for event in said:
        prepared = desk.prepare(requests[event.id])
        desk.know_loads(prepared.deputies, {})
    desk.know_loads(city.snapshot.deputies, {})
    stages = {
        "locate": cost(lambda event: locate(clues[event.id], city.index)),
        "classify": cost(lambda event: classify(clues[event.id], city.index)),
        "fingerprint": cost(lambda event: fingerprints_of(None, event.data.text)),  # type: ignore[attr-defined]
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


def run(count: int, peer_count: int, rounds: int, stored: int) -> None:
    """Measure and print."""
    cores = os.cpu_count() or 1
    snapshot = read_city(SAMPLE_CITY).snapshot()
    print("pure stages, processor time per opinion:")
    for stage, microseconds in pure_stages(City.of(snapshot), opinions(1_000, 1, snapshot)).items():
        print(f"  {stage}: {microseconds:,.0f} us")
    with servers() as running:
        running.start_service("router", ["-m", "lianxin_router.worker"])
        asyncio.run(timed(running, opinions(500, 2, snapshot)))  # warm: connections, indexes, JIT
        rates, costs = [], []
        for number in range(rounds):
            seconds, spent = asyncio.run(timed(running, opinions(count, 10 + number, snapshot)))
            rate, each = report(f"router, round {number + 1}", count, seconds, spent)
            rates.append(rate)
            costs.append(each)
        rate, each = statistics.median(rates), statistics.median(costs)
        if stored:
            running.stop("router")
            asyncio.run(store(running, stored))
            running.start_service("router", ["-m", "lianxin_router.worker"])
            asyncio.run(timed(running, opinions(500, 3, snapshot)))
            seconds, spent = asyncio.run(timed(running, opinions(count, 50, snapshot)))
            _, full = report(f"router, {stored:,} cases stored before", count, seconds, spent)
        running.stop("router")
        running.start_service("peer", ["-m", "benchmarks.peer_faust"], LIANXIN_MONGO_DATABASE="lianxin_peer")
        asyncio.run(timed(running, opinions(50, 4, snapshot)))
        seconds, spent = asyncio.run(timed(running, opinions(peer_count, 60, snapshot)))
        peer, _ = report("one-at-a-time Faust agent", peer_count, seconds, spent)
    print(f"\n{count} opinions, {rounds} rounds, {cores} cores, medians:")
    print(f"rate / (cores / processor seconds per opinion): {rate * each / cores:.2f} (target 0.7)")
    print(f"rate / one-at-a-time Faust agent: {rate / peer:.1f} (target 5)")
    if stored:
        print(f"cost per opinion with {stored:,} stored cases / without: {full / each:.2f} (target 1.2)")


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--opinions", type=int, default=4_000)
    parser.add_argument("--peer-opinions", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stored", type=int, default=0)
    options = parser.parse_args()
    run(options.opinions, options.peer_opinions, options.rounds, options.stored)


if __name__ == "__main__":
    main()
