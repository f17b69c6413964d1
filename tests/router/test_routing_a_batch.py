"""A batch on a real database, as the desk routes it: each opinion by its own body, into its issue."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from lianxin_chassis import database as drivers
from lianxin_chassis.marks import MARK
from lianxin_contracts import ids, inbound, topics
from lianxin_contracts.envelope import Event
from lianxin_router import issues
from lianxin_router.desk import Desk
from lianxin_router.fold import Fold
from lianxin_router.handle import CaseHandler
from lianxin_router.issue_store import Filed, Found
from lianxin_router.routing import cluster
from lianxin_router.store import CaseStore, ConcurrentWrite
from tests.router.recorded import Log, Reader
from tests.router.said import event, message, now, submitted
from tests.router.small_city import GRID, NOISE, OTHER_GRID, ROADS, TRIAGE_STAFF, city_of

CITY = city_of()
LONG = (
    "小区门口的路灯已经坏了三个星期，晚上一片漆黑，老人和孩子出门都很不方便，"
    "希望有关部门尽快派人来修理，谢谢。我们已经打过两次电话，一直没有人来看过。"
)
NEAR = LONG.replace("三个星期", "快一个月")
# Of another matter, although half of the words and some of the look-up keys are the same.
RELATED = LONG[:60] + "电梯停水噪音绿化树木垃圾分类停车车位占道经营施工夜间油烟污水井盖积水供暖物业费公交站台"


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def handler(store: CaseStore, log: Log) -> CaseHandler:
    return CaseHandler(store, log, lambda: CITY)


async def test_of_two_bodies_under_one_id_in_a_batch_the_first_is_routed_by_itself(
    handler: CaseHandler, log: Log
) -> None:
    opinion = ids.fresh()
    second = submitted(opinion, "夜里噪音很大", grid=OTHER_GRID, topic=NOISE)
    await handler.handle([message(submitted(opinion)), message(second, 1)])
    (assigned,) = [event.data for event in log.events() if event.type == "opinion.assigned"]
    assert (assigned.grid, assigned.topic) == (GRID, ROADS)  # type: ignore[attr-defined]
    assert log.types()[-1] == "command.refused"


async def test_a_submission_that_may_not_be_made_lends_its_body_to_none_that_follows(
    handler: CaseHandler, log: Log
) -> None:
    opinion = ids.fresh()
    forged = replace(submitted(opinion, grid=OTHER_GRID), source="/notifier/x")
    await handler.handle([message(forged), message(submitted(opinion), 1)])
    (assigned,) = [event.data for event in log.events() if event.type == "opinion.assigned"]
    assert assigned.grid == GRID  # type: ignore[attr-defined]


async def say(handler: CaseHandler, *said: Event) -> None:
    await handler.handle([message(one, n) for n, one in enumerate(said)])


async def issue_of(store: CaseStore, *opinions: str) -> list[str | None]:
    held = await store.load(opinions)
    return [case.issue for o in opinions if (case := held[o].case) is not None]


def keys_of(text: str) -> tuple[str, ...]:
    """Under which an issue of this text is filed."""
    assert CITY.fingerprinter is not None
    found = CITY.fingerprinter.of(None, text)
    assert found is not None
    return cluster.keys(GRID, found, now())[0]


async def blind(handler: CaseHandler, store: CaseStore, monkeypatch: pytest.MonkeyPatch, said: Event) -> None:
    """Handle `said` as a router does that looked for issues before another one filed its own."""

    async def nothing(*args: object) -> Found:
        monkeypatch.undo()
        return Found([], {})

    monkeypatch.setattr(store.issues, "find", nothing)
    await say(handler, said)
    monkeypatch.undo()


async def test_two_routers_that_begin_the_same_issue_at_once_have_its_cases_brought_together(
    handler: CaseHandler, store: CaseStore, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, later = (submitted(ids.fresh(), text) for text in (LONG, NEAR, LONG + "请尽快"))
    await say(handler, one)
    await blind(handler, store, monkeypatch, other)
    before = await issue_of(store, one.subject, other.subject)
    assert len(set(before)) == 2
    asked = log.events(topics.INBOUND)
    assert [event.data for event in asked] == [inbound.Merge(max(before), min(before))]  # type: ignore[type-var]
    await say(handler, later)
    assert await issue_of(store, later.subject) == [min(before)], "nobody joins what ends"  # type: ignore[type-var]
    await say(handler, *asked)
    assert set(await issue_of(store, one.subject, other.subject)) == {min(before)}  # type: ignore[type-var]
    assert log.types().count("issue.merged") == 1
    published = len(log.records)
    await say(handler, submitted(ids.fresh(), NEAR))
    assert [r.topic for r in log.records[published:]].count(topics.INBOUND) == 0, "nobody is left behind"


async def test_two_issues_that_missed_each_other_are_brought_together_by_an_opinion_that_is_near_both(
    handler: CaseHandler, store: CaseStore, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other, later = (submitted(ids.fresh(), text) for text in (LONG, NEAR, NEAR))
    await say(handler, one)
    with monkeypatch.context() as patched:
        patched.setattr(Desk, "meet", lambda *args: None)
        await blind(handler, store, monkeypatch, other)
    assert log.events(topics.INBOUND) == []
    await say(handler, later)
    asked = log.events(topics.INBOUND)
    assert asked, "those in the one that ends"
    await say(handler, *asked)
    assert len(set(await issue_of(store, one.subject, other.subject, later.subject))) == 1


async def test_a_new_issue_is_filed_under_the_keys_that_others_left_without_looking_at_those_again(
    handler: CaseHandler, store: CaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {text: set(keys_of(text)) for text in (LONG, RELATED)}
    assert keys[LONG] & keys[RELATED], "some are the same"
    filed: list[Filed] = []
    add = store.issues.add

    async def noted(new: Sequence[Filed]) -> set[str]:
        filed.extend(new)
        return await add(new)

    monkeypatch.setattr(store.issues, "add", noted)
    one, other = submitted(ids.fresh(), LONG), submitted(ids.fresh(), RELATED)
    await say(handler, one)
    await say(handler, other)
    assert len(set(await issue_of(store, one.subject, other.subject))) == 2
    assert [set(one.keys) for one in filed] == [keys[LONG], keys[RELATED] - keys[LONG]]
    found = await store.issues.find(keys[LONG] | keys[RELATED])
    assert found.taken == dict.fromkeys(keys[RELATED], filed[1].issue.id) | dict.fromkeys(
        keys[LONG], filed[0].issue.id
    )


async def test_a_long_issue_is_moved_a_part_with_each_opinion(
    handler: CaseHandler, store: CaseStore, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issues, "FOLLOW_AT_ONCE", 2)
    said = [submitted(ids.fresh(), LONG) for _ in range(5)]
    await say(handler, *said)
    (issue,) = set(await issue_of(store, *(event.subject for event in said)))
    assert issue is not None
    await store.issues.join([(issue, "0")])
    for left in (3, 1, 0):
        before = len(log.events(topics.INBOUND))
        await say(handler, submitted(ids.fresh(), NEAR))
        await say(handler, *log.events(topics.INBOUND)[before:])
        still = await issue_of(store, *(event.subject for event in said))
        assert still.count(issue) == left


async def test_an_erasure_takes_what_the_text_left_and_so_does_that_of_an_opinion_without_issue(
    handler: CaseHandler, store: CaseStore, db: drivers.Database
) -> None:
    placed, unplaced = submitted(ids.fresh(), LONG), submitted(ids.fresh(), NEAR, grid=None)
    await say(handler, placed, unplaced)
    assert await db["issue_keys.g1"].count_documents({"issue": {"$exists": True}}) == 6
    assert await store.issues.texts([unplaced.subject])
    resident = inbound.Actor("resident", "resident")
    await say(handler, *(event(o.subject, inbound.ErasureRequested(resident)) for o in (placed, unplaced)))
    assert await db["issue_keys.g1"].count_documents({"issue": {"$exists": True}}) == 0
    (left,) = [document async for document in db["issues.g1"].find({"_id": {"$ne": MARK}})]
    assert left.keys() == {"_id", "grid"}
    again = submitted(ids.fresh(), LONG)
    await say(handler, again)
    assert await issue_of(store, again.subject) == [left["_id"]], "the same words begin it again"
    assert await db["issue_keys.g1"].count_documents({"issue": {"$exists": True}}) == 6


async def test_an_opinion_joins_its_issue_when_staff_make_its_place_certain(
    handler: CaseHandler, store: CaseStore, log: Log
) -> None:
    placed, unplaced = submitted(ids.fresh(), LONG), submitted(ids.fresh(), NEAR, grid=None)
    await say(handler, placed, unplaced)
    assert await issue_of(store, unplaced.subject) == [None]
    staff = inbound.Actor("staff", TRIAGE_STAFF)
    await say(handler, event(unplaced.subject, inbound.Assign(staff, grid=GRID)))
    assert len(set(await issue_of(store, placed.subject, unplaced.subject))) == 1
    assert await store.issues.texts([unplaced.subject]) == {}
    assert "issue.joined" in [e.type for e in log.events() if e.subject == unplaced.subject]


async def test_an_opinion_placed_by_staff_may_begin_an_issue_that_others_join(
    handler: CaseHandler, store: CaseStore
) -> None:
    first, second = submitted(ids.fresh(), LONG, grid=None), submitted(ids.fresh(), NEAR)
    staff = inbound.Actor("staff", TRIAGE_STAFF)
    await say(handler, first)
    await say(handler, event(first.subject, inbound.Assign(staff, grid=GRID)), second)
    assert len(set(await issue_of(store, first.subject, second.subject))) == 1


async def test_of_two_routers_that_count_past_each_other_one_says_that_an_issue_is_hot(
    handler: CaseHandler, store: CaseStore, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    await say(handler, *(submitted(ids.fresh(), LONG) for _ in range(3)))
    real = store.issues.claim_surge

    async def beaten(issue: str, at: datetime, opinion: str, again: timedelta) -> bool:
        monkeypatch.undo()
        assert await real(issue, at, "another", again)
        return await real(issue, at, opinion, again)

    monkeypatch.setattr(store.issues, "claim_surge", beaten)
    late = [submitted(ids.fresh(), LONG) for _ in range(3)]
    with pytest.raises(ConcurrentWrite):
        await say(handler, *late)
    assert "issue.surged" not in log.types()
    await say(handler, *late)
    assert "issue.surged" not in log.types(), "the other one says it"


async def test_a_steady_trickle_is_hot_once(handler: CaseHandler, log: Log) -> None:
    start = now() - timedelta(hours=23)
    for number in range(12):
        await say(handler, submitted(ids.fresh(), LONG, at=start + number * timedelta(hours=2)))
    assert log.types().count("issue.surged") == 1


async def test_a_rebuild_finds_the_issues_as_they_are(
    handler: CaseHandler,
    store: CaseStore,
    log: Log,
    db: drivers.Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = submitted(ids.fresh(), LONG), submitted(ids.fresh(), NEAR)
    unplaced, placed = (submitted(ids.fresh(), text, grid=None) for text in ("河边臭味很大", "桥下积水很深"))
    await say(handler, one, unplaced, placed)
    await blind(handler, store, monkeypatch, other)
    await say(handler, *log.events(topics.INBOUND))
    staff = inbound.Actor("staff", TRIAGE_STAFF)
    await say(handler, event(placed.subject, inbound.Assign(staff, grid=GRID)))
    await say(handler, *(submitted(ids.fresh(), LONG) for _ in range(5)))
    filling = CaseStore(db, 2, filling=True)
    await Fold(filling, Reader(log), CITY.fingerprinter).everything(lambda *_: None)  # type: ignore[arg-type]

    async def documents(name: str) -> list[drivers.Document]:
        found = [d async for d in db[name].find({"_id": {"$ne": MARK}}).sort("_id", 1)]
        return [{k: v for k, v in d.items() if k != "issue" or name.startswith("issues")} for d in found]

    before = await documents("issues.g1")
    assert len(before) == 4
    assert any("into" in d for d in before)
    assert any("surged" in d for d in before)
    assert await documents("issues.g2") == before
    assert await documents("issue_keys.g2") == await documents("issue_keys.g1")
