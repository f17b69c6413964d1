"""What the driver was promised: everything that was answered with 202, and what became of it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.end_to_end.drafts import Draft


@dataclass(slots=True)
class Accepted:
    """One opinion that was answered with 202. `answers` counts the 202s, `tries` the requests."""

    key: str
    id: str
    tracking_code: str
    body: dict[str, Any]
    marker: str
    contact_secrets: tuple[str, ...]
    tries: int = 1
    answers: int = 1
    holder: str | None = None
    stage: str = "submitted"
    score: str | None = None
    refusals: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Command:
    """A deputy's action that was answered with 202."""

    id: str
    case: str
    action: str
    actor: str


@dataclass(slots=True)
class Ledger:
    """Everything that was accepted, by opinion id; `surprises` are answers that nothing explains."""

    opinions: dict[str, Accepted] = field(default_factory=dict)
    commands: dict[str, Command] = field(default_factory=dict)
    ratings: dict[str, str] = field(default_factory=dict)
    supports: dict[str, list[str]] = field(default_factory=dict)
    repeated_requests: int = 0
    surprises: list[str] = field(default_factory=list)

    def accepted(self, draft: Draft, answer: dict[str, Any], tries: int) -> Accepted:
        """Enter a 202. The same key must have got the same id and tracking code each time."""
        known = self.opinions.get(answer["id"])
        if known is None:
            known = Accepted(
                key=draft.key,
                id=answer["id"],
                tracking_code=answer["tracking_code"],
                body=draft.body,
                marker=draft.marker,
                contact_secrets=draft.contact_secrets,
                tries=tries,
            )
            self.opinions[known.id] = known
            return known
        known.tries += tries
        known.answers += 1
        if known.key != draft.key or known.tracking_code != answer["tracking_code"]:
            self.surprises.append(f"{draft.key} and {known.key} were both answered with opinion {known.id}")
        return known

    def by_key(self) -> dict[str, list[str]]:
        """The opinion ids that each key was answered with: one, or idempotency is broken."""
        found: dict[str, list[str]] = {}
        for opinion in self.opinions.values():
            found.setdefault(opinion.key, []).append(opinion.id)
        return found

    def save(self, path: Path) -> None:
        """Write it as one JSON document."""
        path.write_text(json.dumps(asdict(self), ensure_ascii=False), "utf-8")

    @classmethod
    def load(cls, path: Path) -> "Ledger":
        """Read what `save` wrote."""
        kept = json.loads(path.read_text("utf-8"))
        for one in kept["opinions"].values():
            one["contact_secrets"] = tuple(one["contact_secrets"])
        return cls(
            opinions={id_: Accepted(**one) for id_, one in kept["opinions"].items()},
            commands={id_: Command(**one) for id_, one in kept["commands"].items()},
            ratings=kept["ratings"],
            supports=kept.get("supports", {}),
            repeated_requests=kept["repeated_requests"],
            surprises=kept["surprises"],
        )
