"""One batch of what was said: load the cases, decide, save them with their outboxes, publish, confirm.

Safe to repeat at any point. A record that a case has answered before changes nothing; what an earlier run
saved but did not get confirmed is published again, in its order, before anything newer of that case.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from lianxin_chassis.outages import Outage
from lianxin_chassis.records import Message
from lianxin_chassis.work import Unprocessable
from lianxin_contracts import inbound, topics, words
from lianxin_contracts.envelope import Event, OutRecord, deletion, to_record
from lianxin_router.city import City
from lianxin_router.desk import Desk
from lianxin_router.domain.case import Case
from lianxin_router.domain.decide import decide
from lianxin_router.domain.ports import Context
from lianxin_router.domain.story import Decision
from lianxin_router.domain.submission import first_request
from lianxin_router.routing.route import SURGE_CASES, LoadsNeeded
from lianxin_router.store import CaseStore, Held, cause_bytes
from lianxin_router.timers import Publishes

# So many decisions, about a millisecond each, and the loop gets to breathe (heartbeats, health).
BREATHE_EVERY = 25


class CaseHandler:
    """What the router's consumer calls. `city` gives the city in force, None before one is known."""

    def __init__(self, store: CaseStore, publisher: Publishes, city: Callable[[], City | None]) -> None:
        self._store = store
        self._publisher = publisher
        self._city = city

    async def handle(self, batch: Sequence[Message]) -> None:
        """Apply `batch` and return when the effects are stored and published. Raises `Unprocessable` for a
        record that no decision can be made of, and what the chassis waits out."""
        await self.apply([_said(message) for message in batch])

    async def apply(self, said: Sequence[Event]) -> None:
        """The same for events that are no records yet, such as an unreadable submission's stand-in."""
        city = self._city()
        if city is None:
            raise Outage("no version of the registry is in force", what="registry")
        held = await self._store.load(event.subject for event in said)
        desk = await self._set_up(city, said, held)
        context = city.context(desk)
        for at, event in enumerate(said):
            await self._decide(event, held[event.subject], context, desk)
            if at % BREATHE_EVERY == BREATHE_EVERY - 1:
                await asyncio.sleep(0)
        await self._store.add_issues(desk.new_issues)
        await self._store.save(list(held.values()))
        await self.publish(held.values())

    async def publish(self, held: Iterable[Held]) -> None:
        """Publish and confirm every outbox among `held`."""
        waiting = [h for h in held if h.outbox]
        if waiting:
            await self._publisher.publish([record for h in waiting for record in h.outbox])
            await self._store.confirm(waiting)

    async def _set_up(self, city: City, said: Sequence[Event], held: dict[str, Held]) -> Desk:
        """Look up, in two rounds for the whole batch, what its new opinions need."""
        desk = Desk(city.index)
        new = [
            event
            for event in said
            if isinstance(event.data, inbound.Submitted)
            and cause_bytes(event.id) not in held[event.subject].causes
        ]
        prepared = []
        for at, event in enumerate(new):
            prepared.append(desk.prepare(first_request(event)))
            if at % BREATHE_EVERY == BREATHE_EVERY - 1:
                await asyncio.sleep(0)
        deputies = frozenset[str]().union(*(p.deputies for p in prepared))
        keys = [key for p in prepared for key in p.keys]
        loads, issues = await asyncio.gather(self._store.loads(deputies), self._store.find_issues(keys))
        desk.know_loads(deputies, loads)
        desk.know_issues(issues)
        for issue in desk.likely_matches():
            cases = await self._store.issues_of_case(issue, SURGE_CASES)
            desk.know_recent(issue, [case["opened"] for case in cases])
        return desk

    async def _decide(self, event: Event, h: Held, context: Context, desk: Desk) -> None:
        cause = cause_bytes(event.id)
        if cause in h.causes:
            return
        decision = await self._decision(event, h.case, context, desk)
        desk.advance(h.case, decision.case)
        h.case = decision.case
        h.causes.add(cause)
        h.outbox.extend(records_of(decision, event))
        h.changed = True

    async def _decision(self, event: Event, case: Case | None, context: Context, desk: Desk) -> Decision:
        while True:
            try:
                return decide(case, event, context)
            except LoadsNeeded as needed:
                desk.know_loads(needed.deputies, await self._store.loads(needed.deputies))


def records_of(decision: Decision, cause: Event) -> list[OutRecord]:
    """What a decision publishes, in order: words and contacts, the events that name them, deletions."""
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
