import random

import pytest
from tests.metrics.story import CaseLog, life, lives, mixed

from lianxin_metrics.aggregate import (
    BOUNDS_MS,
    DAY_MS,
    HOUR_MS,
    Aggregate,
    Distribution,
    from_document,
    to_document,
    total,
)
from lianxin_metrics.facts import Fact, fold


def first_level(topic: str) -> str:
    return topic


def counted(logs: list[CaseLog]) -> Aggregate:
    """Each case counted once, as it is at last."""
    aggregate = Aggregate()
    for log in logs:
        fact = Fact(case=log.case)
        for event in log.events:
            fact = fold(fact, event, first_level)
        aggregate.advance(None, fact)
    return aggregate


@pytest.mark.parametrize("seed", range(20))
def test_advancing_in_any_steps_gives_what_counting_everything_at_last_gives(seed: int) -> None:
    logs = lives(range(seed * 30, seed * 30 + 30))
    aggregate = Aggregate()
    facts: dict[str, Fact] = {}
    events = mixed(logs, seed)
    chance = random.Random(seed)
    while events:
        batch = [events.pop(0) for _ in range(min(len(events), chance.randint(1, 40)))]
        before = {event.subject: facts.get(event.subject) for event in batch}
        for event in batch:
            facts[event.subject] = fold(
                facts.get(event.subject) or Fact(case=event.subject), event, first_level
            )
        for case, was in before.items():
            aggregate.advance(was, facts[case])
    assert to_document(aggregate) == to_document(counted(logs))


def test_partitions_add_up_to_the_whole() -> None:
    logs = lives(range(90))
    parts = [counted(logs[n::3]) for n in range(3)]
    assert to_document(total(parts)) == to_document(counted(logs))


def test_a_saved_aggregate_is_read_back_as_it_was() -> None:
    document = to_document(counted(lives(range(50))))
    assert to_document(from_document(document)) == document


def test_whatever_happens_to_a_case_only_the_gauge_ever_falls() -> None:
    for seed in range(60):
        log = life(seed)
        aggregate = Aggregate()
        fact: Fact | None = None
        was = to_document(aggregate)
        for event in log.events:
            then = fold(fact or Fact(case=log.case), event, first_level)
            aggregate.advance(fact, then)
            fact = then
            now = to_document(aggregate)
            assert all(dict(now["events"]).get(type_, 0) >= n for type_, n in was["events"])
            assert all(dict(now["ratings"])[score] >= n for score, n in was["ratings"])
            series = {tuple(row[:4]): row[4:] for row in now["histograms"]}
            for *labels, sum_ms, buckets in was["histograms"]:
                assert series[tuple(labels)][0] >= sum_ms
                assert all(a >= b for a, b in zip(series[tuple(labels)][1], buckets, strict=True))
            assert now["closed"] >= was["closed"]
            was = now
        assert sum(aggregate.cases.values()) == 1


def test_a_value_on_a_bucket_s_bound_belongs_to_that_bucket() -> None:
    distribution = Distribution()
    for ms in (HOUR_MS, HOUR_MS + 1, 365 * DAY_MS, 365 * DAY_MS + 1):
        distribution.add(ms)
    assert distribution.buckets[:2] == [1, 1]
    assert distribution.buckets[-2:] == [1, 1]
    assert distribution.sum_ms == 2 * HOUR_MS + 1 + 730 * DAY_MS + 1


def test_the_buckets_go_from_an_hour_to_a_year() -> None:
    assert BOUNDS_MS[0] == HOUR_MS
    assert BOUNDS_MS[-1] == 365 * DAY_MS
    assert list(BOUNDS_MS) == sorted(set(BOUNDS_MS))
