"""What the ledger of inbox numbers promises, on both clients."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from lianxin_chassis.database import Database as Handle
from lianxin_chassis.marks import MARK, Lost
from lianxin_contracts.deliveries import InboxEntry
from lianxin_notifier.inbox import Alert
from lianxin_notifier.ledger import LOG, RECEIVERS, NumberLedger

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
ENTRY = InboxEntry("opinion.assigned", "assigned", "open")


def alert(cause: str, receiver: str = "D1") -> Alert:
    return Alert(cause=cause, opinion=f"o-{cause}", receiver=receiver, recorded=AT, entry=ENTRY, outside=True)


class TestNumbers:
    async def test_each_receiver_counts_from_one(self, ledger: NumberLedger) -> None:
        given = await ledger.number([alert("a"), alert("b"), alert("a", "D2")], AT)
        assert [(one.receiver, one.number) for one in given] == [("D1", 1), ("D1", 2), ("D2", 1)]
        assert [one.number for one in await ledger.number([alert("c")], AT)] == [3]

    async def test_an_alert_keeps_the_number_that_it_got_first(self, ledger: NumberLedger) -> None:
        first = await ledger.number([alert("a"), alert("b")], AT)
        later = AT + timedelta(hours=1)
        again = await ledger.number([alert("c"), alert("b"), alert("a")], later)
        assert [one.number for one in again] == [3, 2, 1]
        assert again[1] == first[1]

    async def test_several_workers_give_every_number_once_and_leave_no_gap(
        self, ledger: NumberLedger
    ) -> None:
        async def work(worker: int) -> None:
            for batch in range(8):
                alerts = [alert(f"{worker}-{batch}-{n}", f"D{n % 3}") for n in range(12)]
                await ledger.number(alerts, AT)

        await asyncio.gather(*(work(worker) for worker in range(4)))
        for receiver in ("D0", "D1", "D2"):
            numbers = [one.number for one in await ledger.after(receiver, 0, 1000)]
            assert numbers == list(range(1, 4 * 8 * 4 + 1))

    async def test_workers_that_handle_the_same_batch_at_once_agree(self, ledger: NumberLedger) -> None:
        alerts = [alert(f"e{n}", f"D{n % 2}") for n in range(20)]
        given = await asyncio.gather(*(ledger.number(alerts, AT) for _ in range(4)))
        assert all(one == given[0] for one in given)

    async def test_no_reader_ever_sees_a_number_before_a_smaller_one(self, ledger: NumberLedger) -> None:
        done = asyncio.Event()

        async def read() -> None:
            while not done.is_set():
                numbers = [one.number for one in await ledger.after("D1", 0, 1000)]
                assert numbers == list(range(1, len(numbers) + 1))

        async def write(worker: int) -> None:
            for batch in range(10):
                await ledger.number([alert(f"{worker}-{batch}-{n}") for n in range(5)], AT)

        reading = asyncio.create_task(read())
        await asyncio.gather(*(write(worker) for worker in range(3)))
        done.set()
        await reading

    async def test_restored_numbers_are_the_ones_that_were_given(
        self, db: Handle, ledger: NumberLedger
    ) -> None:
        given = await ledger.number([alert("a"), alert("b"), alert("a", "D2")], AT)
        await ledger.clear()
        await ledger.set_state("building")
        await ledger.restore(given)
        await ledger.restore(given)
        await ledger.set_state("built")
        assert await ledger.number([alert("b"), alert("c")], AT) == [
            given[1],
            (await ledger.after("D1", 2, 1))[0],
        ]

    async def test_nothing_is_numbered_when_the_ledger_was_dropped(
        self, db: Handle, ledger: NumberLedger
    ) -> None:
        await ledger.number([alert("a")], AT)
        await db.client.drop_database(db.name)
        with pytest.raises(Lost):
            await ledger.number([alert("b")], AT)
        with pytest.raises(Lost):
            await ledger.require()
        assert await db[LOG].find_one({"_id": {"$ne": MARK}}) is None

    async def test_a_ledger_that_is_being_restored_gives_and_shows_no_numbers(
        self, ledger: NumberLedger
    ) -> None:
        given = await ledger.number([alert("a"), alert("b")], AT)
        await ledger.clear()
        await ledger.set_state("building")
        await ledger.restore(given[1:])  # partitions come back in any order
        for asked in (
            lambda: ledger.number([alert("c")], AT),
            lambda: ledger.after("D1", 0, 10),
            lambda: ledger.last("D1"),
            ledger.require,
        ):
            with pytest.raises(Lost):
                await asked()
        await ledger.restore(given[:1])
        await ledger.set_state("built")
        assert await ledger.last("D1") == 2
        assert await ledger.after("D1", 0, 10) == given

    @pytest.mark.parametrize("dropped", [LOG, RECEIVERS])
    async def test_one_dropped_collection_is_enough_to_lose_the_ledger(
        self, db: Handle, ledger: NumberLedger, dropped: str
    ) -> None:
        await ledger.number([alert("a")], AT)
        await db.drop_collection(dropped)
        for asked in (lambda: ledger.number([alert("b")], AT), lambda: ledger.last("D1"), ledger.require):
            with pytest.raises(Lost):
                await asked()

    async def test_where_numbers_stand_is_known_of_many_receivers_at_once(self, ledger: NumberLedger) -> None:
        await ledger.remember(await ledger.number([alert("a"), alert("b"), alert("a", "D2")], AT))
        assert await ledger.stands(["D1", "D2", "D3"]) == {"D1": 2, "D2": 1}

    async def test_numbers_that_nobody_remembered_are_not_given_again(self, ledger: NumberLedger) -> None:
        await ledger.number([alert("a")], AT)
        assert await ledger.stands(["D1"]) == {}
        (one,) = await ledger.number([alert("b")], AT)
        assert one.number == 2
