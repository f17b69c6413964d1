"""What the store of deliveries promises, on both clients."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from lianxin_chassis.database import Database as Handle
from lianxin_chassis.marks import Lost
from lianxin_contracts.deliveries import Delivery, DeliveryStatus, InboxEntry
from lianxin_notifier.alerts import Due
from lianxin_notifier.delivery_documents import Status
from lianxin_notifier.delivery_store import DeliveryStore

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
ENTRY = InboxEntry("opinion.assigned", "assigned", "open")


@pytest.fixture
async def deliveries(db: Handle) -> DeliveryStore:
    made = DeliveryStore(db)
    await made.prepare()
    await made.set_state("built")
    return made


def due(alert_: str, kind: str = "mail") -> Due:
    return Due(
        alert=alert_,
        name=kind,
        kind=kind,  # type: ignore[arg-type]
        target="x@deputies.test",
        receiver="D1",
        opinion="o",
        cause="e",
        raised=AT,
        entry=ENTRY,
    )


class TestDeliveries:
    async def test_what_is_queued_twice_is_claimed_once(self, deliveries: DeliveryStore) -> None:
        await deliveries.queue([due("a"), due("b")], AT)
        await deliveries.queue([due("a")], AT)
        claims = await asyncio.gather(*(deliveries.claim("mail", 10, AT, 30) for _ in range(5)))
        assert sorted(one.due.alert for claim in claims for one in claim) == ["a", "b"]

    async def test_only_the_channel_asked_for_is_claimed(self, deliveries: DeliveryStore) -> None:
        await deliveries.queue([due("a"), due("b", "webhook")], AT)
        assert [one.due.alert for one in await deliveries.claim("webhook", 10, AT, 30)] == ["b"]

    async def test_what_was_claimed_and_not_begun_comes_up_again_unmarked(
        self, deliveries: DeliveryStore
    ) -> None:
        await deliveries.queue([due("a")], AT)
        await deliveries.claim("mail", 1, AT, 30)
        assert await deliveries.claim("mail", 1, AT + timedelta(seconds=29), 30) == []
        later = AT + timedelta(seconds=31)
        (again,) = await deliveries.claim("mail", 1, later, 30)
        begun = await deliveries.begin(again, later, 30)
        assert begun is not None
        assert (begun.due.attempt, begun.due.repeated) == (1, False)

    async def test_an_attempt_without_a_result_is_repeated_and_marked(
        self, deliveries: DeliveryStore
    ) -> None:
        await deliveries.queue([due("a")], AT)
        (claimed,) = await deliveries.claim("mail", 1, AT, 30)
        assert await deliveries.begin(claimed, AT, 30)
        later = AT + timedelta(seconds=31)
        (again,) = await deliveries.claim("mail", 1, later, 30)
        begun = await deliveries.begin(again, later, 30)
        assert begun is not None
        assert (begun.due.attempt, begun.due.repeated) == (2, True)

    async def test_a_worker_whose_lease_ended_can_neither_begin_nor_finish(
        self, deliveries: DeliveryStore
    ) -> None:
        await deliveries.queue([due("a")], AT)
        (slow,) = await deliveries.claim("mail", 1, AT, 30)
        begun = await deliveries.begin(slow, AT, 30)
        assert begun is not None
        await deliveries.claim("mail", 1, AT + timedelta(seconds=31), 30)
        assert await deliveries.begin(slow, AT, 30) is None
        assert await deliveries.finish(begun, "sent") is None

    async def test_a_delivery_is_forgotten_when_its_document_was_dropped_even_if_its_record_is_back(
        self, deliveries: DeliveryStore
    ) -> None:
        await deliveries.queue([due("a")], AT)
        assert not await deliveries.forgotten("a")
        await deliveries.clear()
        assert await deliveries.forgotten("a")
        told = Delivery("a", "e", "o", "D1", "mail", "attempting", 1)
        await deliveries.restore([(told, AT)], AT)
        assert await deliveries.forgotten("a")

    async def test_a_result_that_was_not_published_comes_up_again_to_be_published(
        self, deliveries: DeliveryStore
    ) -> None:
        await deliveries.queue([due("a")], AT)
        (claimed,) = await deliveries.claim("mail", 1, AT, 30)
        begun = await deliveries.begin(claimed, AT, 30)
        assert begun is not None
        await deliveries.finish(begun, "sent")
        (again,) = await deliveries.claim("mail", 1, AT + timedelta(seconds=31), 30)
        assert (again.status, again.unrecorded) == ("sent", True)
        await deliveries.recorded(again)
        assert await deliveries.claim("mail", 1, AT + timedelta(days=1), 30) == []

    async def test_a_failed_delivery_rests_until_its_retry_is_due(self, deliveries: DeliveryStore) -> None:
        await deliveries.queue([due("a")], AT)
        (claimed,) = await deliveries.claim("mail", 1, AT, 30)
        begun = await deliveries.begin(claimed, AT, 30)
        assert begun is not None
        done = await deliveries.finish(begun, "failed", "smtp 451", AT + timedelta(minutes=5))
        assert done is not None
        await deliveries.recorded(done)
        assert await deliveries.claim("mail", 1, AT + timedelta(minutes=4), 30) == []
        (again,) = await deliveries.claim("mail", 1, AT + timedelta(minutes=6), 30)
        assert (again.due.attempt, again.due.repeated) == (1, False)

    async def test_a_repeat_stays_one_when_the_attempt_before_it_was_plainly_refused(
        self, deliveries: DeliveryStore
    ) -> None:
        await deliveries.queue([due("a")], AT)
        (claimed,) = await deliveries.claim("mail", 1, AT, 30)
        assert await deliveries.begin(claimed, AT, 30)  # accepted, and the worker killed before it knew
        later = AT + timedelta(seconds=31)
        (again,) = await deliveries.claim("mail", 1, later, 30)
        begun = await deliveries.begin(again, later, 30)
        assert begun is not None
        refused = await deliveries.finish(begun, "failed", "smtp 451", later + timedelta(minutes=5))
        assert refused is not None
        await deliveries.recorded(refused)
        (third,) = await deliveries.claim("mail", 1, later + timedelta(minutes=6), 30)
        begun = await deliveries.begin(third, later, 30)
        assert begun is not None
        assert (begun.due.attempt, begun.due.repeated) == (3, True)

    async def test_what_is_begun_at_the_same_time_is_begun_by_those_alone_who_still_hold_it(
        self, deliveries: DeliveryStore
    ) -> None:
        await deliveries.queue([due(name) for name in "abcd"], AT)
        held = await deliveries.claim("mail", 9, AT, 30)
        later = AT + timedelta(seconds=31)
        taken = {one.due.alert for one in await deliveries.claim("mail", 2, later, 30)}
        begun = await asyncio.gather(*(deliveries.begin(one, later, 30) for one in [*held, *held]))
        assert sorted(one.due.alert for one in begun if one) == sorted({*"abcd"} - taken)

    async def test_what_has_ended_is_in_no_queue(self, db: Handle, deliveries: DeliveryStore) -> None:
        await deliveries.queue([due("a")], AT)
        (claimed,) = await deliveries.claim("mail", 1, AT, 30)
        done = await deliveries.finish(claimed, "skipped")
        assert done is not None
        await deliveries.recorded(done)
        document = await db["deliveries"].find_one({"_id": "a"})
        assert document is not None
        assert not {"queue", "due_at"} & document.keys()

    async def test_what_was_given_up_is_listed_and_attempted_once_more(
        self, deliveries: DeliveryStore
    ) -> None:
        await deliveries.queue([due("a"), due("b")], AT)
        for claimed in await deliveries.claim("mail", 9, AT, 40.0):
            begun = await deliveries.begin(claimed, AT, 40.0)
            assert begun is not None
            status: Status = "dead" if claimed.due.alert == "a" else "sent"
            done = await deliveries.finish(begun, status, "smtp 550")
            assert done is not None
            await deliveries.recorded(done)
        (letter,) = await deliveries.dead_letters(None, 10)
        assert (letter.alert, letter.error, letter.attempt, letter.whole) == ("a", "smtp 550", 1, True)
        assert await deliveries.dead_letters("sms", 10) == []
        assert await deliveries.revive(AT, channel="sms") == 0
        assert await deliveries.revive(AT, alerts=["a", "b"]) == 1
        (again,) = await deliveries.claim("mail", 9, AT, 40.0)
        assert (again.due.alert, again.status, again.due.attempt) == ("a", "failed", 1)
        assert await deliveries.dead_letters(None, 10) == []

    async def test_what_the_log_alone_knows_gets_an_end_when_it_is_due_and_is_never_attempted(
        self, deliveries: DeliveryStore
    ) -> None:
        def step(alert: str, status: DeliveryStatus) -> tuple[Delivery, datetime]:
            return Delivery(alert, "e", "o", "D1", "mail", status, 2), AT

        later = AT + timedelta(seconds=40)
        await deliveries.restore([step("a", "failed"), step("b", "attempting"), step("c", "failed")], later)
        await deliveries.restore([step("c", "sent")], later)
        assert await deliveries.without_end(AT, 10) == []
        assert {d.alert for d in await deliveries.without_end(later, 10)} == {"a", "b"}
        assert await deliveries.claim("mail", 9, later, 40.0) == []
        await deliveries.ended(*step("a", "dead"))
        await deliveries.ended(*step("b", "dead"))
        assert await deliveries.without_end(later, 10) == []
        letters = await deliveries.dead_letters("mail", 10)
        assert {(one.alert, one.whole) for one in letters} == {("a", False), ("b", False)}
        assert await deliveries.revive(later) == 0

    async def test_an_end_that_was_told_before_the_log_was_read_so_far_stays_the_only_one(
        self, deliveries: DeliveryStore
    ) -> None:
        def step(status: DeliveryStatus, attempt: int) -> tuple[Delivery, datetime]:
            return Delivery("a", "e", "o", "D1", "mail", status, attempt), AT

        await deliveries.ended(*step("sent", 2))
        assert not await deliveries.forgotten("a")
        await deliveries.restore([step("failed", 1)], AT)
        await deliveries.restore([step("attempting", 2)], AT)
        assert await deliveries.without_end(AT, 10) == []
        assert not await deliveries.forgotten("a")
        # An operator had it tried once more: that attempt has no end yet.
        await deliveries.restore([step("attempting", 3)], AT)
        assert [lost.attempt for lost in await deliveries.without_end(AT, 10)] == [3]
        assert await deliveries.forgotten("a")

    async def test_nothing_is_sent_of_what_was_queued_since_a_drop_for_it_may_have_been_sent_before(
        self, db: Handle, deliveries: DeliveryStore
    ) -> None:
        await deliveries.queue([due("a")], AT)
        (document,) = await db["deliveries"].find({"_id": "a"}).to_list(None)
        for state in (None, "building"):
            await db.drop_collection("deliveries")
            await db["deliveries"].insert_one(document)  # by somebody who had looked before the drop
            if state is not None:
                await deliveries.set_state(state)
            with pytest.raises(Lost):
                await deliveries.claim("mail", 9, AT, 40.0)
            with pytest.raises(Lost):
                await deliveries.queue([due("b")], AT)
            with pytest.raises(Lost):
                await deliveries.made_for(["o"])

    async def test_an_attempt_that_was_not_made_counts_as_none(self, deliveries: DeliveryStore) -> None:
        await deliveries.queue([due("a")], AT)
        (claimed,) = await deliveries.claim("mail", 1, AT, 30)
        begun = await deliveries.begin(claimed, AT, 30)
        assert begun is not None
        await deliveries.put_back(begun, claimed.due, AT)
        (again,) = await deliveries.claim("mail", 1, AT, 30)
        begun = await deliveries.begin(again, AT, 30)
        assert begun is not None
        assert (begun.due.attempt, begun.due.repeated) == (1, False)
