"""What a load would change, as it is told: in words for a person, as one object for a program."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from lianxin_contracts.registry import Snapshot
from lianxin_local.city_diff import Effects, Fields, KindChanges

MOST_SHOWN = 10
LONGEST_VALUE = 60  # characters, unless everything is asked for


def as_object(
    before: Snapshot | None, after: Snapshot, changes: Mapping[str, KindChanges], means: Effects
) -> dict[str, Any]:
    """All of it, for a program."""
    return {
        "in_force": before.version if before is not None else None,
        "files": after.version,
        "counts": {
            kind: {
                "added": len(found.added),
                "removed": len(found.removed),
                "changed": len(found.changed),
                "same": found.same,
            }
            for kind, found in changes.items()
        },
        "records": {
            kind: {
                "added": found.added,
                "removed": found.removed,
                "changed": {
                    id_: {name: {"before": old, "after": new} for name, (old, new) in fields.items()}
                    for id_, fields in found.changed.items()
                },
            }
            for kind, found in changes.items()
            if found.any
        },
        "open_cases": {
            "deputies_losing": means.losing,
            "grids_gone": means.grids,
            "topics_gone": means.topics,
            "channels_gone": means.channels,
            "limits_change": means.limits,
        },
    }


def in_words(
    before: Snapshot | None,
    after: Snapshot,
    changes: Mapping[str, KindChanges],
    means: Effects,
    everything: bool,
) -> Iterator[str]:
    """Counts first, then the records, then what it means for open cases. Without `everything` only the first
    `MOST_SHOWN` records of a kind that are added, that are removed and that change."""
    yield f"in force: {before.version if before is not None else 'no city'}; the files: {after.version}"
    differing = {kind: found for kind, found in changes.items() if found.any}
    if not differing:
        yield "no record differs"
        return
    yield f"{'':12}{'added':>9}{'removed':>9}{'changed':>9}{'same':>9}"
    for kind, found in differing.items():
        counts = (len(found.added), len(found.removed), len(found.changed), found.same)
        yield f"{kind:12}" + "".join(f"{count:9}" for count in counts)
    for kind, found in differing.items():
        yield from _limited([f"+ {kind} {id_}" for id_ in found.added], everything)
        yield from _limited([f"- {kind} {id_}" for id_ in found.removed], everything)
        lines = [f"~ {kind} {id_}: {_fields(fields, everything)}" for id_, fields in found.changed.items()]
        yield from _limited(lines, everything)
    yield from (f"! {line}" for line in means.told())


def _limited(lines: list[str], everything: bool) -> Iterator[str]:
    shown = lines if everything else lines[:MOST_SHOWN]
    yield from shown
    if more := len(lines) - len(shown):
        yield f"{lines[0][0]} … and {more} more: --all shows them"


def _fields(fields: Fields, everything: bool) -> str:
    return "; ".join(
        f"{name} {_value(old, everything)} → {_value(new, everything)}" for name, (old, new) in fields.items()
    )


def _value(value: Any, everything: bool) -> str:
    text = msgspec.json.encode(value).decode()
    return text if everything or len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
