"""A city's files are loaded whole or not at all, and every fault is named where it is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import shapely
from click.testing import CliRunner

from lianxin_local.city_check import check, warnings
from lianxin_local.city_files import CityFiles, Unreadable, read_city
from lianxin_local.registry_command import registry
from lianxin_local.route_command import route
from lianxin_local.stack import sample_city

SQUARE = [[120, 31], [121, 31], [121, 32], [120, 32], [120, 31]]
SOUND: dict[str, dict[str, Any]] = {
    "city": {"id": "town", "name": "小城"},
    "district": {"record": "region", "id": "320001", "kind": "district", "name": "东区"},
    "street": {"record": "region", "id": "320001001", "kind": "street", "name": "河街道", "parent": "320001"},
    "community": {
        "record": "region", "id": "320001001001", "kind": "community", "name": "柳树社区",
        "parent": "320001001",
    },
    "grid": {
        "id": "320001001001001", "name": "一号", "community": "320001001001", "street": "320001001",
        "district": "320001", "polygon": SQUARE,
    },
    "station": {"id": "S1", "name": "站", "grid": "320001001001001"},
    "topic": {"id": "roads", "name": "道路", "name_en": "Roads", "words": {"路": 1}},
    "deputy": {"id": "D1", "name": "代表", "level": "town", "station": "S1", "channels": ["mail:a@b.c"]},
    "mandate": {"id": "M1", "deputy": "D1", "areas": ["320001001"], "topics": ["roads"]},
    "duty": {"id": "U1", "deputy": "D1", "weekdays": [1], "station": "S1"},
    "leave": {"id": "L1", "deputy": "D1", "since": "2026-01-01", "until": "2026-01-05"},
    "calendar": {"id": "2026", "year": 2026, "holidays": ["2026-01-01"]},
    "policy": {"id": "opinion"},
    "department": {"id": "roads", "name": "交通局"},
    "staff": {"id": "triage", "name": "分派", "roles": ["triage"]},
    "channel": {"id": "demo", "name": "演示"},
}  # fmt: skip

Write = Callable[..., CityFiles]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the sound town with some records changed (None: left out), and read it."""

    def write_and_read(**changed: dict[str, Any] | None) -> CityFiles:
        lines = []
        for name, fields in SOUND.items():
            change = changed.get(name, {})
            if change is not None:
                lines.append(json.dumps({"record": name, **fields, **change}, ensure_ascii=False))
        (tmp_path / "town.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return read_city(tmp_path)

    return write_and_read


def test_a_sound_town_has_no_fault(write: Write) -> None:
    assert check(write()) == []


def test_the_version_follows_from_the_content_and_not_from_the_order_of_lines(
    write: Write, tmp_path: Path
) -> None:
    digest = write().digest()
    lines = (tmp_path / "town.ndjson").read_text(encoding="utf-8").splitlines()
    (tmp_path / "town.ndjson").write_text("\n".join(reversed(lines)), encoding="utf-8")
    assert read_city(tmp_path).digest() == digest
    assert write(station={"name": "另一站"}).digest() != digest


@pytest.mark.parametrize(
    ("name", "change", "field", "says"),
    [
        ("city", {"zone": "Mars/Base"}, "zone", "time zone"),
        ("district", {"id": "32"}, "id", "6 digits"),
        ("street", {"parent": "999999"}, "parent", "999999"),
        ("community", {"parent": None}, "parent", "None"),
        ("grid", {"community": "320001001009"}, "community", "320001001009"),
        ("grid", {"polygon": SQUARE[:4]}, "polygon", "closed"),
        ("grid", {"polygon": [[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]}, "polygon", "Self-intersection"),
        ("grid", {"polygon": [[31, 120], [31, 121], [32, 121], [31, 120]]}, "polygon", "longitude, latitude"),
        ("station", {"grid": "1"}, "grid", "no grid"),
        ("topic", {"parent": "nothing"}, "parent", "no topic"),
        ("topic", {"words": {"路": -1}}, "words", "above 0"),
        ("deputy", {"station": "S9"}, "station", "S9"),
        ("deputy", {"channels": ["a@b.example"]}, "channels", "mail:"),
        ("deputy", {"channels": ["mail:a@b.c", "mail:a@"]}, "channels", "no mail address"),
        ("deputy", {"channels": ["webhook:https://hooks..example.com/x"]}, "channels", "https URL"),
        ("mandate", {"deputy": "D9"}, "deputy", "D9"),
        ("mandate", {"areas": ["320009"]}, "areas", "320009"),
        ("mandate", {"areas": []}, "areas", "at least one"),
        ("mandate", {"topics": ["nothing"]}, "topics", "nothing"),
        ("mandate", {"since": "2026-01-01", "until": "2026-01-01"}, "until", "after since"),
        ("duty", {"weekdays": [8]}, "weekdays", "1 (Monday) to 7"),
        ("duty", {"weeks": [6]}, "weeks", "1 to 5"),
        ("leave", {"substitute": "D9"}, "substitute", "D9"),
        ("leave", {"substitute": "D1"}, "substitute", "himself"),
        ("calendar", {"holidays": ["2025-01-01"]}, "holidays", "2026"),
        ("calendar", {"workdays": ["2026-01-01"]}, "workdays", "holiday too"),
        ("calendar", {"hours": [["09:00", "08:00"]]}, "hours", "in order"),
        ("policy", {"resolve": {"amount": 0, "unit": "days"}}, "resolve", "above 0"),
        ("staff", {"areas": ["320009"]}, "areas", "320009"),
        ("staff", {"roles": ["king"]}, "roles", "king"),
        ("staff", {"roles": ["triage", "station"]}, "stations", "names stations"),
        ("staff", {"roles": ["triage", "station"], "stations": ["nowhere"]}, "stations", "nowhere"),
    ],
)
def test_a_reference_that_leads_nowhere_is_named_with_file_line_and_field(
    write: Write, name: str, change: dict[str, Any], field: str, says: str
) -> None:
    faults = [fault for fault in check(write(**{name: change})) if fault.field == field]
    assert [(fault.file, fault.line) for fault in faults] == [("town.ndjson", list(SOUND).index(name) + 1)]
    assert says in faults[0].what


@pytest.mark.parametrize(
    ("name", "says"),
    [("city", "exactly one city"), ("policy", "a policy"), ("staff", "a person"), ("channel", "no channel")],
)
def test_a_town_that_lacks_what_it_can_not_do_without_is_refused(write: Write, name: str, says: str) -> None:
    assert any(says in fault.what for fault in check(write(**{name: None})))


@pytest.mark.parametrize(
    ("line", "field", "says"),
    [
        ("{", None, "no JSON object"),
        ('{"id": "x"}', "record", "none of city"),
        ('{"record": "castle", "id": "x"}', "record", "castle"),
        ('{"record": "channel", "id": "x", "name": "n", "colour": "red"}', "colour", "no such field"),
        ('{"record": "channel", "id": "x"}', None, "missing required field `name`"),
        ('{"record": "duty", "id": "x", "deputy": "D1", "weekdays": ["Monday"]}', "weekdays[0]", "int"),
        ('{"record": "channel", "id": "", "name": "n"}', "id", "empty"),
        ('{"record": "channel", "id": "demo", "name": "n"}', "id", "already in a.ndjson:1"),
    ],
)
def test_a_line_that_can_not_be_read_is_named(
    tmp_path: Path, line: str, field: str | None, says: str
) -> None:
    (tmp_path / "a.ndjson").write_text('{"record": "channel", "id": "demo", "name": "n"}\n')
    (tmp_path / "b.ndjson").write_text(f"\n{line}\n")
    with pytest.raises(Unreadable) as refused:
        read_city(tmp_path)
    (fault,) = refused.value.faults
    assert (fault.file, fault.line, fault.field) == ("b.ndjson", 2, field)
    assert says in fault.what


def test_grids_that_overlap_are_allowed_but_said(write: Write) -> None:
    city = write()
    twin = write(grid={"id": "320001001001002"})
    both = CityFiles((*city.records, *(found for found in twin.records if found.kind == "grid")))
    assert len(warnings(both)) == 0  # the very same outline covers, it does not overlap
    shifted = write(grid={"id": "320001001001002", "polygon": [[x + 0.5, y] for x, y in SQUARE]})
    both = CityFiles((*city.records, *(found for found in shifted.records if found.kind == "grid")))
    assert "overlap" in warnings(both)[0]


def test_the_command_names_every_fault_and_publishes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.ndjson").write_text('{"record": "station", "id": "S1", "name": "n", "grid": "1"}\n')
    told = CliRunner().invoke(registry, ["load", "--bootstrap", "127.0.0.1:1", str(tmp_path)])
    assert told.exit_code == 1
    assert "a.ndjson:1: grid: station 'S1': there is no grid '1'" in told.stderr
    assert "nothing was loaded" in told.stderr


def test_the_sample_city_is_sound_and_its_grids_neither_overlap_nor_leave_a_gap() -> None:
    city = read_city(sample_city())
    assert check(city) == []
    outlines = [shapely.Polygon(found.data.polygon) for found in city.records if found.kind == "grid"]  # type: ignore[attr-defined]
    whole = shapely.unary_union(outlines)
    assert whole.geom_type == "Polygon"
    assert sum(outline.area for outline in outlines) == pytest.approx(whole.area, rel=1e-9)


def test_every_grid_and_topic_of_the_sample_city_has_a_deputy() -> None:
    city = read_city(sample_city()).snapshot()
    general = {area for mandate in city.mandates.values() if not mandate.topics for area in mandate.areas}
    assert all(grid.community in general or grid.id in general for grid in city.grids.values())


def test_the_command_explains_a_route_from_files_alone() -> None:
    told = CliRunner().invoke(
        route, ["explain", "路灯坏了", "--station", "S0009", "--at", "2026-03-02T10:00:00+08:00"]
    )
    assert told.exit_code == 0
    assert "by station" in told.stdout
    assert "urban.municipal" in told.stdout


def test_the_command_explains_a_route_as_json_too() -> None:
    asked = ["explain", "您好", "--lat", "31.5", "--lon", "120.3", "--json"]
    told = json.loads(CliRunner().invoke(route, asked).stdout)
    assert told["to"] == "triage"
    assert told["explanation"]["located"]["by"] == "coordinates"
