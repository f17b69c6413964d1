"""What a load would change: two versions of a city, record by record and field by field."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import msgspec

from lianxin_contracts.registry import KINDS, Mandate, Snapshot, pairs_of

MOST_NAMED = 5  # ids in a line of words
Fields = dict[str, tuple[Any, Any]]  # name -> before, after


@dataclass(frozen=True, slots=True)
class KindChanges:
    """The records of one kind, by id: `changed` holds the fields that differ, `same` a number."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: Mapping[str, Fields] = field(default_factory=dict)
    same: int = 0

    @property
    def any(self) -> bool:
        """Whether anything differs."""
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True)
class Effects:
    """What the change means for open cases. `losing`: deputies who no longer answer for all that they did,
    with the areas and topics that they lose (`320213026 roads`; an area alone means all topics)."""

    losing: Mapping[str, tuple[str, ...]]
    grids: tuple[str, ...]
    topics: tuple[str, ...]
    channels: tuple[str, ...]
    limits: bool

    def told(self) -> Iterator[str]:
        """Each in words."""
        triage = "are gone: their cases go to triage when they are routed again"
        if self.losing:
            yield (
                f"{_some(self.losing)} no longer answer for all that they did: open cases that they hold "
                "there are taken back and routed anew"
            )
        if self.grids:
            yield f"grids {_some(self.grids)} {triage}"
        if self.topics:
            yield f"topics {_some(self.topics)} {triage}"
        if self.channels:
            yield f"channels {_some(self.channels)} are gone: their keys are refused"
        if self.limits:
            yield "policies or calendars change: open cases keep the due times that they have"


def compare(before: Snapshot | None, after: Snapshot) -> dict[str, KindChanges]:
    """What differs, by kind, in the order of the contracts. Without `before` every record is added."""
    old, new = _by_kind(before), _by_kind(after)
    return {kind: _changes(old[kind], new[kind]) for kind in KINDS}


def effects(before: Snapshot | None, after: Snapshot, today: date) -> Effects:
    """What going from `before` to `after` on the civil date `today` does to cases that are open."""
    changes = compare(before, after)
    losing = {} if before is None else _losing(before, after, today)
    return Effects(
        losing,
        changes["grid"].removed,
        changes["topic"].removed,
        changes["channel"].removed,
        before is not None and (changes["policy"].any or changes["calendar"].any),
    )


def _by_kind(city: Snapshot | None) -> dict[str, dict[str, msgspec.Struct]]:
    found: dict[str, dict[str, msgspec.Struct]] = defaultdict(dict)
    for kind, record in pairs_of(city) if city is not None else ():
        found[kind][record.id] = record  # type: ignore[attr-defined]
    return found


def _changes(old: Mapping[str, msgspec.Struct], new: Mapping[str, msgspec.Struct]) -> KindChanges:
    kept = sorted(old.keys() & new.keys())
    changed = {id_: _fields(old[id_], new[id_]) for id_ in kept if old[id_] != new[id_]}
    return KindChanges(
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(old.keys() - new.keys())),
        changed,
        len(kept) - len(changed),
    )


def _fields(old: msgspec.Struct, new: msgspec.Struct) -> Fields:
    pairs = ((name, getattr(old, name), getattr(new, name)) for name in new.__struct_fields__)
    return {name: (before, after) for name, before, after in pairs if before != after}


def _losing(before: Snapshot, after: Snapshot, today: date) -> dict[str, tuple[str, ...]]:
    kept = _by_deputy(after.mandates.values(), today)
    losing = {}
    for deputy, mandates in sorted(_by_deputy(before.mandates.values(), today).items()):
        held = {(area, topic) for m in mandates for area in m.areas for topic in m.topics or (None,)}
        still = kept.get(deputy, []) if deputy in after.deputies else []
        lost = sorted(
            f"{area} {topic}" if topic else area
            for area, topic in held
            if not any(_covers(mandate, area, topic, after) for mandate in still)
        )
        if lost:
            losing[deputy] = tuple(lost)
    return losing


def _by_deputy(mandates: Iterable[Mandate], today: date) -> dict[str, list[Mandate]]:
    """The mandates that are in force on `today`, by deputy."""
    found: dict[str, list[Mandate]] = defaultdict(list)
    for mandate in mandates:
        if mandate.since <= today and (mandate.until is None or today < mandate.until):
            found[mandate.deputy].append(mandate)
    return found


def _covers(mandate: Mandate, area: str, topic: str | None, city: Snapshot) -> bool:
    if not area.startswith(mandate.areas):
        return False
    if not mandate.topics:
        return True
    known = city.topics.get(topic or "")
    return topic in mandate.topics or (known is not None and known.parent in mandate.topics)


def _some(ids: Iterable[str]) -> str:
    named = list(ids)
    shown = ", ".join(named[:MOST_NAMED])
    return f"{shown} and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else shown
