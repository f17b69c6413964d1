"""The handler on a real database: whatever breaks between saving, publishing and confirming, each effect
comes once and none is missing."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from lianxin_chassis.outages import NotConfirmed, Outage
from lianxin_chassis.work import Unprocessable
from lianxin_contracts import codec, ids, inbound, topics
from lianxin_contracts.envelope import Event, OutRecord
from lianxin_router.handle import CaseHandler
from lianxin_router.review import Reviews
from lianxin_router.store import CaseStore
from lianxin_router.timers import Timers
from tests.router.said import deputy, event, message, now, submitted
from tests.router.small_city import DEPUTIES, ONLY_CAI, city_of

CITY = city_of()


class Log:
    """A publisher that keeps what it gets; `breaks` makes the next call fail before or after that."""

    def __init__(self) -> None:
        self.records: list[OutRecord] = []
        self.breaks: str | None = None

    async def publish(self, records: Sequence[OutRecord], deadline_s: float = 5.0) -> None:
        breaks, self.breaks = self.breaks, None
        if breaks != "before":
            self.records += records
        if breaks:
            raise NotConfirmed(records, "told to break")

    def events(self, topic: str = topics.LIFECYCLE) -> list[Event]:
        return [
            codec.decode(r.topic, r.value, r.headers)
            for r in self.records
            if r.topic == topic and r.value is not None
        ]

    def types(self) -> list[str]:
        return [event.type for event in self.events()]


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
    assert await Reviews(store, log).review(city) == len(lost)
    asked = log.events(topics.INBOUND)
    assert {event.subject for event in asked} == lost
    await CaseHandler(store, log, lambda: city).handle([message(one, n) for n, one in enumerate(asked)])
    holders = {h.case.assignee for h in (await store.load(held)).values() if h.case}
    assert holders == {"cai"}
    assert await Reviews(store, log).review(city) == 0
