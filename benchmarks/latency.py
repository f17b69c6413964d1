"""From a resident's POST to the deputy's open inbox, by hop: `python -m benchmarks.latency`.

All services run on Apache Kafka. First the highest rate at which opinions reach an inbox is found; then, at
half of it, opinions are posted at even intervals while deputies' inboxes are open (`GET /v1/alerts/stream`).
An opinion of an open inbox that never arrives there counts as endless in every percentile. One Python process
posts, reads the streams and follows the topics; its share of a processor is printed, because where it is
near 1 the highest rate is the client's and half of it is too gentle. Every time is this process's own clock,
so the hops add up:

- accept: POST sent until 202 is here, the broker's acknowledgement included;
- decide: POST sent until `opinion.assigned` is on `opinions.lifecycle` (seen by a reader of the topic);
- alert: … until the inbox entry is on `alerts.deliveries`;
- open inbox: … until the server-sent event has arrived.
"""

import argparse
import asyncio
import base64
import json
import math
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from benchmarks.servers import Servers, servers
from nacl.public import PrivateKey

from lianxin_chassis.follower import Follower
from lianxin_chassis.records import Record
from lianxin_contracts import codec, topics
from lianxin_contracts.deliveries import Delivery
from lianxin_contracts.lifecycle import Assigned
from lianxin_contracts.registry import ChannelKey, hash_of_key
from lianxin_local.registry_publish import operator, publish_keys, publisher

KEY = "lx_bench_" + secrets.token_hex(8)
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}
PLACES = ("小区门口", "菜场南侧", "学校对面", "桥下", "三号楼前", "公交站旁", "河边步道", "地下车库入口")
MATTERS = (
    "路灯坏了，晚上看不见路",
    "垃圾堆放没人清运",
    "占道经营，早高峰走不过去",
    "雨后积水，没法走",
    "工地夜里施工，吵得睡不着",
)
# What is said where the client is as busy as one Python process can be.
IS_THE_CLIENT = ": the client may be what is measured, and half the rate too gentle"
HOPS = ("accept", "decide", "alert", "open inbox")


@dataclass
class Times:
    """When each hop of one opinion was reached, seconds of `time.perf_counter`."""

    sent: float
    reached: dict[str, float] = field(default_factory=dict)


class Watch:
    """Notes when an opinion passes each hop; `holders` are the deputies whom opinions went to, `open` those
    whose inbox is open."""

    def __init__(self) -> None:
        self.times: dict[str, Times] = {}
        self.holders: dict[str, str] = {}
        self.open: frozenset[str] = frozenset()
        self._early: dict[tuple[str, str], float] = {}

    def sent(self, opinion: str, at: float, answered: float) -> None:
        """The POST's answer is here; what was faster than it is noted now."""
        times = self.times[opinion] = Times(at, {"accept": answered})
        for hop in HOPS:
            if (early := self._early.pop((opinion, hop), None)) is not None:
                times.reached[hop] = early

    def passed(self, opinion: str, hop: str) -> None:
        """`opinion` has reached `hop`, now."""
        now = time.perf_counter()
        if opinion in self.times:
            self.times[opinion].reached.setdefault(hop, now)
        else:
            self._early.setdefault((opinion, hop), now)

    def apply(self, record: Record) -> None:
        """A record of the lifecycle or of the deliveries."""
        if record.value is None:
            return
        event = codec.decode(record.topic, record.value, record.headers)
        if isinstance(event.data, Assigned):
            self.holders[event.subject] = event.data.assignee
            self.passed(event.subject, "decide")
        elif isinstance(event.data, Delivery) and event.data.channel == "inbox":
            self.passed(event.data.opinion, "alert")

    def at(self, hop: str) -> int:
        """How many opinions have reached `hop`."""
        return sum(hop in times.reached for times in self.times.values())

    def awaited(self) -> list[Times]:
        """The opinions that must arrive in an open inbox."""
        return [times for opinion, times in self.times.items() if self.holders.get(opinion) in self.open]

    def missing(self) -> int:
        """How many of them have not."""
        return sum("open inbox" not in times.reached for times in self.awaited())

    def triaged(self) -> int:
        """Opinions that went to a person instead of a deputy: never in a deputy's inbox."""
        return sum(opinion not in self.holders for opinion in self.times)


