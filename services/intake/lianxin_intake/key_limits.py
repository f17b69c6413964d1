"""Limits by channel key over all instances: each has a bucket for each key, and its share of the limit.

Shares follow what was asked of each instance lately, and together they are the limit: who is asked little
gets that and some room, the rest goes to who is asked more. Taking a token never waits for anybody; the
counts are exchanged in the background (`exchange.py`). Where that can't be, each has an equal share.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic

from lianxin_intake.rates import Buckets

# What an instance that was asked nothing may give out at once, as a part of an equal share.
ROOM = 0.1


def fair(asked: Sequence[float], limit: float) -> list[float]:
    """The part of `limit` for each of `asked` (both per second): max-min fair, so nobody who asks for less
    than an equal share is cut, and whole: together they are `limit`."""
    equal = limit / len(asked)
    wanted = [max(rate, ROOM * equal) for rate in asked]
    if (spare := limit - sum(wanted)) >= 0:
        return [want + spare / len(asked) for want in wanted]
    given = [0.0] * len(asked)
    left = limit
    for done, place in enumerate(sorted(range(len(asked)), key=wanted.__getitem__)):
        given[place] = min(wanted[place], left / (len(asked) - done))
        left -= given[place]
    return given


class KeyLimits(Buckets):
    """Buckets by the hash of a key: `rate` tokens a second and `burst` at once are for all instances of
    intake together; of them `instances` where nobody can tell how many there are."""

    def __init__(
        self, rate: float, burst: float, instances: int = 1, clock: Callable[[], float] = monotonic
    ) -> None:
        super().__init__(rate, burst, clock)
        self._instances = instances
        self._equal = 1 / instances
        self._shares: dict[str, float] = {}
        self._asked: dict[str, int] = {}
        self._since = clock()

    def take(self, name: str) -> float:
        """As `Buckets.take`, out of this instance's share."""
        self._asked[name] = self._asked.get(name, 0) + 1
        return super().take(name)

    def asked(self) -> dict[str, float]:
        """How often each key was asked for since the last call, per second."""
        now = self._clock()
        past, self._since = max(now - self._since, 1e-3), now
        asked, self._asked = self._asked, {}
        return {name: count / past for name, count in asked.items()}

    def agree(self, own: Mapping[str, float], others: Iterable[Mapping[str, float]]) -> None:
        """Take the share that follows from what was asked of this instance and of each of the `others`."""
        every = [own, *others]
        self._equal = 1 / len(every)
        names = {name for asked in every for name in asked}
        self._shares = {
            name: fair([asked.get(name, 0.0) for asked in every], self._rate)[0] / self._rate
            for name in names
        }

    def alone(self, instances: int) -> None:
        """Take an equal share: nobody can tell what others are asked. `instances`: as many as were seen."""
        self._equal = 1 / max(self._instances, instances)
        self._shares = {}

    def _allowed(self, name: str) -> tuple[float, float]:
        share = self._shares.get(name, self._equal)
        return self._rate * share, max(1.0, self._burst * share)
