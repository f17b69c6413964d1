"""An open stream shows each number once and in order, whatever the log does."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime

import pytest

from lianxin_chassis.marks import Lost
from lianxin_chassis.records import Record
from lianxin_contracts import topics
from lianxin_contracts.deliveries import InboxEntry
from lianxin_contracts.envelope import OutRecord
from lianxin_notifier import streams
from lianxin_notifier.alerts import Numbered, inbox_record
from lianxin_notifier.streams import PAGE, AlertHub

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
ENTRY = InboxEntry("opinion.assigned", "assigned", "open")


def alert(number: int, receiver: str = "D1") -> Numbered:
    return Numbered(
        receiver=receiver,
        number=number,
        alert=f"{receiver}-{number}",
        cause="e",
        opinion=f"o{number}",
        at=AT,
        entry=ENTRY,
    )


def read(record: OutRecord) -> Record:
    return Record(topics.DELIVERIES, 0, 0, record.key, record.value, record.headers, record.timestamp_ms)


class Inbox:
    """What the database would answer."""

    def __init__(self) -> None:
        self.alerts: list[Numbered] = []
        self.asked = 0
        self.asked_once = asyncio.Event()
        self.stands_asked: list[list[str]] = []
        self.stands_answered = asyncio.Semaphore(0)
        self.lost = False

    def hub(self) -> AlertHub:
        return AlertHub(self.after, self.stands)

    async def stands(self, receivers: Iterable[str]) -> dict[str, int]:
        self.stands_asked.append(sorted(receivers))
        self.stands_answered.release()
        return {a.receiver: a.number for a in self.alerts if a.receiver in receivers}

    async def after(self, receiver: str, number: int, limit: int) -> Sequence[Numbered]:
        self.asked += 1
        self.asked_once.set()
        if self.lost:
            raise Lost("inbox_log")
        return [a for a in self.alerts if a.receiver == receiver and a.number > number][:limit]


async def take(stream: AsyncIterator[Numbered], count: int) -> list[int]:
    async with asyncio.timeout(5):
        return [(await anext(stream)).number for _ in range(count)]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


async def test_a_stream_begins_with_what_was_missed(inbox: Inbox) -> None:
    inbox.alerts = [alert(n) for n in range(1, 451)]
    stream = inbox.hub().follow("D1", 3)
    assert await take(stream, 447) == list(range(4, 451))


async def test_what_the_log_brings_in_order_needs_no_database(inbox: Inbox) -> None:
    hub = inbox.hub()
    stream = hub.follow("D1", 0)
    first = asyncio.create_task(take(stream, 1))
    await inbox.asked_once.wait()
    asked = inbox.asked
    hub.apply(read(inbox_record(alert(1))))
    hub.apply(read(inbox_record(alert(2))))
    assert await first == [1]
    assert await take(stream, 1) == [2]
    assert inbox.asked == asked


async def test_numbers_that_come_late_twice_or_out_of_order_are_shown_once_and_in_order(inbox: Inbox) -> None:
    inbox.alerts = [alert(n) for n in range(1, 101)]
    hub = inbox.hub()
    stream = hub.follow("D1", 100)
    taken = asyncio.create_task(take(stream, 200))
    await inbox.asked_once.wait()
    later = [alert(n) for n in range(101, 301)]
    inbox.alerts += later  # in the database before they are published
    order = later + random.Random(7).choices(later, k=100)
    random.Random(8).shuffle(order)
    for one in order:
        hub.apply(read(inbox_record(one)))
        await asyncio.sleep(0)
    assert await taken == list(range(101, 301))


async def test_a_slow_reader_is_brought_up_to_date_from_the_database(inbox: Inbox) -> None:
    hub = inbox.hub()
    stream = hub.follow("D1", 0)
    inbox.alerts = [alert(1)]
    assert await take(stream, 1) == [1]
    inbox.alerts = [alert(n) for n in range(1, 2001)]
    for one in inbox.alerts[1:]:
        hub.apply(read(inbox_record(one)))  # far more than it may have waiting
    assert await take(stream, 1999) == list(range(2, 2001))


async def test_another_inboxs_alerts_are_not_shown(inbox: Inbox) -> None:
    hub = inbox.hub()
    stream = hub.follow("D1", 0)
    inbox.alerts = [alert(1)]
    assert await take(stream, 1) == [1]
    hub.apply(read(inbox_record(alert(2, "D2"))))
    hub.apply(read(inbox_record(alert(2, "D1"))))
    assert await take(stream, 1) == [2]


async def test_a_closed_stream_leaves_nothing_behind(inbox: Inbox) -> None:
    hub = inbox.hub()
    inbox.alerts = [alert(1)]
    stream = hub.follow("D1", 0)
    assert await take(stream, 1) == [1]
    await stream.aclose()  # type: ignore[attr-defined]
    assert not hub._streams


async def test_a_record_that_cannot_be_read_does_not_stop_the_streams(inbox: Inbox) -> None:
    hub = inbox.hub()
    inbox.alerts = [alert(1)]
    stream = hub.follow("D1", 0)
    assert await take(stream, 1) == [1]
    hub.apply(Record(topics.DELIVERIES, 0, 0, b"k", b"{", (), 0))
    hub.apply(read(inbox_record(alert(2))))
    assert await take(stream, 1) == [2]


async def test_a_backlog_is_sent_page_by_page(inbox: Inbox) -> None:
    inbox.alerts = [alert(n) for n in range(1, 3 * PAGE + 1)]
    stream = inbox.hub().follow("D1", 0)
    assert await take(stream, 1) == [1]
    assert inbox.asked == 1
    assert await take(stream, 3 * PAGE - 1) == list(range(2, 3 * PAGE + 1))


async def test_open_streams_are_looked_after_in_one_query_and_ask_nothing_themselves(
    inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LOOK_EVERY_S", 0.001)
    hub = inbox.hub()
    inbox.alerts = [alert(1, who) for who in ("D1", "D2", "D3")]
    opened = [hub.follow(who, 0) for who in ("D1", "D2", "D3")]
    for stream in opened:
        assert await take(stream, 1) == [1]
    waiting = [asyncio.create_task(take(stream, 1)) for stream in opened]
    watching = asyncio.create_task(hub.watch())
    try:
        async with asyncio.timeout(5):
            for _ in range(20):
                await inbox.stands_answered.acquire()
        assert inbox.stands_asked[0] == ["D1", "D2", "D3"]
        assert inbox.asked == 3  # once by each stream, at its opening
        inbox.alerts.append(alert(2, "D2"))  # the log never brings it
        assert await waiting[1] == [2]
        assert inbox.asked == 4
    finally:
        for task in (watching, *waiting):
            task.cancel()


async def test_nothing_is_skipped_while_the_numbers_are_being_restored(inbox: Inbox) -> None:
    hub = inbox.hub()
    inbox.alerts = [alert(n) for n in range(1, 7)]
    stream = hub.follow("D1", 0)
    assert await take(stream, 6) == list(range(1, 7))
    inbox.lost, inbox.alerts = True, [alert(9)]  # 7 and 8 lie in partitions that are not read back yet
    inbox.asked_once.clear()
    hub.apply(read(inbox_record(alert(9))))
    taken = asyncio.create_task(take(stream, 3))
    await inbox.asked_once.wait()
    inbox.lost, inbox.alerts = False, [alert(n) for n in range(1, 10)]
    assert await taken == [7, 8, 9]


async def test_a_number_that_belongs_to_nobody_does_not_stop_a_stream(inbox: Inbox) -> None:
    hub = inbox.hub()
    inbox.alerts = [alert(n) for n in (1, 2, 5)]
    stream = hub.follow("D1", 0)
    assert await take(stream, 3) == [1, 2, 5]
    hub.apply(read(inbox_record(alert(6))))
    assert await take(stream, 1) == [6]
