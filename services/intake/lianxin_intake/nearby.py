"""Similar opinions nearby, as anybody may see them (design, section 5): topic, street, stage, day, and the
distance between places that are rounded to 100 m. Never contact, deputy or grid; words only where released,
which whoever shows it looks up. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from lianxin_contracts.lifecycle import RoundedPlace, Stage
from lianxin_contracts.registry import Snapshot, Topic
from lianxin_intake.ground import metres
from lianxin_intake.projection import Tracked

# What is older is seldom the same matter: a lamp that went out again is a new one.
RECENT = timedelta(days=60)
# While the router still takes support (docs/lifecycle.md).
SUPPORTABLE: tuple[Stage, ...] = ("triage", "assigned", "accepted", "in_progress", "resolved")
# In a street everything may be near; two rounded places this far apart are two matters, metres.
FARTHEST_M = 1_500.0
MOST = 3


@dataclass(frozen=True, slots=True)
class Near:
    """One opinion nearby; `metres` where both places are known, in steps of 100."""

    opinion: str
    topic: Topic
    street: str | None
    stage: Stage
    since: datetime
    metres: int | None


def family(city: Snapshot, code: str) -> tuple[str, ...]:
    """The topics that count as alike with `code`: all below the same first level, and that itself."""
    topic = city.topics.get(code)
    if topic is None:
        return ()
    top = topic.parent or topic.id
    return tuple(sorted(one.id for one in city.topics.values() if top in (one.id, one.parent)))


def similar(
    found: Iterable[Tracked], topic: str, place: RoundedPlace | None, city: Snapshot, most: int = MOST
) -> list[Near]:
    """At most `most` of `found`: those of the very topic first, then the nearest, then the newest."""
    shown: list[tuple[tuple[bool, float, float], Near]] = []
    for tracked in found:
        known = city.topics.get(tracked.topic or "")
        if tracked.erased or known is None or tracked.submitted_at is None:
            continue
        if tracked.stage not in SUPPORTABLE:
            continue
        far = None
        if place is not None and tracked.near is not None:
            far = metres((place.lon, place.lat), (tracked.near.lon, tracked.near.lat))
            if far > FARTHEST_M:
                continue
        rank = (known.id != topic, far if far is not None else FARTHEST_M, -tracked.submitted_at.timestamp())
        rounded = None if far is None else max(100, round(far / 100) * 100)
        one = Near(tracked.id, known, tracked.street, tracked.stage, tracked.submitted_at, rounded)
        shown.append((rank, one))
    return [one for _, one in sorted(shown, key=lambda entry: entry[0])[:most]]
