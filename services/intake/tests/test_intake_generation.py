"""Following the live generation with a database that is away, or refuses us."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError, ServerSelectionTimeoutError

from lianxin_chassis.generations import Generations
from lianxin_intake.generation import LiveTracking
from lianxin_intake.store import unreadable

NOT_AUTHORISED, AUTHENTICATION_FAILED, OUT_OF_DISK = 13, 18, 14031
REFUSALS = [
    OperationFailure("authentication failed", AUTHENTICATION_FAILED),
    OperationFailure("not authorized", NOT_AUTHORISED),
    OperationFailure("out of disk space", OUT_OF_DISK),
    ConfigurationError("no such host"),
    ServerSelectionTimeoutError("away"),
]


@asynccontextmanager
async def following(live: LiveTracking) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(live.follow())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda error: f"{type(error).__name__}: {error}")
async def test_whatever_the_database_answers_it_is_asked_again(
    refusal: PyMongoError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task is essential: the process would end with it, and accepting needs Kafka alone."""
    again = asyncio.Event()
    asked = 0

    async def known(_: Generations) -> tuple[int | None, int | None]:
        nonlocal asked
        asked += 1
        if asked > 1:
            again.set()
        raise refusal

    monkeypatch.setattr(Generations, "known", known)
    async with following(LiveTracking({"projections": None})) as task:  # type: ignore[arg-type]
        waiting = asyncio.create_task(again.wait())
        async with asyncio.timeout(5):
            await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        assert not task.done()
        assert again.is_set()
    assert unreadable(refusal)


def test_a_mistake_of_ours_is_none_of_the_databases() -> None:
    assert not unreadable(AttributeError("x"))
