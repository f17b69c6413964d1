"""What the inboxes' store promises, on both clients."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from lianxin_chassis.database import Database as Handle
from lianxin_chassis.marks import Lost
from lianxin_contracts import ids, inbound, words
from lianxin_contracts.deliveries import InboxEntry
from lianxin_notifier.inbox import Alert, CommandResult, Opinion, Seat
from lianxin_notifier.ledger import NumberLedger
from lianxin_notifier.store import ProjectionStore

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
ENTRY = InboxEntry("opinion.assigned", "assigned", "open")


@pytest.fixture
async def store(db: Handle) -> ProjectionStore:
    made = ProjectionStore(db, 1)
    await made.prepare()
    await made.set_state("built")
    return made


def alert(cause: str, receiver: str = "D1") -> Alert:
    return Alert(cause=cause, opinion=f"o-{cause}", receiver=receiver, recorded=AT, entry=ENTRY, outside=True)


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
        await store.save([(Opinion(id="o"), Opinion(id="o", sequence=1))], [], [])
        for results in ([applied], [refused], [applied]):
            await store.save([], [], results)
        found = await store.command("c")
        assert found is not None
        assert (found.status, found.code) == ("refused", "no")
        assert await store.command("other") is None

    async def test_a_command_is_told_as_applied_once_its_case_shows_it(
        self, store: ProjectionStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = CommandResult(
            command="c", opinion="o", status="applied", type="opinion.accepted", recorded=AT, sequence=3
        )
        before, after = Opinion(id="o", sequence=2, stage="assigned"), Opinion(id="o", sequence=3)
        await store.save([(Opinion(id="o"), before)], [], [])
        save_opinions, meanwhile = ProjectionStore._save_opinions, []

        async def looked_at(self: ProjectionStore, changed: Sequence[tuple[Opinion, Opinion]]) -> None:
            meanwhile.append(await self.command("c"))
            await save_opinions(self, changed)

        monkeypatch.setattr(ProjectionStore, "_save_opinions", looked_at)
        await store.save([(before, after)], [], [told])
        assert meanwhile == [None]
        assert await store.command("c") == told

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
