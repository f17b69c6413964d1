"""Lifecycle and words records as the router writes them, made by hand."""

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from lianxin_contracts import ids, inbound, lifecycle, topics, words
from lianxin_contracts.envelope import Event, OutRecord, to_record
from tests.intake.small_city import GRID

START = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
DEPUTY = inbound.Actor("deputy", "D1")
RESIDENT = inbound.Actor("resident", "resident")
DUE = lifecycle.DueTimes(
    acknowledge=START + timedelta(days=1),
    first_response=START + timedelta(days=3),
    resolve=START + timedelta(days=7),
    policy="opinion",
    policy_version="v1",
)
EXPLANATION = lifecycle.Explanation(
    registry_version="v1",
    rules_version="1",
    located=lifecycle.LocatedBy(GRID, "grid", 1.0),
    classified=lifecycle.ClassifiedAs("0101", "choice", 1.0),
)
SUBMITTED = lifecycle.Submitted(channel="app", digest="d", words="text")
ASSIGNED = lifecycle.Assigned(
    assignee="D1",
    by="router",
    grid=GRID,
    street="320213001",
    district="320213",
    topic="0101",
    attempt=1,
    due=DUE,
    explanation=EXPLANATION,
)


def type_of(data: Struct) -> str:
    return next(name for name, model in lifecycle.MODELS.items() if model is type(data))


def decided(opinion: str, sequence: int, data: Struct, at: datetime | None = None) -> Event:
    """Lifecycle event number `sequence` of `opinion`, an hour after the one before."""
    time = at or START + timedelta(hours=sequence - 1)
    return Event(
        id=ids.following(opinion, type_of(data), sequence),
        source="/router",
        type=type_of(data),
        subject=opinion,
        time=time,
        recordedtime=time,
        data=data,
        causationid=opinion,
        sequence=sequence,
    )


def history(opinion: str, *steps: Struct) -> list[OutRecord]:
    """A case's lifecycle from its start, as records."""
    return [
        to_record(decided(opinion, number, data), topics.LIFECYCLE, opinion)
        for number, data in enumerate(steps, 1)
    ]


def written(opinion: str, part: str, kind: str, text: str, by: inbound.Actor = RESIDENT) -> OutRecord:
    """The words of one part, as a record."""
    data = words.Words(opinion=opinion, part=part, kind=kind, text=text, by=by)  # type: ignore[arg-type]
    event = Event(
        id=ids.following(opinion, "words.written", hash(part) % 1000),
        source="/router",
        type="words.written",
        subject=opinion,
        time=START,
        recordedtime=START,
        data=data,
    )
    return to_record(event, topics.WORDS, words.key(opinion, part))
