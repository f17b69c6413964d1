"""What holds for every case of the sample city: calendars, topics, policies, offices, channels."""

import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from chinese_calendar import constants

from lianxin_contracts.registry import Calendar, Channel, Department, Limit, Policy, Staff, Topic
from names import Place

TOPICS = Path(__file__).with_name("topics.toml")
FIRST_YEAR, LAST_YEAR = 2010, 2027


def topics() -> list[Topic]:
    """The two levels of `topics.toml`, parents first."""
    tables = tomllib.loads(TOPICS.read_text(encoding="utf-8"))
    made: list[Topic] = []
    for first, table in tables.items():
        made.append(_topic(first, None, table))
        for second, below in table.items():
            if isinstance(below, dict):
                made.append(_topic(f"{first}.{second}", first, below))
    return made


def _topic(code: str, parent: str | None, table: dict[str, object]) -> Topic:
    words = {word: float(weight) for weight in "12345" for word in str(table.get(weight, "")).split()}
    return Topic(
        id=code,
        name=str(table["name"]),
        name_en=str(table["name_en"]),
        parent=parent,
        words=words,
        evidence=bool(table.get("evidence", False)),
        urgent=bool(table.get("urgent", False)),
    )


def calendars() -> list[Calendar]:
    """Statutory holidays and make-up workdays 调休 of each year that the government has announced, from the
    package `chinesecalendar`; plain weekends, not published, for the years after."""
    announced = {day.year for day in constants.holidays}
    made = []
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        off = sorted(d for d in constants.holidays if d.year == year and d.isoweekday() <= 5)
        on = sorted(d for d in constants.workdays if d.year == year and d.isoweekday() > 5)
        made.append(Calendar(str(year), year, _dates(off), _dates(on), published=year in announced))
    return made


def _dates(days: Sequence[date]) -> tuple[date, ...]:
    return tuple(date(d.year, d.month, d.day) for d in days)


def policies() -> list[Policy]:
    """An opinion within working days, what endangers people within hours, a deputy's suggestion 代表建议
    within three months (Law on Deputies of 2015, article 42), a livelihood project 民生实事 within a year."""
    return [
        Policy("opinion"),
        Policy(
            "opinion-urgent",
            topics=("safety.fire",),
            acknowledge=Limit(2, "hours"),
            first_response=Limit(24, "hours"),
            resolve=Limit(3, "working_days"),
            triage=Limit(2, "hours"),
            take_back=Limit(4, "hours"),
            remind_before=Limit(1, "hours"),
        ),
        Policy(
            "suggestion",
            kind="suggestion",
            acknowledge=Limit(5, "working_days"),
            first_response=Limit(1, "months"),
            resolve=Limit(3, "months"),
            triage=Limit(5, "working_days"),
            take_back=Limit(10, "days"),
            rating=Limit(30, "days"),
            pause=Limit(90, "days"),
            remind_before=Limit(5, "days"),
        ),
        Policy(
            "project",
            kind="project",
            acknowledge=Limit(10, "working_days"),
            first_response=Limit(3, "months"),
            resolve=Limit(12, "months"),
            triage=Limit(10, "working_days"),
            take_back=Limit(20, "days"),
            rating=Limit(30, "days"),
            pause=Limit(180, "days"),
            remind_before=Limit(14, "days"),
        ),
    ]


def departments() -> list[Department]:
    """The offices that take child orders."""
    named = {
        "housing": "住房和城乡建设局",
        "urban-management": "城市管理局",
        "planning": "自然资源和规划局",
        "environment": "生态环境局",
        "transport": "交通运输局",
        "police": "公安局",
        "education": "教育局",
        "culture": "文化广电和旅游局",
        "labour": "人力资源和社会保障局",
        "market": "市场监督管理局",
        "commerce": "商务局",
        "health": "卫生健康委员会",
        "civil-affairs": "民政局",
        "agriculture": "农业农村局",
        "water": "水利局",
        "emergency": "应急管理局",
        "medical-insurance": "医疗保障局",
        "data": "数据局",
        "letters": "信访局",
    }
    return [Department(id_, name) for id_, name in named.items()]


def staff(places: Sequence[Place]) -> list[Staff]:
    """Who decides in triage and who supervises: one each per district, and one each for the city."""
    made = [
        Staff("triage-city", "市人大代表工委 分派岗", ("triage",)),
        Staff("supervisor-city", "市人大代表工委 督办岗", ("supervisor",)),
    ]
    for district in (p for p in places if len(p.code) == 6):
        code, name = district.code, district.name
        made.append(Staff(f"triage-{code}", f"{name} 分派岗", ("triage",), (code,)))
        made.append(Staff(f"supervisor-{code}", f"{name} 督办岗", ("supervisor",), (code,)))
    return made


def channels() -> list[Channel]:
    """The front ends that may post."""
    return [
        Channel("demo", "演示", "api"),
        Channel("qr", "站点二维码", "page"),
        Channel("desk", "热线坐席", "desk", "desk"),
        Channel("kiosk", "自助终端", "kiosk", "offline"),
        Channel("wechat", "微信", "wechat"),
        Channel("mail", "电子邮件", "mail"),
        Channel("file", "批量文件", "file"),
        Channel("open311", "Open311", "open311"),
        Channel("cloudevents", "CloudEvents", "cloudevents"),
        Channel("replay", "回放", "replay"),
    ]
