"""The open cases of a life, as the player keeps them: what the log does not tell of them, and no more. A case
that is closed is forgotten."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from lianxin_contracts.envelope import Event
from lianxin_contracts.lifecycle import Closed
from lianxin_local.life.arrivals import Arrival
from lianxin_local.life.steps import NOBODYS_TURN
from lianxin_router.domain.case import Case


class Turn(NamedTuple):
    """Whose turn it is with a case: the `number` and the time of the event that made it so, and whether a
    supervisor has `pressed` since."""

    number: int
    since: datetime
    pressed: bool = False


@dataclass(slots=True)
class Story:
    """One open case. `topic` and `grid` are what its words mean; `code` is the tracking code where it was
    handed in by this player; `look` is the number of the only look at it that still counts; `refused` is the
    turn in which the router said no."""

    arrival: Arrival
    topic: str
    grid: str
    code: str | None = None
    look: int = 0
    busy: bool = False
    refused: int = -1


@dataclass(slots=True)
class Stories:
    """By opinion id; `turns` of every open case on the log, whoever plays it; counts of what was closed."""

    open: dict[str, Story] = field(default_factory=dict)
    turns: dict[str, Turn] = field(default_factory=dict)
    closed: Counter[str] = field(default_factory=Counter)

    def note(self, event: Event, case: Case) -> Story | None:
        """Take in one event of the log; the story that it belongs to, where that is open and at rest."""
        if case.stage == "closed":
            self.turns.pop(case.id, None)
            if self.open.pop(case.id, None) is not None:
                assert isinstance(event.data, Closed)
                self.closed[event.data.how] += 1
            return None
        if event.type not in NOBODYS_TURN:
            assert event.sequence is not None
            self.turns[case.id] = Turn(event.sequence, event.time)
        elif event.type == "opinion.supervised":
            self.turns[case.id] = self.turns[case.id]._replace(pressed=True)
        story = self.open.get(case.id)
        return None if story is None or story.busy else story
