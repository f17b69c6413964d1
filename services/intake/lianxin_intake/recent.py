"""The opinions that this instance handed to the broker last: enough to tell a repeat from a conflict at
once, and to answer for an opinion that the projection has not seen yet. Bounded, in memory, best effort:
the router refuses what slips through here."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of an opinion before its case exists."""

    digest: str
    channel: str
    submitted_at: datetime


class RecentOpinions:
    """The last `most` opinions by id."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._opinions: OrderedDict[str, Remembered] = OrderedDict()

    def get(self, opinion: str) -> Remembered | None:
        """What is remembered of `opinion`."""
        return self._opinions.get(opinion)

    def remember(self, opinion: str, what: Remembered) -> None:
        """Remember `opinion`; the first that was said of an id stays."""
        if opinion not in self._opinions:
            self._opinions[opinion] = what
            if len(self._opinions) > self._most:
                self._opinions.popitem(last=False)
