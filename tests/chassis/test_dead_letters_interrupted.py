"""Putting aside, retrying and skipping, cut short at the worst moments: nothing is lost, orphaned or given up
that should not be."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import pytest
import pytest_asyncio

from lianxin_chassis import work
from lianxin_chassis.batches import Unprocessable
from lianxin_chassis.database import Database
from lianxin_chassis.limits import DeadLetterLimits, TooManyDeadLetters
from lianxin_chassis.parking import Aside, Key, ParkingLot, Partition
from lianxin_chassis.publisher import Unpublishable
from lianxin_chassis.records import Message, Record
from lianxin_chassis.work import Abandoned, Work
from lianxin_contracts.envelope import OutRecord
from tests.chassis.worker import Said, event_of

GROUP = "g"
OWNED: frozenset[Partition] = frozenset({("t", 0)})


class Killed(BaseException):
    """The process ends here."""


class Letters:
    """A publisher that keeps what it is given and refuses what `refuses` says."""

    def __init__(self) -> None:
        self.written: list[OutRecord] = []
        self.refuses: Callable[[OutRecord], bool] = lambda _: False

    async def publish(self, records: Sequence[OutRecord], deadline_s: float = 5.0) -> None:
        if any(self.refuses(record) for record in records):
            raise Unpublishable("too large")
        self.written += records

    def errors(self) -> list[bytes | None]:
        return [dict(letter.headers)["lianxin_dlq_error"] for letter in self.written]


class Frail(ParkingLot):
    """A parking lot whose process is killed before the operation named `dies_at`."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.dies_at = ""

    async def put(self, group: str, aside: Sequence[Aside]) -> None:
        if self.dies_at == "put":
            raise Killed
        await super().put(group, aside)

    async def done(self, group: str, record: Record) -> None:
        if self.dies_at == "done":
            raise Killed
        await super().done(group, record)
        if self.dies_at == "after done":
            raise Killed


