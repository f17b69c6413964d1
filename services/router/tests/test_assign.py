from collections import Counter
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.router.tests.small_city import (
    BRIDGE,
    EAST,
    LAKE,
    MONDAY_DATE,
    PEACH,
    PEACH_GRID,
    PEACH_GRID_2,
    RIVER,
    WILLOW,
    WILLOW_GRID,
    a_city,
    deputy,
    mandate,
)

from lianxin_contracts.registry import Deputy, Duty, Leave, Mandate
from lianxin_router.routing.assign import Chosen, LoadsNeeded, Need, assign, shortlist
from lianxin_router.routing.city import CityIndex

LAMPS = ("roads.lamps", "roads")
TUESDAY = 2


def chosen(city: CityIndex, loads: dict[str, int] | None = None, **need) -> Chosen:
    wanted = Need(**{"opinion": "o1", "grid": WILLOW_GRID, "topics": LAMPS, "on": MONDAY_DATE, **need})
    return assign(shortlist(wanted, city), city, loads or {})


def why(found: Chosen, deputy_id: str) -> tuple[str, ...]:
    return next(c.reasons for c in found.candidates if c.deputy == deputy_id)


def test_the_deputy_of_the_grid_comes_before_the_deputy_of_the_district():
    city = a_city(mandate("far", EAST), mandate("near", WILLOW_GRID))
    assert chosen(city).deputy == "near"


@pytest.mark.parametrize(
    ("nearer", "wider"),
    [(WILLOW_GRID, WILLOW), (WILLOW, RIVER), (RIVER, EAST)],
    ids=["grid", "community", "street"],
)
def test_the_nearer_mandate_comes_first(nearer, wider):
    assert chosen(a_city(mandate("a", wider), mandate("b", nearer))).deputy == "b"


def test_among_equally_near_deputies_the_one_for_this_very_topic_comes_first():
    city = a_city(
        mandate("any", WILLOW),
        mandate("first_level", WILLOW, topics=("roads",)),
        mandate("exact", WILLOW, topics=("roads.lamps",)),
    )
    assert chosen(city).deputy == "exact"


def test_a_deputy_for_another_topic_is_no_candidate():
    found = chosen(a_city(mandate("noise", WILLOW_GRID, topics=("noise",)), mandate("any", EAST)))
    assert found.deputy == "any"
    assert [c.deputy for c in found.candidates] == ["any"]


def test_the_one_with_more_room_takes_the_case():
    city = a_city(mandate("a", WILLOW), mandate("b", WILLOW))
    assert chosen(city, {"a": 3, "b": 1}).deputy == "b"
    assert chosen(city, {"a": 1, "b": 3}).deputy == "a"


def test_room_is_counted_by_the_cap_not_by_the_number_of_cases():
    city = a_city(
        mandate("small", WILLOW),
        mandate("large", WILLOW),
        deputies=[deputy("small", cap=4), deputy("large", cap=40)],
    )
    assert chosen(city, {"small": 2, "large": 4}).deputy == "large"


def test_the_near_deputies_share_with_wider_areas_when_they_fill_up():
    city = a_city(mandate("near", WILLOW), mandate("street", RIVER))
    assert chosen(city, {"near": 2}).deputy == "near"
    assert chosen(city, {"near": 8}).deputy == "street"


def test_equal_deputies_share_what_comes():
    city = a_city(
        *(
            mandate(
                f"d{n}",
                WILLOW,
            )
            for n in range(4)
        )
    )
    given = Counter(chosen(city, opinion=f"o{n}").deputy for n in range(400))
    assert min(given.values()) > 60


def test_the_same_opinion_always_goes_to_the_same_deputy():
    city = a_city(*(mandate(f"d{n}", WILLOW) for n in range(9)))
    assert len({chosen(city).deputy for _ in range(5)}) == 1


def test_nobody_goes_over_the_cap():
    city = a_city(mandate("full", WILLOW), mandate("street", RIVER), deputies=[deputy("full", cap=2)])
    found = chosen(city, {"full": 2})
    assert found.deputy == "street"
    assert why(found, "full") == ("over_cap",)


