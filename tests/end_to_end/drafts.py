"""What residents of a city might say: from templates of our own, by seed, or from a file."""

import csv
import gzip
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Synthetic: no person has these. A check looks for them wherever no contact may be.
PHONE_PREFIX = "1990000"
MAIL_DOMAIN = "resident.invalid"

OPENINGS = (
    "{place}附近的{thing}{trouble}，已经{days}天了",
    "我住在{place}旁边，{thing}一直{trouble}，大概有{days}天",
    "反映一个情况：{place}门口{thing}{trouble}，持续{days}天没人管",
    "{days}天前{place}周边的{thing}{trouble}，到现在没有处理",
)
WISHES = (
    "希望代表能帮忙协调解决。",
    "请有关部门尽快到现场看看。",
    "盼望得到答复，谢谢。",
    "老人和孩子经过很不方便，请重视。",
    "不知道该找哪个部门，所以来反映。",
)
TROUBLES = (
    ("路灯", "不亮"),
    ("人行道地砖", "松动破损"),
    ("雨水井", "堵塞积水"),
    ("垃圾桶", "满溢发臭"),
    ("公交站牌", "信息过时"),
    ("小区电梯", "经常停运"),
    ("物业", "长期不清扫楼道"),
    ("健身器材", "损坏有尖角"),
    ("工地", "夜间施工噪声很大"),
    ("幼儿园门口", "接送时段交通拥堵"),
    ("社区卫生站", "周末不开门"),
    ("老年食堂", "送餐不及时"),
    ("消防通道", "被车辆堵住"),
    ("河道", "水面漂浮垃圾有异味"),
    ("自来水", "水压太低经常停水"),
)


@dataclass(frozen=True, slots=True)
class Draft:
    """An opinion before it is sent. `key` is its Idempotency-Key; `marker` occurs in its text and nowhere
    else, so that a check can tell where the words went."""

    key: str
    body: dict[str, Any]
    marker: str

    @property
    def contact_secrets(self) -> tuple[str, ...]:
        """What of the contact must be found nowhere in clear."""
        contact = self.body.get("contact") or {}
        return tuple(text for text in (contact.get("phone"), contact.get("email")) if text)


def from_templates(
    count: int,
    seed: int,
    stations: Sequence[dict[str, Any]],
    topics: Sequence[dict[str, Any]],
    run: str = "t",
) -> Iterator[Draft]:
    """`count` opinions, the same for the same seed, stations and topics.

    Six in ten name their topic, as a form would have it; three in ten leave a contact.
    """
    leaves = [topic for topic in topics if topic.get("parent")] or list(topics)
    for number in range(count):
        chance = random.Random(f"{seed}/{number}")
        station, topic = chance.choice(stations), chance.choice(leaves)
        thing, trouble = chance.choice(TROUBLES)
        marker = f"编号{run}-{seed}-{number:05d}"
        opening = chance.choice(OPENINGS).format(
            place=station["name"], thing=thing, trouble=trouble, days=chance.randint(2, 30)
        )
        body: dict[str, Any] = {
            "title": f"{topic['name']}：{thing}{trouble}",
            "text": f"{opening}。{topic['name']}方面的问题。{chance.choice(WISHES)}（{marker}）",
            "station": station["id"],
        }
        if chance.random() < 0.6:
            body["topic"] = topic["id"]
        yield Draft(f"{run}-{seed}-{number}", body | _contact(chance, number), marker)


def from_csv(
    path: Path, seed: int, stations: Sequence[dict[str, Any]], limit: int | None = None, run: str = "c"
) -> Iterator[Draft]:
    """The rows of a `.csv` or `.csv.gz` file with the columns `title` and `text`; an empty text is the title,
    and rows with neither are passed over. The station is drawn by seed. KeyError: a column is missing."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        number = 0
        for row in csv.DictReader(file):
            if limit is not None and number >= limit:
                return
            text = (row["text"].strip() or row["title"].strip())[:10_000]
            if not text:
                continue
            number += 1
            chance = random.Random(f"{seed}/{number}")
            body: dict[str, Any] = {"text": text, "station": chance.choice(stations)["id"]}
            if row["title"].strip():
                body["title"] = row["title"].strip()[:200]
            yield Draft(f"{run}-{seed}-{number}", body | _contact(chance, number), text[:40])


def _contact(chance: random.Random, number: int) -> dict[str, Any]:
    if chance.random() >= 0.3:
        return {}
    digits = f"{PHONE_PREFIX}{number % 10_000:04d}"
    return {"contact": {"name": f"居民{number}", "phone": digits, "email": f"r{number}@{MAIL_DOMAIN}"}}
