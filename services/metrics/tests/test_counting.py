"""Counting with a store in memory that fails, dies and is overtaken on order."""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence

import pytest
from tests.metrics.memory_store import Crash, MemoryStore
from tests.metrics.story import MONDAY, CaseLog, delivery, lives, mixed

from lianxin_chassis.consumer import Message, Unprocessable
from lianxin_chassis.records import Record
from lianxin_contracts import topics
from lianxin_contracts.envelope import Event
from lianxin_metrics.aggregate import Aggregate, from_document, to_document, total
from lianxin_metrics.counting import Counting
from lianxin_metrics.facts import Fact, fold
from lianxin_metrics.store import ZOMBIE_MS, Claim, Overtaken, Stamp

PARTITIONS = 3


class FaultyStore(MemoryStore):
    """Raises what `faults` holds, in turn, at each write; a fact write may be cut in half."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[BaseException | None] = []
        self.cut: random.Random | None = None

    def _maybe(self) -> None:
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault

    async def save(
        self, changed: Sequence[tuple[int, Fact | None, Fact]], stamps: Mapping[int, Stamp]
    ) -> None:
        self._maybe()
        if self.cut is not None and changed and self.cut.random() < 0.5:
            await super().save(changed[: self.cut.randrange(len(changed))], stamps)
            raise ConnectionError("half of it was written")
        await super().save(changed, stamps)
        self._maybe()

    async def publish(self, owned: Sequence[tuple[Claim, Aggregate]]) -> None:
        self._maybe()
        await super().publish(owned)
        self._maybe()


def first_level(topic: str) -> str:
    return topic


def partition_of(case: str) -> int:
    return int(case[:8], 16) % PARTITIONS


def log_of(events: Iterable[Event]) -> list[Message]:
    """The events as a broker would number them."""
    ends = [0] * PARTITIONS
    messages = []
    for event in events:
        partition = partition_of(event.subject)
        record = Record(topics.LIFECYCLE, partition, ends[partition], event.subject.encode(), b"{}", (), 0)
        ends[partition] += 1
        messages.append(Message(record, event, event.subject))
    return messages


def counted(logs: Sequence[CaseLog]) -> dict[str, object]:
    aggregate = Aggregate()
    for log in logs:
        fact = Fact(case=log.case)
        for event in log.events:
            fact = fold(fact, event, first_level)
        aggregate.advance(None, fact)
    return to_document(aggregate)


def published(store: MemoryStore) -> dict[str, object]:
    return to_document(total(from_document(saved["aggregate"]) for saved in store.aggregates.values()))


async def drive(counting: Counting, messages: Sequence[Message], size: int) -> None:
    for start in range(0, len(messages), size):
        await counting.handle(messages[start : start + size])


async def test_every_event_counts_once() -> None:
    store, logs = MemoryStore(), lives(range(60))
    await drive(Counting(store, first_level), log_of(mixed(logs, 1)), 37)
    assert published(store) == counted(logs)


async def test_a_log_read_twice_counts_once_and_needs_no_recount() -> None:
    store, logs = MemoryStore(), lives(range(40))
    counting = Counting(store, first_level)
    for _ in range(2):
        await drive(counting, log_of(mixed(logs, 1)), 23)
    assert published(store) == counted(logs)
    assert store.scans == 0


async def test_a_worker_that_stops_between_batches_hands_over_without_a_recount() -> None:
    store, logs = MemoryStore(), lives(range(40))
    messages = log_of(mixed(logs, 2))
    await drive(Counting(store, first_level), messages[:300], 50)
    await drive(Counting(store, first_level), messages[200:], 50)
    assert published(store) == counted(logs)
    assert store.scans == 0


@pytest.mark.parametrize("seed", range(25))
async def test_a_worker_may_die_at_any_write(seed: int) -> None:
    """The next one begins again at the last batch that was acknowledged."""
    chance = random.Random(seed)
    store, logs = FaultyStore(), lives(range(seed, seed + 25))
    messages = log_of(mixed(logs, seed))
    counting, acknowledged = Counting(store, first_level), 0
    while acknowledged < len(messages):
        store.faults = [None] * chance.randrange(12) + [Crash()]
        store.cut = chance if chance.random() < 0.5 else None
        upto = acknowledged + chance.randint(1, 30)
        try:
            await counting.handle(messages[acknowledged:upto])
        except Crash:
            counting = Counting(store, first_level)
        except ConnectionError:
            pass  # the chassis hands the same worker the same batch again
        else:
            acknowledged = upto
    assert published(store) == counted(logs)


@pytest.mark.parametrize("seed", range(25))
async def test_two_workers_that_both_think_they_own_a_partition_count_each_event_once(seed: int) -> None:
    """Each reads from a place of its own, at its own pace, as after a rebalance that one has not noticed; at
    the end the last owner has read everything."""
    chance = random.Random(seed)
    store, logs = FaultyStore(), lives(range(seed, seed + 15))
    messages = log_of(mixed(logs, seed))
    workers = [Counting(store, first_level), Counting(store, first_level)]
    places = [0, 0]
    falls = Falls(store)
    while min(places) < len(messages):
        turn = chance.randrange(2)
        upto = places[turn] + chance.randint(1, 25)
        try:
            await workers[turn].handle(messages[places[turn] : upto])
        except Overtaken:
            pass  # the chassis hands the batch over again
        except Unprocessable as gap:
            # A reader can't be ahead of its own log: only the other worker's events are missing here.
            raise AssertionError("a gap where there is none") from gap
        else:
            places[turn] = upto
        if chance.random() < 0.1:
            workers[turn] = Counting(store, first_level)
        falls.check()
    assert published(store) == counted(logs)


@pytest.mark.parametrize("seed", range(25))
async def test_a_last_write_of_a_worker_that_lost_its_partition_is_found_and_counted(seed: int) -> None:
    """The old owner hangs between loading and saving while the new one claims, works, and may die as well."""
    chance = random.Random(seed)
    store, logs = HangingStore(), lives(range(seed, seed + 12))
    messages = log_of(mixed(logs, seed))
    falls = Falls(store)
    old = Counting(store, first_level)
    read = chance.randrange(20, 120)
    await drive(old, messages[:read], 20)
    store.hang = asyncio.Event()
    last = asyncio.create_task(old.handle(messages[read : read + 20]))
    await store.hanging.wait()
    hung, store.hang = store.hang, None
    new = Counting(store, first_level)
    done = read + chance.randrange(1, 20)
    await new.handle(messages[read:done])
    if chance.random() < 0.5:
        new = Counting(store, first_level)
        await new.handle(messages[read:done])
    hung.set()
    with pytest.raises(Overtaken):
        await last
    falls.check()
    for start in range(done, len(messages), 15):
        while True:
            try:
                await new.handle(messages[start : start + 15])
            except Overtaken:
                continue
            break
        falls.check()
    assert published(store) == counted(logs)


async def persistently(counting: Counting, messages: Sequence[Message]) -> None:
    """As the chassis does: what was overtaken is handed over again."""
    while True:
        try:
            await counting.handle(messages)
        except Overtaken:
            continue
        return


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("gap_ms", [60_000, 2 * ZOMBIE_MS])
async def test_a_partition_that_goes_to_another_worker_and_comes_back_is_counted_whole(
    told: bool, gap_ms: int
) -> None:
    """Also where the first worker does not hear of it, and so goes on with what it knew."""
    store, logs = MemoryStore(), lives(range(40))
    messages = log_of(mixed(logs, 1))
    quarter = len(messages) // 4
    first, second = Counting(store, first_level), Counting(store, first_level)
    await persistently(first, messages[:quarter])
    await persistently(second, messages[quarter : 2 * quarter])
    store.ahead_ms += gap_ms
    if told:
        await first.on_assigned(frozenset(range(PARTITIONS)))
    await persistently(first, messages[2 * quarter : 3 * quarter])
    await persistently(first, messages[3 * quarter :])
    assert published(store) == counted(logs)
    assert store.scans == 0


async def test_new_cases_of_a_partition_that_came_back_are_counted_however_often_it_moved() -> None:
    """A case that nobody knows shows no later owner's stamp."""
    store = MemoryStore()
    logs = [CaseLog(f"{PARTITIONS * n:08x}").submit() for n in range(5)]
    first, second = Counting(store, first_level), Counting(store, first_level)
    messages = log_of(event for log in logs for event in log.events)
    await persistently(first, messages[:1])
    for turn in (1, 2):
        await persistently(second, messages[turn : turn + 1])
        store.ahead_ms += 2 * ZOMBIE_MS
        await second.on_assigned(frozenset())
    await first.on_assigned(frozenset({0}))
    await persistently(first, messages[3:4])
    store.ahead_ms += 2 * ZOMBIE_MS
    await persistently(Counting(store, first_level), messages[3:])
    assert published(store) == counted(logs)


