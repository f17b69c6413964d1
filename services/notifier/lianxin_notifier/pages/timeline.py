"""What happened to a case, and why it came to whom it came to, in sentences. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec import Struct

from lianxin_chassis.pages import Language, day_and_time
from lianxin_contracts import lifecycle
from lianxin_contracts.inbound import Actor
from lianxin_contracts.registry import Snapshot
from lianxin_contracts.words import Words
from lianxin_notifier.casefile import CaseFile, Told
from lianxin_notifier.pages.lines import deputy_name, place_name, topic_name
from lianxin_notifier.pages.photos import Photo
from lianxin_notifier.pages.rendering import known, text

# Fields whose values are codes with a text of their own, `{field}.{code}`.
_CODES = ("by", "outcome", "score", "how", "clock", "role", "reason")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the timeline: when, in the city's time; what; somebody's own words, photos, and a link to
    somewhere else, where there are some."""

    at: str
    type: str
    text: str
    quote: str | None
    link: str | None = None
    photos: tuple[Photo, ...] = ()


def steps(
    history: Iterable[Told],
    words: Mapping[str, Words],
    language: Language,
    city: Snapshot,
    photos_of: Callable[[Struct], tuple[Photo, ...]] = lambda _: (),
) -> tuple[Step, ...]:
    """The timeline, newest first. `photos_of`: what is shown of an event's photos."""
    made = []
    for told in history:
        data = told.payload()
        if isinstance(data, lifecycle.IssueJoined) and data.matched is None:
            continue  # the first of its kind: nothing to tell
        said = words.get(getattr(data, "words", None) or "")
        made.append(
            Step(
                at=day_and_time(told.at, language, city),
                type=told.type,
                text=text(f"event.{told.type}", language, **_values(data, language, city)),
                quote=(said.text or None) if said is not None else None,
                link=said.media_url if said is not None else None,
                photos=photos_of(data),
            )
        )
    return tuple(reversed(made))


def _values(data: Struct, language: Language, city: Snapshot) -> dict[str, str]:
    """The fields of `data` as people read them."""
    shown: dict[str, str] = {}
    for name in data.__struct_fields__:
        value: Any = getattr(data, name)
        if isinstance(value, Actor):
            shown["who"] = _actor(value, language, city)
        elif name in ("assignee", "to") and isinstance(value, str):
            shown[name] = deputy_name(value, city)
        elif name == "department":
            department = city.departments.get(value)
            shown[name] = department.name if department is not None else value
        elif isinstance(value, datetime):
            shown[name] = day_and_time(value, language, city)
        elif name in _CODES and isinstance(value, str):
            shown[name] = known(f"{name}.{value}", language, value)
        elif isinstance(value, str | int):
            shown[name] = str(value)
    own = isinstance(data, lifecycle.Erased) and data.actor.kind == "resident"
    shown.setdefault("reason", text("reason.own_wish" if own else "reason.none", language))
    shown.setdefault("assignee", text("somebody", language))
    return shown


def _actor(actor: Actor, language: Language, city: Snapshot) -> str:
    if actor.kind in ("deputy", "staff"):
        return deputy_name(actor.id, city)
    if actor.kind == "channel" and (channel := city.channels.get(actor.id)) is not None:
        return channel.name
    return known(f"actor.{actor.kind}", language, actor.id)


def why(file: CaseFile, language: Language, city: Snapshot) -> tuple[str, ...]:
    """Why the case is where it is: by which place, topic and rule; sentences without a number are rules."""
    explained = file.explained
    if explained is None:
        return ()
    located, classified = explained.located, explained.classified
    lines = [
        text(
            "why.place",
            language,
            place=place_name(located.grid, language, city),
            by=known(f"located.{located.by}", language, located.by),
            sure=f"{located.confidence:.0%}",
        ),
        text(
            "why.topic",
            language,
            topic=topic_name(classified.topic, language, city),
            by=known(f"classified.{classified.by}", language, classified.by),
            sure=f"{classified.confidence:.0%}",
        ),
    ]
    lines += [reason_words(reason, language, city) for reason in (*file.reasons, *explained.reasons)]
    if file.placed_by is not None:
        lines.append(text("why.by", language, by=known(f"by.{file.placed_by}", language, file.placed_by)))
    return tuple(dict.fromkeys(lines))


def reason_words(reason: lifecycle.Reason, language: Language, city: Snapshot) -> str:
    """A reason code with its values, in words; the code where it has none yet."""
    values = {
        name: deputy_name(value, city) if name in ("deputy", "from", "to") else value
        for name, value in reason.values.items()
    }
    found = known(f"why.{reason.code}", language, "")
    if not found:
        return reason.code
    return found.format_map(_Blank(values))


class _Blank(dict[str, str]):
    """Values of a text; one that a reason does not bring is left blank."""

    def __missing__(self, key: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Considered:
    """A deputy who was considered: open cases and the cap at that time, and whether it was the one."""

    id: str
    name: str
    load: int
    cap: int
    chosen: bool


def considered(file: CaseFile, holder: str | None, city: Snapshot, most: int = 6) -> Sequence[Considered]:
    """Those whom routing considered, best first."""
    if file.explained is None:
        return ()
    return [
        Considered(one.deputy, deputy_name(one.deputy, city), one.load, one.cap, one.deputy == holder)
        for one in file.explained.candidates[:most]
    ]