def test_a_mandate_counts_from_its_first_day_until_before_its_last():
    city = a_city(
        mandate("past", WILLOW, until=MONDAY_DATE),
        mandate("future", WILLOW_GRID, since=date(2026, 3, 3)),
        mandate("now", EAST, since=MONDAY_DATE, until=date(2026, 3, 3)),
    )
    assert chosen(city).deputy == "now"


def test_whoever_is_not_on_the_roster_today_is_passed_over():
    city = a_city(mandate("off", WILLOW), mandate("on", EAST), duties=[Duty("u1", "off", (TUESDAY,))])
    found = chosen(city)
    assert (found.deputy, found.rung) == ("on", "mandate")
    assert why(found, "off") == ("off_duty",)


def test_the_third_tuesday_is_on_duty_and_the_second_is_not():
    city = a_city(mandate("a", WILLOW), mandate("b", EAST), duties=[Duty("u1", "a", (TUESDAY,), (3,))])
    assert chosen(city, on=date(2026, 3, 17)).deputy == "a"
    assert chosen(city, on=date(2026, 3, 10)).deputy == "b"


CONTACT_DAY = Duty("u9", "a", (TUESDAY,), (3,), kind="contact_day")


def test_a_contact_day_takes_nobody_off_duty_on_the_other_days():
    found = chosen(a_city(mandate("a", WILLOW), mandate("b", EAST), duties=[CONTACT_DAY]))
    assert (found.deputy, found.rung) == ("a", "mandate")


def test_on_the_contact_day_a_deputy_is_there_whatever_the_shifts_say():
    shift = Duty("u1", "a", (5,))
    city = a_city(mandate("a", WILLOW), mandate("b", EAST), duties=[shift, CONTACT_DAY])
    assert chosen(city, on=date(2026, 3, 17)).deputy == "a"
    assert chosen(city, on=date(2026, 3, 10)).deputy == "b"


def test_where_nobody_is_on_duty_one_with_the_mandate_takes_it_all_the_same():
    city = a_city(mandate("off", WILLOW), duties=[Duty("u1", "off", (TUESDAY,))])
    found = chosen(city)
    assert (found.deputy, found.rung) == ("off", "off_duty")


def away(who: str, substitute: str | None = None, id_: str = "l1") -> Leave:
    return Leave(id_, who, date(2026, 3, 1), date(2026, 3, 9), substitute)


def test_a_substitute_stands_in_for_a_deputy_on_leave():
    city = a_city(mandate("away", WILLOW_GRID), mandate("stand_in", LAKE), leaves=[away("away", "stand_in")])
    found = chosen(city)
    assert (found.deputy, found.substitute_for) == ("stand_in", "away")


def test_a_substitute_who_is_away_too_is_stood_in_for():
    leaves = [away("a", "b"), away("b", "c", "l2")]
    city = a_city(mandate("a", WILLOW), mandate("b", LAKE), mandate("c", LAKE), leaves=leaves)
    assert chosen(city).deputy == "c"


def test_substitutes_who_stand_in_for_each_other_stop_nothing():
    leaves = [away("a", "b"), away("b", "a", "l2")]
    city = a_city(mandate("a", WILLOW), mandate("b", WILLOW), mandate("c", EAST), leaves=leaves)
    assert chosen(city).deputy == "c"


def test_after_the_last_day_of_leave_the_deputy_is_back():
    city = a_city(mandate("a", WILLOW), mandate("b", LAKE), leaves=[away("a", "b")])
    assert chosen(city, on=date(2026, 3, 9)).deputy == "a"


def test_an_excluded_deputy_is_never_chosen_not_even_as_a_substitute():
    city = a_city(mandate("a", WILLOW), mandate("b", WILLOW), leaves=[away("b", "a")])
    assert chosen(city, excluded=("a",)).deputy is None


