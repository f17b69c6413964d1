"""Free ports for tests."""

import random

from lianxin_local.ports import is_free

_given: set[int] = set()


def free_port() -> int:
    """A port that nobody uses and this run has not given away; below those that Linux gives to clients."""
    while True:
        port = random.randrange(10_000, 32_000)
        if port not in _given and is_free(port):
            _given.add(port)
            return port
