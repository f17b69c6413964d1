"""A city of one street with deputies who have every kind of channel, and the keys that the tests use."""

import asyncio
from datetime import UTC, date, datetime, timedelta

from lianxin_contracts import registry
from lianxin_contracts.registry import ChannelKey, hash_of_key
from lianxin_local.city_files import CityFiles, Found
from lianxin_local.registry_publish import operator, publish_city, publish_keys, publisher
from tests.support.ports import free_port

GRID = "320213001001001"
STREET = "320213001"
ACT = "lx_notifier_act"
READ = "lx_notifier_read"
BACKDATE = "lx_notifier_backdate"
SUBMIT = "lx_notifier_submit"
REVOKED = "lx_notifier_revoked"
ADMIN = "lx_notifier_admin"

# Where the tests of webhooks listen; the registry must know it before.
HOOK_PORT = free_port()

SQUARE = ((120.30, 31.57), (120.31, 31.57), (120.31, 31.58), (120.30, 31.58), (120.30, 31.57))


def all_days(year: int) -> tuple[date, ...]:
    """Every day of `year`."""
    first = date(year, 1, 1)
    return tuple(first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days))


RECORDS = (
    ("city", registry.City("wuxi", "无锡")),
    ("region", registry.Region("320213", "district", "梁溪区")),
    ("region", registry.Region(STREET, "street", "金匮街道", parent="320213")),
    ("grid", registry.Grid(GRID, "网格一", "320213001001", STREET, "320213", SQUARE)),
    ("station", registry.Station("P1", "金匮街道代表之家", GRID, "street_home")),
    ("station", registry.Station("P2", "金匮社区联络站", GRID, "street_home")),
    ("topic", registry.Topic("01", "城市建设", "City")),
    ("topic", registry.Topic("0101", "道路", "Roads", parent="01")),
    *(("deputy", registry.Deputy(f"D{n}", f"代表{n}", "street")) for n in range(1, 7)),
    *(
        ("deputy", registry.Deputy(f"M{n}", f"邮件{n}", "street", channels=(f"mail:m{n}@deputies.test",)))
        for n in range(1, 7)
    ),
    ("deputy", registry.Deputy("E1", "Eve", "street", channels=("mail:e1@deputies.test",), language="en")),
    (
        "deputy",
        registry.Deputy("W1", "钩", "street", channels=(f"webhook:http://127.0.0.1:{HOOK_PORT}/hook",)),
    ),
    (
        "deputy",
        registry.Deputy("W2", "内", "street", channels=(f"webhook:http://127.0.0.3:{HOOK_PORT}/hook",)),
    ),
    # The first channel is not set up anywhere, so that the second is used.
    *(
        ("deputy", registry.Deputy(f"F{n}", f"两路{n}", "street", channels=(f"sms:1380000000{n}", mail)))
        for n in range(1, 4)
        for mail in [f"mail:f{n}@deputies.test"]
    ),
    # Every day is worked from midnight to midnight: a test runs at any time.
    *(
        ("calendar", registry.Calendar(str(year), year, workdays=all_days(year), hours=(("00:00", "23:59"),)))
        for year in (datetime.now(UTC).year, datetime.now(UTC).year + 1)
    ),
    ("staff", registry.Staff("T1", "分派员", ("triage",))),
    ("staff", registry.Staff("S1", "督办员", ("supervisor",))),
    ("staff", registry.Staff("A1", "管理员", ("administrator",))),
    ("staff", registry.Staff("Z1", "驻站员一", ("station",), stations=("P1",))),
    ("staff", registry.Staff("Z2", "驻站员二", ("station",), stations=("P2",))),
    *(("mandate", registry.Mandate(f"X{n}", f"D{n}", (STREET,))) for n in range(1, 7)),
    ("duty", registry.Duty("Y1", "D1", (1, 2, 3, 4, 5, 6, 7), station="P1")),
    ("duty", registry.Duty("Y2", "D1", (2,), (3,), "P1", "contact_day")),
    ("department", registry.Department("housing", "住建局")),
    ("channel", registry.Channel("workbench", "Workbench")),
)
KEYS = (
    ChannelKey(hash_of_key(ACT), "workbench", ("act", "read")),
    ChannelKey(hash_of_key(READ), "workbench", ("read",)),
    ChannelKey(hash_of_key(BACKDATE), "workbench", ("act", "backdate")),
    ChannelKey(hash_of_key(SUBMIT), "workbench", ("submit",)),
    ChannelKey(hash_of_key(ADMIN), "workbench", ("staff",)),
    ChannelKey(hash_of_key(REVOKED), "workbench", ("act",), revoked=True),
)


def load_city(bootstrap: str) -> None:
    """Publish the city and its keys; safe to repeat."""

    async def load() -> None:
        async with publisher(operator(bootstrap)) as writer:
            found = tuple(Found(kind, data, "test", line) for line, (kind, data) in enumerate(RECORDS, 1))
            await publish_keys(writer, KEYS)
            await publish_city(writer, CityFiles(found))

    asyncio.run(load())
