"""What residents say."""

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import msgspec

from lianxin_contracts.inbound import Place
from lianxin_intake import opinion
from lianxin_local.life.arrivals import Arrival, arrivals
from lianxin_local.life.habits import Habits
from lianxin_local.life.lives import Life
from lianxin_local.life.residents import Draft, draft, matter_of
from lianxin_local.life.texts import our_texts
from lianxin_router.domain.ports import Clues
from lianxin_router.routing.city import CityIndex
from lianxin_router.routing.classify import classify_by_rules
from lianxin_router.routing.cluster import SAME_MATTER, Fingerprinter, similarity
from lianxin_router.routing.locate import locate
from tests.life.paper_stack import a_life, town, wuxi

MONDAY = date(2026, 3, 2)
HASHED = Fingerprinter(b"0123456789abcdef")


def everybody(life: Life, days: int = 10) -> list[tuple[Arrival, Draft]]:
    found = [one for number in range(days) for one in arrivals(life, MONDAY + timedelta(days=number))]
    return [(one, draft(life, one)) for one in found]


def test_there_are_texts_for_every_second_level_topic_of_the_sample_city() -> None:
    second = {topic.id for topic in wuxi().topics.values() if topic.parent}
    assert second == set(our_texts().matters) == set(town().topics)
    assert all(len(patterns) >= 2 for patterns in our_texts().matters.values())


def test_the_same_resident_says_the_same_again() -> None:
    assert everybody(a_life(), 2) == everybody(a_life(), 2)


def test_whatever_residents_say_intake_accepts() -> None:
    for _, said in everybody(a_life()):
        body = opinion.read(msgspec.json.encode(said.body))
        assert opinion.faults(body, wuxi()) == []


def test_most_texts_speak_for_their_topic_by_the_rules_alone() -> None:
    index = CityIndex.of(wuxi())
    right = Counter(
        classify_by_rules("", said.body["text"], index).topic == said.topic for _, said in everybody(a_life())
    )
    assert right[True] / right.total() > 0.7


def test_a_place_that_is_told_is_found_in_its_grid() -> None:
    index = CityIndex.of(wuxi())
    told = [said for _, said in everybody(a_life()) if {"station", "location", "grid"} & said.body.keys()]
    found = Counter(located_in(said, index) == said.grid for said in told)
    assert told
    assert found[True] / found.total() > 0.97  # a point may be rounded over its grid's edge


def located_in(said: Draft, index: CityIndex) -> str | None:
    at = said.body.get("location")
    clues = Clues(
        text=said.body["text"],
        grid=said.body.get("grid"),
        station=said.body.get("station"),
        place=Place(at["lat"], at["lon"], "wgs84") if at else None,
    )
    return locate(clues, index).grid


def test_twins_speak_of_one_matter_so_nearly_that_they_join_one_issue() -> None:
    life = a_life(Habits(twins=0.5))
    by_matter: dict[str, list[Draft]] = {}
    for arrival, said in everybody(life):
        by_matter.setdefault(matter_of(life, arrival).core, []).append(said)
    twins = [group for group in by_matter.values() if len(group) > 1]
    assert sum(map(len, twins)) > 100
    alike = [
        similarity(HASHED.of(None, one.body["text"]).signature, HASHED.of(None, other.body["text"]).signature)
        for group in twins
        for one, other in pairwise(group)
    ]
    assert sum(alike) / len(alike) > SAME_MATTER
    assert all(len({said.grid for said in group}) == 1 for group in twins)


def test_some_matters_are_talked_about_by_many() -> None:
    life = a_life(Habits(twins=0.3))
    matters = Counter(matter_of(life, arrival).core for arrival, _ in everybody(life))
    assert matters.most_common(1)[0][1] >= 4


def test_some_leave_a_contact_some_choose_a_topic_some_find_supporters_and_some_name_no_place() -> None:
    said = [one for _, one in everybody(a_life(), 20)]
    count = len(said)
    habits = Habits()
    for share, found in (
        (habits.contacts, sum("contact" in one.body for one in said)),
        (habits.topics, sum("topic" in one.body for one in said)),
        (habits.supported, sum(bool(one.supports) for one in said)),
    ):
        assert abs(found / count - share) < 0.06
    assert any("我们这里" in one.body["text"] and len(one.body) == 1 for one in said)


def test_supporters_come_after_the_opinion_in_order_each_under_a_name_of_their_own() -> None:
    for _, said in everybody(a_life()):
        times = [at for at, _ in said.supports]
        assert times == sorted(times)
        assert all(at > said.at for at in times)
        assert len({who for _, who in said.supports}) == len(said.supports)
