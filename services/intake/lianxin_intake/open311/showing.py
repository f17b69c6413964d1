"""An opinion as anybody may see it (design, section 5): topic, street, stage, dates, and coordinates rounded
to 100 m; words where a person has released a redacted version. Never contact, deputy, grid or outcome."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lianxin_contracts.registry import Snapshot
from lianxin_intake.open311.catalogue import first_level, name_of
from lianxin_intake.projection import FINISHED, Step, Tracked
from lianxin_intake.sentences import Language

_STAGES: Mapping[str, tuple[str, str]] = {
    "submitted": ("已提出", "Submitted"),
    "triage": ("待分派", "Waiting to be assigned"),
    "assigned": ("已交办", "Assigned"),
    "accepted": ("已接办", "Taken on"),
    "in_progress": ("办理中", "In progress"),
    "resolved": ("已办结", "Resolved"),
    "rated": ("已评价", "Rated"),
    "closed": ("已归档", "Closed"),
    "reopened": ("重新办理", "Reopened"),
}
# Of the timeline, what tells of a stage, with mySociety's status for it.
_UPDATES: Mapping[str, tuple[str, str]] = {
    "opinion.submitted": ("submitted", "OPEN"),
    "opinion.triaged": ("triage", "OPEN"),
    "opinion.assigned": ("assigned", "INVESTIGATING"),
    "opinion.accepted": ("accepted", "INVESTIGATING"),
    "opinion.progressed": ("in_progress", "IN_PROGRESS"),
    "opinion.handed_over": ("in_progress", "IN_PROGRESS"),
    "opinion.paused": ("in_progress", "IN_PROGRESS"),
    "opinion.resolved": ("resolved", "CLOSED"),
    "opinion.rated": ("rated", "CLOSED"),
    "opinion.reopened": ("reopened", "REOPEN"),
    "opinion.closed": ("closed", "CLOSED"),
}


def request(
    tracked: Tracked, language: Language, city: Snapshot, *, extended: bool, released: str | None = None
) -> dict[str, Any]:
    """One service request. `released`: its redacted words, where they are public. `extended`: with the stage
    and its history, as `extensions=true` asks."""
    topic = city.topics.get(tracked.topic or "")
    shown: dict[str, Any] = {
        "service_request_id": tracked.id,
        "status": "closed" if tracked.stage in FINISHED else "open",
        "status_notes": _named(tracked.stage, language),
        "service_name": name_of(topic, language) if topic is not None else None,
        "service_code": tracked.topic,
        "description": released,
        "agency_responsible": None,
        "service_notice": None,
        "requested_datetime": moment(tracked.submitted_at),
        # When closed, the time of closing: what came after it, such as a rating, is no news here.
        "updated_datetime": moment(tracked.closed_at or tracked.updated_at or tracked.submitted_at),
        "expected_datetime": moment(tracked.due),
        "address": street_name(tracked.street, city),
        "address_id": None,
        "zipcode": None,
        "lat": tracked.near.lat if tracked.near is not None else None,
        "long": tracked.near.lon if tracked.near is not None else None,
        "media_url": None,
    }
    if extended:
        group = name_of(first_level(city, topic), language) if topic is not None else None
        shown["extended_attributes"] = {"stage": tracked.stage, "group": group}
        shown["notes"] = [
            {
                "datetime": moment(step.at),
                "description": _named(_UPDATES[step.type][0], language),
                "type": _UPDATES[step.type][0],
            }
            for step in tracked.timeline
            if step.type in _UPDATES
        ]
    return shown


def updates(tracked: Tracked, start: datetime, end: datetime, language: Language) -> list[dict[str, Any]]:
    """What happened to a request from `start` to `end`, both included, in mySociety's form."""
    return [
        _update(tracked.id, number, step, language)
        for number, step in enumerate(tracked.timeline, 1)
        if step.type in _UPDATES and start <= step.at <= end
    ]


def _update(id_: str, number: int, step: Step, language: Language) -> dict[str, Any]:
    stage, status = _UPDATES[step.type]
    return {
        "update_id": f"{id_}.{number}",  # lines are only ever added to a timeline
        "service_request_id": id_,
        "updated_datetime": moment(step.at),
        "status": status,
        "description": _named(stage, language),
        "media_url": None,
    }


def street_name(street: str | None, city: Snapshot) -> str | None:
    """District and street in words."""
    region = city.regions.get(street or "")
    if region is None:
        return None
    district = city.regions.get(region.parent or "")
    return f"{district.name}{region.name}" if district is not None else region.name


def moment(at: datetime | None) -> str | None:
    """A W3C date and time in UTC, to the second."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _named(stage: str, language: Language) -> str:
    chinese, english = _STAGES[stage]
    return english if language == "en" else chinese
