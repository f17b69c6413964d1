"""What the notifier's repositories promise, on Motor and on PyMongo's own asyncio client."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from lianxin_chassis.database import Database as Handle
from lianxin_chassis.database import close_database, open_database, open_database_pymongo
from lianxin_chassis.marks import MARK, Lost
from lianxin_chassis.settings import Settings
from lianxin_contracts import ids, inbound, words
from lianxin_contracts.deliveries import Delivery, DeliveryStatus, InboxEntry
from lianxin_notifier.alerts import Due
from lianxin_notifier.delivery_store import DeliveryStore, Status
from lianxin_notifier.inbox import Alert, CommandResult, Opinion, Seat
from lianxin_notifier.ledger import LOG, RECEIVERS, NumberLedger
from lianxin_notifier.store import ProjectionStore
from tests.support.databases import Database

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
ENTRY = InboxEntry("opinion.assigned", "assigned", "open")


@pytest.fixture(params=[open_database, open_database_pymongo], ids=["motor", "pymongo"])
async def db(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Handle]:
    opening: Callable[[Settings], Handle] = request.param
    name = f"notifier_stores_{uuid.uuid4().hex[:12]}"
    opened = opening(Settings(service="notifier", mongo_url=database.url, mongo_database=name))
    yield opened
    await opened.client.drop_database(name)
    await close_database(opened)


@pytest.fixture
async def ledger(db: Handle) -> NumberLedger:
    made = NumberLedger(db)
    await made.prepare()
    await made.set_state("built")
    return made


@pytest.fixture
async def deliveries(db: Handle) -> DeliveryStore:
    made = DeliveryStore(db)
    await made.prepare()
    await made.set_state("built")
    return made


@pytest.fixture
async def store(db: Handle) -> ProjectionStore:
    made = ProjectionStore(db, 1)
    await made.prepare()
    await made.set_state("built")
    return made


def alert(cause: str, receiver: str = "D1") -> Alert:
    return Alert(cause=cause, opinion=f"o-{cause}", receiver=receiver, recorded=AT, entry=ENTRY, outside=True)


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
        await ledger.number([alert("a"), alert("b"), alert("a", "D2")], AT)
        assert await ledger.stands(["D1", "D2", "D3"]) == {"D1": 2, "D2": 1}


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
        await deliveries.ended("a", "dead")
        await deliveries.ended("b", "dead")
        assert await deliveries.without_end(later, 10) == []
        letters = await deliveries.dead_letters("mail", 10)
        assert {(one.alert, one.whole) for one in letters} == {("a", False), ("b", False)}
        assert await deliveries.revive(later) == 0

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


class TestProjection:
    async def test_an_opinion_comes_back_as_it_was_saved(self, store: ProjectionStore) -> None:
        opinion = Opinion(
            id="o1",
            sequence=2,
            stage="assigned",
            holder="D.1$",
            assigned_at=AT,
            ever_assigned=True,
            seats={"D.1$": Seat("holder", changed=2), "T1": Seat("triage", "left", changed=2)},
        )
        await store.save([(Opinion(id="o1"), opinion)], [], [])
        assert await store.opinions(["o1", "o2"]) == {"o1": opinion}
        assert await store.alerted() == 1

    async def test_a_worker_that_is_behind_does_not_undo_what_another_saved(
        self, store: ProjectionStore
    ) -> None:
        nothing = Opinion(id="o1")
        third = Opinion(
            id="o1", sequence=3, stage="accepted", holder="D1", seats={"D1": Seat("holder", changed=3)}
        )
        second = Opinion(
            id="o1", sequence=2, stage="assigned", holder="D1", seats={"D1": Seat("holder", changed=2)}
        )
        await store.save([(nothing, third)], [], [])
        await store.save([(nothing, second)], [], [])
        assert (await store.opinions(["o1"]))["o1"] == third
        assert [item.stage for item in await store.inbox("D1", None, None, 10)] == ["accepted"]

    async def test_a_worker_that_is_ahead_is_not_stopped_by_one_that_saved_less(
        self, store: ProjectionStore
    ) -> None:
        nothing = Opinion(id="o1")
        await store.save([(nothing, Opinion(id="o1", sequence=1))], [], [])
        await store.save([(nothing, Opinion(id="o1", sequence=3, stage="accepted"))], [], [])
        assert (await store.opinions(["o1"]))["o1"].sequence == 3

    async def test_an_inbox_is_read_page_by_page_newest_first(
        self, store: ProjectionStore, ledger: NumberLedger
    ) -> None:
        alerts = [alert(f"e{n}") for n in range(25)]
        numbers = await ledger.number(alerts, AT)
        seats = {"D1": Seat("holder", changed=1)}
        saved = [
            (Opinion(id=one.opinion), Opinion(id=one.opinion, sequence=1, holder="D1", seats=seats))
            for one in alerts
        ]
        await store.save(saved, numbers, [])
        pages, below = [], None
        while page := await store.inbox("D1", None, below, 10):
            pages.append([item.number for item in page])
            below = page[-1].number
        assert pages == [list(range(25, 15, -1)), list(range(15, 5, -1)), list(range(5, 0, -1))]

    async def test_a_refusal_is_the_last_word_on_a_command(self, store: ProjectionStore) -> None:
        applied = CommandResult(
            command="c", opinion="o", status="applied", type="opinion.accepted", recorded=AT
        )
        refused = CommandResult(
            command="c", opinion="o", status="refused", type="case.accept", recorded=AT, code="no"
        )
        for results in ([applied], [refused], [applied]):
            await store.save([], [], results)
        found = await store.command("c")
        assert found is not None
        assert (found.status, found.code) == ("refused", "no")
        assert await store.command("other") is None

    async def test_erasing_deletes_the_words_and_contacts_of_that_opinion_alone(
        self, store: ProjectionStore
    ) -> None:
        by = inbound.Actor("resident", "resident")
        for opinion in ("o1", "o10"):
            for part in ("text", ids.fresh()):
                said = words.Words(opinion, part, "answer", "words", by)
                await store.keep_words({words.key(opinion, part): said})
            await store.keep_contacts({words.key(opinion, "text"): "sealed"})
        await store.erase(["o1"])
        assert await store.words("o1") == []
        assert await store.sealed_contact("o1", "text") is None
        assert len(await store.words("o10")) == 2
        assert await store.sealed_contact("o10", "text") == "sealed"

    async def test_a_dropped_collection_is_noticed(self, db: Handle, store: ProjectionStore) -> None:
        assert await store.state() == "built"
        await db.drop_collection("words.g1")
        assert await store.state() is None
        await db.drop_collection("opinions.g1")
        with pytest.raises(Lost):
            await store.opinions(["o1"])
