"""One delivery that goes wrong stops neither its worker nor the others."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from msgspec.structs import replace
from tests.support.wait import eventually_async

from lianxin_chassis.outages import NotConfirmed, Overloaded
from lianxin_contracts import codec, topics
from lianxin_contracts.deliveries import Delivery, InboxEntry
from lianxin_contracts.envelope import OutRecord
from lianxin_contracts.registry import City, Snapshot
from lianxin_notifier.alerts import Due, Outside
from lianxin_notifier.channel_mail import MailServer, MailSlot
from lianxin_notifier.channel_webhook import WebhookSettings, WebhookSlot
from lianxin_notifier.delivery_documents import Claimed
from lianxin_notifier.delivery_store import DeliveryStore
from lianxin_notifier.posting import Allowed
from lianxin_notifier.protection import Guard
from lianxin_notifier.retrying import SENT, Outcome, RetryPolicy
from lianxin_notifier.sender import CLAIM_MOST, Sender, Slot, Timing, claim_size

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
TIMING = Timing(40.0, RetryPolicy(10.0, 3600.0, 20))


def claimed(alert: str, kind: Outside = "mail", target: str = "x@deputies.test") -> Claimed:
    due = Due(
        alert=alert,
        name=kind,
        kind=kind,
        target=target,
        receiver="D1",
        opinion="o",
        cause="e",
        raised=AT,
        entry=InboxEntry("opinion.assigned", "assigned", "open"),
    )
    return Claimed(due=due, status="queued", version=1)


class Queue:
    """Hands each delivery out once, and says yes to everything."""

    def __init__(self, *deliveries: Claimed) -> None:
        self.waiting = list(deliveries)
        self.put_back_until: list[datetime] = []

    async def claim(self, kind: str, limit: int, now: datetime, lease_s: float) -> list[Claimed]:
        taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return taken

    async def begin(self, one: Claimed, now: datetime, lease_s: float) -> Claimed:
        return one

    async def finish(
        self, one: Claimed, status: Any, error: Any, retry_at: Any, unknown: bool, at: Any
    ) -> Claimed:
        return Claimed(due=one.due, status=status, version=2, error=error, retry_at=retry_at)

    async def put_back(self, begun: Claimed, before: Due, at: datetime) -> None:
        self.put_back_until.append(at)
        self.waiting.append(begun)

    async def recorded(self, one: Claimed) -> None: ...

    async def release(self, left: Sequence[Claimed], at: datetime) -> None: ...


class Log:
    """What was published; refuses first with each of `refusals`."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.results: asyncio.Queue[Delivery] = asyncio.Queue()

    async def publish(self, records: Sequence[OutRecord], deadline_s: float = 5.0) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        for record in records:
            data = codec.decode(topics.DELIVERIES, record.value or b"", record.headers).data
            assert isinstance(data, Delivery)
            if data.status != "attempting":
                self.results.put_nowait(data)


class Stumbling:
    """A connection that stumbles over the first message."""

    def __init__(self, error: Exception) -> None:
        self._errors = [error]

    async def deliver(self, due: Due) -> Outcome:
        if self._errors:
            raise self._errors.pop()
        return SENT

    async def close(self) -> None: ...


class Dropped(Queue):
    """A queue whose database is dropped during the attempt."""

    async def finish(self, *_: Any) -> None: ...  # type: ignore[override]

    async def forgotten(self, alert: str) -> bool:
        return True

    async def ended(self, end: Delivery, at: datetime) -> None: ...


class TakenOver(Queue):
    """A queue that gave delivery "a" to another worker during the attempt."""

    async def finish(self, one: Claimed, *result: Any) -> Claimed | None:  # type: ignore[override]
        return None if one.due.alert == "a" else await super().finish(one, *result)

    async def forgotten(self, alert: str) -> bool:
        return False


async def results(slot: Slot, queue: Queue, log: Log, count: int, kind: Outside = "mail") -> list[Delivery]:
    sender = Sender(kind, [slot], cast(DeliveryStore, queue), log, TIMING, now=lambda: AT)
    running = asyncio.create_task(sender.run())
    try:
        async with asyncio.timeout(10):
            taking = asyncio.gather(*(log.results.get() for _ in range(count)))
            await asyncio.wait([running, taking], return_when=asyncio.FIRST_COMPLETED)
            assert not running.done(), running.exception()
            return list(await taking)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("error", [IndexError("x@deputies.test"), AttributeError(), UnicodeError()])
