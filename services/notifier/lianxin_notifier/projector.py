"""Keeps the inboxes: what the router decided, applied to opinions, numbered, saved and told. One page."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from msgspec import Struct, field

from lianxin_chassis.consumer import Unprocessable
from lianxin_chassis.metric_names import PROJECTION_GAPS
from lianxin_chassis.records import Message
from lianxin_contracts import topics
from lianxin_contracts.envelope import Event, OutRecord
from lianxin_contracts.words import SealedContact, Words
from lianxin_notifier.alerts import INBOX, Numbered, Outside, alert_id, inbox_record
from lianxin_notifier.casefile import UNTOLD
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.inbox import Alert, CommandResult, Opinion, apply, command_result
from lianxin_notifier.ledger import NumberLedger
from lianxin_notifier.metric_names import ALERT_LATENCY, DELIVERIES
from lianxin_notifier.milestones import Milestone, due_to_resident, milestone_of
from lianxin_notifier.reaching_store import ReachingStore
from lianxin_notifier.store import HeldBack, ProjectionStore

TOPICS = (topics.LIFECYCLE, topics.WORDS, topics.CONTACTS)


class Publishes(Protocol):
    """The part of the chassis's publisher that is used here."""

    async def publish(self, records: Sequence[OutRecord], deadline_s: float = 5.0) -> None:
        """Return when all are acknowledged."""


class Batch(Struct):
    """What one batch's lifecycle events come to: opinions before and after, alerts, results, and what cases'
    pages tell."""

    before: dict[str, Opinion]
    after: dict[str, Opinion]
    alerts: list[Alert]
    results: list[CommandResult]
    seen_before: list[str]
    erased: list[str]
    told: list[Event] = field(default_factory=list)
    milestones: list[Milestone] = field(default_factory=list)

    def changed(self) -> list[tuple[Opinion, Opinion]]:
        """(before, after) of every opinion that the batch changed."""
        return [(self.before[id_], after) for id_, after in self.after.items()]


def fold(messages: Sequence[Message], known: dict[str, Opinion]) -> Batch:
    """Apply the lifecycle among `messages`, in order, to the `known` opinions. Raises `Unprocessable` at a
    gap in a sequence."""
    batch = Batch({}, {}, [], [], [], [])
    for message in messages:
        if message.record.topic == topics.LIFECYCLE:
            _fold_lifecycle(message, known, batch)
    return batch


def words_of(messages: Sequence[Message]) -> dict[str, Words | None]:
    """The newest of each part of words (by its key) among `messages`; None where it is deleted."""
    return {
        message.key: data if isinstance(data := _data(message), Words) else None
        for message in messages
        if message.record.topic == topics.WORDS
    }


def contacts_of(messages: Sequence[Message]) -> dict[str, str | None]:
    """The newest of each sealed contact (by its key) among `messages`; None where it is deleted."""
    return {
        message.key: data.sealed if isinstance(data := _data(message), SealedContact) else None
        for message in messages
        if message.record.topic == topics.CONTACTS
    }


def _data(message: Message) -> object:
    return message.event.data if message.event else None


def _fold_lifecycle(message: Message, known: dict[str, Opinion], batch: Batch) -> None:
    event = message.event
    if event is None or event.sequence is None:
        raise Unprocessable(message, "no_event", "a lifecycle record without a value or a sequence")
    id_ = message.key
    now = batch.after.get(id_) or known.get(id_) or Opinion(id=id_)
    if event.sequence <= now.sequence:
        batch.seen_before.append(event.id)
        return
    if event.sequence > now.sequence + 1:
        PROJECTION_GAPS.labels("inbox").inc()
        raise Unprocessable(message, "sequence_gap", f"{event.sequence} follows {now.sequence}")
    batch.before.setdefault(id_, now)
    batch.after[id_], alerts = apply(now, event)
    batch.alerts += alerts
    if (milestone := milestone_of(now, batch.after[id_], event)) is not None:
        batch.milestones.append(milestone)
    if event.type not in UNTOLD:
        batch.told.append(event)
    if (result := command_result(now, event)) is not None:
        batch.results.append(result)
    if batch.after[id_].erased and not now.erased:
        batch.erased.append(id_)


