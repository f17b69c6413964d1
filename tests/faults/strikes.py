"""Which processes are killed when: drawn by seed, so that a run can be made again.

A moment is a point of the drive's progress (0..1), so that on a fast machine as on a slow one the kills are
spread over the work; but no strike waits longer than its `patience_s` after the one before, so that they also
hit what is still recovering.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

PROCESSES = (
    "intake.api",
    "intake.worker",
    "router.worker",
    "notifier.api",
    "notifier.worker",
    "metrics.api",
    "metrics.worker",
    "broker",
    "database",
)
# Killed at once: what everything stands on, a service's two processes, both ends of a log.
TOGETHER = (
    ("broker", "database"),
    ("router.worker", "broker"),
    ("router.worker", "database"),
    ("notifier.worker", "database"),
    ("notifier.worker", "notifier.api"),
    ("intake.api", "router.worker", "notifier.worker"),
)
FIRST, LAST = 0.02, 0.95
# Longest wait after the moment is reached, s: so that no strike falls on an answer's arrival only.
LATENESS_S = 3.0
# Longest waits after the strike before, s. Half of the strikes hit what is still recovering, the others leave
# it time: on two cores that did much else a killed service was ready after 20 s to 40 s.
SOON_S, LATER_S = (1.0, 6.0), (20.0, 40.0)


@dataclass(frozen=True, slots=True)
class Strike:
    """At `progress` (0..1), or `patience_s` after the strike before, and then `late_s` seconds later, SIGKILL
    to all of `names` at once. `again_s`: to the same ones once more, so long after they were started again;
    None for once only."""

    progress: float
    patience_s: float
    late_s: float
    names: tuple[str, ...]
    again_s: float | None = None

    @property
    def kills(self) -> int:
        """How many processes it ends."""
        return len(self.names) * (1 if self.again_s is None else 2)


def draw(kills: int, seed: int) -> list[Strike]:
    """Strikes in order of progress that end exactly `kills` processes, each process at least once where
    `kills` allows; among them broker and database at once, and one process killed as it starts again."""
    chance = random.Random(f"strikes/{seed}")
    groups: list[tuple[tuple[str, ...], bool]] = [(("broker", "database"), False)]
    alone = [name for name in PROCESSES if name not in ("broker", "database")]
    chance.shuffle(alone)
    groups += [((name,), False) for name in alone]
    groups.append(((chance.choice(PROCESSES),), True))
    while _kills(groups) < kills:
        drawn = chance.random()
        names = chance.choice(TOGETHER) if drawn < 0.15 else (chance.choice(PROCESSES),)
        groups.append((names, 0.15 <= drawn < 0.25))
    while _kills(groups) > kills:
        names, twice = groups.pop()
        groups += [(names, False)] if twice else [(names[:-1], False)] if len(names) > 1 else []
    chance.shuffle(groups)
    moments = sorted(chance.uniform(FIRST, LAST) for _ in groups)
    return [
        Strike(
            moment,
            chance.uniform(*chance.choice((SOON_S, LATER_S))),
            chance.uniform(0.0, LATENESS_S),
            names,
            chance.choice((0.05, 0.5, 1.5, 4.0)) if twice else None,
        )
        for moment, (names, twice) in zip(moments, groups, strict=True)
    ]


def _kills(groups: Sequence[tuple[tuple[str, ...], bool]]) -> int:
    return sum(len(names) * (1 + twice) for names, twice in groups)


def by_process(strikes: Sequence[Strike]) -> Counter[str]:
    """How often each process is killed."""
    return Counter(
        name for strike in strikes for name in strike.names for _ in range(1 if strike.again_s is None else 2)
    )
