"""From a resident's POST to the deputy's open inbox, by hop: `python -m benchmarks.latency`.

All services run on Apache Kafka. First the highest rate at which opinions reach an inbox is found; then, at
half of it, opinions are posted at even intervals while deputies' inboxes are open (`GET /v1/alerts/stream`).
An opinion of an open inbox that never arrives there counts as endless in every percentile. One Python process
posts, reads the streams and follows the topics; its share of a processor is printed, because where it is
near 1 the highest rate is the client's and half of it is too gentle. Every time is this process's own clock,
or has been put in its terms (`benchmarks.tabs`), so the hops add up:

- accept: POST sent until 202 is here, the broker's acknowledgement included;
- decide: POST sent until `opinion.assigned` is on `opinions.lifecycle` (seen by a reader of the topic);
- alert: … until the inbox entry is on `alerts.deliveries`;
- open stream: … until the server-sent event has arrived in this process;
- browser: … until it has arrived in a tab of headless Chromium that shows `/inbox`, signed in. A few of the
  deputies (`--tabs`), those with the most opinions, have one beside their plain stream.
"""

import argparse
import asyncio
import base64
import json
import random
import secrets
import time
from typing import Any

import httpx
from benchmarks.hops import STREAM, Watch, report
from benchmarks.servers import Servers, servers
from benchmarks.tabs import Tabs, tabs
from nacl.public import PrivateKey

from lianxin_chassis.follower import Follower
from lianxin_chassis.records import Record
from lianxin_contracts import topics
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
                        watch.passed(told["id"], STREAM)


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
        if (now := watch.at("alert") + watch.at(STREAM) + len(watch.holders)) != last:
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
    busiest = watch.busiest(options.tabs)
    watch = Watch()
    opened = asyncio.Semaphore(0)
    streams = [asyncio.create_task(city.open_inbox(d, watch, opened)) for d in sorted(deputies)]
    for _ in streams:
        await asyncio.wait_for(opened.acquire(), 60)
    watch.open, watch.tabs = frozenset(deputies), busiest
    print(f"{len(streams)} streams open")
    if options.tabs:
        async with tabs(notifier, busiest, AUTHORIZED) as opened_tabs:
            await with_tabs(city, watch, opened_tabs, best / 2, options.seconds)
    else:
        await at_half(city, watch, best / 2, options.seconds)
    report(watch, best / 2)
    for task in [following, *streams]:
        task.cancel()
    await asyncio.gather(following, *streams, return_exceptions=True)
    await city.client.aclose()


async def with_tabs(city: City, watch: Watch, opened: Tabs, rate: float, seconds: float) -> None:
    """`at_half` with the tabs' clocks compared before and after."""
    within = await opened.set_clocks()
    print(f"{len(opened.pages)} tabs open; their clocks are known to {within * 1000:.2f} ms")
    await at_half(city, watch, rate, seconds)
    await opened.collect(watch)
    print(f"the tabs' clocks have moved by at most {await opened.drift() * 1000:.2f} ms meanwhile")


async def at_half(city: City, watch: Watch, rate: float, seconds: float) -> None:
    """Post at `rate`, and tell what each process needed."""
    handled = city.running.batches()
    busy, began, before = time.process_time(), time.perf_counter(), city.running.spent()
    await at_rate(city, watch, rate, seconds)
    elapsed = time.perf_counter() - began
    print(f"the client used {(time.process_time() - busy) / elapsed:.2f} of one processor", end="")
    used = {name: (after - before[name]) / elapsed for name, after in city.running.spent().items()}
    print("".join(f", {name} {share:.2f}" for name, share in used.items()))
    for name, after in city.running.batches().items():
        count, records, took = (now - then for now, then in zip(after, handled[name], strict=True))
        print(f"{name}: batches of {records / count:.1f} records, {took / count * 1000:.1f} ms each")


async def make_key(bootstrap: str) -> None:
    """A channel key that may submit, read inboxes and hand out links."""
    async with publisher(operator(bootstrap)) as writer:
        await publish_keys(writer, [ChannelKey(hash_of_key(KEY), "demo", ("submit", "act", "read", "staff"))])


def main() -> None:
    """Start everything, measure, print, stop everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--opinions", type=int, default=2_000, help="posted flat out, for the highest rate")
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the run at half the rate")
    parser.add_argument("--stations", type=int, default=20)
    parser.add_argument("--tabs", type=int, default=4, help="of a browser; 0: none")
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
