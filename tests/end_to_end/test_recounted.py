"""The check of a replay is itself checked, on a city and a file of a few lines."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.end_to_end import recounted
from tests.end_to_end.recounted import Assignment, City, Fate, Latencies, Played
from tests.end_to_end.replayed import note, rows_of

RECORDS = (
    {"record": "city", "id": "x", "name": "X", "zone": "America/New_York"},
    {"record": "region", "id": "900003", "kind": "district", "name": "Ward 3"},
    {"record": "region", "id": "900004", "kind": "district", "name": "Ward 4"},
    {"record": "mandate", "id": "M1", "deputy": "D1", "areas": ["900003"], "topics": ["roads"]},
    {"record": "mandate", "id": "M2", "deputy": "D1", "areas": ["900004"], "until": "2011-07-01"},
    {"record": "mandate", "id": "M3", "deputy": "D2", "areas": ["900004001"]},
)
OPENED = datetime(2011, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def city(tmp_path: Path) -> City:
    (tmp_path / "city.ndjson").write_text("\n".join(json.dumps(record) for record in RECORDS))
    return City.of(tmp_path)


def played(
    values: dict[str, str], *assignments: tuple[str, str], topic: str = "roads", row: int = 1
) -> Played:
    got = [Assignment(deputy, grid, topic, OPENED) for deputy, grid in assignments]
    return Played(row, values, Fate(OPENED, got))


@pytest.mark.parametrize(("text", "ward"), [("Ward 3", "Ward 3"), ("03", "Ward 3"), (" ", None), ("", None)])
def test_a_ward_has_one_name_however_it_is_written(text: str, ward: str | None) -> None:
    assert recounted.ward_named(text) == ward


def test_a_request_is_in_its_ward_where_grid_and_mandate_are(city: City) -> None:
    right = played({"ward": "03"}, ("D1", "900003001001001"))
    assert recounted.wards([right], "ward", city) == (
        {"in a ward": 1, "assigned": 1, "in their ward": 1},
        [],
    )


@pytest.mark.parametrize(
    ("ward", "assignments"),
    [
        ("Ward 3", ()),  # nobody has it
        ("Ward 3", (("D1", "900004001001001"),)),  # another ward's grid
        ("Ward 4", (("D1", "900004001001001"),)),  # the mandate there ended the day before
        ("Ward 9", (("D1", "900003001001001"),)),  # a ward that the city doesn't have
        ("Ward 3", (("D1", "900003001001001"), ("D2", "900003001001001"))),  # taken out of the ward later
    ],
)
def test_what_is_assigned_elsewhere_or_not_at_all_is_told(
    city: City, ward: str, assignments: tuple[tuple[str, str], ...]
) -> None:
    counts, problems = recounted.wards([played({"ward": ward}, *assignments)], "ward", city)
    assert (counts["in a ward"], counts["in their ward"], len(problems)) == (1, 0, 1)
    assert problems[0].startswith("row 1: ")


def test_what_lies_in_no_ward_is_nobodys_mistake(city: City) -> None:
    counts, problems = recounted.wards([played({"ward": " "})], "ward", city)
    assert (counts["in a ward"], problems) == (0, [])


def test_a_mandate_covers_a_topic_by_name_or_with_all_others(city: City) -> None:
    labels = {"道路": ["roads"], "学校": ["schools"]}
    counts = recounted.topics(
        [
            played({"topic": "道路"}, ("D1", "900003001001001")),
            played(
                {"topic": "学校"}, ("D1", "900003001001001"), topic="schools"
            ),  # D1 answers for roads alone
            played({"topic": "学校"}, ("D2", "900004001001001")),
            played({"topic": "学校"}),
            Played(5, {"topic": "学校"}, None),  # refused
        ],
        "topic",
        labels,
        city,
    )
    assert counts == {
        "messages": 4,
        "assigned": 3,
        "covered": 2,
        "covered by name": 1,
        "topic agrees": 2,
    }


def test_percentiles_are_values_of_the_file_by_nearest_rank() -> None:
    own = Latencies(list(range(1, 11)))
    assert (own.percentile(50), own.percentile(90)) == (5, 9)
    assert Latencies([7]).percentile(90) == 7
    assert Latencies([]).percentile(50) is None


def test_latencies_count_elapsed_time_over_a_change_of_clocks() -> None:
    values = {"from": "2011-11-05 12:00:00", "to": "2011-11-06 12:00:00"}
    zone = recounted.ZoneInfo("America/New_York")
    begun = datetime(2011, 11, 5, 16, tzinfo=UTC)
    fate = Fate(begun, resolved=begun + timedelta(hours=25))
    whole, own, problems = recounted.latencies([Played(1, values, fate)], "from", "to", zone)
    assert (whole.took, own.took, problems) == ([25 * 3_600_000], [25 * 3_600_000], [])


def test_a_case_with_other_times_than_the_files_is_told() -> None:
    values = {"from": "2011-07-01 12:00:00", "to": "2011-07-02 12:00:00"}
    late = Fate(OPENED, resolved=OPENED + timedelta(hours=25))
    open_ = Played(2, values | {"to": ""}, late)
    utc = recounted.ZoneInfo("UTC")
    whole, own, problems = recounted.latencies([Played(1, values, late), open_], "from", "to", utc)
    assert (len(whole.took), len(own.took), len(problems)) == (1, 1, 2)


def test_a_report_that_differs_is_told_by_figure() -> None:
    row = {"by": "all", "figure": "closure", "n": 2, "sum_ms": 3, "median_ms": 1, "p90_ms": 2}
    assert recounted.report_agrees({"figures": [row]}, Latencies([1, 2])) == []
    assert recounted.report_agrees({"figures": [row | {"p90_ms": 1}]}, Latencies([1, 2])) == [
        "p90_ms: the report has 1, the file gives 2"
    ]


def test_the_first_resolution_counts() -> None:
    found: dict[str, Fate] = {}
    for type_, at in (("submitted", "01"), ("resolved", "02"), ("resolved", "03")):
        headers = {
            "ce_type": f"opinion.{type_}".encode(),
            "ce_time": f"2011-07-{at}T00:00:00.000000Z".encode(),
        }
        note(found, "o", headers, b"{}")
    assert found["o"].resolved == datetime(2011, 7, 2, tzinfo=UTC)


def test_rows_are_numbered_as_replay_numbers_them(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('\ufefftext,n\n"two\nlines",1\nx,2\n', "utf-8")
    assert list(rows_of(tmp_path / "a.csv", 1)) == [(1, {"text": "two\nlines", "n": "1"})]
