"""The handler on cases that were folded from the log: after a loss of the database, on another generation."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from lianxin_chassis import database as drivers
from lianxin_chassis.consumer import Unprocessable
from lianxin_chassis.outages import NotConfirmed, Outage
from lianxin_contracts import ids, inbound, topics
from lianxin_contracts.envelope import Event
from lianxin_router.deletions import Deletions
from lianxin_router.fold import Fold, fold_one
from lianxin_router.handle import CaseHandler
from lianxin_router.store import CaseStore
from lianxin_router.timers import Timers
from lianxin_router.worker import Router, RouterSettings
from tests.router.recorded import Log, Reader
from tests.router.said import deputy, event, message, now, submitted
from tests.router.small_city import OTHER_GRID, TRIAGE_STAFF, city_of

CITY = city_of()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def handler(store: CaseStore, log: Log) -> CaseHandler:
    return CaseHandler(store, log, lambda: CITY)


# -- the database is lost while a decision is published in part


async def folded_anew(db: drivers.Database, log: Log, generation: int = 2) -> CaseStore:
    """A new generation of the cases, from what is in the log."""
    filling = CaseStore(db, generation, filling=True)
    await filling.begin()
    for told in log.events():
        held = (await filling.load([told.subject]))[told.subject]
        fold_one(held, told)
        await filling.save([held])
    await filling.finish()
    return CaseStore(db, generation)


@pytest.mark.parametrize("published", [0, 1, 2, 3])
async def test_a_decision_that_was_published_in_part_is_ended_by_the_router_of_another_generation(
    handler: CaseHandler, db: drivers.Database, log: Log, published: int
) -> None:
    said = submitted(ids.fresh())
    log.keeps = published
    with pytest.raises(NotConfirmed):
        await handler.handle([message(said)])
    first = log.events()
    assert len(first) == published
    assert len(log.events(topics.WORDS)) == 1, "words are there before any event"
    other = await folded_anew(db, log)
    await CaseHandler(other, log, lambda: CITY).handle([message(said)])
    assert log.types() == ["opinion.submitted", "issue.joined", "opinion.assigned"]
    assert log.events()[:published] == first
    case = (await other.load([said.subject]))[said.subject]
    assert case.case is not None
    assert (case.case.stage, case.unfinished, case.outbox) == ("assigned", None, [])
    third = await folded_anew(db, log, 3)
    refolded = (await third.load([said.subject]))[said.subject]
    assert (refolded.case, refolded.causes) == (case.case, case.causes)


async def test_a_decision_whose_command_never_comes_again_is_ended_by_the_knock(
    handler: CaseHandler, db: drivers.Database, log: Log
) -> None:
    said = submitted(ids.fresh())
    log.keeps = 1
    with pytest.raises(NotConfirmed):
        await handler.handle([message(said)])
    other = await folded_anew(db, log)
    await Timers(other, log).knock_once()
    (knock,) = log.events(topics.INBOUND)
    await CaseHandler(other, log, lambda: CITY).handle([message(knock)])
    assert log.types() == ["opinion.submitted", "opinion.triaged", "clock.checked"]
    assert [event.sequence for event in log.events()] == [1, 2, 3]


async def test_nothing_is_decided_on_a_case_whose_log_can_not_be_followed(
    handler: CaseHandler, db: drivers.Database, log: Log
) -> None:
    said, sound = submitted(ids.fresh()), submitted(ids.fresh())
    await handler.handle([message(said)])
    log.records = [r for r in log.records if dict(r.headers).get("ce_sequence") != b"2"]
    other = await folded_anew(db, log)
    told = len(log.records)
    with pytest.raises(Unprocessable) as blamed:
        await CaseHandler(other, log, lambda: CITY).handle(
            [message(sound), message(event(said.subject, inbound.Accept(deputy("ann"))), 1)]
        )
    assert blamed.value.reason == "stuck"
    assert blamed.value.message.key == said.subject
    assert len(log.records) == told


# -- deletions


async def test_what_an_erasure_deletes_is_deleted_once_more_when_nothing_late_can_come_any_more(
    handler: CaseHandler, store: CaseStore, log: Log
) -> None:
    said = submitted(ids.fresh())
    await handler.handle([message(said)])
    erasure = event(said.subject, inbound.ErasureRequested(inbound.Actor("resident", "resident")))
    await handler.handle([message(erasure)])
    deletions = [record for record in log.records if record.value is None]
    assert [record.topic for record in deletions] == [topics.WORDS]
    assert await Deletions(store, log).repeat_once() == 0, "not yet"
    later = now() + timedelta(minutes=2)
    log.breaks = "before"
    with pytest.raises(NotConfirmed):
        await Deletions(store, log, now=lambda: later).repeat_once()
    await handler.handle([message(event(said.subject, inbound.Supported("p", "app")))])
    assert await Deletions(store, log, now=lambda: later).repeat_once() == 1
    assert [record for record in log.records if record.value is None] == deletions * 2
    assert await Deletions(store, log, now=lambda: later).repeat_once() == 0
    assert (await store.load([said.subject]))[said.subject].deletions == []


async def test_what_two_decisions_delete_within_a_minute_is_all_deleted_once_more(
    handler: CaseHandler, store: CaseStore, log: Log
) -> None:
    said, office = submitted(ids.fresh()), inbound.Actor("staff", "sue")
    for what in (inbound.Publish(office, "x"), inbound.Unpublish(office)):
        await handler.handle([message(said), message(event(said.subject, what))])
    erasure = event(said.subject, inbound.ErasureRequested(inbound.Actor("resident", "resident")))
    await handler.handle([message(erasure)])
    deleted = [record.key for record in log.records if record.value is None]
    assert len(set(deleted)) == 2
    assert await Deletions(store, log, now=lambda: now() + timedelta(minutes=2)).repeat_once() == 1
    assert [record.key for record in log.records if record.value is None] == deleted * 2


# -- issues of an earlier generation


async def built(db: drivers.Database, log: Log, generation: int) -> tuple[CaseStore, Fold]:
    """A generation that was built from the log so far."""
    await Fold(CaseStore(db, generation, filling=True), Reader(log), CITY.fingerprinter).everything(
        lambda *_: None
    )  # type: ignore[arg-type]
    store = CaseStore(db, generation)
    return store, Fold(store, Reader(log), CITY.fingerprinter)  # type: ignore[arg-type]


def issue_of(log: Log, said: Event) -> str:
    (joined,) = [e.data for e in log.events() if e.subject == said.subject and e.type == "issue.joined"]
    return joined.issue  # type: ignore[attr-defined,no-any-return]


async def test_an_issue_that_began_while_the_next_generation_was_built_is_found_in_it(
    handler: CaseHandler, db: drivers.Database, log: Log
) -> None:
    other, fold = await built(db, log, 2)
    first = submitted(ids.fresh(), "人民路和中山路的路口有一个很大的坑,已经半个月没有人来修了")
    await handler.handle([message(first)])  # by a router that has not noticed the switch yet
    await fold.missing_issues()
    alike = submitted(ids.fresh(), "人民路和中山路的路口有一个很大的坑,已经半个月没人来修了!")
    await CaseHandler(other, log, lambda: CITY).handle([message(alike)])
    assert issue_of(log, alike) == issue_of(log, first)
    assert await other.issues_are_whole()


async def test_nothing_is_read_again_where_nothing_was_said_before_the_first_generation(
    db: drivers.Database, log: Log, handler: CaseHandler
) -> None:
    await db.client.drop_database(db.name)
    first, _ = await built(db, log, 1)
    assert await first.issues_are_whole()
    await handler.handle([message(submitted(ids.fresh()))])
    await db.client.drop_database(db.name)
    again, _ = await built(db, log, 1)
    assert not await again.issues_are_whole(), "somebody may not have noticed the drop yet"


async def test_an_issue_whose_first_case_was_moved_to_another_grid_is_filed_where_it_began(
    handler: CaseHandler, db: drivers.Database, log: Log
) -> None:
    first = submitted(ids.fresh(), "人民路和中山路的路口有一个很大的坑,已经半个月没有人来修了")
    moved = event(
        first.subject,
        inbound.Assign(inbound.Actor("staff", TRIAGE_STAFF), grid=OTHER_GRID),
        source=f"/notifier/{TRIAGE_STAFF}",
    )
    await handler.handle([message(first), message(moved, 1)])
    other, _ = await built(db, log, 2)
    case = (await other.load([first.subject]))[first.subject].case
    assert case is not None
    assert case.grid == OTHER_GRID
    alike = submitted(ids.fresh(), "人民路和中山路的路口有一个很大的坑,已经半个月没人来修了!")
    await CaseHandler(other, log, lambda: CITY).handle([message(alike)])
    assert issue_of(log, alike) == issue_of(log, first)


async def test_while_partitions_are_taken_over_no_position_is_noted_and_no_batch_handled(
    db: drivers.Database, store: CaseStore, log: Log
) -> None:
    router = Router(RouterSettings(issue_secret=SecretStr("of every router here")), db, store, log)  # type: ignore[arg-type]
    folding, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Reader):
        async def read(self, *args: Any, **kwargs: Any) -> dict[int, int]:
            folding.set()
            await go_on.wait()
            raise Outage("the broker went away", what="broker")

        async def ends(self, topic: str, partitions: Iterable[int] | None = None) -> dict[int, int]:
            return {0: 1_000}

    router._reader = Slow(log)  # type: ignore[assignment]
    taking = asyncio.create_task(router._take_over(frozenset({(topics.INBOUND, 0)})))
    await folding.wait()
    noting = asyncio.create_task(router._note_positions())
    go_on.set()
    with pytest.raises(Outage):
        await taking
    await noting
    assert await store.positions(topics.LIFECYCLE) == {}, "what was not folded is read again"
