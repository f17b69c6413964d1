"""One batch of what was said: load the cases, decide, save them with their outboxes, publish, confirm.

Safe to repeat at any point. A record that a case has answered before changes nothing; what an earlier run
saved but did not get confirmed is published again, in its order, before anything newer of that case.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from lianxin_chassis.consumer import Unprocessable
from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Outage
from lianxin_chassis.records import Message
from lianxin_contracts import inbound, topics, words
from lianxin_contracts.envelope import Event, OutRecord, deletion, to_record
from lianxin_router import issues
from lianxin_router.city import City
from lianxin_router.desk import Desk
from lianxin_router.domain.decide import decide
from lianxin_router.domain.ports import Context
from lianxin_router.domain.story import Decision, whole_milliseconds
from lianxin_router.domain.submission import first_request
from lianxin_router.domain.unfinished import finish, resume
from lianxin_router.routing.route import LoadsNeeded
from lianxin_router.store import CaseStore, Held, cause_bytes
from lianxin_router.timers import Publishes

log = get_logger(__name__)

# So many decisions, about a millisecond each, and the loop gets to breathe (heartbeats, health).
BREATHE_EVERY = 25


class Stuck(Exception):
    """Nothing may be decided on this opinion: `why` its log can't be followed (`gap`, `undecodable`)."""

    def __init__(self, opinion: str, why: str) -> None:
        super().__init__(f"{opinion}: {why}")
        self.opinion = opinion
        self.why = why


class CaseHandler:
    """What the router's consumer calls. `city` gives the city in force, None before one is known."""

    def __init__(self, store: CaseStore, publisher: Publishes, city: Callable[[], City | None]) -> None:
        self._store = store
        self._publisher = publisher
        self._city = city

    async def handle(self, batch: Sequence[Message]) -> None:
        """Apply `batch` and return when the effects are stored and published. Raises `Unprocessable` for a
        record that no decision can be made of, and what the chassis waits out."""
        said = [_said(message) for message in batch]
        try:
            await self.apply(said)
        except Stuck as stuck:
            blamed = next(message for message in batch if message.key == stuck.opinion)
            raise Unprocessable(blamed, "stuck", stuck.why) from stuck

    async def apply(self, said: Sequence[Event]) -> None:
        """The same for events that are no records yet, such as an unreadable submission's stand-in. Raises
        `Stuck` for a case whose own log can't be followed."""
        city = self._city()
        if city is None:
            raise Outage("no version of the registry is in force", what="registry")
        desk = Desk(city.index, city.fingerprinter)
        held = await self._look_up(desk, said)
        for h in held.values():
            if h.stuck is not None:
                raise Stuck(h.id, h.stuck)
        await issues.look_up_placed(desk, self._store, said, held)
        context = city.context(desk)
        for at, event in enumerate(said):
            await self._decide(event, held[event.subject], context, desk)
            if at % BREATHE_EVERY == BREATHE_EVERY - 1:
                await asyncio.sleep(0)
        await issues.file(desk, self._store, list(held.values()))
        await self._store.save(list(held.values()))
        await self.publish(held.values())
        await issues.have_follow(desk, self._store, self._publisher)

    async def publish(self, held: Iterable[Held]) -> None:
        """Publish and confirm every outbox among `held`.

        Words, contacts and deletions are acknowledged before the first event goes out: who finds a whole
        decision on the lifecycle knows that nothing of it is missing elsewhere.
        """
        waiting = [h for h in held if h.outbox]
        if not waiting:
            return
        records = [record for h in waiting for record in h.outbox]
        if beside := [record for record in records if record.topic != topics.LIFECYCLE]:
            await self._publisher.publish(beside)
        await self._publisher.publish([record for record in records if record.topic == topics.LIFECYCLE])
        await self._store.confirm(waiting)

    async def _look_up(self, desk: Desk, said: Sequence[Event]) -> dict[str, Held]:
        """The cases of the whole batch and, at the same time, what its new opinions need. What was said
        before is looked up as well: that costs less than to wait and see."""
        deputies: set[str] = set()
        for at, event in enumerate(said):
            if isinstance(event.data, inbound.Submitted):
                deputies |= desk.prepare(first_request(event)).deputies
            if at % BREATHE_EVERY == BREATHE_EVERY - 1:
                await asyncio.sleep(0)
        held, loads, _ = await asyncio.gather(
            self._store.load(event.subject for event in said),
            self._store.loads(deputies),
            issues.look_up(desk, self._store),
        )
        desk.know_loads(deputies, loads)
        return held

    async def _decide(self, event: Event, h: Held, context: Context, desk: Desk) -> None:
        cause = cause_bytes(event.id)
        if cause in h.causes:
            return
        h.causes.add(cause)
        unfinished = h.unfinished
        if unfinished is not None and cause_bytes(unfinished.cause) == cause:
            await self._take(h, event, lambda: resume(unfinished, event, context), desk)
            return
        if unfinished is not None:
            log.warning("a decision is ended without its command", case=h.id, cause=unfinished.cause)
            await self._take(h, unfinished.published[-1], lambda: finish(unfinished, context), desk)
            h.causes.add(cause_bytes(unfinished.cause))
        await self._take(h, event, lambda: decide(h.case, event, context), desk)

    async def _take(self, h: Held, cause: Event, decided: Callable[[], Decision], desk: Desk) -> None:
        """Do with `h` what is `decided` on it, once the loads are known that this needs."""
        while True:
            try:
                decision = decided()
                break
            except LoadsNeeded as needed:
                desk.know_loads(needed.deputies, await self._store.loads(needed.deputies))
        desk.advance(h.case, decision.case)
        h.case = decision.case
        h.outbox.extend(records_of(decision, cause))
        if decision.deletions:
            # Beside those of an earlier decision that were not repeated yet.
            h.deletions = [
                *h.deletions,
                *(deletion(d.topic, d.key, cause.recordedtime) for d in decision.deletions),
            ]
            h.deleted = now()
        h.unfinished = None
        h.changed = True


def now() -> datetime:
    """The wall clock, in whole milliseconds as databases keep them."""
    return whole_milliseconds(datetime.now(UTC))


def records_of(decision: Decision, cause: Event) -> list[OutRecord]:
    """What a decision publishes, in the order in which each topic is to have it."""
    said = [
        to_record(_carrying(w, "words.written", w.part, cause), topics.WORDS, words.key(w.opinion, w.part))
        for w in decision.words
    ]
    sealed = [
        to_record(
            _carrying(c, "contact.sealed", c.part, cause), topics.CONTACTS, words.key(c.opinion, c.part)
        )
        for c in decision.contacts
    ]
    decided = [to_record(event, topics.LIFECYCLE, event.subject) for event in decision.events]
    removed = [deletion(d.topic, d.key, cause.recordedtime) for d in decision.deletions]
    return [*said, *sealed, *decided, *removed]


def _carrying(data: words.Words | words.SealedContact, type_: str, part: str, cause: Event) -> Event:
    """The event that forwards words or a contact; one per part for ever, so its id follows from the part."""
    return Event(
        id=words.event_id(type_, data.opinion, part),
        source="/router",
        type=type_,
        subject=data.opinion,
        time=cause.time,
        recordedtime=cause.recordedtime,
        data=data,
        causationid=cause.id,
        traceparent=cause.traceparent,
    )


def _said(message: Message) -> Event:
    if message.event is None:
        raise Unprocessable(message, "no_value", "a deletion has no meaning on opinions.inbound")
    if message.event.subject != message.key:
        raise Unprocessable(message, "wrong_key", "the record's key is not its subject's opinion id")
    return message.event
