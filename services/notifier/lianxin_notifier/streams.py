"""Alerts as they come, to whoever has an inbox open: any instance, resumable by number.

The log wakes a stream and brings the alert with it; the database fills in what the stream has not seen. The
numbers of a receiver have no gaps, so a stream knows what it lacks: it sends each number once, in order.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Backoff, outage
from lianxin_chassis.records import Record
from lianxin_contracts import codec
from lianxin_contracts.deliveries import Delivery
from lianxin_contracts.envelope import Undecodable
from lianxin_notifier.alerts import INBOX, Numbered
from lianxin_notifier.metric_names import OPEN_STREAMS

log = get_logger(__name__)

# What a slow reader may have waiting; beyond it the stream goes back to reading from the database.
MOST_WAITING = 256
PAGE = 200
# The log brings every alert; should one be missed (the follower was away), it is found this much later, s.
LOOK_EVERY_S = 5.0


class _Waiting:
    """What the log has brought for one stream. `overflown`: more came than it holds, and was dropped."""

    def __init__(self) -> None:
        self.alerts: asyncio.Queue[Numbered] = asyncio.Queue(MOST_WAITING)
        self.overflown = False

    def put(self, alert: Numbered) -> None:
        try:
            self.alerts.put_nowait(alert)
        except asyncio.QueueFull:
            self.overflown = True


ReadAfter = Callable[[str, int, int], Awaitable[Sequence[Numbered]]]
"""(receiver, number, limit) → the receiver's alerts above that number, in order."""


class AlertHub:
    """Hands alerts from the log to the open streams of this process."""

    def __init__(self, read_after: ReadAfter) -> None:
        self._read_after = read_after
        self._streams: dict[str, set[_Waiting]] = defaultdict(set)

    def apply(self, record: Record) -> None:
        """One record of `alerts.deliveries`, as the follower reads it. Never raises."""
        if record.value is None or not self._streams:
            return
        try:
            event = codec.decode(record.topic, record.value, record.headers)
        except Undecodable as error:
            log.warning("a delivery can't be read", offset=record.offset, error=str(error))
            return
        told = event.data
        if not isinstance(told, Delivery) or told.channel != INBOX:
            return
        if told.number is None or told.entry is None:
            return
        alert = Numbered(
            receiver=told.receiver,
            number=told.number,
            alert=told.alert,
            cause=told.cause,
            opinion=told.opinion,
            at=event.recordedtime,
            entry=told.entry,
        )
        for waiting in self._streams.get(told.receiver, ()):
            waiting.put(alert)

    async def follow(self, receiver: str, last: int) -> AsyncIterator[Numbered]:
        """Every alert of `receiver` above number `last`, in order and once, for ever."""
        waiting = _Waiting()
        self._streams[receiver].add(waiting)  # before the database is read: nothing falls between
        OPEN_STREAMS.inc()
        try:
            look = True
            while True:
                if look or (waiting.overflown and waiting.alerts.empty()):
                    waiting.overflown = False
                    for alert in await self._patiently(receiver, last):
                        last = alert.number
                        yield alert
                    look = False
                try:
                    alert = await asyncio.wait_for(waiting.alerts.get(), LOOK_EVERY_S)
                except TimeoutError:
                    look = True
                    continue
                if alert.number == last + 1:
                    last = alert.number
                    yield alert
                elif alert.number > last:  # what comes before it stands in the database already
                    look = True
        finally:
            OPEN_STREAMS.dec()
            self._streams[receiver].discard(waiting)
            if not self._streams[receiver]:
                del self._streams[receiver]

    async def _patiently(self, receiver: str, last: int) -> list[Numbered]:
        """What the database has above `last`, as soon as it answers."""
        backoff = Backoff(cap_s=5.0)
        found: list[Numbered] = []
        while True:
            try:
                while page := await self._read_after(receiver, last, PAGE):
                    found += page
                    last = page[-1].number
                    if len(page) < PAGE:
                        break
                return found
            except Exception as error:
                if outage(error) is None:
                    raise
            await asyncio.sleep(backoff.next())
