"""What the made-up people are like: shares between 0 and 1, medians in hours, weights. All of it is assumed.

The rate of a city like Wuxi is our assumption too: 20,000 opinions a year, 55 a day, or two and a half a year
for each of its 8,129 deputies. No city publishes such a figure for its stations.
"""

from dataclasses import dataclass, fields, replace
from zlib import crc32

RATE = 55.0
# People write after breakfast, before they go home, and in the evening.
HOURS = (
    0.3, 0.2, 0.1, 0.1, 0.1, 0.3, 0.8, 1.8, 3.2, 4.0, 3.8, 2.8,
    2.0, 2.2, 3.0, 3.4, 3.0, 2.4, 2.2, 2.6, 2.8, 2.0, 1.2, 0.6,
)  # fmt: skip
# Monday to Sunday.
WEEKDAYS = (1.2, 1.15, 1.1, 1.05, 1.05, 0.8, 0.65)
EVEN_HOURS = (1.0,) * 24
EVEN_WEEKDAYS = (1.0,) * 7


@dataclass(frozen=True, slots=True)
class Habits:
    """`rate`: opinions on a usual day. `haste` divides every delay; above 1 nobody keeps office hours, so
    that a demonstration has something to show at any time of day.

    Shares, of opinions: `twins` are about a matter that somebody else spoke of, `vague` name no place,
    `topics` choose a topic, `contacts` leave one, `supported` find supporters. Of deputies: `prompt`, `slow`,
    the rest is absent. Of what a deputy gets: `returned`. Of the steps of a deputy at work: `answered`,
    `noted`, `handed_over`, `paused`, the rest resolves. Of answered residents: `rated`, and of these
    `satisfied` and `basically`, the rest is dissatisfied.
    """

    rate: float = RATE
    haste: float = 1.0
    hours: tuple[float, ...] = HOURS
    weekdays: tuple[float, ...] = WEEKDAYS
    holiday: float = 0.5
    visits: float = 0.25
    twins: float = 0.12
    vague: float = 0.04
    topics: float = 0.4
    contacts: float = 0.35
    supported: float = 0.15
    prompt: float = 0.65
    slow: float = 0.27
    returned: float = 0.05
    answered: float = 0.2
    noted: float = 0.25
    handed_over: float = 0.08
    paused: float = 0.02
    rated: float = 0.45
    satisfied: float = 0.62
    basically: float = 0.26
    supervised: float = 0.5

    @property
    def name(self) -> str:
        """Eight digits that tell these habits from others."""
        return f"{crc32(repr(self).encode()):08x}"

    def mean_weight_of_a_week(self) -> float:
        """By which the weekdays' weights are divided, so that `rate` is the mean of a week."""
        return sum(self.weekdays) / len(self.weekdays)


# Of `lianxin up --living`: an opinion every twenty seconds, and what takes people two hours takes a minute.
LIVING = Habits(rate=4_320.0, haste=120.0, hours=EVEN_HOURS, weekdays=EVEN_WEEKDAYS, holiday=1.0, visits=0.0)

_NUMBERS = {field.name for field in fields(Habits) if field.type in ("float", float)}
_SHARES = _NUMBERS - {"rate", "haste"}
_PARTS = (("prompt", "slow"), ("answered", "noted", "handed_over", "paused"), ("satisfied", "basically"))


def changed(habits: Habits, text: str) -> Habits:
    """`habits` with what `text` says, such as `prompt=0.8,slow=0.1`.

    Raises ValueError, in words for whoever wrote it, for an unknown name, a share outside 0 to 1, and shares
    of one whole that add up to more than that.
    """
    given: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        if name not in _SHARES:
            raise ValueError(f"there is no share {name!r}; there is {', '.join(sorted(_SHARES))}")
        try:
            given[name] = float(value)
        except ValueError:
            raise ValueError(f"{name}={value} is no number") from None
        if not 0.0 <= given[name] <= 1.0:
            raise ValueError(f"{name}={value} is not between 0 and 1")
    made = replace(habits, **given)  # type: ignore[arg-type]
    for names in _PARTS:
        if sum(getattr(made, name) for name in names) > 1.0:
            raise ValueError(f"{' + '.join(names)} is more than 1")
    if made.answered + made.noted + made.handed_over + made.paused > 0.9:
        raise ValueError(
            "answered + noted + handed_over + paused is more than 0.9: nothing would be resolved"
        )
    return made
