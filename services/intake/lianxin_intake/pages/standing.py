"""Where an opinion stands, in a resident's words. Pure: the projection's state in, what to show out."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime

from lianxin_contracts.registry import Snapshot
from lianxin_intake.attachments import upload_of
from lianxin_intake.pages.rendering import day, day_and_time, days_until, text
from lianxin_intake.projection import Tracked
from lianxin_intake.sentences import Language, sentence
from lianxin_intake.views import shown_photos

# From here on nobody waits for an answer any more.
_ANSWERED = {"resolved", "rated", "closed"}
_HOLDS = {"opinion.assigned", "opinion.transferred", "opinion.reopened"}
_RATABLE = {"resolved"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline: when, in the city's time; what; whether it is somebody's own words; the
    ids of its photos."""

    at: str
    text: str
    type: str
    quoted: bool
    photos: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """What the page shows: the stage, who holds it since when, until when, and the way here, newest first.
    `answer`: the line that is to be judged, read before the judgement is asked for; `answers`: how many such
    lines there have been, for each is judged once."""

    stage: str
    headline: str
    holder: str | None
    due: str | None
    late: bool
    lines: tuple[Line, ...]
    ratable: bool
    open: bool
    erased: bool
    answer: Line | None = None
    answers: int = 0


def standing(
    tracked: Tracked | None,
    words: Mapping[str, str],
    language: Language,
    city: Snapshot | None,
    now: datetime,
    there: Container[str] = frozenset(),
) -> Standing:
    """How `tracked` is shown at `now`; None: accepted, and its case isn't there yet. `there`: the uploads
    that were not dropped."""
    if tracked is None:
        headline = text("stage.submitted", language)
        return Standing("submitted", headline, None, None, False, (), False, False, False)
    words = {} if tracked.erased else words
    waits = tracked.due is not None and tracked.stage not in _ANSWERED
    left = days_until(tracked.due, now, city) if waits and tracked.due is not None else 0
    lines = _lines(tracked, words, language, city, there)
    answers = [line for line in lines if line.type == "opinion.resolved"]
    ratable = tracked.stage in _RATABLE
    return Standing(
        stage=tracked.stage,
        headline=text(f"stage.{tracked.stage}", language),
        holder=_holder(tracked, language, city),
        due=_due(tracked.due, left, language, city) if waits and tracked.due is not None else None,
        late=left < 0,
        lines=lines,
        ratable=ratable,
        open=tracked.stage not in ("rated", "closed"),
        erased=tracked.erased,
        answer=answers[0] if ratable and answers else None,
        answers=len(answers),
    )


def _lines(
    tracked: Tracked,
    words: Mapping[str, str],
    language: Language,
    city: Snapshot | None,
    there: Container[str],
) -> tuple[Line, ...]:
    return tuple(
        Line(
            at=day_and_time(step.at, language, city),
            text=words.get(step.words or "") or sentence(step, language, city),
            type=step.type,
            quoted=(step.words or "") in words,
            photos=tuple(photo for photo in shown_photos(tracked, step) if upload_of(photo) in there),
        )
        for step in reversed(tracked.timeline)
    )


def _holder(tracked: Tracked, language: Language, city: Snapshot | None) -> str | None:
    """Who has it since when; None while nobody has."""
    if tracked.holder is None or tracked.stage == "closed":
        return None
    known = city.deputies.get(tracked.holder) if city is not None else None
    name = known.name if known is not None else text("somebody", language)
    since = next((step.at for step in reversed(tracked.timeline) if step.type in _HOLDS), None)
    if since is None:
        return text("held", language, name=name)
    return text("held_since", language, name=name, day=day(since, language, city))


def _due(due: datetime, left: int, language: Language, city: Snapshot | None) -> str:
    """By when an answer comes, and how many days that is from now."""
    when = day(due, language, city)
    if left < 0:
        return text("due_passed", language, day=when, days=-left)
    return text("due_today" if left == 0 else "due_in", language, day=when, days=left)