class City:
    """The public surface, as this benchmark uses it."""

    def __init__(self, running: Servers, intake: str, notifier: str) -> None:
        self.running = running
        self.intake = intake
        self.notifier = notifier
        self.client = httpx.AsyncClient(
            limits=httpx.Limits(max_connections=None), timeout=httpx.Timeout(30, read=None)
        )
        self.stations: list[str] = []
        self._chance = random.Random(7)

    async def learn(self, count: int) -> None:
        """Take `count` stations."""
        answer = await self.client.get(f"{self.intake}/v1/stations", params={"limit": 200})
        found = [item["id"] for item in answer.json()["items"]]
        self.stations = self._chance.sample(found, min(count, len(found)))

    async def post(self, watch: Watch) -> None:
        """One opinion at one of the stations."""
        chance = self._chance
        body: dict[str, Any] = {
            "text": f"{chance.choice(PLACES)}{chance.choice(MATTERS)}，第{chance.randrange(10**9)}号",
            "station": chance.choice(self.stations),
        }
        sent = time.perf_counter()
        answer = await self.client.post(f"{self.intake}/v1/opinions", json=body, headers=AUTHORIZED)
        answered = time.perf_counter()
        answer.raise_for_status()
        watch.sent(answer.json()["id"], sent, answered)

    async def open_inbox(self, deputy: str, watch: Watch, opened: asyncio.Semaphore) -> None:
        """Keep one deputy's event stream open and note what arrives."""
        url = f"{self.notifier}/v1/alerts/stream"
        async with self.client.stream("GET", url, params={"deputy": deputy}, headers=AUTHORIZED) as stream:
            stream.raise_for_status()
            opened.release()
            async for line in stream.aiter_lines():
                if line.startswith("data:") and line[5:].strip():
                    told = json.loads(line[5:])
                    if isinstance(told, dict) and "id" in told:
                        watch.passed(told["id"], "open inbox")


async def until(condition: Any, what: str, seconds: float = 180.0) -> None:
    """Return when `condition()` holds."""
    deadline = time.perf_counter() + seconds
    while not condition():
        if time.perf_counter() > deadline:
            raise SystemExit(f"{what} did not come within {seconds:g} s")
        await asyncio.sleep(0.01)


async def highest_rate(city: City, watch: Watch, count: int, connections: int) -> float:
    """Opinions per second that reach an inbox when they are posted as fast as they are accepted."""
    left = iter(range(count))
    started, busy = time.perf_counter(), time.process_time()

    async def resident() -> None:
        for _ in left:
            await city.post(watch)

    await asyncio.gather(*(resident() for _ in range(connections)))
    share = (time.process_time() - busy) / (time.perf_counter() - started)
    accepted = count / (time.perf_counter() - started)
    await until(lambda: len(watch.holders) >= count * 0.5, "decisions")
    await _settled(watch)
    alerted = watch.at("alert")
    seconds = max(t.reached["alert"] for t in watch.times.values() if "alert" in t.reached) - started
    print(f"flat out: accepted {accepted:,.0f}/s, in the inboxes {alerted / seconds:,.0f}/s ", end="")
    print(f"({count} opinions, {watch.triaged()} of them to triage)")
    print(f"the client used {share:.2f} of one processor meanwhile{IS_THE_CLIENT if share > 0.8 else ''}")
    return alerted / seconds


async def _settled(watch: Watch, quiet_s: float = 5.0) -> None:
    """Return when every assigned opinion is in an inbox, in the open one where there is one, and nothing has
    moved for a while; or when what is missing has not come for two minutes, which `report` then counts."""
    last, since = -1, time.perf_counter()
    while time.perf_counter() - since < quiet_s or watch.at("alert") < len(watch.holders) or watch.missing():
        if (now := watch.at("alert") + watch.at("open inbox") + len(watch.holders)) != last:
            last, since = now, time.perf_counter()
        elif time.perf_counter() - since > 120:
            print(f"{len(watch.holders) - watch.at('alert')} assigned opinions never came into an inbox")
            return
        await asyncio.sleep(0.05)


async def at_rate(city: City, watch: Watch, rate: float, seconds: float) -> None:
    """Post at even intervals, whatever the answers take."""
    started = time.perf_counter()
    posting = set()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, started + number / rate - time.perf_counter()))
        posting.add(asyncio.create_task(city.post(watch)))
    await asyncio.gather(*posting)
    await _settled(watch)


