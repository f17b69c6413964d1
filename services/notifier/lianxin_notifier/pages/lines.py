"""One line of a list, and how due times are told: in words and by a shape, never by colour alone. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from lianxin_chassis.pages import Language, day, day_and_time, days_until, local_time
from lianxin_contracts.registry import Snapshot
from lianxin_notifier.inbox import Opinion
from lianxin_notifier.pages.rendering import text
from lianxin_notifier.store import Item

Urgency = Literal["late", "soon", "calm", "none"]
SOON = timedelta(hours=24)
# A shape beside each colour.
SHAPES: dict[Urgency, str] = {"late": "▲", "soon": "◆", "calm": "●", "none": "○"}


@dataclass(frozen=True, slots=True)
class Deadline:
    """By when, in words: `left` says how long that is from now, `at` the civil day and time."""

    urgency: Urgency
    shape: str
    left: str
    at: str


@dataclass(frozen=True, slots=True)
class Line:
    """One case in a list."""

    id: str
    topic: str
    place: str
    stage: str
    stage_words: str
    deadline: Deadline
    role: str
    holder: str | None = None


def deadline(due: datetime | None, now: datetime, language: Language, city: Snapshot) -> Deadline:
    """How `due` is told at `now`."""
    if due is None:
        return Deadline("none", SHAPES["none"], text("due.none", language), "")
    at = day_and_time(due, language, city)
    days = days_until(due, now, city)
    if due < now:
        over = -days
        left = text("due.late_today" if over == 0 else "due.late", language, days=over)
        return Deadline("late", SHAPES["late"], left, at)
    if days == 0:
        left = text("due.today", language, time=f"{local_time(due, city):%H:%M}")
    else:
        left = text("due.left", language, days=days)
    urgency: Urgency = "soon" if due - now <= SOON else "calm"
    return Deadline(urgency, SHAPES[urgency], left, at)


def line_of(item: Item, now: datetime, language: Language, city: Snapshot, holder: str | None = None) -> Line:
    """How a list shows `item` at `now`."""
    return Line(
        id=item.id,
        topic=topic_name(item.topic, language, city),
        place=place_name(item.grid, language, city),
        stage=item.stage,
        stage_words=text(f"stage.{item.stage}", language),
        deadline=deadline(item.due, now, language, city),
        role=item.role,
        holder=deputy_name(holder, city) if holder is not None else None,
    )


def line_of_opinion(opinion: Opinion, now: datetime, language: Language, city: Snapshot) -> Line:
    """How a list that is nobody's inbox shows `opinion` at `now`."""
    return Line(
        id=opinion.id,
        topic=topic_name(opinion.topic, language, city),
        place=place_name(opinion.grid, language, city),
        stage=opinion.stage,
        stage_words=text(f"stage.{opinion.stage}", language),
        deadline=deadline(opinion.due, now, language, city),
        role="station",
        holder=deputy_name(opinion.holder, city) if opinion.holder is not None else None,
    )


def topic_name(code: str | None, language: Language, city: Snapshot) -> str:
    """The topic in the reader's language; that there is none, where there is none."""
    topic = city.topics.get(code or "")
    if topic is None:
        return code or text("topic.none", language)
    return topic.name if language == "zh" else topic.name_en


def place_name(code: str | None, language: Language, city: Snapshot) -> str:
    """Street and grid, as people call them."""
    grid = city.grids.get(code or "")
    if grid is None:
        return code or text("place.none", language)
    street = city.regions.get(grid.street)
    return f"{street.name} · {grid.name}" if street is not None else grid.name


def deputy_name(id_: str | None, city: Snapshot) -> str:
    """The name of a deputy or member of staff; the id of somebody whom the registry forgot."""
    found = city.deputies.get(id_ or "") or city.staff.get(id_ or "")
    return found.name if found is not None else id_ or ""


def civil_day(moment: datetime, language: Language, city: Snapshot) -> str:
    """The day with its weekday."""
    return day(moment, language, city)
