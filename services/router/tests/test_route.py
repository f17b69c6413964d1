from datetime import date, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from services.router.tests.small_city import (
    EAST,
    MONDAY,
    PEACH,
    RIVER,
    WILLOW,
    WILLOW_GRID,
    a_city,
    deputy,
    mandate,
    request,
)

from lianxin_contracts.lifecycle import ClassifiedAs, LocatedBy
from lianxin_contracts.registry import Leave
from lianxin_router.domain.ports import Clues, Known, RouteRequest, ToDeputy, ToTriage
from lianxin_router.routing.cluster import Fingerprinter
from lianxin_router.routing.route import (
    RULES_VERSION,
    SURGE_CASES,
    SURGE_HOURS,
    LoadsNeeded,
    Prepared,
    join,
    prepare,
    route,
)

ROUTERS = Fingerprinter(b"a secret of routers")
CITY = a_city(mandate("ann", WILLOW_GRID), mandate("bea", EAST))


def known(located: float = 0.9, classified: float = 0.9, by: str = "text", topic_by: str = "rules") -> Known:
    return Known(
        located=LocatedBy(WILLOW_GRID, by, located),  # type: ignore[arg-type]
        classified=ClassifiedAs("roads.lamps", topic_by, classified),  # type: ignore[arg-type]
        grid=WILLOW_GRID,
        street=RIVER,
        district=EAST,
        topic="roads.lamps",
    )


def rerouted(before: Known | None, **more: Any) -> RouteRequest:
    return replace(request(**more), clues=None, known=before, why="staff")


def test_a_certain_opinion_goes_to_its_deputy_with_the_whole_explanation():
    routed = route(request(), CITY, {})
    assert isinstance(routed, ToDeputy)
    assert (routed.assignee, routed.grid, routed.street, routed.district) == ("ann", WILLOW_GRID, RIVER, EAST)
    assert (routed.topic, routed.rung) == ("roads.lamps", "direct")
    told = routed.explanation
    assert (told.registry_version, told.rules_version) == ("v1", RULES_VERSION)
    assert told.located.by == "grid"
    assert told.classified.by == "rules"
    assert [c.deputy for c in told.candidates] == ["ann", "bea"]


def test_the_explanation_holds_no_words_of_the_resident():
    clues = Clues(
        text="机密路灯内容", title="机密标题", address="机密地址桃园社区", grid="机密网格", topic="机密主题"
    )
    routed = route(request(clues=clues), CITY, {})
    assert "机密" not in repr(routed)


def test_an_uncertain_place_goes_to_a_person_with_the_candidates_in_view():
    routed = route(request(clues=Clues(text="河街道的路灯")), CITY, {})
    assert isinstance(routed, ToTriage)
    assert [r.code for r in routed.reasons] == ["place_uncertain"]
    assert routed.street == RIVER
    assert routed.explanation.candidates


def test_an_uncertain_topic_goes_to_a_person():
    routed = route(request(clues=Clues(text="您好", grid=WILLOW_GRID)), CITY, {})
    assert isinstance(routed, ToTriage)
    assert [r.code for r in routed.reasons] == ["topic_uncertain"]


def test_where_nobody_has_room_a_person_decides():
    routed = route(request(), a_city(), {})
    assert isinstance(routed, ToTriage)
    assert [r.code for r in routed.reasons] == ["nobody_has_room"]


def test_a_substitute_is_named_as_such():
    leave = Leave("l1", "ann", date(2026, 3, 1), date(2026, 3, 9), "bea")
    city = a_city(mandate("ann", WILLOW_GRID), mandate("bea", PEACH), leaves=[leave])
    routed = route(request(), city, {})
    assert isinstance(routed, ToDeputy)
    assert (routed.assignee, routed.rung) == ("bea", "substitute")


def test_a_neighbour_is_named_as_of_the_ladder():
    routed = route(request(), a_city(mandate("bea", PEACH)), {})
    assert isinstance(routed, ToDeputy)
    assert (routed.assignee, routed.rung) == ("bea", "ladder")


def test_the_mandates_of_the_citys_own_date_count_not_those_of_utc():
    city = a_city(mandate("ann", WILLOW_GRID, since=date(2026, 3, 3)))
    late_on_monday_utc = MONDAY.replace(hour=17)  # one o'clock on Tuesday in the city
    assert isinstance(route(request(at=late_on_monday_utc), city, {}), ToDeputy)
    assert isinstance(route(request(at=MONDAY), city, {}), ToTriage)


