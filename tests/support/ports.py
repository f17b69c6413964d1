"""Free ports for tests. Each of pytest-xdist's workers has a range of its own, so two never pick the same."""

import os
import random
from collections.abc import Mapping

from lianxin_local.ports import OFFSETS, is_free

# Below 32768, where Linux begins to hand out ports to clients: one of those could be taken meanwhile.
FIRST, LAST = 10_000, 32_000

# A port once given away stays so: what stopped on it may be started again.
_given: set[int] = set()


def own_range(environment: Mapping[str, str] = os.environ) -> range:
    """The ports from which this process may give."""
    number = int(environment.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    of = int(environment.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    share = (LAST - FIRST) // of
    return range(FIRST + number * share, FIRST + (number + 1) * share)


def free_port() -> int:
    """A port that nobody uses and that was not given away before."""
    return _take([0])


def free_base() -> int:
    """A `--port-base` from which every port of a stack is free and was not given away before."""
    return _take(sorted(OFFSETS.values()))


def _take(offsets: list[int]) -> int:
    own = own_range()
    for _ in range(1000):
        base = random.randrange(own.start, own.stop - offsets[-1])
        wanted = {base + offset for offset in offsets}
        if not wanted & _given and all(is_free(port) for port in wanted):
            _given.update(wanted)
            return base
    raise AssertionError(f"no free ports in {own}")
