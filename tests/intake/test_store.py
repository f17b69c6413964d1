"""The repository's contract, on both drivers: Motor, and PyMongo's own client that is to follow it."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from lianxin_chassis import database as drivers
from lianxin_chassis.marks import Lost
from lianxin_chassis.settings import Settings
from lianxin_contracts import ids, inbound, lifecycle
from lianxin_intake.projection import Tracked, fold
from lianxin_intake.store import SHAPE, Selection, TrackingStore
from lianxin_intake.tracking import TrackingCodes
from tests.intake.lifecycles import ASSIGNED, DEPUTY, START, SUBMITTED, decided
from tests.support.databases import Database

CODES = TrackingCodes(b"secret")
OPENERS: dict[str, Callable[[Settings], drivers.Database]] = {
    "motor": drivers.open_database,
    "pymongo": drivers.open_database_pymongo,
}


@pytest.fixture(params=sorted(OPENERS))
async def db(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[drivers.Database]:
    settings = Settings(
        service="intake", mongo_url=database.url, mongo_database=f"intake_store_{uuid4().hex[:8]}"
    )
    one = OPENERS[request.param](settings)
    yield one
    await one.client.drop_database(settings.database_name)
    await drivers.close_database(one)


@pytest.fixture
async def store(db: drivers.Database) -> TrackingStore:
    one = TrackingStore(db, 1, CODES)
    await one.prepare()
    await one.prepare()
    return one


def tracked(opinion: str, *steps: object) -> Tracked:
    state: Tracked | None = None
    for number, data in enumerate(steps, 1):
        state = fold(state, decided(opinion, number, data))  # type: ignore[arg-type]
    assert state is not None
    return state


async def test_what_is_saved_is_loaded_as_it_was(store: TrackingStore) -> None:
    opinion = ids.fresh()
    state = tracked(opinion, SUBMITTED, ASSIGNED)
    await store.save([state])
    assert await store.find(opinion) == state
    assert await store.load([opinion, ids.fresh()]) == {opinion: state}
    assert await store.find(ids.fresh()) is None


async def test_an_older_state_never_replaces_a_newer_one(store: TrackingStore) -> None:
    opinion = ids.fresh()
    newer, older = tracked(opinion, SUBMITTED, ASSIGNED), tracked(opinion, SUBMITTED)
    await store.save([newer])
    await store.save([older, tracked(ids.fresh(), SUBMITTED)])
    await store.save([newer])
    assert await store.find(opinion) == newer


async def test_nothing_to_save_is_no_question(store: TrackingStore) -> None:
    await store.save([])
    await store.write_words({})


async def test_words_are_written_read_by_part_and_deleted(store: TrackingStore) -> None:
    opinion, other = ids.fresh(), ids.fresh()
    await store.write_words({(opinion, "text"): "甲", (opinion, "a"): "乙", (other, "text"): "丙"})
    assert await store.words(opinion, ["text", "a", "missing"]) == {"text": "甲", "a": "乙"}
    await store.write_words({(opinion, "a"): None})
    assert await store.words(opinion, ["text", "a"]) == {"text": "甲"}
    await store.write_words({(opinion, "b"): "丁"}, erased=[opinion])
    assert await store.words(opinion, ["text", "a", "b"]) == {}
    assert await store.words(other, ["text"]) == {"text": "丙"}


async def test_released_words_are_read_by_their_own_part_and_of_nothing_else(store: TrackingStore) -> None:
    staff, resident = inbound.Actor("staff", "office"), inbound.Actor("resident", "resident")
    released, private, gone, late = (ids.fresh() for _ in range(4))
    publish = lifecycle.Published(staff, "w")
    known = [
        tracked(released, SUBMITTED, publish),
        tracked(private, SUBMITTED),
        tracked(gone, SUBMITTED, publish, lifecycle.Erased(resident)),
        tracked(late, SUBMITTED, publish),
    ]
    texts = {
        (opinion, part): f"{part}-{opinion}"
        for opinion in (released, private, gone)
        for part in ("text", "w")
    }
    await store.write_words(texts)
    assert await store.released(known) == {released: f"w-{released}"}
    assert await store.released([]) == {}
    await store.save(known)
    assert await store.load([one.id for one in known]) == {one.id: one for one in known}


async def test_a_code_finds_its_opinion_however_it_is_typed(store: TrackingStore) -> None:
    opinion = ids.fresh()
    await store.save([tracked(opinion, SUBMITTED)])
    assert await store.id_of_code(CODES.of(opinion).lower()) == opinion
    assert await store.id_of_code(CODES.of(ids.fresh())) is None
    assert await store.id_of_code("no code") is None


async def test_digests_are_those_of_submitted_opinions(store: TrackingStore) -> None:
    opinion, unknown = ids.fresh(), ids.fresh()
    refused = lifecycle.CommandRefused(type="opinion.rated", code="unknown_opinion")
    await store.save([tracked(opinion, SUBMITTED), tracked(unknown, refused)])
    assert await store.digests([opinion, unknown, ids.fresh()]) == {opinion: "d"}


async def test_only_submitted_opinions_are_counted(store: TrackingStore) -> None:
    refused = lifecycle.CommandRefused(type="opinion.rated", code="unknown_opinion")
    resident = inbound.Actor("resident", "resident")
    await store.save(
        [
            tracked(ids.fresh(), SUBMITTED),
            tracked(ids.fresh(), SUBMITTED, ASSIGNED),
            tracked(ids.fresh(), SUBMITTED, lifecycle.Erased(resident)),
            tracked(ids.fresh(), refused),
        ]
    )
    assert await store.submitted() == 3


async def test_generations_do_not_see_each_other(store: TrackingStore, db: drivers.Database) -> None:
    opinion = ids.fresh()
    await store.save([tracked(opinion, SUBMITTED)])
    other = TrackingStore(db, 2, CODES)
    await other.prepare()
    assert await other.find(opinion) is None


async def test_after_a_drop_nothing_is_answered_until_it_is_built_again(
    store: TrackingStore, db: drivers.Database
) -> None:
    opinion = ids.fresh()
    await store.save([tracked(opinion, SUBMITTED)])
    await store.finish()
    assert await store.state() == "built"
    await db.drop_collection("tracking.g1")
    assert await store.state() is None
    for question in (store.find(opinion), store.load([opinion]), store.submitted(), store.finish()):
        with pytest.raises(Lost):
            await question
    await store.prepare()
    assert await store.state() == "building"


async def test_what_nobody_has_built_yet_is_not_lost(db: drivers.Database) -> None:
    assert await TrackingStore(db, 1, unmade=True).find(ids.fresh()) is None


def submitted_at(at: datetime, *steps: object) -> Tracked:
    """An opinion of this time, with `steps` an hour after each other."""
    opinion = ids.fresh()
    state: Tracked | None = None
    for number, data in enumerate((SUBMITTED, *steps), 1):
        state = fold(state, decided(opinion, number, data, at + timedelta(hours=number - 1)))  # type: ignore[arg-type]
    assert state is not None
    return state


def spanning(days: int, **more: object) -> Selection:
    return Selection(START, START + timedelta(days=days), **{"limit": 100, **more})  # type: ignore[arg-type]


RESOLVED = lifecycle.Resolved(DEPUTY, "solved", "w", 1, START)


async def test_a_list_holds_its_span_of_days_newest_first_page_by_page(store: TrackingStore) -> None:
    days = [submitted_at(START + timedelta(days=day)) for day in range(5)]
    await store.save(days)
    assert await store.submitted_within(spanning(3)) == days[3::-1]
    assert await store.submitted_within(spanning(3, skip=1, limit=2)) == days[2:0:-1]


async def test_a_list_can_be_of_one_topic_or_stage(store: TrackingStore) -> None:
    unsorted, resolved = submitted_at(START), submitted_at(START, ASSIGNED, RESOLVED)
    await store.save([unsorted, resolved])
    assert await store.submitted_within(spanning(1, topics=("0101",))) == [resolved]
    assert await store.submitted_within(spanning(1, stages=("submitted", "triage"))) == [unsorted]
    (bare,) = await store.submitted_within(spanning(1, stages=("resolved",)), timelines=False)
    assert (bare.id, bare.timeline) == (resolved.id, ())


async def test_what_was_erased_or_never_submitted_is_in_no_list(store: TrackingStore) -> None:
    erased = submitted_at(START, lifecycle.Erased(inbound.Actor("resident", "resident")))
    refused = lifecycle.CommandRefused(type="opinion.rated", code="unknown_opinion")
    await store.save([erased, tracked(ids.fresh(), refused)])
    assert await store.submitted_within(spanning(1)) == []
    assert await store.changed_within(spanning(1)) == []


async def test_changes_are_listed_in_the_order_in_which_they_came(store: TrackingStore) -> None:
    late, early = submitted_at(START, ASSIGNED, RESOLVED), submitted_at(START, ASSIGNED)
    before = submitted_at(START - timedelta(days=1))
    await store.save([late, early, before])
    assert await store.changed_within(spanning(1)) == [early, late]


async def test_a_list_of_a_dropped_collection_is_no_empty_list(
    store: TrackingStore, db: drivers.Database
) -> None:
    await store.finish()
    await db.drop_collection("tracking.g1")
    with pytest.raises(Lost):
        await store.submitted_within(spanning(1))


async def test_a_projection_of_another_shape_is_known_by_its_mark(
    store: TrackingStore, db: drivers.Database
) -> None:
    assert await store.has_shape()
    await db["tracking.g1"].update_one({"_id": "~mark"}, {"$set": {"shape": SHAPE - 1}})
    await store.prepare()
    assert not await store.has_shape()
