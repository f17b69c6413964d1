"""What the store promises, on Motor and on PyMongo's own asyncio client."""

import uuid
from collections.abc import AsyncIterator

import pytest
from pymongo.errors import PyMongoError

from lianxin_chassis import database as drivers
from lianxin_chassis.database import close_database, open_database, open_database_pymongo
from lianxin_chassis.marks import Lost
from lianxin_chassis.outages import outage
from lianxin_metrics.aggregate import Aggregate, to_document
from lianxin_metrics.facts import Fact, fold
from lianxin_metrics.settings import MetricsSettings
from lianxin_metrics.store import AT_A_TIME, ZOMBIE_MS, FactStore, Overtaken, Stamp, Step
from tests.metrics.story import CaseLog, life
from tests.support.databases import Database

NOW = 1_800_000_000_000


@pytest.fixture(params=[open_database, open_database_pymongo], ids=["motor", "pymongo"])
async def db(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[drivers.Database]:
    settings = MetricsSettings(mongo_url=database.url, mongo_database=f"facts-{uuid.uuid4().hex[:8]}")
    one = request.param(settings)
    yield one
    await one.client.drop_database(settings.database_name)
    await close_database(one)


@pytest.fixture
async def store(db: drivers.Database) -> FactStore:
    store = FactStore(db, 1)
    await store.prepare()
    return store


def fact_of(log: CaseLog, upto: int | None = None) -> Fact:
    fact = Fact(case=log.case)
    for event in log.events[:upto]:
        fact = fold(fact, event, lambda topic: topic)
    return fact


@pytest.mark.parametrize("seed", [1, 2, 3, 13, 14])
async def test_a_fact_is_read_back_as_it_was_written(store: FactStore, seed: int) -> None:
    fact = fact_of(life(seed))
    await store.save([(4, None, fact)], {4: Stamp(2, 7)})
    found = (await store.load([fact.case, "nobody"]))[fact.case]
    assert found.fact == fact
    assert found.stamp == Stamp(2, 7)


async def test_nobody_overwrites_a_fact_that_has_moved_on(store: FactStore) -> None:
    log = life(13)
    one, two, three = (fact_of(log, n) for n in (1, 2, 3))
    await store.save([(0, None, one)], {0: Stamp(1, 1)})
    await store.save([(0, one, three)], {0: Stamp(1, 2)})
    with pytest.raises(Overtaken):
        await store.save([(0, one, two)], {0: Stamp(2, 1)})
    with pytest.raises(Overtaken):
        await store.save([(0, None, one)], {0: Stamp(2, 1)})
    assert (await store.load([log.case]))[log.case].fact == three


async def test_facts_of_others_are_written_although_one_is_refused(store: FactStore) -> None:
    taken, free = fact_of(life(13)), fact_of(life(14))
    await store.save([(0, None, taken)], {0: Stamp(1, 1)})
    with pytest.raises(Overtaken):
        await store.save([(0, None, taken), (0, None, free)], {0: Stamp(1, 2)})
    assert free.case in await store.load([free.case])


async def test_a_partition_has_one_owner_and_the_one_before_can_t_publish(store: FactStore) -> None:
    first, aggregate = await store.claim(3, NOW)
    aggregate.advance(None, fact_of(life(13)))
    first.batch, first.next_offset = 1, 10
    await store.publish([(first, aggregate)])
    second, inherited = await store.claim(3, NOW)
    assert to_document(inherited) == to_document(aggregate)
    assert (second.epoch, second.next_offset) == (first.epoch + 1, 10)
    with pytest.raises(Overtaken):
        await store.publish([(first, Aggregate())])
    (part,) = await store.parts()
    assert to_document(part.aggregate) == to_document(aggregate)


async def test_publishing_for_several_partitions_tells_when_one_is_lost(store: FactStore) -> None:
    mine, others = (await store.claim(0, NOW))[0], (await store.claim(1, NOW))[0]
    await store.claim(1, NOW)
    with pytest.raises(Overtaken):
        await store.publish([(mine, Aggregate()), (others, Aggregate())])


async def test_facts_that_no_aggregate_contains_are_found_by_the_next_owner(store: FactStore) -> None:
    first, aggregate = await store.claim(5, NOW)
    await store.save([(5, None, fact_of(life(13)))], {5: Stamp(first.epoch, 1)})
    first.batch = 1
    await store.publish([(first, aggregate)])
    second, _ = await store.claim(5, NOW)
    assert not await store.has_uncounted(second)
    await store.save([(5, None, fact_of(life(14)))], {5: Stamp(first.epoch, 2)})
    assert await store.has_uncounted(second)
    assert not second.contains(Stamp(first.epoch, 2))
    assert second.contains(Stamp(first.epoch, 1))
    third, _ = await store.claim(5, NOW)
    assert await store.has_uncounted(third)


async def test_an_owner_is_forgotten_once_one_that_came_after_its_last_write_has_published(
    store: FactStore,
) -> None:
    first, _ = await store.claim(5, NOW)
    second, _ = await store.claim(5, NOW)
    late = NOW + ZOMBIE_MS + 1
    third, aggregate = await store.claim(5, late)
    assert first.epoch in third.past, "by the clock alone nobody is forgotten"
    fourth, _ = await store.claim(5, late)
    assert first.epoch in fourth.past, "the third has published nothing"
    fourth.batch = 1
    await store.publish([(fourth, aggregate)])
    fifth, _ = await store.claim(5, late)
    assert set(fifth.past) == {second.epoch, third.epoch, fourth.epoch}


async def test_what_a_later_owner_wrote_is_in_no_claim_before_it(store: FactStore) -> None:
    first, _ = await store.claim(5, NOW)
    second, _ = await store.claim(5, NOW)
    assert not first.contains(Stamp(second.epoch, 1))


async def test_a_partition_s_facts_are_those_written_under_it(store: FactStore) -> None:
    here, there = fact_of(life(13)), fact_of(life(14))
    await store.save([(1, None, here), (2, None, there)], {1: Stamp(1, 1), 2: Stamp(1, 1)})
    found = [stored async for stored in store.of_partition(1)]
    assert [stored.fact.case for stored in found] == [here.case]
    counted, expected = Aggregate(), Aggregate()
    counted.advance(None, found[0].fact)
    expected.advance(None, here)
    assert to_document(counted) == to_document(expected)


async def test_a_window_touches_what_is_open_or_has_something_in_it(store: FactStore) -> None:
    opened = fact_of(CaseLog("open").submit().assign())
    closed = fact_of(CaseLog("closed").submit().assign().accept().resolve(after=24).close(after=1))
    await store.save([(0, None, opened), (0, None, closed)], {0: Stamp(1, 1)})
    start = opened.submitted or 0
    day = 86_400_000

    async def touched(first: float, last: float) -> set[str]:
        found = store.touching(start + int(first * day), start + int(last * day) - 1)
        return {fact.case async for piece in found for fact in piece}

    assert await touched(0, 1) == {"open", "closed"}
    # Its resolution was due after seven days, so that week's report counts it as done in time.
    assert await touched(6, 8) == {"open", "closed"}
    assert await touched(30, 31) == {"open"}
    assert await touched(-2, 0) == set()


async def test_a_window_with_many_cases_comes_in_pieces_and_each_case_once(store: FactStore) -> None:
    cases = [fact_of(CaseLog(f"case-{n}").submit()) for n in range(2 * AT_A_TIME + 1)]
    await store.save([(0, None, case) for case in cases], {0: Stamp(1, 1)})
    at = cases[0].submitted or 0
    pieces = [[fact.case for fact in piece] async for piece in store.touching(at, at)]
    assert [len(piece) for piece in pieces] == [AT_A_TIME, AT_A_TIME, 1]
    assert {case for piece in pieces for case in piece} == {case.case for case in cases}


async def test_both_bounds_of_a_window_are_in_one_index(store: FactStore, db: drivers.Database) -> None:
    keys = [index["key"] for index in (await db["facts.g1"].index_information()).values()]
    assert [("submitted", 1), ("ends", 1)] in keys
    assert [("ends", 1), ("submitted", 1)] in keys


async def test_an_alert_s_steps_are_kept_once_in_whatever_order_they_come(store: FactStore) -> None:
    sent = Step("a1", "o1", "mail", NOW + 5, 1, "sent")
    begun = Step("a1", "o1", "mail", NOW, 1, "attempting")
    for step in (sent, begun, sent, begun):
        await store.record([step])
    found = [alert async for piece in store.alerts_begun(NOW, NOW + 1) for alert in piece]
    assert [(channel, sorted(steps)) for channel, steps in found] == [
        ("mail", [(NOW, 1, "attempting"), (NOW + 5, 1, "sent")])
    ]
    assert [alert async for alert in store.alerts_begun(NOW + 1, NOW + 10)] == []


async def test_after_a_drop_nothing_is_answered_until_it_is_built_again(
    store: FactStore, db: drivers.Database
) -> None:
    assert await store.state() == "building"
    await store.finish()
    assert await store.state() == "built"
    await db.drop_collection("facts.g1")
    assert await store.state() is None
    with pytest.raises(Lost):
        await store.load(["case"])
    with pytest.raises(Lost):
        await store.finish()


@pytest.mark.parametrize("dropped", ["facts.g1", "alerts.g1"])
@pytest.mark.parametrize("pages_read", [0, 1, 2])
async def test_what_is_dropped_while_a_report_reads_is_not_shown_as_nothing(
    store: FactStore, db: drivers.Database, dropped: str, pages_read: int
) -> None:
    many = AT_A_TIME + 1
    cases = [fact_of(CaseLog(f"case-{n}").submit()) for n in range(many)]
    await store.save([(0, None, case) for case in cases], {0: Stamp(1, 1)})
    await store.record([Step(f"a{n}", "o1", "mail", NOW, 1, "attempting") for n in range(many)])
    at = cases[0].submitted or 0
    readings = (store.touching(at, at), store.alerts_begun(NOW, NOW + 1))
    for reading in readings:
        for _ in range(pages_read):
            await anext(reading)
    await db.drop_collection(dropped)
    for reading in readings:
        with pytest.raises((Lost, PyMongoError)) as refused:
            _ = [piece async for piece in reading]
        assert outage(refused.value) is not None, "answered with 503 and asked again"