class Projector:
    """Handles batches of lifecycle, words and contacts for one generation.

    `live` is false while a rebuild fills the generation: then nothing is numbered, published or queued, and
    alerts without a record are held back until it is live. `reaching_lost`: which alerts were being gone on
    with is no longer known, so that those with a record are held back as well while they are young.
    """

    def __init__(
        self,
        store: ProjectionStore,
        ledger: NumberLedger,
        deliveries: DeliveryStore,
        reaching: ReachingStore,
        publisher: Publishes,
        *,
        live: bool,
        reaching_lost: bool = False,
        requeue: timedelta = timedelta(hours=24),
        queued: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        resident_channels: tuple[Outside, ...] = (),
        linger: timedelta = timedelta(minutes=3),
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._deliveries = deliveries
        self._reaching = reaching
        self._publisher = publisher
        self._live = live
        self._reaching_lost = reaching_lost
        self._requeue = requeue
        self._queued = queued
        self._now = now
        self._resident_channels = resident_channels
        self._linger = linger

    async def handle(self, messages: list[Message]) -> None:
        """Load, apply, save, publish. Safe to repeat: alerts keep their numbers, opinions their sequence."""
        touched = {m.key for m in messages if m.record.topic == topics.LIFECYCLE}
        known, *_ = await asyncio.gather(
            self._store.opinions(touched),
            self._store.keep_words(words_of(messages)),
            self._store.keep_contacts(contacts_of(messages)),
        )
        batch = fold(messages, known)
        numbers, _ = await asyncio.gather(
            self._raise(batch.alerts) if self._live else self._recall(batch.alerts),
            self._tell_residents(batch.milestones),
        )
        await asyncio.gather(
            self._store.save(batch.changed(), numbers, batch.results, batch.told),
            self._ledger.remember(numbers),
        )
        await self._store.erase(batch.erased)
        if not self._live:
            return
        again = await self._ledger.of_causes(batch.seen_before) if batch.seen_before else []
        await self._store.show_numbers(again)
        await self._tell([*again, *numbers])

    async def settle_held_back(self) -> int:
        """Look at what a rebuild held back, now that its generation is live; returns how many there were.

        Each gets its number; those that still wait on their receiver, and are young, are gone on with, unless
        a digest has told of them.
        """
        settled = 0
        digests: Mapping[str, datetime] | None = None
        while held := await self._store.held_back(limit=200):
            if digests is None:
                digests = await self._deliveries.digests_since(self._now() - self._requeue)
            seats = await self._store.seats({one.alert.opinion for one in held})
            waiting = [
                one.alert
                for one in held
                if self._is_young(one.alert)
                and not _told_by_digest(one, digests)
                and (seat := seats.get(one.alert.opinion, {}).get(one.alert.receiver)) is not None
                and seat.state == "open"
            ]
            numbers = await self._ledger.number([o.alert for o in held if not o.numbered], self._moment())
            await self._queue(waiting)
            await self._ledger.remember(numbers)
            await self._store.show_numbers(numbers)
            await self._tell(numbers)
            await self._store.settle([one.alert for one in held])
            settled += len(held)
        return settled

    async def _raise(self, alerts: Sequence[Alert]) -> list[Numbered]:
        """Queue `alerts` for the outside channels and number them: in this order, so that whatever has a
        number was queued, and a rebuild need not ask."""
        stands, _ = await asyncio.gather(self._ledger.whole_stands(alerts), self._queue(alerts))
        return await self._ledger.number(alerts, self._moment(), stands)

    async def _recall(self, alerts: Sequence[Alert]) -> list[Numbered]:
        """The numbers that `alerts` have on record. Held back are those that lack one; and where it was lost
        which ones are gone on with, those that may be, by another channel or again. Else what has a record is
        left alone: it is being gone on with, or was ended for good (by a digest, say)."""
        if not alerts:
            return []
        known = await self._ledger.known([alert_id(a.cause, a.receiver, INBOX) for a in alerts])
        numbered = {(one.cause, one.receiver) for one in known.values()}
        held = [
            a
            for a in alerts
            if (a.cause, a.receiver) not in numbered or (self._reaching_lost and self._is_young(a))
        ]
        made = await self._deliveries.made_for({a.opinion for a in held if self._is_young(a)})
        await self._store.hold_back(
            [
                HeldBack(
                    alert,
                    numbered=(alert.cause, alert.receiver) in numbered,
                    told=any(m.status == "sent" for m in made.get((alert.cause, alert.receiver), ())),
                )
                for alert in held
            ]
        )
        return list(known.values())

    def _is_young(self, alert: Alert) -> bool:
        """Whether a rebuild goes on with it by outside channels, if there is cause to."""
        return alert.outside and alert.recorded >= self._now() - self._requeue

    async def _tell_residents(self, milestones: Sequence[Milestone]) -> None:
        """Have residents told, unless a later milestone comes first. During a rebuild only of what is young:
        what has a record is known, and stays as it is."""
        if not self._resident_channels or not milestones:
            return
        now = self._moment()
        dues = [
            due_to_resident(one, channel)
            for one in milestones
            if (self._live or one.recorded >= now - self._requeue)
            for channel in self._resident_channels
        ]
        if dues:
            await self._deliveries.queue(dues, now + self._linger)

    async def _queue(self, alerts: Sequence[Alert]) -> None:
        outside = [alert for alert in alerts if alert.outside]
        if outside:
            await self._reaching.add(outside, self._moment())
            self._queued()

    async def _tell(self, numbers: Sequence[Numbered]) -> None:
        """Publish inbox alerts, unless the ledger was dropped since they were numbered."""
        if not numbers:
            return
        await self._ledger.require()
        await self._publisher.publish([inbox_record(one) for one in numbers])
        DELIVERIES.labels(INBOX, "sent").inc(len(numbers))
        for one in numbers:
            if one.latency_ms is not None:
                ALERT_LATENCY.observe(one.latency_ms / 1000)

    def _moment(self) -> datetime:
        """Now, in whole milliseconds: what the database gives back is what was published."""
        now = self._now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _told_by_digest(one: HeldBack, digests: Mapping[str, datetime]) -> bool:
    """Whether a digest had it and no message of its own. What was in no inbox yet was in no digest."""
    until = digests.get(one.alert.receiver)
    return one.numbered and not one.told and until is not None and one.alert.recorded <= until
