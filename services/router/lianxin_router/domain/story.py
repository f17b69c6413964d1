"""How a decision is written down: each event numbered, given its id, and folded into the case at once.

So a later step of the same decision sees what an earlier one did, and what is saved is what the log folds to.

A decision whose first events are in the log already, because whoever made it died while it was published, is
told again over them: what was published is recalled instead of told, and only what follows is new.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from msgspec import Struct

from lianxin_contracts import ids, lifecycle, topics
from lianxin_contracts.envelope import Event
from lianxin_contracts.inbound import Actor
from lianxin_contracts.words import SealedContact, Words
from lianxin_contracts.words import key as part_key
from lianxin_router.domain.case import Case
from lianxin_router.domain.evolve import evolve

SOURCE = "/router"
TYPE_OF: dict[type[Struct], str] = {model: type_ for type_, model in lifecycle.MODELS.items()}


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a command changes nothing: a code that the interface translates, with its values."""

    code: str
    values: dict[str, str]


def refused(code: str, **values: str) -> Refused:
    """A refusal with named values."""
    return Refused(code, values)


@dataclass(frozen=True, slots=True)
class Deletion:
    """A key of a compacted topic that must be deleted (the resident's words or contact)."""

    topic: str
    key: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one command: the case as it is now, and what is to be published, in order.

    `words`, `contacts` and `deletions` are to be in the log before `events`, each of which says whether more
    of this decision follow: so whoever finds the last of them knows that everything was published.
    """

    case: Case
    events: tuple[Event, ...]
    words: tuple[Words, ...] = ()
    contacts: tuple[SealedContact, ...] = ()
    deletions: tuple[Deletion, ...] = ()

    @property
    def refusal(self) -> lifecycle.CommandRefused | None:
        """The refusal among the events, if the command was refused."""
        for event in reversed(self.events):
            if isinstance(event.data, lifecycle.CommandRefused):
                return event.data
        return None


def number(data: Struct, at: datetime, sequence: int, cause: Event, ordinal: int) -> Event:
    """The lifecycle event that says `data`: the `ordinal`-th of its type (from 1) that follows from `cause`.

    The same command decided again yields the same ids. `recordedtime` is the command's, so that latencies
    count from the moment a service received it.
    """
    type_ = TYPE_OF[type(data)]
    return Event(
        id=ids.following(cause.id, type_, ordinal),
        source=SOURCE,
        type=type_,
        subject=cause.subject,
        time=at,
        recordedtime=cause.recordedtime,
        data=data,
        causationid=cause.id,
        sequence=sequence,
        traceparent=cause.traceparent,
    )


class Diverged(Exception):
    """What was published of this decision can't have come out of this telling of it."""


class Story:
    """One decision while it is being made. `at` is the command's time, never before the case's latest; what
    was said of the id before anybody submitted it doesn't count.

    `published`: the first events of the same decision that are in the log already. They are taken as they
    are where the story comes to them; `tell` and `decision` raise `Diverged` where it never does.
    """

    def __init__(self, case: Case | None, cause: Event, published: Sequence[Event] = ()) -> None:
        self._published = deque(published)
        self._told = 0
        self._case = case
        self.cause = cause
        self.at = whole_milliseconds(cause.time)
        if case is not None and case.opened is not None:
            self.at = max(self.at, case.updated)
        self._events: list[Event] = []
        self._ordinals: dict[type[Struct], int] = {}
        self._words: list[Words] = []
        self._contacts: list[SealedContact] = []
        self._deletions: list[Deletion] = []

    @property
    def exists(self) -> bool:
        """Whether anything at all is known under this id at this point."""
        return self._case is not None

    @property
    def case(self) -> Case:
        """The case as it is at this point of the story."""
        if self._case is None:
            raise LookupError(f"nothing is known of {self.cause.subject} yet")
        return self._case

    @property
    def told(self) -> int:
        """How many events there are so far, those that were published before among them."""
        return self._told

    def tell(self, data: Struct, at: datetime | None = None) -> None:
        """Add one event, at the command's time or at an earlier instant that fell due (never before the
        case's latest event)."""
        moment = self.at if at is None else at
        sequence = 1
        if self._case is not None:
            if self._case.opened is not None:
                moment = max(moment, self._case.updated)
            sequence = self._case.sequence + 1
        event = number(data, moment, sequence, self.cause, self._ordinals.get(type(data), 0) + 1)
        if self._published:
            if self._published[0].id != event.id:
                raise Diverged(f"{event.type} where {self._published[0].type} was published")
            self._take()
            return
        self._fold(event)
        self._events.append(event)

    @property
    def is_retold(self) -> bool:
        """Whether what comes next is published already."""
        return bool(self._published)

    def recall(self, *types: type[Struct]) -> bool:
        """Take the next published event if it is of one of `types`; whether it was. For a choice that depends
        on more than the case and the command, and so need not come out the same again."""
        if not self._published or type(self._published[0].data) not in types:
            return False
        self._take()
        return True

    def recall_all(self) -> None:
        """Take every published event, and go on from there."""
        while self._published:
            self._take()
        if self._case is not None:
            self.at = max(self.at, self._case.updated)

    def _take(self) -> None:
        self._fold(self._published.popleft())

    def _fold(self, event: Event) -> None:
        kind = type(event.data)
        self._ordinals[kind] = self._ordinals.get(kind, 0) + 1
        self._told += 1
        self._case = evolve(self._case, event)

    def refuse(self, why: Refused) -> None:
        """Leave the trace of a command that changed nothing."""
        self.tell(lifecycle.CommandRefused(self.cause.type, why.code, why.values))

    def write(self, kind: str, text: str | None, by: Actor) -> str | None:
        """Forward the command's words; the part id under which they are kept, None where there are none."""
        if not text or not text.strip():
            return None
        part = self.cause.id
        self.forward(Words(self.cause.subject, part, kind, text, by))  # type: ignore[arg-type]
        return part

    def forward(self, said: Words) -> None:
        """Add words to be published before the events."""
        self._words.append(said)

    def forward_contact(self, part: str, sealed: str) -> None:
        """Add a sealed contact to be published before the events."""
        self._contacts.append(SealedContact(self.cause.subject, part, sealed))

    def delete_released(self) -> None:
        """Mark for deletion what the office has released of the opinion's words, if anything."""
        case = self.case
        if case.published is not None:
            self._deletions.append(Deletion(topics.WORDS, part_key(case.id, case.published)))

    def delete_everything_said(self) -> None:
        """Mark every word and contact of the case for deletion."""
        case = self.case
        for topic, parts in ((topics.WORDS, case.word_parts), (topics.CONTACTS, case.contact_parts)):
            self._deletions += (Deletion(topic, part_key(case.id, part)) for part in parts)

    def decision(self) -> Decision:
        """The finished decision: what is new of it."""
        if self._published:
            raise Diverged(f"{self._published[0].type} was published and never told")
        events = (*(replace(event, continues=True) for event in self._events[:-1]), *self._events[-1:])
        return Decision(self.case, events, tuple(self._words), tuple(self._contacts), tuple(self._deletions))


def whole_milliseconds(at: datetime) -> datetime:
    """`at` without what a database would not keep."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
