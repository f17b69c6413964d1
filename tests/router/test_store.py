"""What the store of cases promises, on Motor and on PyMongo's own asyncio client."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from msgspec import Struct

from lianxin_chassis import database as drivers
from lianxin_chassis.marks import Lost
from lianxin_contracts import codec, ids, lifecycle, topics
from lianxin_contracts.envelope import Event
from lianxin_router.desk import Desk
from lianxin_router.domain.decide import decide
from lianxin_router.domain.submission import first_request
from lianxin_router.fold import fold_one
from lianxin_router.handle import records_of
from lianxin_router.issue_store import Filed, Issue, IssueStore
from lianxin_router.store import CaseStore, ConcurrentWrite, Held, cause_bytes
from tests.router.conftest import OPENERS
from tests.router.said import now, submitted, unclear
from tests.router.small_city import DEPUTIES, GRID, city_of

pytestmark = pytest.mark.parametrize("db", sorted(OPENERS), indirect=True)

CITY = city_of()


def apply(held: Held, said: Event) -> None:
    """As the handler does it."""
    desk = Desk(CITY.index, CITY.fingerprinter)
    if held.case is None:
        desk.know_loads(desk.prepare(first_request(said)).deputies, {})
        desk.know_loads(DEPUTIES, {})
    decision = decide(held.case, said, CITY.context(desk))
    held.case = decision.case
    held.causes.add(cause_bytes(said.id))
    held.outbox.extend(records_of(decision, said))
    held.changed = True


async def opened(store: CaseStore, said: Event | None = None) -> Held:
    """A case that was decided and saved, its outbox not confirmed."""
    said = said or submitted(ids.fresh())
    held = (await store.load([said.subject]))[said.subject]
    apply(held, said)
    await store.save([held])
    return held


async def due(store: CaseStore, until: datetime, page: int) -> list[list[str]]:
    """The overdue cases, page by page."""
    return [[case for case, _, _ in found] async for found in store.due(until, page)]


async def again(store: CaseStore, opinion: str) -> Held:
    return (await store.load([opinion]))[opinion]


async def test_a_case_is_read_back_with_its_outbox_and_what_it_has_answered(store: CaseStore) -> None:
    held = await opened(store)
    assert held.outbox
    assert await again(store, held.id) == held


async def test_a_case_that_nobody_opened_is_empty(store: CaseStore) -> None:
    nobody = ids.fresh()
    assert await again(store, nobody) == Held(nobody)


async def test_of_two_routers_that_save_the_same_case_one_has_to_look_again(store: CaseStore) -> None:
    held = await opened(store)
    one, other = await again(store, held.id), await again(store, held.id)
    one.changed = other.changed = True
    await store.save([one])
    with pytest.raises(ConcurrentWrite):
        await store.save([other])
    assert (await again(store, held.id)).version == one.version


async def test_of_two_routers_that_open_the_same_case_one_has_to_look_again(store: CaseStore) -> None:
    said = submitted(ids.fresh())
    one, other = await again(store, said.subject), await again(store, said.subject)
    apply(one, said)
    apply(other, said)
    await store.save([one])
    with pytest.raises(ConcurrentWrite):
        await store.save([other])
    assert await again(store, said.subject) == one


async def test_cases_beside_the_one_that_was_changed_are_saved(store: CaseStore) -> None:
    held, fresh = await opened(store), submitted(ids.fresh())
    stale = await again(store, held.id)
    held.changed = stale.changed = True
    await store.save([held])
    beside = await again(store, fresh.subject)
    apply(beside, fresh)
    with pytest.raises(ConcurrentWrite):
        await store.save([stale, beside])
    assert (await again(store, fresh.subject)).version == 1


async def test_a_confirmed_outbox_is_empty_and_the_case_the_same(store: CaseStore) -> None:
    held = await opened(store)
    case = held.case
    await store.confirm([held])
    assert held.outbox == []
    found = await again(store, held.id)
    assert (found.outbox, found.case, found.version) == ([], case, held.version)


async def test_an_outbox_that_another_router_has_grown_is_not_emptied(store: CaseStore) -> None:
    held = await opened(store)
    other = await again(store, held.id)
    other.changed = True
    await store.save([other])
    with pytest.raises(ConcurrentWrite):
        await store.confirm([held])
    assert (await again(store, held.id)).outbox


async def test_a_deputys_load_is_the_open_cases_that_the_deputy_holds(store: CaseStore) -> None:
    holders = [held.case.assignee for held in [await opened(store) for _ in range(3)] if held.case]
    counted = {deputy: holders.count(deputy) for deputy in set(holders) if deputy}
    assert counted
    assert await store.loads([*DEPUTIES, "nobody"]) == counted
    assert await store.loads([]) == {}


async def test_open_cases_are_found_by_their_holder(store: CaseStore) -> None:
    held = await opened(store)
    assert held.case is not None
    assert held.case.assignee is not None
    assert await store.holders() == [held.case.assignee]
    assert await store.held_by([held.case.assignee]) == [held.id]
    assert await store.held_by(["nobody"]) == []


async def test_cases_whose_clock_ran_out_are_found_the_longest_overdue_first(store: CaseStore) -> None:
    late = await opened(store, submitted(ids.fresh(), at=now() - timedelta(minutes=30)))
    later = await opened(store)
    soon = now() + timedelta(days=400)
    assert await due(store, soon, 10) == [[late.id, later.id]]
    assert await due(store, soon, 1) == [[late.id], [later.id]]
    assert await due(store, now(), 10) == []


async def test_the_clock_does_not_knock_for_a_case_on_replayed_time(store: CaseStore) -> None:
    long_ago = now() - timedelta(days=30)
    said = submitted(ids.fresh(), at=long_ago)
    held = await opened(store, replace(said, recordedtime=now()))
    assert held.case is not None
    assert held.case.replayed
    assert await due(store, now() + timedelta(days=400), 10) == []


async def test_opinions_are_counted_as_assigned_or_as_waiting_and_strays_not_at_all(
    store: CaseStore,
) -> None:
    assert await store.counts() == (0, 0)
    for _ in range(3):
        await opened(store)
    await opened(store, unclear(ids.fresh()))
    stray = Held(ids.fresh(), changed=True)
    await store.save([stray])
    assert await store.counts() == (3, 1)


async def test_of_routers_that_file_the_same_issue_at_once_all_find_the_same(store: CaseStore) -> None:
    issue = Issue("i1", GRID, (1, 2, 3), 3)
    filed = Filed(issue, ["k1", "k2"], "o1")
    assert await asyncio.gather(*(store.issues.add([filed]) for _ in range(5))) == [set()] * 5
    assert await store.issues.add([Filed(Issue("i2", GRID, (9,), 1), ["k2", "k3"], "o2")]) == {"i1"}
    assert await store.issues.find(["k1", "k2", "nothing"]) == ([issue], {"k1": "i1", "k2": "i1"})
    assert {found.id for found in (await store.issues.find(["k1", "k3"])).issues} == {"i1", "i2"}
    assert (await store.issues.find([], ["i2", "i3"])).issues == [Issue("i2", GRID, (9,), 1)]
    assert (await store.issues.find([])).issues == []


async def test_an_issue_that_was_joined_to_another_is_found_with_it(store: CaseStore) -> None:
    three = [Filed(Issue(f"i{n}", GRID, (n,), 1), [f"k{n}"], f"o{n}") for n in (1, 2, 3)]
    await store.issues.add(three)
    await store.issues.join([("i3", "i2"), ("i2", "i1")])
    found = {issue.id: issue.into for issue in (await store.issues.find(["k3"])).issues}
    assert found == {"i3": "i2", "i2": "i1", "i1": None}


async def test_what_is_told_of_issues_comes_to_the_same_in_any_order(
    store: CaseStore, db: drivers.Database
) -> None:
    facts = [
        event("a", lifecycle.IssueMerged("i3", "i1"), 1),
        event("b", lifecycle.IssueMerged("i3", "i2"), 2),
        event("c", lifecycle.IssueSurged("i1", 5, 24), 3),
        event("d", lifecycle.IssueSurged("i1", 6, 24), 40),
    ]
    filed = [Filed(Issue(f"i{n}", GRID, (n,), 1), [f"k{n}"], f"o{n}") for n in (1, 2, 3)]
    seen = []
    for number, order in enumerate(permutations(facts)):
        issues = IssueStore(db[f"issues_{number}"], db[f"keys_{number}"])
        await issues.fold(order[:2])
        await issues.add(filed)
        for fact in order[2:]:
            await issues.fold([fact])
        found = (await issues.find([], ["i1", "i2", "i3"])).issues
        seen.append(sorted(found, key=lambda i: i.id))
    assert all(one == seen[0] for one in seen)
    assert [issue.into for issue in seen[0]] == [None, None, "i1"]
    assert seen[0][0].surged_by == "d"


def event(opinion: str, data: Struct, hour: int) -> Event:
    """As decided."""
    at = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=hour)
    type_ = next(name for name, model in lifecycle.MODELS.items() if model is type(data))
    return Event(ids.fresh(), "/router", type_, opinion, at, at, data)


async def test_an_issue_is_said_to_be_hot_by_one_opinion_a_day(store: CaseStore) -> None:
    day, monday = timedelta(days=1), datetime(2026, 3, 2, tzinfo=UTC)
    claims = await asyncio.gather(*(store.issues.claim_surge("i1", monday, f"o{n}", day) for n in range(5)))
    assert claims.count(True) == 1
    winner = f"o{claims.index(True)}"
    assert await store.issues.claim_surge("i1", monday, winner, day), "it may come again"
    assert not await store.issues.claim_surge("i1", monday + day / 2, "later", day)
    assert await store.issues.claim_surge("i1", monday + day, "next", day)


async def test_the_newest_cases_of_issues_are_found_by_when_they_were_opened(store: CaseStore) -> None:
    at = now()
    held = await opened(store, submitted(ids.fresh(), at=at))
    assert held.case is not None
    issue = held.case.issue
    assert issue is not None
    hour = timedelta(hours=1)
    assert await store.openings([issue, "other"], at - hour, at) == {issue: [at]}
    assert await store.openings([issue], at, at + hour) == {}
    assert await store.openings([issue], at - 2 * hour, at - hour) == {}
    assert await store.cases_in([issue], 10) == {held.id: issue}


async def test_a_position_never_goes_back(store: CaseStore) -> None:
    assert await store.positions(topics.LIFECYCLE) == {}
    await store.note_positions(topics.LIFECYCLE, {0: 5, 11: 7})
    await store.note_positions(topics.LIFECYCLE, {0: 3, 11: 9})
    await store.note_positions(topics.WORDS, {0: 1})
    assert await store.positions(topics.LIFECYCLE) == {0: 5, 11: 9}
    assert await store.positions(topics.WORDS) == {0: 1}


async def test_generations_do_not_see_each_other(store: CaseStore, db: drivers.Database) -> None:
    held = await opened(store)
    other = CaseStore(db, 2, filling=True)
    await other.begin()
    assert await again(other, held.id) == Held(held.id)


async def test_after_a_drop_no_case_is_taken_for_a_new_one(store: CaseStore, db: drivers.Database) -> None:
    held = await opened(store)
    await store.note_positions(topics.LIFECYCLE, {0: 5})
    await db.drop_collection("cases.g1")
    assert await store.state() is None
    for question in (store.load([held.id]), store.counts(), store.finish()):
        with pytest.raises(Lost):
            await question
    await store.begin()
    assert await store.state() == "building"
    assert await store.positions(topics.LIFECYCLE) == {}
    with pytest.raises(Lost):  # half of the cases is as good as none
        await store.load([held.id])
    assert await again(CaseStore(db, 1, filling=True), held.id) == Held(held.id)
    await store.finish()
    assert await again(store, held.id) == Held(held.id)


async def test_what_is_unfinished_or_stuck_is_read_back_and_knocked_for_or_not(store: CaseStore) -> None:
    said = submitted(ids.fresh())
    whole = Held(said.subject)
    apply(whole, said)
    events = [
        codec.decode(r.topic, r.value or b"", r.headers) for r in whole.outbox if r.topic == topics.LIFECYCLE
    ]
    held = Held(said.subject)
    fold_one(held, events[0])
    assert held.unfinished is not None
    await store.save([held])
    assert await again(store, held.id) == held
    assert await due(store, now() + timedelta(seconds=1), 10) == [[held.id]], "at once"
    held.stuck = "gap"
    held.changed = True
    await store.save([held])
    assert await again(store, held.id) == held
    assert await due(store, now() + timedelta(days=400), 10) == []


async def test_the_issues_are_whole_until_their_keys_are_dropped(
    store: CaseStore, db: drivers.Database
) -> None:
    assert await store.issues_are_whole()
    await db.drop_collection("issue_keys.g1")
    await store.begin()
    assert not await store.issues_are_whole()


async def test_dropped_look_up_keys_have_the_issues_filed_again(
    store: CaseStore, db: drivers.Database
) -> None:
    await store.note_positions(topics.LIFECYCLE, {0: 5})
    await store.note_positions(topics.WORDS, {0: 5})
    await db.drop_collection("issue_keys.g1")
    assert await store.state() is None
    await store.begin()
    assert await store.positions(topics.WORDS) == {}
    assert await store.positions(topics.LIFECYCLE) == {0: 5}
