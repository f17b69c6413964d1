"""What a replay came to, in figures: it survives an interruption with the bookmark."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

# Row numbers that are named of each kind of refusal; the others are only counted.
MOST_NAMED = 50


@dataclass(slots=True)
class Refusals:
    """How many were refused, and the rows of the first of them, by code."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: dict[str, list[int]] = field(default_factory=dict)

    def add(self, code: str, row: int) -> None:
        """One more."""
        self.counts[code] += 1
        named = self.rows.setdefault(code, [])
        if len(named) < MOST_NAMED and row not in named:
            named.append(row)

    def told(self) -> dict[str, Any]:
        """`{code: {count, rows}}`, the most frequent first."""
        return {
            code: {"count": count, "rows": sorted(self.rows[code])}
            for code, count in self.counts.most_common()
        }

    @classmethod
    def of(cls, told: dict[str, Any]) -> "Refusals":
        """What `told` gave."""
        return cls(
            Counter({code: one["count"] for code, one in told.items()}),
            {code: list(one["rows"]) for code, one in told.items()},
        )


@dataclass(slots=True)
class Tally:
    """`sent` opinions, of which `accepted` and `refused`; `done` actions and ratings by kind, those that the
    stack refused, and those that could not be done because nobody has the case. `seconds` of all runs."""

    sent: int = 0
    accepted: int = 0
    refused: Refusals = field(default_factory=Refusals)
    unusable: Refusals = field(default_factory=Refusals)
    done: Counter[str] = field(default_factory=Counter)
    not_done: Refusals = field(default_factory=Refusals)
    knocks: int = 0
    sent_again: int = 0
    seconds: float = 0.0
    highest: float = 0.0
    highest_steps: float = 0.0

    def told(self) -> dict[str, Any]:
        """The tally as one JSON object."""
        return {
            "sent": self.sent,
            "accepted": self.accepted,
            "refused": self.refused.told(),
            "unusable": self.unusable.told(),
            "done": dict(self.done),
            "not_done": self.not_done.told(),
            "knocks": self.knocks,
            "sent_again": self.sent_again,
            "seconds": round(self.seconds, 3),
            "opinions_per_second": round(self.accepted / self.seconds, 1) if self.seconds else None,
            "highest_opinions_per_second": round(self.highest, 1),
            "highest_steps_per_second": round(self.highest_steps, 1),
        }

    @classmethod
    def of(cls, told: dict[str, Any]) -> "Tally":
        """The tally that `told` was made of."""
        if not told:
            return cls()
        return cls(
            sent=told["sent"],
            accepted=told["accepted"],
            refused=Refusals.of(told["refused"]),
            unusable=Refusals.of(told["unusable"]),
            done=Counter(told["done"]),
            not_done=Refusals.of(told["not_done"]),
            knocks=told["knocks"],
            sent_again=told["sent_again"],
            seconds=told["seconds"],
            highest=told["highest_opinions_per_second"],
            highest_steps=told["highest_steps_per_second"],
        )

    def in_words(self) -> list[str]:
        """The same for a person."""
        told = self.told()
        lines = [
            f"{'opinions':<10}{self.sent} sent, {self.accepted} accepted, "
            f"{self.refused.counts.total()} refused",
        ]
        for name, what in (
            ("refused", self.refused),
            ("unusable", self.unusable),
            ("not done", self.not_done),
        ):
            for code, one in what.told().items():
                rows = ", ".join(map(str, one["rows"]))
                more = (
                    f" and {one['count'] - len(one['rows'])} more" if one["count"] > len(one["rows"]) else ""
                )
                lines.append(f"{name:<10}{one['count']} {code}: rows {rows}{more}")
        if self.done:
            lines.append(f"{'done':<10}{', '.join(f'{kind} {n}' for kind, n in self.done.items())}")
        if self.knocks:
            lines.append(f"{'knocks':<10}{self.knocks}")
        lines.append(
            f"{'time':<10}{self.seconds:.1f} s, {told['opinions_per_second'] or 0} opinions a second; "
            f"highest over 10 s: {self.highest:.1f} opinions, {self.highest_steps:.1f} requests a second"
        )
        if self.sent_again:
            lines.append(f"{'again':<10}{self.sent_again} requests were not confirmed at once and sent again")
        return lines
