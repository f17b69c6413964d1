"""A city of three grids, one station and two deputies, and the keys that the tests post with."""

import asyncio

from lianxin_contracts import registry
from lianxin_contracts.registry import ChannelKey, hash_of_key
from lianxin_local.city_files import CityFiles, Found
from lianxin_local.registry_publish import operator, publish_city, publish_keys, publisher

GRID = "320213001001001"
EAST = "320213001002001"
FAR_EAST = "320213002001001"
SUBMIT = "lx_test_submit"
OTHER = "lx_test_other"
REPLAY = "lx_test_replay"
FIELD = "lx_test_field"
DESK = "lx_test_desk"
ACT = "lx_test_act"
NO_SCOPE = "lx_test_read"
REVOKED = "lx_test_revoked"


def square(east: int) -> tuple[registry.Position, ...]:
    """The outline of the grid so many places to the east: about a kilometre each way."""
    west = 120.30 + east * 0.01
    return ((west, 31.57), (west + 0.01, 31.57), (west + 0.01, 31.58), (west, 31.58), (west, 31.57))


RECORDS = (
    ("city", registry.City("wuxi", "无锡")),
    ("region", registry.Region("320213", "district", "梁溪区")),
    ("region", registry.Region("320213001", "street", "金匮街道", "320213")),
    ("grid", registry.Grid(GRID, "崇安社区第一网格", "320213001001", "320213001", "320213", square(0))),
    ("grid", registry.Grid(EAST, "通江社区第一网格", "320213001002", "320213001", "320213", square(1))),
    ("grid", registry.Grid(FAR_EAST, "江海社区第一网格", "320213002001", "320213002", "320213", square(2))),
    ("station", registry.Station("S1", "金匮街道代表之家", GRID, "street_home")),
    ("station", registry.Station("S2", "扬名社区联络站", GRID)),
    ("topic", registry.Topic("01", "城市建设", "City")),
    (
        "topic",
        registry.Topic("0101", "道路", "Roads", parent="01", words={"路灯": 4.0, "路面": 4.0, "坑": 3.0}),
    ),
    ("topic", registry.Topic("02", "教育", "Education", words={"学校": 4.0})),
    ("deputy", registry.Deputy("D1", "王芳", "street", "S1")),
    ("deputy", registry.Deputy("D2", "李强", "street", "S1")),
    ("department", registry.Department("housing", "住建局")),
    ("channel", registry.Channel("app", "App")),
    ("channel", registry.Channel("qr", "站点二维码", "page")),
    ("channel", registry.Channel("other", "Other")),
    ("channel", registry.Channel("wechat", "微信公众号", "wechat")),
    ("channel", registry.Channel("wechat-plain", "微信公众号（明文）", "wechat")),
    ("channel", registry.Channel("mail", "Mail", "mail")),
    ("channel", registry.Channel("desk", "Phone desk", entry="desk")),
)
KEYS = (
    ChannelKey(hash_of_key(SUBMIT), "app", ("submit",)),
    ChannelKey(hash_of_key(OTHER), "other", ("submit",)),
    ChannelKey(hash_of_key(FIELD), "app", ("submit", "field")),
    ChannelKey(hash_of_key(REPLAY), "app", ("submit", "backdate", "replay")),
    ChannelKey(hash_of_key(DESK), "desk", ("submit", "backdate")),
    ChannelKey(hash_of_key(ACT), "desk", ("act",)),
    ChannelKey(hash_of_key(NO_SCOPE), "app", ("read",)),
    ChannelKey(hash_of_key(REVOKED), "app", ("submit",), revoked=True),
)


def load_city(bootstrap: str) -> None:
    """Publish the city and its keys; safe to repeat."""

    async def load() -> None:
        async with publisher(operator(bootstrap)) as writer:
            found = tuple(Found(kind, data, "test", line) for line, (kind, data) in enumerate(RECORDS, 1))
            await publish_keys(writer, KEYS)
            await publish_city(writer, CityFiles(found))

    asyncio.run(load())
