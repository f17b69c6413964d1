"""A town small enough to know by heart, for the tests of routing.

District 东区 (320001) has 河街道 (…001) with 柳树社区 and 桃园社区, and 山镇 (…101) with 石桥村. District
西市 (320002) has 湖街道 with another 柳树社区. Each community is one square of 0.01 degrees and one grid,
except 桃园社区, which has two. Squares lie side by side from 120.00° E, 31.00° N eastward.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from lianxin_contracts import registry
from lianxin_router.domain.ports import Clues, RouteRequest
from lianxin_router.routing.city import CityIndex

MONDAY = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  # 10:00 in the city
MONDAY_DATE = date(2026, 3, 2)
SIDE = 0.01  # degrees

EAST, WEST = "320001", "320002"
RIVER, HILL, LAKE = f"{EAST}001", f"{EAST}101", f"{WEST}001"
WILLOW, PEACH, BRIDGE, OTHER_WILLOW = f"{RIVER}001", f"{RIVER}002", f"{HILL}201", f"{LAKE}001"
WILLOW_GRID, PEACH_GRID, PEACH_GRID_2 = f"{WILLOW}001", f"{PEACH}001", f"{PEACH}002"
BRIDGE_GRID, OTHER_WILLOW_GRID = f"{BRIDGE}001", f"{OTHER_WILLOW}001"
GRIDS = (WILLOW_GRID, PEACH_GRID, PEACH_GRID_2, BRIDGE_GRID, OTHER_WILLOW_GRID)


def by_id(records: Iterable[Any]) -> dict[str, Any]:
    return {record.id: record for record in records}


def square(number: int) -> tuple[tuple[float, float], ...]:
    west, south = 120 + number * SIDE, 31.0
    east, north = west + SIDE, south + SIDE
    return ((west, south), (east, south), (east, north), (west, north), (west, south))


def centre(grid: str) -> tuple[float, float]:
    """(latitude, longitude) of the middle of a grid."""
    return 31 + SIDE / 2, 120 + (GRIDS.index(grid) + 0.5) * SIDE


REGIONS = (
    registry.Region(EAST, "district", "东区"),
    registry.Region(WEST, "district", "西市"),
    registry.Region(RIVER, "street", "河街道", EAST),
    registry.Region(HILL, "street", "山镇", EAST),
    registry.Region(LAKE, "street", "湖街道", WEST),
    registry.Region(WILLOW, "community", "柳树社区居委会", RIVER),
    registry.Region(PEACH, "community", "桃园社区居民委员会", RIVER),
    registry.Region(BRIDGE, "community", "石桥村村委会", HILL),
    registry.Region(OTHER_WILLOW, "community", "柳树社区居委会", LAKE),
)
STATIONS = (
    registry.Station("S1", "柳树社区联络站", WILLOW_GRID),
    registry.Station("S2", "河街道人大代表之家", PEACH_GRID_2, "street_home"),
    registry.Station("S3", "东区人大代表之家", BRIDGE_GRID, "county_home"),
)
TOPICS = (
    registry.Topic("roads", "道路", "Roads", words={"道路": 4, "路面": 3}),
    registry.Topic("roads.lamps", "路灯", "Street lamps", "roads", words={"路灯": 4}),
    registry.Topic("noise", "噪声", "Noise", words={"噪音": 4, "深夜": 2}),
    registry.Topic("schools", "学校", "Schools", words={"教师": 3, "教师工资": 4}),
    registry.Topic("wages", "工资", "Wages", words={"工资": 4}),
)
STAFF = (
    registry.Staff("triage", "分派", ("triage",)),
    registry.Staff("boss", "督办", ("supervisor",)),
    registry.Staff("boss-east", "东区督办", ("supervisor",), (EAST,)),
    registry.Staff("boss-west", "西市督办", ("supervisor",), (WEST,)),
)


def grid(number: int, code: str) -> registry.Grid:
    return registry.Grid(code, f"网格 {number} 号", code[:12], code[:9], code[:6], square(number))


def deputy(id_: str, *, cap: int = 10, station: str | None = None) -> registry.Deputy:
    return registry.Deputy(id_, f"代表 {id_}", "town", station, cap)


def mandate(deputy_id: str, *areas: str, topics: tuple[str, ...] = (), **dates: date) -> registry.Mandate:
    return registry.Mandate(f"{deputy_id}/{'+'.join(areas)}", deputy_id, areas, topics, **dates)


def a_city(
    *mandates: registry.Mandate,
    deputies: Iterable[registry.Deputy] = (),
    duties: Iterable[registry.Duty] = (),
    leaves: Iterable[registry.Leave] = (),
    topics: Iterable[registry.Topic] = TOPICS,
    grids: Iterable[registry.Grid] | None = None,
    stations: Iterable[registry.Station] = STATIONS,
) -> CityIndex:
    """The town with these mandates; a deputy who is only named in one is made up."""
    known = by_id(deputies)
    known.update({m.deputy: deputy(m.deputy) for m in mandates if m.deputy not in known})
    return CityIndex.of(
        registry.Snapshot(
            version="v1",
            city=registry.City("town", "小城"),
            regions=by_id(REGIONS),
            grids=by_id(grids if grids is not None else (grid(n, code) for n, code in enumerate(GRIDS))),
            stations=by_id(stations),
            topics=by_id(topics),
            deputies=known,
            mandates=by_id(mandates),
            duties=by_id(duties),
            leaves=by_id(leaves),
            staff=by_id(STAFF),
        )
    )


def request(opinion: str = "o1", clues: Clues | None = None, **more: Any) -> RouteRequest:
    """A new opinion about a broken street lamp in the willow grid, unless told otherwise."""
    told = clues or Clues(text="路灯坏了三天", grid=WILLOW_GRID)
    given = {"at": MONDAY, "submitted_at": MONDAY, "why": "submitted", "clues": told, "kind": "opinion"}
    return RouteRequest(opinion=opinion, **{**given, **more})
