"""Alerts as they come, to whoever has an inbox open: any instance, resumable by number.

The log wakes a stream and brings the alert with it. Of the log a stream takes only the number that follows
the one it sent last; whatever else there is comes from the database, which answers only while its numbers
are whole. So each number is sent once, in order.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Backoff, outage
from lianxin_chassis.patience import patiently
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

ReadAfter = Callable[[str, int, int], Awaitable[Sequence[Numbered]]]
"""(receiver, number, limit) → the receiver's alerts above that number, in order."""
ReadStands = Callable[[Iterable[str]], Awaitable[Mapping[str, int]]]
"""receivers → about where the numbers of each stand; never above."""


class _Waiting:
    """What has come for one stream: alerts from the log, and numbers that the database is known to have.
    `overflown`: more came than it holds, and was dropped."""

    def __init__(self) -> None:
        self.news: asyncio.Queue[Numbered | int] = asyncio.Queue(MOST_WAITING)
        self.overflown = False

    def put(self, news: Numbered | int) -> None:
        try:
            self.news.put_nowait(news)
        except asyncio.QueueFull:
            self.overflown = True


class AlertHub:
    """Hands alerts from the log to the open streams of this process."""

    def __init__(self, read_after: ReadAfter, read_stands: ReadStands) -> None:
        self._read_after = read_after
        self._read_stands = read_stands
        self._streams: dict[str, set[_Waiting]] = defaultdict(set)

    async def watch(self) -> None:
        """Look now and then, for all open streams in one query, whether the database has more than the log
        has brought. For ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if receivers := list(self._streams):
                self.behind(await patiently(lambda of=receivers: self._read_stands(of)))  # type: ignore[misc]

    def behind(self, stands: Mapping[str, int]) -> None:
        """The database has each receiver's alerts up to these numbers: who has sent less looks there."""
        for receiver, number in stands.items():
            for waiting in self._streams.get(receiver, ()):
                waiting.put(number)

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
                if look or (waiting.overflown and waiting.news.empty()):
                    waiting.overflown = False
                    async for alert in self._stored(receiver, last):
                        last = alert.number
                        yield alert
                news = await waiting.news.get()
                if isinstance(news, Numbered) and news.number == last + 1:
                    look, last = False, news.number
                    yield news
                else:  # what comes before it stands in the database already
                    look = (news if isinstance(news, int) else news.number) > last
        finally:
            OPEN_STREAMS.dec()
            self._streams[receiver].discard(waiting)
            if not self._streams[receiver]:
                del self._streams[receiver]

    async def _stored(self, receiver: str, last: int) -> AsyncIterator[Numbered]:
        """What the database has above `last`, page by page."""
        while page := await self._page(receiver, last):
            for alert in page:
                if alert.number != last + 1:
                    log.warning("numbers are missing", receiver=receiver, after=last, found=alert.number)
                last = alert.number
                yield alert
            if len(page) < PAGE:
                return

    async def _page(self, receiver: str, last: int) -> Sequence[Numbered]:
        """The page above `last`, as soon as the database answers."""
        backoff = Backoff(cap_s=5.0)
        while True:
            try:
                return await self._read_after(receiver, last, PAGE)
            except Exception as error:
                if outage(error) is None:
                    raise
            await asyncio.sleep(backoff.next())