async def test_what_fails_by_a_fault_of_ours_is_given_up_with_its_reason_and_the_next_is_sent(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    given_up, sent = await results(Stumbling(error), Queue(claimed("a"), claimed("b")), Log(), 2)
    assert (given_up.alert, given_up.status, given_up.error) == ("a", "dead", type(error).__name__)
    assert (sent.alert, sent.status) == ("b", "sent")
    assert "x@deputies.test" not in "".join(capsys.readouterr())


async def test_an_outage_during_an_attempt_is_tried_again() -> None:
    (failed,) = await results(Stumbling(ConnectionResetError()), Queue(claimed("a")), Log(), 1)
    assert (failed.status, failed.error) == ("failed", "ConnectionResetError")


@pytest.mark.parametrize("refusal", [Overloaded("too much in flight"), NotConfirmed([], "late")])
async def test_an_attempt_whose_record_the_broker_does_not_take_is_not_made_but_comes_up_again(
    refusal: Exception,
) -> None:
    queue = Queue(claimed("a"))
    (sent,) = await results(Stumbling(ConnectionResetError()), queue, Log(refusal), 1)
    assert sent.alert == "a"
    assert queue.put_back_until == [AT + timedelta(seconds=1)]


@pytest.mark.parametrize("target", ["a@", "a@[", "a@b.c\nBcc: x@y.z"])
async def test_a_mistyped_mail_address_is_given_up(target: str) -> None:
    server = MailServer("127.0.0.1", 1, "l@x.test", "none", "", "", "https://lianxin.test", 5.0)
    city = Snapshot(version="v1", city=City("wuxi", "无锡"))
    slot = MailSlot(server, lambda: city)
    (dead,) = await results(slot, Queue(claimed("a", target=target)), Log(), 1)
    assert dead.status == "dead"


async def test_a_mistyped_webhook_address_is_given_up() -> None:
    slot = WebhookSlot(WebhookSettings(b"secret", Allowed(""), 5.0))
    bad = claimed("a", "webhook", "https://hooks..example.com/x")
    (dead,) = await results(slot, Queue(bad), Log(), 1, "webhook")
    assert (dead.status, dead.error) == ("dead", "not a host name")


async def test_an_attempt_during_which_the_database_was_dropped_has_its_end_on_the_log() -> None:
    late = Stumbling(ConnectionResetError())
    given_up, sent = await results(late, Dropped(claimed("a"), claimed("b")), Log(), 2)
    assert (given_up.alert, given_up.status) == ("a", "dead")
    assert "ConnectionResetError" in (given_up.error or "")
    assert (sent.alert, sent.status) == ("b", "sent")


async def test_the_result_of_an_attempt_that_another_worker_took_over_is_the_other_one_s_to_tell() -> None:
    queue = TakenOver(claimed("a"), claimed("b"))
    (told,) = await results(Stumbling(ValueError()), queue, Log(), 1)
    assert told.alert == "b"


@pytest.mark.parametrize(
    ("taken", "within_s", "size"),
    [
        (0, 1.0, 8),
        (3, 10.0, 8),
        (100, 1.0, 200),
        (100, 4.0, 50),
        (10_000, 1.0, CLAIM_MOST),
        (10, 0.0, CLAIM_MOST),
    ],
)
def test_as_much_is_claimed_as_is_taken_up_soon_and_never_less_than_the_connections_need(
    taken: int, within_s: float, size: int
) -> None:
    assert claim_size(taken, within_s, least=8) == size


class Resting(Queue):
    """A queue that keeps what it was given back."""

    def __init__(self, *deliveries: Claimed) -> None:
        super().__init__(*deliveries)
        self.given_back: list[list[str]] = []

    async def release(self, left: Sequence[Claimed], at: datetime) -> None:
        if left:
            self.given_back.append([one.due.alert for one in left])


async def test_when_the_channel_rests_all_that_was_claimed_is_given_back_at_once() -> None:
    guard = Guard("mail", failures=1, rest=timedelta(hours=1))
    queue = Resting()
    slot = Stumbling(ConnectionResetError())
    sender = Sender("mail", [slot], cast(DeliveryStore, queue), Log(), TIMING, guard, now=lambda: AT)
    for name in "abc":
        sender._claimed.put_nowait((claimed(name), AT))
    running = asyncio.create_task(sender.run())
    await eventually_async(lambda: queue.given_back)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [sorted(names) for names in queue.given_back] == [["b", "c"]]


async def test_what_was_claimed_too_long_ago_is_left_to_whoever_claims_it_next() -> None:
    queue, log = Queue(claimed("a")), Log()
    sender = Sender("mail", [Stumbling(ConnectionResetError())], cast(DeliveryStore, queue), log, TIMING,
                    now=lambda: AT)  # fmt: skip
    sender._claimed.put_nowait((claimed("late"), AT - timedelta(seconds=41)))
    running = asyncio.create_task(sender.run())
    result = await asyncio.wait_for(log.results.get(), 10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert result.alert == "a"


class Away:
    """A connection to a server that never answers."""

    async def deliver(self, due: Due) -> Outcome:
        return Outcome("retry", "ConnectError")

    async def close(self) -> None: ...


class Told:
    """Hears which deliveries have ended."""

    def __init__(self) -> None:
        self.ends: asyncio.Queue[str] = asyncio.Queue()

    async def ended(self, due: Due) -> None:
        self.ends.put_nowait(due.alert)


async def test_while_nothing_answers_only_what_has_another_channel_is_given_up_and_gone_on_with() -> None:
    class Others(Queue):
        async def claim(
            self, kind: str, limit: int, now: datetime, lease_s: float, *, others: bool = False
        ) -> list[Claimed]:
            taken = [one for one in self.waiting if one.due.others or not others][:limit]
            self.waiting = [one for one in self.waiting if one not in taken]
            return taken

    now = [AT]
    queue, log, told = Others(claimed("first")), Log(), Told()
    timing = Timing(40.0, TIMING.policy, silent_s=600.0)
    guard = Guard("mail", 1, timedelta(seconds=900))
    store = cast(DeliveryStore, queue)
    sender = Sender("mail", [Away()], store, log, timing, guard, told, now=lambda: now[0])
    running = asyncio.create_task(sender.run())
    try:
        async with asyncio.timeout(10):
            assert (await log.results.get()).alert == "first"  # failed, and the breaker opens
            now[0] += timedelta(seconds=601)
            alone, other = claimed("alone"), claimed("other")
            queue.waiting += [alone, replace(other, due=replace(other.due, others=True))]
            sender.wake()
            given_up = await log.results.get()
            assert await told.ends.get() == "other"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert (given_up.alert, given_up.status, given_up.error) == ("other", "dead", "no answer for too long")
    assert told.ends.empty()
    assert queue.waiting == [alone]