def report(watch: Watch, rate: float) -> None:
    """Print the distribution of each hop, since the POST and since the hop before."""
    whole = watch.awaited()
    print(
        f"\nat {rate:,.0f} opinions/s: {len(watch.times)} posted, {watch.triaged()} of them to triage, ",
        end="",
    )
    print(f"{len(whole)} for an open inbox, {watch.missing()} of them never arrived there;")
    print("milliseconds since the POST was sent:")
    print(f"{'hop':12}{'p50':>9}{'p99':>9}{'p50 of the hop alone':>24}")
    before = {id(t): t.sent for t in whole}
    for hop in HOPS:
        reached = {id(t): t.reached.get(hop, math.inf) for t in whole}
        since_post = sorted((reached[id(t)] - t.sent) * 1000 for t in whole)
        alone = sorted((reached[id(t)] - before[id(t)]) * 1000 for t in whole if before[id(t)] < math.inf)
        before = reached
        p50, p99 = rank(since_post, 0.5), rank(since_post, 0.99)
        print(f"{hop:12}{p50:9.1f}{p99:9.1f}{rank(alone, 0.5):24.1f}")
    print("target in the open inbox: p50 < 60 ms, p99 < 250 ms")


def rank(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of sorted values."""
    return ordered[max(0, -(-int(len(ordered) * share * 1000) // 1000) - 1)] if ordered else float("nan")


async def measure(running: Servers, intake: str, notifier: str, options: argparse.Namespace) -> None:
    """Find the highest rate, then measure at half of it."""
    settings = running.settings()
    watch = Watch()

    def note(record: Record) -> None:
        watch.apply(record)  # whichever watch is on at the moment

    follower = Follower(settings, [topics.LIFECYCLE, topics.DELIVERIES], note)
    following = asyncio.create_task(follower.run())
    await follower.wait_caught_up(60)
    city = City(running, intake, notifier)
    await city.learn(options.stations)
    for _ in range(200):  # warm
        await city.post(watch)
    await _settled(watch)
    deputies = set(watch.holders.values())
    watch = Watch()
    best = await highest_rate(city, watch, options.opinions, options.connections)
    deputies |= set(watch.holders.values())
    watch = Watch()
    opened = asyncio.Semaphore(0)
    streams = [asyncio.create_task(city.open_inbox(d, watch, opened)) for d in sorted(deputies)]
    for _ in streams:
        await asyncio.wait_for(opened.acquire(), 60)
    watch.open = frozenset(deputies)
    print(f"{len(streams)} inboxes open")
    busy, began = time.process_time(), time.perf_counter()
    await at_rate(city, watch, best / 2, options.seconds)
    print(
        f"the client used {(time.process_time() - busy) / (time.perf_counter() - began):.2f} of one processor"
    )
    report(watch, best / 2)
    for task in [following, *streams]:
        task.cancel()
    await asyncio.gather(following, *streams, return_exceptions=True)
    await city.client.aclose()


async def make_key(bootstrap: str) -> None:
    """A channel key that may submit and read inboxes."""
    async with publisher(operator(bootstrap)) as writer:
        await publish_keys(writer, [ChannelKey(hash_of_key(KEY), "demo", ("submit", "act", "read"))])


def main() -> None:
    """Start everything, measure, print, stop everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--opinions", type=int, default=2_000, help="posted flat out, for the highest rate")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the run at half the rate")
    parser.add_argument("--stations", type=int, default=20)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    private = PrivateKey.generate()
    secret = {
        "LIANXIN_TRACKING_SECRET": secrets.token_hex(16),
        "LIANXIN_CONTACT_PUBLIC_KEY": base64.b64encode(bytes(private.public_key)).decode(),
        "LIANXIN_CONTACT_PRIVATE_KEY": base64.b64encode(bytes(private)).decode(),
        "LIANXIN_WEBHOOK_SECRET": secrets.token_hex(16),
        "LIANXIN_SIGNIN_SECRET": secrets.token_hex(16),
    }
    with servers() as running:
        asyncio.run(make_key(running.bootstrap))
        for name in ("router.worker", "notifier.worker", "metrics.worker", "intake.worker"):
            running.start_service(name, ["-m", f"lianxin_{name}"], **secret)
        intake = running.start_service("intake.api", ["-m", "lianxin_intake.api"], **secret)
        notifier = running.start_service("notifier.api", ["-m", "lianxin_notifier.api"], **secret)
        running.start_service("metrics.api", ["-m", "lianxin_metrics.api"], **secret)
        asyncio.run(measure(running, intake, notifier, options))


if __name__ == "__main__":
    main()
