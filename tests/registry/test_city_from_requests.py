"""A table of service requests makes a city in which each of them lies in its own ward."""

import csv
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
import shapely

from lianxin_contracts.inbound import Place
from lianxin_contracts.registry import Snapshot
from lianxin_local.city_check import check, warnings
from lianxin_local.city_files import CityFiles, read_city
from lianxin_local.stack import sample_city
from lianxin_router.domain.ports import Clues
from lianxin_router.routing.assign import Need, assign, shortlist
from lianxin_router.routing.city import CityIndex
from lianxin_router.routing.classify import classify
from lianxin_router.routing.locate import locate

MAKER = sample_city().parent / "from_requests.py"
OPENED = datetime(2011, 7, 1, 9)  # noqa: DTZ001  civil times, as such tables have them
TYPES = {
    "Pothole Repair": "ROADS",
    "Pothole Repair (Internal)": "ROADS",
    "New Sign  Crosswalk or Pavement Marking": "ROADS",
    "Street Light Outages": "LIGHT",
    "Rodent Activity": "Health & Safety",
}
COLUMNS = ("open_dt", "target_dt", "closed_dt", "type", "department", "ward", "latitude", "longitude")


class Row(NamedTuple):
    ward: str
    lat: str
    lon: str
    type: str = "Pothole Repair"
    department: str = "ROADS"
    opened: datetime = OPENED
    days: int = 3


def mixed_wards() -> list[Row]:
    """400 requests of 5 wards that interlock along ragged borders, some side by side on one lattice step."""
    rng = Random(7)
    rows = []
    for _ in range(400):
        lat, lon = rng.randrange(60), rng.randrange(60)
        ward = 1 + (lat + rng.randrange(3)) // 25 + 2 * ((lon + lat % 4) // 35)
        name = f"Ward {ward}" if rng.random() < 0.7 else f"{ward:02d}"
        type_ = rng.choice(list(TYPES))
        rows.append(Row(name, f"{42.3 + lat / 1e4:.4f}", f"{-71.1 + lon / 1e4:.4f}", type_, TYPES[type_]))
    return list({(row.lat, row.lon): row for row in rows}.values())


def written(table: Path, rows: list[Row]) -> Path:
    with table.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(COLUMNS)
        for row in rows:
            times = [row.opened, row.opened + timedelta(days=7), row.opened + timedelta(days=row.days)]
            fields = (row.type, row.department, row.ward, row.lat, row.lon)
            out.writerow([*(f"{time:%Y-%m-%d %H:%M:%S}" for time in times), *fields])
    return table


