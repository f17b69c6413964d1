"""What the router is measured with: opinions, a city a thousand times smaller, stored cases."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime

from benchmarks.servers import SAMPLE_CITY, Servers
from bson import Binary

from lianxin_chassis.database import Collection, Document, close_database, open_database
from lianxin_chassis.generations import collection_name
from lianxin_chassis.marks import MARK
from lianxin_contracts import ids, inbound, registry
from lianxin_contracts.envelope import Event
from lianxin_contracts.registry import Snapshot
from lianxin_local.city_files import CityFiles, Found, read_city
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
# Common characters without a topic's word among them: what makes one text unlike another.
OTHERS = "一二三四五六七八九十甲乙丙东南西北春夏秋冬山川日月星云风雨梅兰竹菊松柏红黄蓝绿白黑大小上下前后左右"
DEPUTIES = 8
GRID, STREET, DISTRICT = "320213001001001", "320213001", "320213"
# One stored case in so many is still open.
OPEN_ONE_IN = 50


def opinions(count: int, seed: int, city: Snapshot, *, unlike: bool = False) -> list[Event]:
    """Submissions at stations of the city; the same seed makes the same texts. `unlike`: no two are near
    duplicates, so that each costs a new issue whatever the size of the city."""
    chance = random.Random(seed)
    stations = sorted(city.stations)
    now = datetime.now(UTC)
    made = []
    for number in range(count):
        days = chance.randrange(1, 400)
        more = "".join(chance.choices(OTHERS, k=60)) if unlike else ""
        text = f"{chance.choice(PLACES)}{chance.choice(MATTERS)}，已经第{days}天了。{more}编号{number}"
        id_ = ids.derived("bench", str(seed), str(number))
        said = inbound.Submitted(
            channel="demo", text=text, digest=str(number), station=chance.choice(stations)
        )
        made.append(Event(ids.derived(id_, "said"), "/intake/demo", "opinion.submitted", id_, now, now, said))
    return made


def small_city() -> CityFiles:
    """One grid and eight deputies where the sample has 1,254 and 8,129; topics, policies and calendars are
    the sample's. The eight have no cap, or most opinions would go to triage, which costs less."""
    same = [
        found
        for found in read_city(SAMPLE_CITY).records
        if found.kind in ("city", "topic", "policy", "calendar", "channel")
    ]
    own = [
        ("region", registry.Region(DISTRICT, "district", "小区域")),
        ("region", registry.Region(STREET, "street", "小街道", parent=DISTRICT)),
        ("grid", registry.Grid(GRID, "网格", GRID[:12], STREET, DISTRICT)),
        ("station", registry.Station("S1", "联络站", GRID)),
        ("staff", registry.Staff("triage-city", "分派员", ("triage",))),
        *(
            ("deputy", registry.Deputy(f"D{n:04}", f"代表{n}", "street", cap=1_000_000))
            for n in range(1, DEPUTIES + 1)
        ),
        *(("mandate", registry.Mandate(f"M{n}", f"D{n:04}", (GRID[:12],))) for n in range(1, DEPUTIES + 1)),
    ]
    return CityFiles((*same, *(Found(kind, data, "bench", line) for line, (kind, data) in enumerate(own, 1))))


async def store(running: Servers, count: int, deputies: Sequence[str]) -> None:
    """Put `count` cases of other times beside those that the router has made, with their issues: copies of
    its own documents under ids of their own, open ones held by `deputies` in turn."""
    db = open_database(running.settings("router"))
    try:
        for base in COLLECTIONS:
            collection = db[collection_name(base, 1)]
            originals = await collection.find({"_id": {"$ne": MARK}}).limit(500).to_list(None)
            for at in range(0, count, 1_000):
                numbers = range(at, min(at + 1_000, count))
                await _copy(collection, originals, numbers, deputies)
    finally:
        await close_database(db)


async def _copy(
    collection: Collection, originals: list[Document], numbers: range, deputies: Sequence[str]
) -> None:
    if not originals:
        return
    copies = []
    for number in numbers:
        copy = dict(originals[number % len(originals)])
        copy["_id"] = ids.derived("stored", collection.name, str(number))
        if "causes" in copy:  # a case
            copy |= {"causes": Binary(b""), "issue": ids.derived("issue", str(number))}
            for name in ("holder", "waiting", "clock", "due"):
                copy.pop(name, None)
            if number % OPEN_ONE_IN == 0:
                copy["holder"] = deputies[number // OPEN_ONE_IN % len(deputies)]
        copies.append(copy)
    await collection.insert_many(copies, ordered=False)
