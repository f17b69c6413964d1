"""Finding places by what was heard. No I/O."""

from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from lianxin_chassis import problems
from lianxin_contracts import registry
from lianxin_contracts.registry import Snapshot
from lianxin_intake.desk.finding import Places, place_routes
from lianxin_intake.desk.pinyin import readings, sounds_like, spelled
from lianxin_intake.desk.places import EXACT, PlaceFinder
from lianxin_intake.rates import Buckets

STREET, OTHER = "320213001", "320213002"


def region(code: str, kind: str, name: str) -> registry.Region:
    return registry.Region(code, kind, name)  # type: ignore[arg-type]


def grid(code: str, name: str) -> registry.Grid:
    return registry.Grid(code, name, code[:12], code[:9], code[:6])


REGIONS = (
    region("320213", "district", "梁溪区"),
    region(STREET, "street", "金匮街道"),
    region(OTHER, "street", "扬名街道"),
    region(STREET + "001", "community", "永定桥社区居民委员会"),
    region(STREET + "002", "community", "金匮桥社区"),
    region(OTHER + "001", "community", "永丰社区居委会"),
    region(OTHER + "002", "community", "金星社区"),
)
GRIDS = (
    grid(STREET + "001001", "永定桥第一网格"),
    grid(STREET + "002001", "金匮桥第一网格"),
    grid(STREET + "002002", "金匮桥第二网格"),
    grid(OTHER + "001001", "永丰第一网格"),
    grid(OTHER + "002001", "金星第一网格"),
)
STATIONS = (registry.Station("S1", "金匮街道代表之家", STREET + "001001", "street_home"),)
CITY = Snapshot(
    "v1",
    registry.City("wuxi", "无锡"),
    regions={one.id: one for one in REGIONS},
    grids={one.id: one for one in GRIDS},
    stations={one.id: one for one in STATIONS},
)
FINDER = PlaceFinder(CITY)


def first(said: str) -> str:
    found = FINDER.find(said)
    return found[0].place.name if found else ""


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("永定桥社区", "永定桥社区居民委员会"),  # the office is not said
        ("永定桥", "永定桥社区居民委员会"),
        ("永定", "永定桥社区居民委员会"),
        ("定桥", "永定桥社区居民委员会"),
        ("永锭桥", "永定桥社区居民委员会"),  # what sounds the same
        ("ydq", "永定桥社区居民委员会"),
        ("yongdingqiao", "永定桥社区居民委员会"),
        ("yongdq", "永定桥社区居民委员会"),
        ("金匮街道永定桥", "永定桥社区居民委员会"),  # in one breath
        ("金匮 永定桥", "永定桥社区居民委员会"),
        ("梁溪区，金匮街道，永定桥社区附近", "永定桥社区居民委员会"),
        ("扬名街道金星", "金星社区"),
        ("永定挢第一网格", "永定桥第一网格"),  # one character wrong
        ("我家在永定桥社区那边", "永定桥社区居民委员会"),
        ("金匮街道", "金匮街道"),
        ("代表之家", "金匮街道代表之家"),
        ("Ｙｄｑ", "永定桥社区居民委员会"),  # full-width letters
    ],
)
def test_what_was_heard_finds_the_place(said: str, name: str) -> None:
    assert first(said) == name


@pytest.mark.parametrize("said", ["", "  ", "，。", "xyz", "火星", "0", "🦆", "\x00"])
def test_what_names_nothing_finds_nothing(said: str) -> None:
    assert FINDER.find(said) == []


def test_a_whole_name_is_exact_and_a_part_of_one_is_not() -> None:
    assert FINDER.find("金星社区")[0].rank == EXACT
    assert FINDER.find("金")[0].rank > EXACT


def test_a_street_named_beside_it_settles_which_place_is_meant() -> None:
    assert {match.place.within[-1] for match in FINDER.find("扬名 yd")} <= {"扬名街道"}
    assert first("扬名 yf") == "永丰社区居委会"


def test_a_place_says_which_grid_it_means() -> None:
    def meant(said: str) -> str | None:
        return FINDER.find(said)[0].place.grid

    assert meant("永定桥社区") == STREET + "001001"  # its only one
    assert meant("金匮桥社区") is None  # it has two
    assert meant("金匮桥第二网格") == STREET + "002002"
    assert meant("金匮街道代表之家") == STREET + "001001"


def test_the_order_is_always_the_same_and_as_many_as_were_asked_for() -> None:
    again = PlaceFinder(
        Snapshot("v1", CITY.city, regions=dict(reversed(CITY.regions.items())), grids=CITY.grids)
    )
    wanted = [match.place.id for match in FINDER.find("金", 50) if match.place.kind != "station"]
    assert [match.place.id for match in again.find("金", 50)] == wanted
    assert [match.place.id for match in FINDER.find("金", 2)] == wanted[:2]


def test_a_flood_of_letters_is_read_to_its_limit() -> None:
    assert FINDER.find("永定桥" + "x" * 100_000) == FINDER.find("永定桥" + "x" * 61)


def test_every_reading_of_a_character_counts() -> None:
    name = readings("长行厦")
    assert all(spelled(typed, name) for typed in ("chs", "zhx", "zhanghangxia", "changxingsha", "cxs"))
    assert spelled("zx", name) == 2
    assert spelled("zb", name) is None
    assert sounds_like(readings("常"), name)
    assert not sounds_like(readings("长行厦门"), name)


async def test_who_asks_without_end_is_told_to_wait_and_how_long() -> None:
    app = FastAPI()
    problems.install(app)
    intake = SimpleNamespace(registry=SimpleNamespace(current=CITY))
    app.include_router(place_routes(intake, Places(), Buckets(0.5, 2)))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://intake") as http:
        answers = [await http.get("/v1/places", params={"q": "ydq"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].json()["items"][0]["name"] == "永定桥社区居民委员会"
    assert int(answers[2].headers["retry-after"]) >= 1
    assert "Wait" in answers[2].json()["detail"]


async def test_another_city_in_force_is_another_finder() -> None:
    places = Places()
    first = await places.of(CITY)
    assert await places.of(CITY) is first
    assert (await places.of(Snapshot("v2", CITY.city))).find("永定桥") == []
