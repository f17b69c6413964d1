"""What the lifecycle knows of the city: policies, mandates, staff, leaves, in one registry version."""

from datetime import date

import pytest
from services.router.tests.cases import (
    DISTRICT,
    GRID,
    NOISE,
    OTHER_GRID,
    POTHOLES,
    ROADS,
    STREET,
    a_city,
    a_context,
    mandate,
)  # fmt: skip

from lianxin_contracts.inbound import Place
from lianxin_contracts.registry import Leave, Policy, Staff

TODAY = date(2026, 3, 2)


def test_the_policy_with_the_nearest_topic_wins() -> None:
    city = a_city(Policy("plain"))
    for policy in (Policy("b-roads", topics=(ROADS,)), Policy("a-holes", topics=(POTHOLES, NOISE))):
        city.policies[policy.id] = policy  # type: ignore[index]
    context = a_context(city)
    named = {
        topic: context.policy("opinion", topic)[0].id for topic in (POTHOLES, ROADS, NOISE, None, "unknown")
    }
    assert named == {
        POTHOLES: "a-holes",
        ROADS: "b-roads",
        NOISE: "a-holes",
        None: "plain",
        "unknown": "plain",
    }
    assert context.policy("opinion", ROADS)[1] == "v1"


def test_each_kind_of_case_has_its_own_policies() -> None:
    city = a_city(Policy("plain"))
    city.policies["suggestions"] = Policy("suggestions", kind="suggestion")  # type: ignore[index]
    context = a_context(city)
    assert context.policy("suggestion", ROADS)[0].id == "suggestions"
    assert context.policy("opinion", ROADS)[0].id == "plain"


def test_a_kind_without_a_policy_has_the_contracts_defaults() -> None:
    policy, _ = a_context().policy("project", None)
    assert policy == Policy("default", kind="project")


def test_of_two_policies_for_one_topic_the_first_by_id_wins() -> None:
    city = a_city(Policy("z", topics=(ROADS,)))
    city.policies["a"] = Policy("a", topics=(ROADS,))  # type: ignore[index]
    assert a_context(city).policy("opinion", ROADS)[0].id == "a"


@pytest.mark.parametrize("area", [GRID, GRID[:12], STREET, DISTRICT])
def test_a_mandate_covers_every_grid_below_its_area(area: str) -> None:
    city = a_city()
    city.mandates["m"] = mandate("eve", area)  # type: ignore[index]
    assert a_context(city).holds_mandate("eve", GRID, NOISE, TODAY)


def test_a_mandate_covers_no_other_grid() -> None:
    assert not a_context().holds_mandate("ann", OTHER_GRID, None, TODAY)
    assert not a_context().holds_mandate("nobody", None, None, TODAY)


def test_a_mandate_for_a_topic_covers_the_topics_below_it_and_no_other() -> None:
    city = a_city()
    city.mandates["m"] = mandate("eve", GRID, topics=(ROADS,))  # type: ignore[index]
    context = a_context(city)
    covered = {topic: context.holds_mandate("eve", GRID, topic, TODAY) for topic in (ROADS, POTHOLES, NOISE)}
    assert covered == {ROADS: True, POTHOLES: True, NOISE: False}
    assert context.holds_mandate("eve", GRID, None, TODAY)


def test_grid_and_topic_must_be_of_one_and_the_same_mandate() -> None:
    city = a_city()
    city.mandates["m1"] = mandate("eve", GRID, topics=(ROADS,))  # type: ignore[index]
    city.mandates["m2"] = mandate("eve", OTHER_GRID, topics=(NOISE,))  # type: ignore[index]
    assert not a_context(city).holds_mandate("eve", GRID, NOISE, TODAY)


def test_a_mandate_holds_from_its_first_day_to_the_day_before_its_end() -> None:
    city = a_city(without_mandate=("ann",))
    term = mandate("ann", GRID, since=date(2026, 3, 2), until=date(2026, 3, 4))
    city.mandates["m"] = term  # type: ignore[index]
    context = a_context(city)
    held = [context.holds_mandate("ann", GRID, None, date(2026, 3, day)) for day in (1, 2, 3, 4)]
    assert held == [False, True, True, False]


def test_a_leave_lasts_from_its_first_day_to_the_day_before_its_end() -> None:
    context = a_context(a_city(leaves=(Leave("l", "ann", date(2026, 3, 2), date(2026, 3, 4)),)))
    assert [context.on_leave("ann", date(2026, 3, day)) for day in (1, 2, 3, 4)] == [False, True, True, False]
    assert not context.on_leave("bea", date(2026, 3, 2))


def test_staff_of_the_area_are_told_those_for_everywhere_included() -> None:
    city = a_city()
    city.staff["near"] = Staff("near", "near", ("triage",), (STREET,))  # type: ignore[index]
    context = a_context(city)
    assert context.staff_for("triage", GRID) == ("near", "tom")
    assert context.staff_for("triage", DISTRICT) == ("tom",)
    assert context.staff_for("triage", None) == ("far", "near", "tom")
    assert context.staff_for("juggler", GRID) == ()


def test_where_an_area_has_nobody_all_who_have_the_role_are_told() -> None:
    city = a_city()
    del city.staff["tom"]  # type: ignore[attr-defined]
    assert a_context(city).staff_for("triage", GRID) == ("far",)


def test_the_first_level_topic_is_found_at_any_depth() -> None:
    context = a_context()
    assert [context.first_level(code) for code in (POTHOLES, ROADS, "unknown", None)] == [
        ROADS,
        ROADS,
        None,
        None,
    ]


def test_a_context_with_another_route_is_the_same_city() -> None:
    context = a_context()
    other = context.routed_by(lambda _: "elsewhere")  # type: ignore[arg-type, return-value]
    assert other.route(None) == "elsewhere"  # type: ignore[arg-type, comparison-overlap]
    assert other.registry_version == context.registry_version
    assert other.calendar is context.calendar


def test_what_the_city_does_not_have_is_not_there() -> None:
    context = a_context()
    assert context.grid("x") is context.topic("x") is context.staff("x") is None
    assert [context.has_deputy("x"), context.has_department("x"), context.has_station("x")] == [False] * 3
    assert context.has_deputy("ann")
    assert context.has_department("water")
    assert context.near(Place(31.56789, 120.12345)).lat == 31.568