@pytest.mark.parametrize("deaths", [2, 3])
async def test_what_a_worker_left_uncounted_is_counted_however_many_die_before_and_however_late(
    deaths: int,
) -> None:
    store, logs = FaultyStore(), lives(range(40))
    messages = log_of(mixed(logs, 1))
    half = len(messages) // 2
    await Counting(store, first_level).handle(messages[:half])
    for _ in range(deaths):
        store.faults = [None, None, Crash()]  # the facts are saved, the aggregates not
        with pytest.raises(Crash):
            await Counting(store, first_level).handle(messages[half:])
        store.ahead_ms += 2 * ZOMBIE_MS
    await persistently(Counting(store, first_level), messages[half:])
    assert published(store) == counted(logs)


async def test_what_is_known_of_partitions_is_forgotten_with_each_assignment() -> None:
    """Also of one that was being opened: its claim is an old one by then."""
    store, logs = SlowClaims(), lives(range(20))
    messages = log_of(mixed(logs, 1))
    counting = Counting(store, first_level)
    opening = asyncio.create_task(counting.handle(messages))
    async with asyncio.timeout(10):
        await store.claimed.wait()
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    store.let.set()
    await counting.on_assigned(frozenset(range(PARTITIONS)))
    await counting.handle(messages)
    assert {saved["epoch"] for saved in store.aggregates.values()} == {2}
    assert published(store) == counted(logs)


