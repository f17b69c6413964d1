import random
from fractions import Fraction

import pytest

from lianxin_metrics.arithmetic import kaplan_meier, nearest_rank, wilson


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([15, 20, 35, 40, 50], 30, 20), ([15, 20, 35, 40, 50], 40, 20), ([15, 20, 35, 40, 50], 50, 35),
     ([15, 20, 35, 40, 50], 100, 50), ([7], 1, 7), ([1, 2], 50, 1), ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 90, 9)],
)  # fmt: skip
def test_a_percentile_is_a_value_that_occurred(values: list[int], percent: int, expected: int) -> None:
    assert nearest_rank(values, percent) == expected


def test_nearest_rank_is_the_smallest_value_that_the_share_does_not_exceed() -> None:
    chance = random.Random(1)
    for _ in range(300):
        values = sorted(chance.choices(range(50), k=chance.randint(1, 40)))
        percent = chance.randint(1, 100)
        enough = [
            v for v in values if Fraction(sum(w <= v for w in values), len(values)) >= Fraction(percent, 100)
        ]
        assert nearest_rank(values, percent) == enough[0]


def test_there_is_no_percentile_of_nothing() -> None:
    assert nearest_rank([], 50) is None


def test_wilson_s_interval_agrees_with_published_values() -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    published = [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]
    for successes, n, low, high in published:
        found = wilson(successes, n)
        assert found is not None
        assert [round(end, 4) for end in found] == [low, high]


def test_an_empty_denominator_has_no_interval() -> None:
    assert wilson(0, 0) is None


def test_with_nothing_censored_the_estimate_is_the_nearest_rank() -> None:
    chance = random.Random(2)
    for _ in range(200):
        values = sorted(chance.choices(range(30), k=chance.randint(1, 40)))
        for percent in (50, 90):
            assert kaplan_meier([(v, True) for v in values], percent) == nearest_rank(values, percent)


def test_open_cases_move_the_median_up() -> None:
    done = [(day, True) for day in (1, 2, 3, 4)]
    assert kaplan_meier(done, 50) == 2
    assert kaplan_meier([*done, (10, False), (10, False), (10, False)], 50) == 4


def test_there_is_no_median_before_half_of_the_cases_are_done() -> None:
    assert kaplan_meier([(1, True), (5, False), (5, False)], 50) is None


def test_freireich_s_remission_times_give_the_textbook_medians() -> None:
    # E. Freireich et al., Blood 21 (1963): 6-MP 23 weeks, placebo 8 weeks.
    censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    drug = [(w, True) for w in (6, 6, 6, 7, 10, 13, 16, 22, 23)] + [(w, False) for w in censored]
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    assert kaplan_meier(drug, 50) == 23
    assert kaplan_meier([(w, True) for w in placebo], 50) == 8
