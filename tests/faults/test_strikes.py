"""The kills of the long run: drawn by seed, none of them forgotten."""

import pytest

from tests.faults.strikes import FIRST, LAST, PROCESSES, by_process, draw


@pytest.mark.parametrize("kills", [11, 14, 100])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_exactly_as_many_are_killed_as_asked_for_and_each_process_once_at_least(kills: int, seed: int):
    strikes = draw(kills, seed)

    assert by_process(strikes).total() == sum(strike.kills for strike in strikes) == kills
    assert set(by_process(strikes)) == set(PROCESSES)
    assert any(strike.names == ("broker", "database") for strike in strikes)
    assert any(strike.again_s is not None for strike in strikes)


def test_the_same_seed_kills_the_same_processes_at_the_same_moments():
    assert draw(100, 7) == draw(100, 7)
    assert draw(100, 7) != draw(100, 8)


def test_moments_are_in_order_and_within_the_drive():
    moments = [strike.progress for strike in draw(100, 7)]

    assert moments == sorted(moments)
    assert moments[0] >= FIRST
    assert moments[-1] <= LAST
