"""Lifecycle, words and contact records as the router writes them, made by hand."""

import base64
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct
from nacl.public import SealedBox

from lianxin_contracts import ids, inbound, lifecycle, topics, words
from lianxin_contracts.envelope import Event, OutRecord, deletion, to_record
from tests.notifier.running import PRIVATE_KEY
from tests.notifier.small_city import GRID, STREET

RESIDENT = inbound.Actor("resident", "resident")
SUBMITTED = lifecycle.Submitted(channel="workbench", digest="d", words="text", has_contact=True)
REPLAYED = lifecycle.Submitted(channel="workbench", digest="d", replayed=True)
EXPLANATION = lifecycle.Explanation(
    registry_version="v1",
    rules_version="1",
    located=lifecycle.LocatedBy(GRID, "grid", 1.0),
    classified=lifecycle.ClassifiedAs("0101", "choice", 1.0),
)


def now() -> datetime:
    return datetime.now(UTC)


def due_times() -> lifecycle.DueTimes:
    start = now()
    return lifecycle.DueTimes(
        acknowledge=start + timedelta(days=1),
        first_response=start + timedelta(days=3),
        resolve=start + timedelta(days=7),
        policy="opinion",
        policy_version="v1",
    )


def assigned(
    assignee: str, by: str = "router", receivers: tuple[str, ...] = (), attempt: int = 1
) -> lifecycle.Assigned:
    return lifecycle.Assigned(
        assignee=assignee,
        by=by,  # type: ignore[arg-type]
        grid=GRID,
        street=STREET,
        district="320213",
        topic="0101",
        attempt=attempt,
        due=due_times(),
        explanation=EXPLANATION,
        receivers=receivers,
    )


def triaged(*receivers: str) -> lifecycle.Triaged:
    reason = lifecycle.Reason("no_grid")
    return lifecycle.Triaged((reason,), EXPLANATION, now() + timedelta(days=1), receivers=receivers)


def deputy(id_: str) -> inbound.Actor:
    return inbound.Actor("deputy", id_)


class History:
    """One case's lifecycle, record by record."""

    def __init__(self, opinion: str | None = None) -> None:
        self.opinion = opinion or ids.fresh()
        self.sequence = 0

    def next(self, data: Struct, cause: str | None = None, at: datetime | None = None) -> OutRecord:
        """The record of what was decided next."""
        self.sequence += 1
        return to_record(self.event(data, cause, at), topics.LIFECYCLE, self.opinion)

    def event(self, data: Struct, cause: str | None = None, at: datetime | None = None) -> Event:
        type_ = next(name for name, model in lifecycle.MODELS.items() if model is type(data))
        time = at or now()
        return Event(
            id=ids.following(self.opinion, type_, self.sequence),
            source="/router",
            type=type_,
            subject=self.opinion,
            time=time,
            recordedtime=time,
            data=data,
            causationid=cause or ids.derived(self.opinion, "cause", str(self.sequence)),
            sequence=self.sequence,
        )

    def steps(self, *steps: Struct) -> list[OutRecord]:
        return [self.next(step) for step in steps]

    def words(self, text: str, part: str = "text", kind: str = "opinion") -> OutRecord:
        data = words.Words(self.opinion, part, kind, text, RESIDENT)  # type: ignore[arg-type]
        return self._beside(topics.WORDS, "words.written", part, data)

    def contact(self, phone: str, **more: str) -> OutRecord:
        inside = {"name": "王", "phone": phone, **more}
        box = SealedBox(PRIVATE_KEY.public_key).encrypt(msgspec.json.encode(inside))
        data = words.SealedContact(self.opinion, "text", base64.b64encode(box).decode())
        return self._beside(topics.CONTACTS, "contact.sealed", "text", data)

    def deleted(self, topic: str, part: str = "text") -> OutRecord:
        return deletion(topic, words.key(self.opinion, part), now())

    def _beside(self, topic: str, type_: str, part: str, data: Struct) -> OutRecord:
        event = Event(
            id=ids.derived(self.opinion, type_, part),
            source="/router",
            type=type_,
            subject=self.opinion,
            time=now(),
            recordedtime=now(),
            data=data,
        )
        return to_record(event, topic, words.key(self.opinion, part))
