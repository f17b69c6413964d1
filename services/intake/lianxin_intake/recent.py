"""What this instance handed to the broker last: enough to tell a repeat from a conflict at once, and to
answer for an opinion that the projection has not seen yet. Bounded, in memory, best effort: the router
refuses what slips through here."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of an opinion before its case exists."""

    digest: str
    channel: str
    submitted_at: datetime


class Recent(Generic[T]):
    """What was said under the last `most` names.

    A name is taken before the broker is asked, so that two bodies under way at once can't both have it, and
    given back where it is certain that nothing was written. What may have been written keeps its name:
    another body would be answered with 202 and then refused by the router.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, T] = OrderedDict()

    def get(self, name: str) -> T | None:
        """What is remembered under `name`."""
        return self._kept.get(name)

    def remember(self, name: str, what: T) -> bool:
        """Remember `what`; the first that was said under a name stays. Whether this was the first."""
        if name in self._kept:
            return False
        self._kept[name] = what
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return True

    def forget(self, name: str) -> None:
        """Nothing was said under `name` after all."""
        self._kept.pop(name, None)


RecentOpinions = Recent[Remembered]
RecentCommands = Recent[str]  # the digest of what was said, by the name of the command
