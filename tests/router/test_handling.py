"""The handler on a real database: whatever breaks between saving, publishing and confirming, each effect
comes once and none is missing."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from lianxin_chassis.outages import NotConfirmed, Outage
from lianxin_chassis.work import Unprocessable
from lianxin_contracts import ids, inbound, registry, topics
from lianxin_router import timers
from lianxin_router.handle import CaseHandler
from lianxin_router.review import Reviews
from lianxin_router.store import CaseStore
from lianxin_router.timers import Timers
from tests.router.recorded import Log
from tests.router.said import deputy, event, message, now, submitted
from tests.router.small_city import (
    DEPUTIES,
    ONLY_CAI,
    OTHER_GRID,
    PLACES,
    RECORDS,
    city_of,
    mandate,
)

CITY = city_of()


async def nothing_in_hand() -> None:
    """No batch that a review must wait for."""


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def handler(store: CaseStore, log: Log) -> CaseHandler:
    return CaseHandler(store, log, lambda: CITY)


async def test_a_submission_is_assigned_and_its_words_are_published_before_the_event_that_names_them(
    handler: CaseHandler, log: Log
) -> None:
    await handler.handle([message(submitted(ids.fresh()))])
    assert log.types() == ["opinion.submitted", "issue.joined", "opinion.assigned"]
    assert [event.sequence for event in log.events()] == list(range(1, len(log.events()) + 1))
    assert log.records[0].topic == topics.WORDS


async def test_the_same_record_again_changes_and_publishes_nothing(
    handler: CaseHandler, store: CaseStore, log: Log
) -> None:
    said = submitted(ids.fresh())
    await handler.handle([message(said)])
    before, published = await store.load([said.subject]), list(log.records)
    await handler.handle([message(said), message(said, 1)])
    assert await store.load([said.subject]) == before
    assert log.records == published


@pytest.mark.parametrize("breaks", ["before", "after"])
async def test_what_was_saved_and_not_confirmed_is_published_when_the_record_comes_again(
    handler: CaseHandler, store: CaseStore, log: Log, breaks: str
) -> None:
    said = submitted(ids.fresh())
    log.breaks = breaks
    with pytest.raises(NotConfirmed):
        await handler.handle([message(said)])
    saved = (await store.load([said.subject]))[said.subject]
    sent = list(log.records)
    await handler.handle([message(said)])
    assert log.records == sent + saved.outbox
    after = (await store.load([said.subject]))[said.subject]
    assert (after.case, after.outbox) == (saved.case, [])


async def test_nothing_newer_is_published_while_an_older_event_is_unconfirmed(
    handler: CaseHandler, store: CaseStore, log: Log
) -> None:
    said = submitted(ids.fresh())
    log.breaks = "before"
    with pytest.raises(NotConfirmed):
        await handler.handle([message(said)])
    case = (await store.load([said.subject]))[said.subject].case
    assert case is not None
    assert case.assignee is not None
    accepted = event(said.subject, inbound.Accept(deputy(case.assignee)), case.updated)
    await handler.handle([message(accepted)])
    numbers = [event.sequence for event in log.events()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert "opinion.accepted" in log.types()


async def test_events_of_one_case_are_decided_in_order_within_a_batch(handler: CaseHandler, log: Log) -> None:
    opinion = ids.fresh()
    at = now()
    said = [
        submitted(opinion, at=at),
        event(opinion, inbound.Withdrawn(inbound.Actor("resident", "resident")), at),
        submitted(opinion, at=at),
    ]
    await handler.handle([message(one, n) for n, one in enumerate(said)])
    assert log.types()[0] == "opinion.submitted"
    assert {event.causationid for event in log.events()} == {one.id for one in said}
    assert log.types()[-1] == "command.refused"


async def test_a_record_under_another_key_is_blamed_alone(handler: CaseHandler) -> None:
    said = submitted(ids.fresh())
    with pytest.raises(Unprocessable) as told:
        await handler.handle([message(submitted(ids.fresh())), message(said, 1, key=ids.fresh())])
    assert told.value.reason == "wrong_key"
    assert told.value.message.event is said


async def test_nothing_is_decided_before_a_city_is_known(store: CaseStore, log: Log) -> None:
    with pytest.raises(Outage):
        await CaseHandler(store, log, lambda: None).handle([message(submitted(ids.fresh()))])
    assert log.records == []


async def test_a_clock_that_ran_out_is_knocked_for_once_and_the_knock_tells_the_breach(
    handler: CaseHandler, store: CaseStore, log: Log
) -> None:
    said = submitted(ids.fresh(), at=now() - timedelta(minutes=1))
    await handler.handle([message(said)])
    later = now() + timedelta(days=2)
    timers = Timers(store, log, now=lambda: later)
    assert await timers.knock_once() == 1
    assert await timers.knock_once() == 0
    (knock,) = log.events(topics.INBOUND)
    assert (knock.type, knock.subject, knock.source) == ("case.due", said.subject, "/router")
    await handler.handle([message(knock)])
    assert any(event.causationid == knock.id for event in log.events())
    told = len(log.records)
    await handler.handle([message(knock)])
    assert len(log.records) == told


async def test_two_routers_knock_with_the_same_id(handler: CaseHandler, store: CaseStore, log: Log) -> None:
    await handler.handle([message(submitted(ids.fresh()))])
    later = now() + timedelta(days=2)
    for _ in range(2):
        assert await Timers(store, log, now=lambda: later).knock_once() == 1
    one, other = log.events(topics.INBOUND)
    assert one.id == other.id


async def test_under_a_new_registry_the_cases_of_a_deputy_without_mandate_are_reviewed_and_routed_again(
    handler: CaseHandler, store: CaseStore, log: Log
) -> None:
    said = [submitted(ids.fresh(), f"路面第{n}处有坑") for n in range(6)]
    await handler.handle([message(one, n) for n, one in enumerate(said)])
    held = {h.id: h.case.assignee for h in (await store.load(s.subject for s in said)).values() if h.case}
    assert len(set(held.values())) == len(DEPUTIES), "the load is shared"
    city = city_of(ONLY_CAI)
    lost = {opinion for opinion, holder in held.items() if holder != "cai"}
    assert await Reviews(store, log, nothing_in_hand).review(city) == len(lost)
    asked = log.events(topics.INBOUND)
    assert {event.subject for event in asked} == lost
    await CaseHandler(store, log, lambda: city).handle([message(one, n) for n, one in enumerate(asked)])
    holders = {h.case.assignee for h in (await store.load(held)).values() if h.case}
    assert holders == {"cai"}
    assert await Reviews(store, log, nothing_in_hand).review(city) == 0


async def test_who_goes_on_leave_keeps_what_is_accepted_and_the_rest_is_reviewed_the_day_it_begins(
    handler: CaseHandler, store: CaseStore, log: Log
) -> None:
    said = [submitted(ids.fresh(), f"路面第{n}处有坑") for n in range(6)]
    await handler.handle([message(one, n) for n, one in enumerate(said)])
    held = {h.id: h.case.assignee for h in (await store.load(s.subject for s in said)).values() if h.case}
    kept, given_up = (opinion for opinion, holder in held.items() if holder == "ann")
    accept = event(kept, inbound.Accept(deputy("ann")))
    await handler.handle([message(accept)])
    tomorrow = now() + timedelta(days=1)
    city = city_of(
        (*RECORDS, ("leave", registry.Leave("l", "ann", CITY.index.day(tomorrow), date(2999, 1, 1))))
    )
    assert await Reviews(store, log, nothing_in_hand).review(city) == 0, "not away yet"
    assert await Reviews(store, log, nothing_in_hand, now=lambda: tomorrow).review(city) == 1
    assert await Reviews(store, log, nothing_in_hand, now=lambda: tomorrow).review(city) == 1
    assert (
        await Reviews(store, log, nothing_in_hand, now=lambda: tomorrow + timedelta(days=1)).review(city) == 1
    )
    first, again, next_day = log.events(topics.INBOUND)
    assert first.subject == given_up
    assert first.id == again.id, "any router may ask"
    assert first.id != next_day.id, "and every day anew"
    await CaseHandler(store, log, lambda: city).handle([message(first)])
    case = (await store.load([given_up]))[given_up].case
    assert case is not None
    assert case.assignee not in ("ann", None)


async def test_a_review_looks_after_the_batch_in_hand(
    handler: CaseHandler, store: CaseStore, log: Log
) -> None:
    said = submitted(ids.fresh())

    async def batch_in_hand() -> None:
        await handler.handle([message(said)])

    nobody = city_of((*PLACES, mandate("dan", OTHER_GRID)))
    assert await Reviews(store, log, batch_in_hand).review(nobody) == 1


async def test_many_overdue_cases_are_knocked_for_once_each_and_read_once_a_look(
    handler: CaseHandler, store: CaseStore, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timers, "MOST_AT_ONCE", 2)
    said = [submitted(ids.fresh(), f"路面第{n}处有坑") for n in range(5)]
    await handler.handle([message(one, n) for n, one in enumerate(said)])
    reads: list[int] = []
    pages = store.due

    async def counted(until: datetime, page: int) -> AsyncIterator[Any]:
        async for found in pages(until, page):
            reads.append(len(found))
            yield found

    monkeypatch.setattr(store, "due", counted)
    later = now() + timedelta(days=2)
    knocking = Timers(store, log, now=lambda: later)
    assert await knocking.knock_once() == 5
    assert sum(reads) == 5
    assert await knocking.knock_once() == 0
    assert {knock.subject for knock in log.events(topics.INBOUND)} == {one.subject for one in said}
