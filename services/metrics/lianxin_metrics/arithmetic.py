"""The arithmetic of reports. Integers in, integers out wherever a time is meant; nothing is rounded on the
way."""

from collections.abc import Iterable, Sequence
from math import sqrt

# The 97.5% point of the normal distribution: intervals are 95%.
Z = 1.959963984540054


def nearest_rank(ordered: Sequence[int], percent: int) -> int | None:
    """The `percent`-th percentile (1..100) of ascending values by nearest rank: the smallest value that at
    least that share of them does not exceed. None of none."""
    if not ordered:
        return None
    return ordered[-(-percent * len(ordered) // 100) - 1]


def wilson(successes: int, n: int) -> tuple[float, float] | None:
    """Wilson's 95% score interval of a share (E. B. Wilson, JASA 22, 1927). None where `n` is 0."""
    if n == 0:
        return None
    share = successes / n
    middle = share + Z * Z / (2 * n)
    half = Z * sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    scale = 1 + Z * Z / n
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def kaplan_meier(lives: Iterable[tuple[int, bool]], percent: int) -> int | None:
    """The time by which `percent` of cases are done, those still open being censored: the first time at which
    the Kaplan-Meier estimate of "still open" is at most 100 - `percent` in the hundred.

    `lives` are (time in ms, done?) of each case. None where the estimate does not come down so far.
    """
    ordered = sorted(lives, key=lambda life: life[0])
    at_risk = len(ordered)
    still_open = 1.0
    place = 0
    while place < len(ordered):
        time = ordered[place][0]
        same = place
        done = 0
        while same < len(ordered) and ordered[same][0] == time:
            done += ordered[same][1]
            same += 1
        still_open *= (at_risk - done) / at_risk
        # 1e-9: the product of many factors misses a round share by some bits.
        if done and still_open <= (100 - percent) / 100 + 1e-9:
            return time
        at_risk -= same - place
        place = same
    return None
