"""Cases that are like one: of the same issue, or open in the same grid on the same topic. Pure.

Only those that whoever looks may open; how many more there are is not told either.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from lianxin_chassis.pages import Language, day_and_time
from lianxin_contracts.registry import Snapshot
from lianxin_notifier.inbox import Opinion
from lianxin_notifier.pages.lines import Deadline, deadline, deputy_name, place_name, topic_name
from lianxin_notifier.pages.rendering import text
from lianxin_notifier.people import Person

# More nobody compares; and so many are looked at to find those that may be seen.
MOST_SHOWN = 6
MOST_LOOKED_AT = 60
_OPEN = ("submitted", "triage", "assigned", "accepted", "in_progress", "resolved")


@dataclass(frozen=True, slots=True)
class Alike:
    """One such case: `issue` says that it is the same issue."""

    id: str
    topic: str
    place: str
    stage: str
    stage_words: str
    deadline: Deadline
    holder: str
    submitted: str
    issue: bool


def may_see(opinion: Opinion, person: Person) -> bool:
    """Whether `person` may open the case: as `require_seat`, without the refusal."""
    seat = opinion.seats.get(person.id)
    return (seat is not None and seat.state != "left") or person.looks_into(opinion.station)


def alike(
    same: Iterable[Opinion],
    near: Iterable[Opinion],
    person: Person,
    now: datetime,
    language: Language,
    city: Snapshot,
) -> list[Alike]:
    """What is shown of the `same` issue (in every stage), and of what is open `near`, newest first; the same
    issue first."""
    chosen = [(one, True) for one in same if not one.erased and may_see(one, person)]
    known = {one.id for one, _ in chosen}
    chosen += [
        (one, False)
        for one in near
        if one.id not in known and not one.erased and one.stage in _OPEN and may_see(one, person)
    ]
    return [
        Alike(
            id=one.id,
            topic=topic_name(one.topic, language, city),
            place=place_name(one.grid, language, city),
            stage=one.stage,
            stage_words=text(f"stage.{one.stage}", language),
            deadline=deadline(one.due, now, language, city),
            holder=deputy_name(one.holder, city),
            submitted=day_and_time(one.submitted, language, city) if one.submitted else "",
            issue=issue,
        )
        for one, issue in chosen[:MOST_SHOWN]
    ]