def run(table: Path, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(MAKER), str(table), str(out), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def made_of(rows: list[Row], directory: Path) -> CityFiles:
    told = run(written(directory / "requests.csv", rows), directory / "city")
    assert told.returncode == 0, told.stderr
    return read_city(directory / "city")


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> CityFiles:
    return made_of(mixed_wards(), tmp_path_factory.mktemp("requests"))


@pytest.fixture(scope="module")
def index(city: CityFiles) -> CityIndex:
    return CityIndex.of(city.snapshot())


def ward_at(index: CityIndex, row: Row) -> str | None:
    clues = Clues(text="", place=Place(float(row.lat), float(row.lon), "wgs84"))
    found = locate(clues, index)
    return index.snapshot.regions[found.district].name if found.district is not None else None


def name_of(row: Row) -> str:
    return f"Ward {int(row.ward.removeprefix('Ward '))}"


def test_it_is_sound_and_its_grids_share_no_ground(city: CityFiles) -> None:
    assert check(city) == []
    assert warnings(city) == []
    grids = city.snapshot().grids.values()
    outlines = [shapely.Polygon(grid.polygon) for grid in grids]
    whole = shapely.unary_union(outlines)
    assert whole.equals(whole.envelope)
    assert sum(outline.area for outline in outlines) == pytest.approx(whole.area, rel=1e-9)
    assert all(grid.synthetic for grid in grids)


def test_every_request_lies_in_its_own_ward_by_its_coordinates(index: CityIndex) -> None:
    rows = mixed_wards()
    assert len({name_of(row) for row in rows}) > 3
    assert [ward_at(index, row) for row in rows] == [name_of(row) for row in rows]


def test_a_request_that_has_only_its_ward_s_home_lies_in_that_ward(index: CityIndex) -> None:
    for station in index.snapshot.stations.values():
        found = locate(Clues(text="", station=station.id), index)
        assert found.certain
        assert station.name == f"{index.snapshot.regions[found.district or ''].name} home"
        assert station.id == f"S{station.name.removeprefix('Ward ').removesuffix(' home'):0>3}"


def test_the_type_in_the_text_gives_the_topic_also_where_one_name_contains_another(index: CityIndex) -> None:
    for type_ in TYPES:
        title, text = type_, f"{type_}\n12 Main St"
        for said in (text, text.replace("  ", " ")):
            found = classify(Clues(text=said, title=title), index)
            assert found.certain
            assert found.topic is not None
            assert index.snapshot.topics[found.topic].name == type_


def test_every_ward_has_a_deputy_for_every_topic(index: CityIndex) -> None:
    day = datetime(2011, 7, 1, tzinfo=UTC).date()
    for grid in index.snapshot.grids.values():
        for topic, line in index.lines.items():
            need = Need("o1", grid.id, line, day)
            chosen = assign(shortlist(need, index), index, {})
            assert chosen.rung == "mandate"
            assert index.mandates.covers(chosen.deputy or "", grid.id, (topic, line[-1]), day)


def test_there_is_room_for_all_that_was_ever_open_at_once(tmp_path: Path) -> None:
    rows = [Row("Ward 1", "42.3", "-71.1") for _ in range(300)]
    rows += [Row("Ward 1", "42.3", "-71.1", opened=OPENED + timedelta(days=3)) for _ in range(300)]
    made = made_of(rows, tmp_path).snapshot()
    roads = {m.deputy for m in made.mandates.values() if m.topics == ("roads",)}
    room = sum(made.deputies[deputy].cap for deputy in roads)
    assert 600 <= room < 1_200


def test_its_limits_are_those_that_the_table_gives(city: CityFiles) -> None:
    snapshot = city.snapshot()
    limit = snapshot.policies["roads.pothole-repair"].resolve
    assert (limit.amount, limit.unit) == (7, "days")


def test_it_has_a_channel_for_replaying_and_the_zone_of_its_times(city: CityFiles, tmp_path: Path) -> None:
    snapshot = city.snapshot()
    assert snapshot.city.zone == "America/New_York"
    assert {"demo", "replay"} <= set(snapshot.channels)
    told = run(written(tmp_path / "a.csv", mixed_wards()), tmp_path / "a", "--zone", "Mars/Base")
    assert told.returncode == 2
    assert "no IANA time zone" in told.stderr


def test_the_same_table_makes_the_same_bytes(tmp_path: Path) -> None:
    table = written(tmp_path / "requests.csv", mixed_wards())
    for out in ("a", "b"):
        run(table, tmp_path / out)
    assert files_in(tmp_path / "a") == files_in(tmp_path / "b") != {}


def files_in(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_a_point_of_two_wards_goes_to_the_one_with_most_requests_and_the_others_are_counted(
    tmp_path: Path,
) -> None:
    shared = [Row("Ward 1", "42.3", "-71.1")] * 2 + [Row("Ward 2", "42.3", "-71.1")]
    told = run(written(tmp_path / "a.csv", [*shared, Row("Ward 2", "42.31", "-71.1")]), tmp_path / "a")
    assert "3 of 4 requests with ward and coordinates lie in their ward" in told.stdout
    assert "1 do not: they are at 42.3, -71.1" in told.stdout
    assert ward_at(CityIndex.of(snapshot_of(tmp_path / "a")), shared[0]) == "Ward 1"


def snapshot_of(directory: Path) -> Snapshot:
    return read_city(directory).snapshot()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("open_dt,type\n", "no column target_dt"),
        (f"{','.join(COLUMNS)}\nyesterday,,,Pothole,ROADS,1,42.3,-71.1\n", "a.csv:2: Invalid isoformat"),
        (f"{','.join(COLUMNS)}\n2011-07-01,,,Pothole,ROADS,1,142.3,-71.1\n", "a.csv:2: 142.3, -71.1 is"),
        (f"{','.join(COLUMNS)}\n2011-07-01,,,Pothole,ROADS,,42.3,-71.1\n", "both a ward and coordinates"),
    ],
)
def test_a_table_that_can_not_be_used_is_refused_with_line_and_reason(
    tmp_path: Path, line: str, says: str
) -> None:
    (tmp_path / "a.csv").write_text(line)
    told = run(tmp_path / "a.csv", tmp_path / "a")
    assert told.returncode == 1
    assert says in told.stderr
    assert not (tmp_path / "a").exists()


def test_the_table_is_written_with_the_ward_s_home_where_a_point_lies_elsewhere_or_is_missing(
    tmp_path: Path,
) -> None:
    here = [Row("Ward 1", "42.3000", "-71.1000")] * 3
    rows = [*here, Row("02", "42.3000", "-71.1000"), Row("Ward 2", "", ""), Row("Ward 2", "42.4", "-71.1")]
    table, placed = written(tmp_path / "table.csv", rows), tmp_path / "placed.csv"
    subprocess.run(
        [sys.executable, MAKER, table, tmp_path / "city", "--placed", placed], check=True, capture_output=True
    )
    with placed.open(newline="") as file:
        found = [(row["latitude"], row["station"]) for row in csv.DictReader(file)]
    city = read_city(tmp_path / "city")
    home = next(s.id for s in city.snapshot().stations.values() if s.name == "Ward 2 home")
    assert found == [("42.3000", "")] * 3 + [("", home), ("", home), ("42.4", "")]