class Service:
    """One worker's work on `t` with a handler that does as its records say."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.parking = Frail(db)
        self.letters = Letters()
        self.handled: list[int] = []
        self.told: list[str] = []
        self.mended = False
        self.held = asyncio.Event()  # the handler waits for it
        self.held.set()
        self.begun = asyncio.Event()
        self.work = self.make()

    def make(self, limits: DeadLetterLimits | None = None) -> Work:
        """A process that starts anew."""
        self.parking.dies_at = ""
        self.work = Work(
            GROUP,
            self.handle,
            self.parking,
            self.letters,  # type: ignore[arg-type]
            decode=lambda _topic, value, _headers: event_of(value, readable=self.mended),
            on_dead_letter=self.on_dead_letter,
            limits=limits,
        )
        return self.work

    async def handle(self, messages: list[Message]) -> None:
        self.begun.set()
        await self.held.wait()
        said = [(m, m.event.data) for m in messages if m.event is not None]
        for message, data in said:
            assert isinstance(data, Said)
            if data.deed == "refuse" and not self.mended:
                raise Unprocessable(message, "refused")
            if data.deed == "raise" and not self.mended:
                raise ValueError("a bug")
        self.handled += [data.number for _, data in said if isinstance(data, Said)]

    async def on_dead_letter(self, _record: Record, reason: str) -> None:
        self.told.append(reason)

    async def parked_keys(self) -> dict[Key, str]:
        return dict(await self.parking.parked(GROUP, OWNED))

    async def waiting(self) -> list[int]:
        return [r.offset for r in await self.parking.waiting(GROUP, ("t", 0, b"k"))]

    async def ask(self, state: str) -> None:
        await self.parking.request_retry("t") if state == "retry" else await self.parking.request_skip(
            "t", "k"
        )


@pytest_asyncio.fixture
async def service(db: Database) -> Service:
    one = Service(db)
    await one.parking.prepare()
    await one.work.adopt(OWNED, None)
    return one


def record(offset: int, deed: str = "", key: bytes = b"k", topic: str = "t", partition: int = 0) -> Record:
    return Record(topic, partition, offset, key, msgspec.json.encode(Said(offset, deed)), (), 1)


async def test_a_record_whose_putting_aside_is_cut_short_comes_again_as_the_failure_it_is(
    service: Service,
) -> None:
    service.parking.dies_at = "put"
    with pytest.raises(Killed):
        await service.work.batch([record(0, "garble")])
    again = service.make()
    await again.adopt(OWNED, None)
    await again.batch([record(0, "garble")])
    assert service.told == ["undecodable", "undecodable"]
    assert set(service.letters.errors()) == {b"undecodable"}
    assert [aside.reason for aside in await service.parking.show("t", "k")] == ["undecodable"]


async def test_what_was_kept_before_a_kill_is_kept_once(service: Service) -> None:
    bad = [record(0, "refuse"), record(1)]
    await service.work.batch(bad)
    again = service.make()
    await again.adopt(OWNED, None)
    await again.batch(bad)
    assert await service.waiting() == [0, 1]
    assert [a.reason for a in await service.parking.show("t", "k")] == ["refused", "parked"]


@pytest.mark.parametrize("moment", ["done", "after done"])
async def test_a_skip_that_is_interrupted_gives_up_no_second_record(service: Service, moment: str) -> None:
    await service.work.batch([record(0, "refuse"), record(1), record(2)])
    await service.ask("skip")
    service.parking.dies_at = moment
    with pytest.raises(Killed):
        await service.work.refresh_parked()
    again = service.make()
    await again.adopt(OWNED, None)
    await again.refresh_parked()
    assert service.handled == [1, 2]
    assert await service.parked_keys() == {}


async def test_a_retry_ends_at_the_record_in_hand_when_the_partitions_are_lost(service: Service) -> None:
    await service.work.batch([record(0, "refuse"), record(1), record(2)])
    service.mended = True
    await service.ask("retry")
    service.held.clear()
    service.begun.clear()
    retrying = asyncio.create_task(service.work.refresh_parked())
    await asyncio.wait_for(service.begun.wait(), 10)
    service.work.give_up()
    settled = asyncio.create_task(service.work.settled())
    await asyncio.sleep(0)
    assert not settled.done()
    service.held.set()
    with pytest.raises(Abandoned):
        await retrying
    await asyncio.wait_for(settled, 10)
    assert service.handled == [0]
    assert await service.waiting() == [1, 2]
    await service.work.refresh_parked()  # not ours any more
    assert service.handled == [0]
    heir = service.make()
    await heir.adopt(OWNED, None)
    await heir.refresh_parked()
    assert service.handled == [0, 1, 2]
    assert await service.parked_keys() == {}


async def test_a_key_is_not_released_by_one_who_did_not_see_its_newest_record(service: Service) -> None:
    await service.work.batch([record(0, "refuse")])
    key: Key = ("t", 0, b"k")
    seen = await service.parking.mark(GROUP, key)
    assert seen is not None
    await service.parking.put(GROUP, [Aside(record(1), "parked")])
    assert not await service.parking.unpark(GROUP, key, seen.version)
    assert list(await service.parked_keys()) == [key]


async def test_the_same_number_of_another_topic_is_another_workers(service: Service) -> None:
    await service.work.batch([record(0, "refuse")])
    service.mended = True
    await service.ask("retry")
    other = Service(service.db)
    await other.work.adopt(frozenset({("u", 0)}), None)
    await other.work.refresh_parked()
    assert other.work.parked == {}
    assert other.handled == []
    await service.work.refresh_parked()
    assert service.handled == [0]


async def test_one_key_in_two_partitions_is_parked_in_the_one_where_it_failed(service: Service) -> None:
    await service.work.adopt(frozenset({("t", 0), ("t", 1)}), None)
    await service.work.batch([record(0, "refuse"), record(5, partition=1)])
    assert service.handled == [5]
    assert list(service.work.parked) == [("t", 0, b"k")]


async def test_a_record_with_a_header_without_a_value_is_kept_and_retried(service: Service) -> None:
    odd = replace(record(0, "refuse"), headers=(("h", None), ("i", b"1")))
    await service.work.batch([odd])
    assert (await service.parking.show("t", "k"))[0].record.headers == odd.headers
    assert service.letters.written[0].headers[:2] == odd.headers
    service.mended = True
    await service.ask("retry")
    await service.work.refresh_parked()
    assert service.handled == [0]


async def test_a_key_that_cannot_be_read_back_holds_up_no_other(service: Service, db: Database) -> None:
    await service.work.batch([record(0, "refuse"), record(1, "refuse", key=b"other")])
    await db["parked_records"].update_one({"offset": 0}, {"$set": {"headers": 7}})
    service.mended = True
    await service.ask("retry")
    await service.work.refresh_parked()
    assert service.handled == [1]
    (left,) = await service.parking.list_parked()
    assert (left.key, left.state, left.reason) == ("k", "parked", "error")


async def test_one_letter_that_is_too_large_leaves_the_others_whole(service: Service) -> None:
    large = record(1, "refuse", key=b"large")
    service.letters.refuses = lambda letter: letter.key == b"large" and letter.value is not None
    await service.work.batch([record(0, "refuse"), large, record(2, "refuse", key=b"z")])
    assert [(letter.key, letter.value is None) for letter in service.letters.written] == [
        (b"k", False),
        (b"large", True),
        (b"z", False),
    ]
    assert (await service.parking.show("t", "large"))[0].record == large


async def test_failures_with_successes_between_are_no_row(service: Service) -> None:
    strict = service.make(DeadLetterLimits(in_a_row=3, share=1.0))
    await strict.adopt(OWNED, None)
    deeds = ["refuse", "refuse", "", "refuse", "refuse", ""]
    await strict.batch([record(n, deed, key=b"%d" % n) for n, deed in enumerate(deeds)])
    assert len(await service.parked_keys()) == 4


async def test_a_batch_that_was_given_up_is_counted_once_when_it_comes_again(service: Service) -> None:
    strict = service.make(DeadLetterLimits(in_a_row=3, share=1.0))
    await strict.adopt(OWNED, None)
    bad = [record(0, "refuse"), record(1, "refuse", key=b"other")]
    for _ in range(3):
        strict.give_up()
        with pytest.raises(Abandoned):
            await strict.batch(bad)
        await strict.adopt(OWNED, None)
    await strict.batch(bad)
    with pytest.raises(TooManyDeadLetters):
        await strict.batch([record(2, "refuse", key=b"third")])
    assert len(await service.parked_keys()) == 2


async def test_a_service_that_always_fails_at_a_dead_letter_ends_the_process(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def broken(_record: Record, _reason: str) -> None:
        nonlocal tries
        tries += 1
        raise LookupError("a bug")

    def die(reason: str, **_: object) -> None:
        raise Killed(reason)

    monkeypatch.setattr(work, "die", die)
    service.on_dead_letter = broken  # type: ignore[method-assign]
    failing = service.make()
    await failing.adopt(OWNED, None)
    with pytest.raises(Killed, match="dead letter"):
        await failing.batch([record(0, "refuse")])
    assert tries == work.TRIES
    assert await service.waiting() == []


async def test_handling_key_by_key_ends_when_the_partitions_are_lost(service: Service) -> None:
    many = [record(n, "raise" if n == 0 else "", key=b"k%d" % n) for n in range(100)]
    service.held.clear()
    handling = asyncio.create_task(service.work.batch(many))
    await asyncio.wait_for(service.begun.wait(), 10)
    service.work.give_up()
    service.held.set()
    with pytest.raises(Abandoned):
        await handling
    assert service.handled == []
    assert await service.parked_keys() == {}


async def test_what_is_lost_while_it_is_taken_over_is_not_owned(service: Service) -> None:
    entered = asyncio.Event()
    go_on = asyncio.Event()

    async def slow(_: frozenset[Partition]) -> None:
        entered.set()
        await go_on.wait()

    adopting = asyncio.create_task(service.work.adopt(OWNED, slow))
    await entered.wait()
    service.work.give_up()
    go_on.set()
    with pytest.raises(Abandoned):
        await adopting
    assert service.work.owned == frozenset()
    with pytest.raises(Abandoned):
        await service.work.batch([record(0)])
