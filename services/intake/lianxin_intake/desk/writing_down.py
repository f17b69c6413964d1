"""From the desk's form to the body that channels send: which place is meant, and when it was said. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from lianxin_contracts.registry import Snapshot
from lianxin_intake.desk.places import EXACT, Match, Place, PlaceFinder
from lianxin_intake.opinion import MAX_ADDRESS, Fault

AS_SAID = "words"
_CONTACT = ("name", "phone", "email")


@dataclass(frozen=True, slots=True)
class Where:
    """What the place was settled on: one of the registry's, or nothing but the words that were said."""

    place: Place | None
    words: str = ""


class WhichPlace(Exception):
    """Several places may be meant: the operator is to ask. `candidates` is never empty."""

    def __init__(self, candidates: list[Match]) -> None:
        super().__init__("several places may be meant")
        self.candidates = candidates


def settle(fields: Mapping[str, str], finder: PlaceFinder) -> Where:
    """The place that the form names. A choice counts only for the words that it was made for. Words that
    name nothing stay words: the router reads them too.

    Raises `WhichPlace` where the operator has to choose.
    """
    said = fields.get("place", "")
    if not said:
        return Where(None)
    chosen = fields.get("chosen", "")
    if fields.get("chosen_for") == said and chosen:
        if chosen == AS_SAID:
            return Where(None, said)
        kind, _, id_ = chosen.partition(":")
        if (place := finder.get(kind, id_)) is not None:
            return Where(place)
    candidates = finder.find(said)
    exact = [match.place for match in candidates if match.rank == EXACT]
    if len(exact) == 1:
        return Where(exact[0])
    if candidates:
        raise WhichPlace(candidates)
    return Where(None, said)


def body_of(fields: Mapping[str, str], where: Where, occurred_at: datetime | None) -> dict[str, Any]:
    """The body of an opinion, as `POST /v1/opinions` takes it."""
    body: dict[str, Any] = {name: fields[name] for name in ("text", "topic") if name in fields}
    place, head = where.place, where.words
    if place is not None:
        if place.kind == "station":
            body["station"] = place.id
        elif place.grid is not None:
            body["grid"] = place.grid
        else:
            head = place.full
    if address := " ".join(part for part in (head, fields.get("address", "")) if part):
        body["address"] = address[:MAX_ADDRESS]
    if contact := {name: fields[name] for name in _CONTACT if name in fields}:
        body["contact"] = contact
    if occurred_at is not None:
        body["occurred_at"] = occurred_at.isoformat()
    return body


def in_words(fields: Mapping[str, str], where: Where) -> str:
    """The place as the receipt names it; empty where none was given."""
    head = where.place.full if where.place is not None else where.words
    return " ".join(part for part in (head, fields.get("address", "")) if part)


def moment_of(given: str | None, city: Snapshot) -> datetime | Fault | None:
    """The moment that a field of type datetime-local holds, in the city's zone; None for an empty one."""
    if not given:
        return None
    try:
        local = datetime.fromisoformat(given)
    except ValueError:
        return Fault("occurred_at", "bad_time", "Send a local time such as 2026-11-25T14:30.")
    return local if local.tzinfo is not None else local.replace(tzinfo=ZoneInfo(city.city.zone))
