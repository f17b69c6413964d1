"""The sample city is what its generator makes, what it is said to be, and can be made smaller."""

import subprocess
import sys
from collections import Counter, defaultdict
from datetime import date
from functools import cache
from pathlib import Path

import pytest
import shapely

from lianxin_contracts.registry import Duty, Mandate, Snapshot
from lianxin_local.city_check import check
from lianxin_local.city_files import read_city
from lianxin_local.stack import sample_city

GENERATOR = sample_city().parent / "generate.py"


def generate(out: Path, *options: str) -> None:
    subprocess.run(
        [sys.executable, str(GENERATOR), "--out", str(out), *options], check=True, capture_output=True
    )


@cache
def wuxi() -> Snapshot:
    return read_city(sample_city()).snapshot()


def test_the_committed_files_are_what_the_generator_makes(tmp_path: Path) -> None:
    generate(tmp_path)
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert made == {file.name: file.read_bytes() for file in sample_city().iterdir()}


def test_a_city_of_a_tenth_is_sound_and_still_has_a_deputy_for_every_community(tmp_path: Path) -> None:
    generate(tmp_path, "--scale", "0.1")
    city = read_city(tmp_path)
    assert check(city) == []
    assert len(city.snapshot().deputies) < len(wuxi().deputies) / 4
    assert without_general_deputy(city.snapshot(), date(2026, 11, 1)) == set()


def test_it_has_the_districts_streets_and_communities_that_the_statistics_count() -> None:
    regions = wuxi().regions.values()
    assert Counter(r.kind for r in regions) == {"district": 7, "street": 88, "community": 1_254}
    assert sum(r.statistical for r in regions) == 16
    assert {len(code) for code in wuxi().grids} == {15}


def test_it_has_the_stations_that_the_congress_has_named() -> None:
    kinds = Counter(station.kind for station in wuxi().stations.values())
    assert kinds == {"county_home": 4, "street_home": 73, "liaison": 766, "contact_point": 206}


def test_it_has_the_deputies_of_the_five_levels_and_the_consultative_ones_of_streets() -> None:
    levels = Counter(deputy.level for deputy in wuxi().deputies.values())
    assert levels.pop("street") == 2_903
    assert set(levels) == {"nation", "province", "city", "county", "town"}
    assert levels.total() == 5_226


def test_no_name_is_a_person_s_and_no_address_can_exist() -> None:
    for deputy in wuxi().deputies.values():
        assert deputy.name == f"代表 {deputy.id[1:]}号"
        assert all("deputies.example" in channel for channel in deputy.channels)
    kinds = {c.partition(":")[0] for deputy in wuxi().deputies.values() for c in deputy.channels}
    assert kinds == {"mail", "webhook"}


def test_grids_are_a_partition_in_which_neighbours_share_their_edges() -> None:
    outlines = [shapely.Polygon(grid.polygon) for grid in wuxi().grids.values()]
    assert shapely.coverage_is_valid(outlines)
    assert all(grid.synthetic for grid in wuxi().grids.values())
    assert shapely.unary_union(outlines).equals(shapely.box(119.55, 31.15, 120.60, 32.00))
    tree = shapely.STRtree(outlines)
    sides = Counter(tree.query(outlines, predicate="touches")[0].tolist())
    assert min(sides[number] for number in range(len(outlines))) >= 2


def test_the_grids_of_a_district_make_up_one_simple_shape() -> None:
    districts = defaultdict(list)
    for grid in wuxi().grids.values():
        districts[grid.district].append(shapely.Polygon(grid.polygon))
    assert len(districts) == 7
    for outlines in districts.values():
        shape = shapely.coverage_union_all(outlines)
        assert (shape.geom_type, len(shape.interiors)) == ("Polygon", 0)
        # Convex, but for the rounding of corners on the border.
        assert shape.area == pytest.approx(shape.convex_hull.area, rel=1e-4)


def in_force(mandate: Mandate, day: date) -> bool:
    return mandate.since <= day and (mandate.until is None or day < mandate.until)


def without_general_deputy(city: Snapshot, day: date) -> set[str]:
    """The communities that nobody answers for, for all topics, on `day`."""
    general = {m.areas[0] for m in city.mandates.values() if not m.topics and in_force(m, day)}
    return {grid.community for grid in city.grids.values()} - general


def test_mandates_end_and_begin_and_yet_no_grid_is_ever_without_a_deputy_for_all_topics() -> None:
    mandates = wuxi().mandates.values()
    today = date(2026, 11, 1)
    ended = {m.deputy for m in mandates if m.until is not None and m.until <= today}
    to_begin = {m.deputy for m in mandates if m.since > today}
    still = {m.deputy for m in mandates if in_force(m, today)}
    assert ended - still
    assert ended & still
    assert to_begin - still
    for day in {m.since for m in mandates} | {m.until for m in mandates if m.until is not None}:
        assert without_general_deputy(wuxi(), day) == set()


def of_kind(kind: str) -> list[Duty]:
    return [duty for duty in wuxi().duties.values() if duty.kind == kind]


def test_every_deputy_receives_residents_on_the_third_tuesday_at_the_own_station() -> None:
    days = {d.deputy: d.station for d in of_kind("contact_day") if (d.weekdays, d.weeks) == ((2,), (3,))}
    assert days == {deputy.id: deputy.station for deputy in wuxi().deputies.values()}


def test_homes_are_manned_from_monday_to_friday_and_nobody_has_shifts_at_two_stations() -> None:
    shifts = of_kind("shift")
    assert len({shift.deputy for shift in shifts}) == len(shifts)
    manned: dict[str, list[int]] = defaultdict(list)
    for shift in shifts:
        manned[shift.station or ""] += shift.weekdays
    kinds = {station.id: station.kind for station in wuxi().stations.values()}
    homes = {id_: sorted(days) for id_, days in manned.items() if kinds[id_].endswith("home")}
    assert len(homes) == 4 + 73
    assert set(map(tuple, homes.values())) == {(1, 2, 3, 4, 5)}
    assert Counter(kinds[id_] for id_ in manned)["liaison"] > 500


def test_deputies_are_on_leave_and_have_substitutes() -> None:
    leaves = wuxi().leaves.values()
    assert len(leaves) == 60
    assert all(leave.substitute for leave in leaves)


def test_the_calendar_says_up_to_which_year_it_was_announced() -> None:
    calendars = wuxi().calendars
    assert calendars["2026"].published
    assert date(2026, 10, 10) in calendars["2026"].workdays
    assert not calendars["2027"].published
    assert calendars["2027"].holidays == ()


def test_topics_have_two_levels_and_every_one_has_words() -> None:
    topics = wuxi().topics
    first = {topic.id for topic in topics.values() if topic.parent is None}
    assert {topic.parent for topic in topics.values() if topic.parent is not None} == first
    assert all(topic.words for topic in topics.values())


def test_every_kind_of_case_has_limits() -> None:
    assert {p.kind for p in wuxi().policies.values()} == {"opinion", "suggestion", "project"}
