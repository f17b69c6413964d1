"""Keeps the inboxes: what the router decided, applied to opinions, numbered, saved and told. One page."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from msgspec import Struct, field

from lianxin_chassis.consumer import Unprocessable
from lianxin_chassis.metric_names import PROJECTION_GAPS
from lianxin_chassis.outages import Outage
from lianxin_chassis.records import Message
from lianxin_contracts import topics
from lianxin_contracts.envelope import Event, OutRecord
from lianxin_contracts.registry import Snapshot
from lianxin_contracts.words import SealedContact, Words
from lianxin_notifier.alerts import (
    INBOX,
    Due,
    Numbered,
    addresses,
    alert_id,
    due_for,
    inbox_record,
    with_browsers,
)
from lianxin_notifier.casefile import UNTOLD
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.device_store import DeviceStore
from lianxin_notifier.inbox import Alert, CommandResult, Opinion, apply, command_result
from lianxin_notifier.ledger import NumberLedger
from lianxin_notifier.metric_names import ALERT_LATENCY, DELIVERIES
from lianxin_notifier.store import ProjectionStore

TOPICS = (topics.LIFECYCLE, topics.WORDS, topics.CONTACTS)


class Publishes(Protocol):
    """The part of the chassis's publisher that is used here."""

    async def publish(self, records: Sequence[OutRecord], deadline_s: float = 5.0) -> None:
        """Return when all are acknowledged."""


class Batch(Struct):
    """What one batch of messages comes to: opinions before and after, alerts, results, words, contacts, and
    what cases' pages tell."""

    before: dict[str, Opinion]
    after: dict[str, Opinion]
    alerts: list[Alert]
    results: list[CommandResult]
    seen_before: list[str]
    erased: list[str]
    words: dict[str, Words | None]
    contacts: dict[str, str | None]
    told: list[Event] = field(default_factory=list)

    def changed(self) -> list[tuple[Opinion, Opinion]]:
        """(before, after) of every opinion that the batch changed."""
        return [(self.before[id_], after) for id_, after in self.after.items()]


def fold(messages: Sequence[Message], known: dict[str, Opinion]) -> Batch:
    """Apply `messages`, in order, to the `known` opinions. Raises `Unprocessable` at a gap in a sequence."""
    batch = Batch({}, {}, [], [], [], [], {}, {})
    for message in messages:
        topic = message.record.topic
        if topic == topics.LIFECYCLE:
            _fold_lifecycle(message, known, batch)
        elif topic == topics.WORDS:
            data = message.event.data if message.event else None
            batch.words[message.key] = data if isinstance(data, Words) else None
        else:
            data = message.event.data if message.event else None
            batch.contacts[message.key] = data.sealed if isinstance(data, SealedContact) else None
    return batch


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
    if event.type not in UNTOLD:
        batch.told.append(event)
    if (result := command_result(now, event)) is not None:
        batch.results.append(result)
    if batch.after[id_].erased and not now.erased:
        batch.erased.append(id_)


class Projector:
    """Handles batches of lifecycle, words and contacts for one generation.

    `live` is false while a rebuild fills the generation: then nothing is numbered, published or queued, and
    alerts without a record are held back until it is live.
    """

    def __init__(
        self,
        store: ProjectionStore,
        ledger: NumberLedger,
        deliveries: DeliveryStore,
        publisher: Publishes,
        registry: Callable[[], Snapshot | None],
        *,
        live: bool,
        requeue: timedelta = timedelta(hours=24),
        queued: Callable[[], None] = lambda: None,
        devices: DeviceStore | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._deliveries = deliveries
        self._publisher = publisher
        self._registry = registry
        self._live = live
        self._requeue = requeue
        self._queued = queued
        self._devices = devices
        self._now = now

    async def handle(self, messages: list[Message]) -> None:
        """Load, apply, save, publish. Safe to repeat: alerts keep their numbers, opinions their sequence."""
        touched = {m.key for m in messages if m.record.topic == topics.LIFECYCLE}
        batch = fold(messages, await self._store.opinions(touched) if touched else {})
        await self._store.keep_words(batch.words)
        await self._store.keep_contacts(batch.contacts)
        numbers = await (self._raise(batch.alerts) if self._live else self._recall(batch.alerts))
        await self._store.save(batch.changed(), numbers, batch.results, batch.told)
        await self._store.erase(batch.erased)
        if not self._live:
            return
        again = await self._ledger.of_causes(batch.seen_before) if batch.seen_before else []
        await self._store.show_numbers(again)
        await self._tell([*again, *numbers])

    async def settle_held_back(self) -> int:
        """Look at what a rebuild held back, now that its generation is live; returns how many there were.

        Each gets its number; those that still wait on their receiver, and are young, are sent as well.
        """
        settled = 0
        while alerts := await self._store.held_back(limit=200):
            seats = await self._store.seats({alert.opinion for alert in alerts})
            oldest = self._now() - self._requeue
            waiting = [
                alert
                for alert in alerts
                if (seat := seats.get(alert.opinion, {}).get(alert.receiver)) is not None
                and seat.state == "open"
                and alert.recorded >= oldest
            ]
            numbers = await self._ledger.number(alerts, self._moment())
            await self._queue(waiting)
            await self._store.show_numbers(numbers)
            await self._tell(numbers)
            await self._store.settle(alerts)
            settled += len(alerts)
        return settled

    async def _raise(self, alerts: Sequence[Alert]) -> list[Numbered]:
        """Number `alerts` and queue them for the outside channels."""
        numbers = await self._ledger.number(alerts, self._moment())
        await self._queue(alerts)
        return numbers

    async def _recall(self, alerts: Sequence[Alert]) -> list[Numbered]:
        """The numbers that `alerts` have on record; those that lack a record somewhere are held back."""
        if not alerts:
            return []
        known = await self._ledger.known([alert_id(a.cause, a.receiver, INBOX) for a in alerts])
        unknown = [a for a in alerts if alert_id(a.cause, a.receiver, INBOX) not in known]
        oldest = self._now() - self._requeue
        young = [a for a in alerts if a.outside and a.recorded >= oldest]
        browsers = await self._browsers(young)
        outside = {due.alert: alert for alert in young for due in self._outside(alert, browsers)}
        sent = await self._deliveries.known(list(outside))
        unsent = [alert for id_, alert in outside.items() if id_ not in sent]
        await self._store.hold_back(list({(a.cause, a.receiver): a for a in [*unknown, *unsent]}.values()))
        return list(known.values())

    async def _queue(self, alerts: Sequence[Alert]) -> None:
        browsers = await self._browsers(alerts)
        dues = [due for alert in alerts for due in self._outside(alert, browsers)]
        if dues:
            await self._deliveries.queue(dues, self._moment())
            self._queued()

    async def _browsers(self, alerts: Sequence[Alert]) -> dict[str, datetime]:
        """Since when receivers have taken alerts in a browser; nothing where web push is not set up."""
        receivers = {alert.receiver for alert in alerts if alert.outside}
        return await self._devices.first_of(receivers) if self._devices and receivers else {}

    def _outside(self, alert: Alert, browsers: Mapping[str, datetime]) -> list[Due]:
        if not alert.outside:
            return []
        city = self._registry()
        if city is None:
            raise Outage("the registry is not read yet", what="registry")
        deputy = city.deputies.get(alert.receiver)
        channels = deputy.channels if deputy else ()
        # What was recorded before the first browser is the past, with which a rebuild must not flood it.
        if (since := browsers.get(alert.receiver)) is not None and since <= alert.recorded:
            channels = with_browsers(channels)
        return [due_for(alert, channel) for channel in addresses(channels)]

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
