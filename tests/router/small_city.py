"""A city of two grids: three deputies for the first, one for the second, and the office."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Any

from lianxin_contracts import registry
from lianxin_local.city_files import CityFiles, Found
from lianxin_local.registry_publish import operator, publish_city, publisher
from lianxin_router.city import City
from lianxin_router.routing.cluster import Fingerprinter

GRID, OTHER_GRID = "320211001001001", "320211001001002"
STREET, DISTRICT = "320211001", "320211"
ROADS, NOISE = "roads", "noise"
DEPUTIES = ("ann", "bea", "cai")
DEPUTY_ELSEWHERE = "dan"
TRIAGE_STAFF = "tom"

FINGERPRINTER = Fingerprinter(b"of every router here")

Records = tuple[tuple[str, Any], ...]


def mandate(deputy: str, grid: str, until: date | None = None) -> tuple[str, registry.Mandate]:
    return "mandate", registry.Mandate(f"{deputy}-{grid}", deputy, (grid,), until=until)


PLACES: Records = (
    ("city", registry.City("wuxi", "无锡")),
    ("region", registry.Region(DISTRICT, "district", "滨湖区")),
    ("region", registry.Region(STREET, "street", "金匮街道", parent=DISTRICT)),
    ("grid", registry.Grid(GRID, "网格一", GRID[:12], STREET, DISTRICT)),
    ("grid", registry.Grid(OTHER_GRID, "网格二", GRID[:12], STREET, DISTRICT)),
    ("topic", registry.Topic(ROADS, "道路", "Roads", words={"道路": 4.0, "路面": 4.0})),
    ("topic", registry.Topic(NOISE, "噪声", "Noise", words={"噪音": 4.0})),
    ("calendar", registry.Calendar("2026", 2026)),
    ("calendar", registry.Calendar("2027", 2027)),
    ("policy", registry.Policy("plain")),
    ("staff", registry.Staff(TRIAGE_STAFF, "分派员", ("triage",))),
    ("staff", registry.Staff("sue", "督办员", ("supervisor",))),
    ("channel", registry.Channel("app", "App")),
    *(("deputy", registry.Deputy(d, d, "county")) for d in (*DEPUTIES, DEPUTY_ELSEWHERE)),
)
RECORDS: Records = (*PLACES, *(mandate(d, GRID) for d in DEPUTIES), mandate(DEPUTY_ELSEWHERE, OTHER_GRID))
# The same city in which only `cai` still answers for the first grid.
ONLY_CAI: Records = (*PLACES, mandate("cai", GRID), mandate(DEPUTY_ELSEWHERE, OTHER_GRID))


def files(records: Sequence[tuple[str, Any]]) -> CityFiles:
    return CityFiles(tuple(Found(kind, data, "test", line) for line, (kind, data) in enumerate(records, 1)))


def city_of(records: Sequence[tuple[str, Any]] = RECORDS) -> City:
    """The city as the router has it in force."""
    return City.of(files(records).snapshot(), FINGERPRINTER)


def load_city(bootstrap: str, records: Sequence[tuple[str, Any]] = RECORDS) -> str:
    """Publish the city; returns its version."""

    async def load() -> str:
        async with publisher(operator(bootstrap)) as writer:
            return await publish_city(writer, files(records))

    return asyncio.run(load())
