"""Limits of keys over several instances. No I/O."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianxin_intake.key_limits import ROOM, KeyLimits, fair

rates = st.floats(0, 1e6)


@given(st.lists(rates, min_size=1, max_size=12), st.floats(1e-3, 1e6))
def test_the_shares_are_the_limit_together_and_nobody_modest_is_cut(asked: list[float], limit: float) -> None:
    given_ = fair(asked, limit)
    assert sum(given_) == pytest.approx(limit)
    equal = limit / len(asked)
    for want, got in zip(asked, given_, strict=True):
        assert got >= min(want, equal) * (1 - 1e-9)
        assert got >= ROOM * equal * (1 - 1e-9)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def exchanged(instances: list[KeyLimits]) -> None:
    asked = [one.asked() for one in instances]
    for number, one in enumerate(instances):
        one.agree(asked[number], asked[:number] + asked[number + 1 :])


def test_one_instance_has_the_whole_limit() -> None:
    limits = KeyLimits(2.0, 3.0, clock=Clock())
    assert [limits.take("k") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert limits.take("other") == 0.0


def test_without_a_database_each_instance_has_an_equal_part() -> None:
    clock = Clock()
    limits = KeyLimits(4.0, 8.0, instances=4, clock=clock)
    assert [limits.take("k") for _ in range(3)] == [0.0, 0.0, 1.0]
    limits.agree({}, [])
    limits.alone(instances=2)  # fewer were seen than there may be
    clock.now += 100
    assert [limits.take("k") for _ in range(3)] == [0.0, 0.0, 1.0]


def test_what_one_instance_does_not_need_another_may_use() -> None:
    clock = Clock()
    busy, idle = (KeyLimits(100.0, 100.0, instances=2, clock=clock) for _ in range(2))
    passed = 0
    for _ in range(100):
        for _ in range(20):
            passed += busy.take("k") == 0.0
        clock.now += 0.1
        exchanged([busy, idle])
    assert passed > 0.8 * 100 * 10
    assert idle.take("k") == 0.0


def test_a_small_limit_still_lets_something_through_everywhere() -> None:
    limits = [KeyLimits(0.5, 2.0, clock=Clock()) for _ in range(5)]
    exchanged(limits)
    assert [one.take("k") for one in limits] == [0.0] * 5


@pytest.mark.parametrize("seed", range(20))
def test_together_they_keep_to_the_limit_however_demand_moves(seed: int) -> None:
    rng = random.Random(seed)
    clock = Clock()
    rate, burst, every = 50.0, 20.0, 2.0
    instances = [KeyLimits(rate, burst, instances=3, clock=clock) for _ in range(3)]
    passed, moved = 0, 0
    demand = [0.0, 0.0, 0.0]
    steps = 600
    for step in range(steps):
        if step % 60 == 0:
            demand = [rng.choice((0.0, 5.0, 200.0)) for _ in instances]
            moved += 1
        for one, per_second in zip(instances, demand, strict=True):
            for _ in range(int(per_second * 0.1)):
                passed += one.take("k") == 0.0
        clock.now += 0.1
        if step % int(every / 0.1) == 0:
            exchanged(instances)
    assert passed <= rate * clock.now + burst + len(instances) + moved * burst


def test_no_key_takes_from_another() -> None:
    clock = Clock()
    one, other = (KeyLimits(10.0, 10.0, clock=clock) for _ in range(2))
    for _ in range(1000):
        one.take("loud")
    clock.now += 1
    exchanged([one, other])
    assert [other.take("quiet") for _ in range(5)] == [0.0] * 5
