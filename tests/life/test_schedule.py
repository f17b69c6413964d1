"""What is to happen, in order and at once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from lianxin_local.life.schedule import Schedule

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
Done = list[tuple[datetime, str]]


def schedule(at_once: int = 4, window: timedelta = HOUR) -> Schedule[str]:
    return Schedule(START, lambda _: 0.0, window=window, at_once=at_once)


async def test_everything_up_to_the_end_is_done_and_nothing_after_it() -> None:
    one, done = schedule(), list[str]()
    for number, name in ((3, "c"), (1, "a"), (2, "b"), (5, "e")):
        one.put(START + number * HOUR, name)

    async def do(at: datetime, what: str) -> None:
        done.append(what)

    await one.run(do, START + 3 * HOUR)
    assert done == ["a", "b", "c"]
    assert one.reached == START + 3 * HOUR


async def test_what_follows_from_something_is_done_as_well() -> None:
    one, done = schedule(), list[str]()
    one.put(START, "a")

    async def do(at: datetime, what: str) -> None:
        await asyncio.sleep(0)
        done.append(what)
        if len(done) < 5:
            one.put(at + HOUR, what + "a")

    await one.run(do, START + 24 * HOUR)
    assert done == ["a" * n for n in range(1, 6)]


async def test_no_more_than_so_many_are_under_way() -> None:
    one, under_way, most = schedule(at_once=3), 0, 0
    for number in range(20):
        one.put(START, str(number))

    async def do(at: datetime, what: str) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    await one.run(do, START)
    assert most == 3


async def test_nothing_begins_further_ahead_of_what_is_not_finished_than_the_window() -> None:
    one, may_end, begun = schedule(), asyncio.Event(), list[str]()
    one.put(START, "slow")
    one.put(START + HOUR, "within")
    one.put(START + 2 * HOUR, "beyond")

    async def do(at: datetime, what: str) -> None:
        begun.append(what)
        if what == "slow":
            await may_end.wait()

    running = asyncio.create_task(one.run(do, START + 3 * HOUR))
    for _ in range(20):
        await asyncio.sleep(0)
    assert begun == ["slow", "within"]
    assert one.reached == START
    may_end.set()
    await running
    assert begun == ["slow", "within", "beyond"]


async def test_a_failure_ends_the_run_and_whatever_is_under_way() -> None:
    one, cancelled = schedule(), asyncio.Event()
    one.put(START, "waits")
    one.put(START, "fails")

    async def do(at: datetime, what: str) -> None:
        if what == "fails":
            raise ValueError(what)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(ValueError, match="fails"):
        await one.run(do, None)
    assert cancelled.is_set()


async def test_what_is_put_in_meanwhile_is_not_waited_past() -> None:
    now = START
    one: Schedule[str] = Schedule(START, lambda at: (at - now).total_seconds())
    one.put(START + 24 * HOUR, "tomorrow")
    done = asyncio.Event()

    async def do(at: datetime, what: str) -> None:
        done.set()

    running = asyncio.create_task(one.run(do, None))
    await asyncio.sleep(0)
    one.put(START, "now")
    async with asyncio.timeout(10):
        await done.wait()
    running.cancel()


async def test_stopped_it_finishes_what_is_under_way_and_begins_nothing_more() -> None:
    one, done = schedule(at_once=2), list[str]()
    for name in "abc":
        one.put(START, name)
    going_on = asyncio.Event()

    async def do(at: datetime, what: str) -> None:
        await going_on.wait()
        done.append(what)

    running = asyncio.create_task(one.run(do, START + HOUR))
    await asyncio.sleep(0)
    one.stop()
    going_on.set()
    async with asyncio.timeout(10):
        await running
    assert sorted(done) == ["a", "b"]
    assert one.reached == START


async def test_stopped_while_it_waits_for_an_instant_it_ends() -> None:
    one: Schedule[str] = Schedule(START, lambda at: 3600.0)
    one.put(START + HOUR, "later")

    async def do(at: datetime, what: str) -> None:
        raise AssertionError(what)

    running = asyncio.create_task(one.run(do, None))
    await asyncio.sleep(0)
    one.stop()
    async with asyncio.timeout(10):
        await running
