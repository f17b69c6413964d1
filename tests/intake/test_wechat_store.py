"""Conversations in the database, on both drivers: one wins where two save at once; what is due is found."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from lianxin_chassis import database as drivers
from lianxin_chassis.settings import Settings
from lianxin_intake.wechat.conversation import IDLE, Conversation, Wrote, confirmed, step
from lianxin_intake.wechat.store import SENDING_S, ConversationStore
from tests.support.databases import Database

OPENERS: dict[str, Callable[[Settings], drivers.Database]] = {
    "motor": drivers.open_database,
    "pymongo": drivers.open_database_pymongo,
}
NOW = datetime(2026, 11, 26, 8, tzinfo=UTC)
DRAFT = step(Conversation(), "m1", Wrote("路灯"), NOW, ()).conversation
SENDING = step(DRAFT, "m2", Wrote("提交"), NOW, ()).conversation


@pytest.fixture(params=sorted(OPENERS))
async def store(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[ConversationStore]:
    settings = Settings(
        service="intake", mongo_url=database.url, mongo_database=f"intake_wechat_{uuid4().hex[:8]}"
    )
    db = OPENERS[request.param](settings)
    one = ConversationStore(db)
    await one.prepare()
    await one.prepare()
    yield one
    await db.client.drop_database(settings.database_name)
    await drivers.close_database(db)


async def test_of_two_that_save_at_once_one_has_to_read_again(store: ConversationStore) -> None:
    for state in (DRAFT, SENDING):
        mine, theirs = await store.load("a", "wechat"), await store.load("a", "wechat")
        assert await store.save(mine, state, NOW)
        assert not await store.save(theirs, Conversation(), NOW)
        assert (await store.load("a", "wechat")).conversation == state


async def test_what_waits_to_be_sent_or_lies_idle_is_found_in_time(store: ConversationStore) -> None:
    for id_, state in (("idle", DRAFT), ("sending", SENDING), ("still", Conversation())):
        await store.save(await store.load(id_, "wechat"), state, NOW)

    async def due(after: timedelta) -> list[str]:
        return [kept.id for kept in await store.due(NOW + after, 10)]

    assert await due(timedelta(0)) == []
    assert await due(timedelta(seconds=SENDING_S)) == ["sending"]
    assert await due(IDLE) == ["sending", "idle"]
    kept = await store.load("sending", "wechat")
    await store.save(kept, confirmed(SENDING, SENDING.outgoing[0].name, "opinion"), NOW)
    assert await due(IDLE) == ["idle"]


async def test_a_nonce_serves_one_content_only(store: ConversationStore) -> None:
    assert await store.is_first_use("n", "one", NOW)
    assert await store.is_first_use("n", "one", NOW)
    assert not await store.is_first_use("n", "another", NOW)