def test_a_case_is_routed_again_without_its_words():
    routed = route(rerouted(known(), excluded=("ann",)), CITY, {})
    assert isinstance(routed, ToDeputy)
    assert routed.assignee == "bea"


def test_a_corrected_topic_is_believed_and_the_place_stays_as_it_was():
    routed = route(rerouted(known(classified=0.1), topic="noise"), CITY, {})
    assert isinstance(routed, ToDeputy)
    assert (routed.topic, routed.grid) == ("noise", WILLOW_GRID)
    assert routed.explanation.classified.by == "staff"


def test_a_corrected_topic_does_not_make_an_uncertain_place_certain():
    assert isinstance(route(rerouted(known(located=0.1), topic="noise"), CITY, {}), ToTriage)


def test_a_corrected_grid_is_believed():
    routed = route(rerouted(known(located=0.1), grid=f"{PEACH}001"), CITY, {})
    assert isinstance(routed, ToDeputy)
    assert routed.grid == f"{PEACH}001"


def test_what_staff_once_corrected_stays_certain():
    before = known(located=0.0, classified=0.0, by="staff", topic_by="staff")
    assert isinstance(route(rerouted(before), CITY, {}), ToDeputy)


def test_a_grid_that_is_gone_from_the_registry_goes_to_a_person():
    before = replace(known(), grid="320001001009001")
    routed = route(rerouted(before), CITY, {})
    assert isinstance(routed, ToTriage)
    assert routed.district == EAST


def test_nothing_known_goes_to_a_person():
    assert isinstance(route(rerouted(None), CITY, {}), ToTriage)


def test_a_persons_ruling_stands_even_where_nothing_is_known():
    routed = route(rerouted(None, assignee="zoe"), CITY, {})
    assert isinstance(routed, ToDeputy)
    assert (routed.assignee, routed.grid, routed.topic) == ("zoe", "", "")


def prepared(opinion: str) -> Prepared:
    asked = request(opinion)
    assert asked.clues is not None
    return prepare(asked, CITY, ROUTERS.of(None, asked.clues.text))


def test_the_first_of_its_kind_begins_an_issue_and_the_second_joins_it():
    first = prepared("o1")
    begun = join(first, [])
    second = prepared("o2")
    joined = join(second, [first.as_issue()])
    assert begun is not None
    assert joined is not None
    assert begun.new
    assert (joined.issue, joined.new) == (begun.issue, False)
    assert set(first.filing_keys) <= set(second.keys)
    routed = route(request("o2"), CITY, {}, match=joined)
    assert routed.joined is not None
    assert routed.joined.issue == begun.issue


def test_an_opinion_without_a_certain_place_belongs_to_no_issue():
    nowhere = prepare(request(clues=Clues(text="路灯坏了")), CITY, ROUTERS.of(None, "路灯坏了"))
    assert nowhere.keys == ()
    assert join(nowhere, []) is None
    with pytest.raises(ValueError, match="keys"):
        nowhere.as_issue()


def surge_with(recent, surged=None):
    found = join(prepared("o2"), [prepared("o1").as_issue()])
    return route(request("o2"), CITY, {}, match=found, recent=recent, surged=surged).surge


def test_an_issue_becomes_hot_with_so_many_cases_even_where_nobody_saw_exactly_so_many():
    hour_ago = MONDAY - timedelta(hours=1)
    assert surge_with([hour_ago] * (SURGE_CASES - 2)) is None
    for more in range(3):
        hot = surge_with([hour_ago] * (SURGE_CASES - 1 + more))
        assert hot is not None
        assert hot.cases == SURGE_CASES + more


def test_what_is_hot_already_is_said_to_be_so_again_only_a_day_later():
    recent = [MONDAY - timedelta(hours=1)] * SURGE_CASES
    assert surge_with(recent, surged=MONDAY - timedelta(hours=SURGE_HOURS - 1)) is None
    assert surge_with(recent, surged=MONDAY - timedelta(hours=SURGE_HOURS)) is not None


def test_cases_of_long_ago_make_nothing_hot():
    assert surge_with([MONDAY - timedelta(hours=SURGE_HOURS)] * (SURGE_CASES - 1)) is None


def test_loads_that_were_not_read_are_asked_for():
    city = a_city(mandate("ann", WILLOW), mandate("bea", PEACH), deputies=[deputy("ann", cap=1)])
    prepared = prepare(request(), city)
    with pytest.raises(LoadsNeeded):
        route(request(), city, {"ann": 1}, prepared=prepared, known={"ann"})