def test_without_a_mandate_for_the_grid_a_neighbour_takes_it():
    city = a_city(mandate("far", BRIDGE), mandate("next_door", PEACH))
    found = chosen(city)
    assert (found.deputy, found.rung) == ("next_door", "neighbour")


def test_a_neighbour_in_the_same_community_comes_before_one_in_the_street():
    city = a_city(mandate("street", WILLOW), mandate("community", PEACH_GRID_2))
    assert chosen(city, grid=PEACH_GRID).deputy == "community"


def test_where_the_near_neighbours_are_full_a_farther_one_takes_it():
    city = a_city(mandate("near", PEACH), mandate("far", BRIDGE))
    assert chosen(city, {"near": 10}).deputy == "far"


def test_then_the_deputies_of_the_station_take_it_whatever_their_topic():
    city = a_city(deputies=[deputy("host", station="S1")])
    found = chosen(city, station="S1")
    assert (found.deputy, found.rung) == ("host", "station")


def test_then_the_home_of_the_street_takes_it():
    city = a_city(deputies=[deputy("home", station="S2")])
    found = chosen(city)
    assert (found.deputy, found.rung) == ("home", "street_home")


def test_and_at_the_end_of_the_ladder_a_person_decides():
    found = chosen(a_city())
    assert (found.deputy, found.rung) == (None, "staff")


def test_loads_that_were_not_read_are_asked_for_before_a_wider_rung():
    city = a_city(mandate("full", WILLOW), mandate("next_door", PEACH))
    first = shortlist(Need("o1", WILLOW_GRID, LAMPS, MONDAY_DATE), city)
    assert first.deputies == {"full"}
    with pytest.raises(LoadsNeeded) as asked:
        assign(first, city, {"full": 10}, known={"full"})
    assert asked.value.deputies == {"next_door"}


def test_looking_at_one_case_costs_the_same_among_a_thousand_deputies():
    city = a_city(*(mandate(f"d{n}", WILLOW) for n in range(1000)))
    first = shortlist(Need("o1", WILLOW_GRID, LAMPS, MONDAY_DATE), city)
    assert len(first.possible) == 16
    assert len(first.deputies) == 8


def test_a_hundred_equal_deputies_share_eight_hundred_cases():
    city = a_city(*(mandate(f"d{n}", WILLOW) for n in range(100)))
    loads: Counter[str] = Counter()
    for n in range(800):
        taken = chosen(city, loads, opinion=f"o{n}").deputy
        assert taken is not None
        loads[taken] += 1
    assert len(loads) == 100
    assert max(loads.values()) <= 10


AREAS = st.sampled_from([WILLOW_GRID, WILLOW, RIVER, EAST, PEACH, BRIDGE, LAKE])
NAMES = st.sampled_from("abcdef")
MANDATES = st.lists(
    st.tuples(NAMES, AREAS, st.sampled_from([(), ("roads",), ("roads.lamps",), ("noise",)])), max_size=8
).map(lambda rows: [Mandate(f"m{n}", d, (a,), t) for n, (d, a, t) in enumerate(rows)])


@given(
    mandates=MANDATES,
    away=st.lists(st.tuples(NAMES, st.none() | NAMES), max_size=3),
    loads=st.dictionaries(NAMES, st.integers(0, 4)),
    excluded=st.lists(NAMES, max_size=2),
)
def test_whoever_is_chosen_has_room_is_there_and_is_not_excluded(mandates, away, loads, excluded):
    people: list[Deputy] = [deputy(name, cap=3) for name in "abcdef"]
    leaves = [Leave(f"l{n}", a, MONDAY_DATE, date(2026, 3, 5), b) for n, (a, b) in enumerate(away)]
    city = a_city(*mandates, deputies=people, leaves=leaves)
    found = chosen(city, loads, excluded=tuple(excluded))
    if found.deputy is not None:
        assert loads.get(found.deputy, 0) < 3
        assert not city.mandates.on_leave(found.deputy, MONDAY_DATE)
        assert found.deputy not in excluded
        assert found.candidates[0].deputy == found.deputy or found.rung != "mandate"