class SlowClaims(MemoryStore):
    """What follows a claim waits for `let`; `claimed` is set when every partition's does."""

    def __init__(self) -> None:
        super().__init__()
        self.let = asyncio.Event()
        self.claimed = asyncio.Event()

    async def has_uncounted(self, claim: Claim) -> bool:
        if len(self.aggregates) == PARTITIONS:
            self.claimed.set()
        await self.let.wait()
        return await super().has_uncounted(claim)


class HangingStore(MemoryStore):
    """`save` waits for `hang`, where it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.hang: asyncio.Event | None = None
        self.hanging = asyncio.Event()

    async def save(
        self, changed: Sequence[tuple[int, Fact | None, Fact]], stamps: Mapping[int, Stamp]
    ) -> None:
        if self.hang is not None:
            hang = self.hang
            self.hanging.set()
            await hang.wait()
        await super().save(changed, stamps)


class Falls:
    """Watches that no published counter falls."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._seen: dict[object, int] = {}

    def check(self) -> None:
        aggregate = total(from_document(saved["aggregate"]) for saved in self._store.aggregates.values())
        now: dict[object, int] = dict(aggregate.events)
        now |= {series: distribution.count for series, distribution in aggregate.histograms.items()}
        for name, value in self._seen.items():
            assert now.get(name, 0) >= value, name
        self._seen = now


async def test_a_gap_in_a_case_holds_that_record_and_writes_nothing() -> None:
    store = MemoryStore()
    first, _, third, *_ = log_of(CaseLog("0" * 8).submit().assign().accept().events)
    with pytest.raises(Unprocessable) as held:
        await Counting(store, first_level).handle([first, third])
    assert (held.value.message, held.value.reason) == (third, "sequence_gap")
    assert not store.facts


async def test_a_step_of_an_alert_is_kept_once() -> None:
    store = MemoryStore()
    event = delivery("a1", "mail", "sent", MONDAY)
    record = Record(topics.DELIVERIES, 0, 0, b"a1", b"{}", (), 0)
    for _ in range(2):
        await Counting(store, first_level).handle([Message(record, event, "a1")])
    assert len(store.steps) == 1
