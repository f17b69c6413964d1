"""A batch on a real database, as the desk routes it: each opinion by its own body, into its issue."""

from dataclasses import replace

import pytest

from lianxin_contracts import ids
from lianxin_router.handle import CaseHandler
from lianxin_router.store import CaseStore
from tests.router.said import message, submitted
from tests.router.small_city import GRID, NOISE, OTHER_GRID, ROADS, city_of
from tests.router.test_handling import Log

CITY = city_of()


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
