"""The start-up check of topics."""

import pytest

from lianxin_chassis.outages import Outage
from lianxin_chassis.settings import Settings
from lianxin_chassis.topics import WrongTopicSettings, ensure, wanted_config
from lianxin_contracts import ids
from lianxin_contracts.topics import ALL, TopicSpec
from tests.chassis.bench import settings_for
from tests.support.brokers import Broker

COMPACTED = {"cleanup.policy": "compact"}


def spec(name: str, partitions: int = 2, **config: str) -> TopicSpec:
    return TopicSpec(name, partitions, "", "", config)


@pytest.fixture
def name() -> str:
    return f"ensured.{ids.fresh()}"


async def test_every_topic_of_the_contract_is_made_and_then_found_right(settings: Settings) -> None:
    await ensure(settings)
    await ensure(settings, ALL)


async def test_several_processes_may_check_at_once(settings: Settings, name: str) -> None:
    import asyncio

    await asyncio.gather(*(ensure(settings, [spec(name)]) for _ in range(4)))


async def test_a_wrong_number_of_partitions_is_refused_by_name(settings: Settings, name: str) -> None:
    await ensure(settings, [spec(name, 2)])
    with pytest.raises(WrongTopicSettings, match=f"{name}: has 2 partitions, wanted 3"):
        await ensure(settings, [spec(name, 3)])


async def test_a_wrong_setting_is_refused_with_what_was_found_and_wanted(
    settings: Settings, name: str, kafka: Broker
) -> None:
    if kafka.kind != "kafka":
        pytest.skip("the stand-in keeps no topic settings")
    made = TopicSpec(name, 1, "", "", {"retention.ms": "1000"})
    wanted = TopicSpec(name, 1, "", "", {"retention.ms": "-1"} | COMPACTED)
    await ensure(settings, [made])
    with pytest.raises(WrongTopicSettings) as told:
        await ensure(settings, [wanted])
    assert str(told.value).splitlines() == [
        f"{name}: retention.ms is 1000, wanted -1",
        f"{name}: cleanup.policy is delete, wanted compact",
    ]


async def test_a_broker_that_is_away_is_an_outage_at_the_deadline() -> None:
    with pytest.raises(Outage):
        await ensure(settings_for("127.0.0.1:1"), [spec("x")], timeout_s=1.0)


def test_with_three_replicas_two_must_have_a_record() -> None:
    three = settings_for("127.0.0.1:1", kafka_replication=3)
    assert wanted_config(three, spec("x"))["min.insync.replicas"] == "2"
    assert "min.insync.replicas" not in wanted_config(settings_for("127.0.0.1:1"), spec("x"))
