"""A life: one seed, one sort of people, one city; and the chances and delays that everything in it is drawn
from."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log
from typing import Literal

from lianxin_local.life.habits import Habits
from lianxin_local.life.texts import Texts
from lianxin_local.life.town import Town

# The spread of delays: one in six takes 2.2 times the median or longer.
SPREAD = 0.8
Temper = Literal["prompt", "slow", "absent"]


@dataclass(frozen=True, slots=True)
class Life:
    """Everything that happens follows from this and from what is seen. `past`: it is played at its own times,
    else as the wall clock goes."""

    seed: int
    habits: Habits
    town: Town
    texts: Texts
    past: bool = True

    @property
    def name(self) -> str:
        """The head of every key: another seed, other habits or another way of playing is another life."""
        return f"life-{'then' if self.past else 'now'}-{self.seed}-{self.habits.name}"

    def chance(self, *names: object) -> random.Random:
        """Numbers drawn for this and nothing else: the same whenever and in whatever order it is asked."""
        return random.Random("/".join(map(str, (self.name, *names))))

    def temper(self, deputy: str) -> Temper:
        """What a deputy is like, for good."""
        drawn = self.chance("temper", deputy).random()
        if drawn < self.habits.prompt:
            return "prompt"
        return "slow" if drawn < self.habits.prompt + self.habits.slow else "absent"

    def worked(self, start: datetime, median_h: float, chance: random.Random) -> datetime:
        """When somebody in office has got to it: a median of `median_h` working hours from `start`."""
        hours = self.hours(median_h, chance)
        if self.habits.haste > 1.0:
            return start + timedelta(hours=hours)
        return self.town.calendar.add_working(start, timedelta(hours=hours))

    def later(self, start: datetime, median_h: float, chance: random.Random) -> datetime:
        """When somebody at home has got to it: a median of `median_h` hours from `start`."""
        return start + timedelta(hours=self.hours(median_h, chance))

    def hours(self, median_h: float, chance: random.Random) -> float:
        """A delay in hours, in this life's haste."""
        return chance.lognormvariate(log(median_h), SPREAD) / self.habits.haste
