"""What a case looks like to whoever is to act, and what is planned for it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from lianxin_router.domain.case import Case

Who = Literal["deputy", "staff", "resident"]
# Events after which whoever was to act is still to do the same.
NOBODYS_TURN = frozenset(
    {
        "clock.breached", "clock.checked", "clock.reminded", "command.refused", "contact.revealed",
        "issue.joined", "issue.merged", "issue.surged", "opinion.published", "opinion.seen",
        "opinion.supervised", "opinion.supported", "opinion.unpublished",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """A case as the log shows it. `turn` is the number and `since` the time of the event that last changed
    what is to be done; `topic` and `grid` are what a person understands who reads the words or asks;
    `pressed`: a supervisor has acted in this turn."""

    case: Case
    turn: int
    since: datetime
    topic: str
    grid: str
    pressed: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """At `at` (UTC), `as_` (a deputy's or staff member's id; empty for the resident) does `action`, because
    of `why` (a code). `fields` are those of the action, or `score` and `comment` of a rating."""

    at: datetime
    who: Who
    as_: str
    action: str
    why: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nobody does anything of their own accord, because of `why` (a code): a clock has to run out."""

    why: str
