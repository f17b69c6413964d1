"""What was decided on one case, as its page tells it: kept event by event, folded when it is looked at. Pure.

Codes, ids and times only, as on the lifecycle; words are put beside them when the page is made.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import Struct

from lianxin_chassis.database import Document
from lianxin_contracts import lifecycle
from lianxin_contracts.envelope import Event

# What a case's page does not tell: a knock that found nothing, and what changed nothing.
UNTOLD = frozenset({"clock.checked", "command.refused", "issue.merged"})


class Told(NamedTuple):
    """One event of a case: its payload as JSON, as it lay on the lifecycle."""

    sequence: int
    type: str
    at: datetime
    data: str

    def payload(self) -> Struct:
        """The payload. Raises msgspec's errors for what no version ever wrote."""
        return msgspec.json.decode(self.data, type=lifecycle.MODELS[self.type])


def told_document(event: Event) -> Document:
    """How an event is kept: once, whatever comes again."""
    sequence = event.sequence or 0
    return {
        "_id": f"{event.subject}/{sequence:06d}",
        "opinion": event.subject,
        "sequence": sequence,
        "type": event.type,
        "at": event.time,
        "data": msgspec.json.encode(event.data).decode(),
    }


class CaseFile(Struct, kw_only=True):
    """What a case's page needs beside where the case stands. `explained` is the newest placing's explanation,
    `reasons` those of a triage; `children` are open orders to departments by id. `released`: a redacted
    version is public."""

    submitted: datetime | None = None
    readable: bool = True
    has_contact: bool = False
    explained: lifecycle.Explanation | None = None
    placed_by: str | None = None
    reasons: tuple[lifecycle.Reason, ...] = ()
    attempt: int = 0
    policy: str | None = None
    supporters: int = 0
    similarity: float | None = None
    paused: lifecycle.Paused | None = None
    children: dict[str, str] = {}
    seen: bool = False
    supervised: int = 0
    rate_until: datetime | None = None
    released: bool = False


def file_of(history: Sequence[Told]) -> CaseFile:
    """The case file after `history`."""
    file = CaseFile(children={})
    for told in history:
        _apply(file, told)
    return file


def _apply(file: CaseFile, told: Told) -> None:
    match told.payload():
        case lifecycle.Submitted() as said:
            file.submitted, file.has_contact, file.readable = told.at, said.has_contact, said.readable
        case lifecycle.Triaged() as triaged:
            file.explained, file.reasons, file.placed_by = triaged.explanation, triaged.reasons, None
            file.seen, file.paused = False, None
        case lifecycle.Assigned() as assigned:
            file.explained, file.reasons, file.placed_by = assigned.explanation, (), assigned.by
            file.attempt, file.policy = assigned.attempt, assigned.due.policy
            file.seen, file.paused = False, None
        case lifecycle.SeenBy():
            file.seen = True
        case lifecycle.HandedOver() as order:
            file.children[order.child] = order.department
        case lifecycle.Answered(child=str(child)):
            file.children.pop(child, None)
        case lifecycle.Supported() as shared:
            file.supporters = shared.supporters
        case lifecycle.IssueJoined(matched=str()) as joined:
            file.similarity = joined.similarity
        case lifecycle.Paused() as paused:
            file.paused = paused
        case lifecycle.Resumed():
            file.paused = None
        case lifecycle.Published():
            file.released = True
        case lifecycle.Unpublished() | lifecycle.Withdrawn() | lifecycle.Erased():
            file.released = False
        case lifecycle.Supervised():
            file.supervised += 1
        case lifecycle.Resolved() as resolved:
            file.rate_until, file.paused = resolved.rate_until, None
        case lifecycle.Reopened():
            file.rate_until, file.seen = None, False
