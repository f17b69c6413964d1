"""When a source gives partitions back: only when nothing of theirs runs any more, whoever began it."""

import asyncio
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaError

from lianxin_chassis.kafka_source import Duties, KafkaSource, Partition
from lianxin_chassis.records import Record
from lianxin_chassis.settings import Settings
from tests.chassis.bench import settings_for
from tests.support.wait import eventually_async


class Owner:
    """Duties whose work in hand ends when it is let go."""

    def __init__(self) -> None:
        self.given_up = 0
        self.let_go = asyncio.Event()

    async def adopt(self, _owned: frozenset[Partition]) -> bool:
        return True

    async def take(self, _records: list[Record]) -> bool:
        return True

    def give_up(self) -> None:
        self.given_up += 1

    async def settled(self) -> None:
        await self.let_go.wait()


class NoClient:
    """A client that owns nothing, so that there is nothing to commit."""

    def assignment(self) -> set[Any]:
        return set()


def source_of(owner: Owner, settings: Settings) -> KafkaSource:
    duties = Duties(owner.adopt, owner.take, owner.give_up, owner.settled)
    return KafkaSource(settings, "g", ("t",), duties, max_batch=1)


async def test_partitions_are_given_back_when_nothing_of_theirs_runs() -> None:
    owner = Owner()
    giving = asyncio.create_task(source_of(owner, settings_for("nowhere:1")).give_back(cast(Any, NoClient())))
    await eventually_async(lambda: owner.given_up)
    assert not giving.done()
    owner.let_go.set()
    await asyncio.wait_for(giving, 10)


async def test_what_never_ends_does_not_keep_the_partitions_from_the_others() -> None:
    settings = settings_for("nowhere:1", kafka_rebalance_timeout_ms=1_000)
    await asyncio.wait_for(source_of(Owner(), settings).give_back(cast(Any, NoClient())), 10)


async def test_a_client_that_gets_no_assignment_for_long_is_given_up() -> None:
    source = source_of(Owner(), settings_for("nowhere:1", kafka_rebalance_timeout_ms=1_000))
    stopping = asyncio.create_task(asyncio.Event().wait())
    with pytest.raises(KafkaError, match="no assignment"):
        await asyncio.wait_for(source._wait_for_assignment(cast(Any, stopping)), 10)
    stopping.cancel()
