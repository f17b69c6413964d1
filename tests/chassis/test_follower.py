"""Following: everything from the start, in order, across restarts; the registry switches as a whole."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from lianxin_chassis.follower import Follower
from lianxin_chassis.publisher import Publisher
from lianxin_chassis.records import Record
from lianxin_chassis.registry import RegistryFollower
from lianxin_chassis.settings import Settings
from lianxin_chassis.topics import ensure
from lianxin_contracts import ids, topics
from lianxin_contracts import registry as city
from lianxin_contracts.envelope import Event, OutRecord, deletion, to_record
from tests.chassis.bench import make_topic, publish, said, settings_for
from tests.support.brokers import Broker
from tests.support.wait import eventually_async


@asynccontextmanager
async def following(follower: Follower | RegistryFollower) -> AsyncIterator[None]:
    running = asyncio.create_task(follower.run())
    try:
        yield
    finally:
        follower.stop()
        await asyncio.wait_for(running, 60)


async def test_a_follower_reads_all_from_the_start_and_then_what_comes(settings: Settings) -> None:
    topic = await make_topic(settings)
    await publish(settings, [said(topic, f"k{n % 7}", n) for n in range(100)])
    seen: list[Record] = []
    follower = Follower(settings, [topic], seen.append)
    async with following(follower):
        await follower.wait_caught_up(20)
        assert len(seen) == 100
        await publish(settings, [said(topic, "k", 100)])
        await eventually_async(lambda: len(seen) == 101, 60)
    for partition in range(4):
        offsets = [r.offset for r in seen if r.partition == partition]
        assert offsets == list(range(len(offsets)))


async def test_a_follower_of_an_empty_topic_has_caught_up_at_once(settings: Settings) -> None:
    follower = Follower(settings, [await make_topic(settings)], lambda _: None)
    assert not follower.caught_up
    async with following(follower):
        await follower.wait_caught_up(20)


async def test_from_the_end_only_what_comes_later_is_seen(settings: Settings) -> None:
    topic = await make_topic(settings)
    await publish(settings, [said(topic, "a", 1)])
    seen: list[Record] = []
    follower = Follower(settings, [topic], seen.append, from_end=True)
    async with following(follower):
        await follower.wait_caught_up(20)
        await publish(settings, [said(topic, "a", 2)])
        await eventually_async(lambda: seen, 60)
    assert [r.offset for r in seen] == [1]


async def test_a_follower_waits_for_a_topic_that_is_not_there_yet(settings: Settings) -> None:
    name = f"late.{ids.fresh()}"
    seen: list[Record] = []
    follower = Follower(settings, [name], seen.append)
    async with following(follower):
        await ensure(settings, [topics.TopicSpec(name, 1, "", "")])
        await publish(settings, [said(name, "a", 1)])
        await eventually_async(lambda: seen, 60)


@pytest.mark.kafka
async def test_a_follower_goes_on_where_it_was_when_the_broker_comes_back(
    frail: Broker,
) -> None:
    settings = settings_for(frail.bootstrap)
    topic = await make_topic(settings)
    await publish(settings, [said(topic, "a", n) for n in range(50)])
    seen: list[Record] = []
    follower = Follower(settings, [topic], seen.append)
    async with following(follower):
        await follower.wait_caught_up(20)
        frail.kill()
        frail.start()
        await publish(settings, [said(topic, "a", n) for n in range(50, 60)])
        await eventually_async(lambda: len(seen) >= 60, 60)
    assert [r.offset for r in seen] == list(range(60))


# -- the registry


def version(name: str, grids: int, activate: bool = True, miscount: int = 0) -> list[OutRecord]:
    """The records of one version of a small city."""
    records: list[tuple[str, city.City | city.Grid]] = [("city", city.City("c", f"City {name}"))]
    records += [("grid", city.Grid(f"g{n}", "G", "1", "2", "3")) for n in range(grids)]
    out = [entry(f"registry.{kind}", city.record_key(kind, r.id, name), r) for kind, r in records]
    if activate:
        counts = city.counts_of(records)
        counts["grid"] = counts.get("grid", 0) + miscount
        activated = city.Activated(name, counts, city.digest_of(records))
        out.append(entry(city.ACTIVATED, city.activation_key(name), activated))
    return out


def entry(type_: str, key: str, data: object) -> OutRecord:
    now = datetime.now(UTC)
    return to_record(Event(ids.fresh(), "/tests", type_, key, now, now, data), topics.REGISTRY, key)  # type: ignore[arg-type]


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> str:
    """A registry topic of the test's own, under the name that everything here uses."""
    name = f"registry.{ids.fresh()}"
    monkeypatch.setattr(topics, "REGISTRY", name)
    from lianxin_contracts import codec

    monkeypatch.setitem(codec.MODELS, name, city.MODELS)
    return name


async def write(settings: Settings, records: list[OutRecord]) -> None:
    publisher = Publisher(settings)
    await publisher.start()
    await publisher.publish(records, deadline_s=20)
    await publisher.stop()


async def test_the_registry_switches_as_a_whole_when_counts_and_digest_agree(
    settings: Settings, own_registry: str
) -> None:
    await ensure(settings, [topics.TopicSpec(own_registry, 1, "", "")])
    await write(settings, [*version("1", 2), *version("2", 3)])
    seen: list[str] = []
    follower = RegistryFollower(settings)
    follower.on_switch(lambda snapshot: seen.append(snapshot.version))
    async with following(follower):
        await follower.wait_caught_up(20)
        assert follower.current is not None
        assert (follower.current.version, len(follower.current.grids)) == ("2", 3)
        assert seen == ["2"]  # nobody is shown a version that was replaced long ago
        assert not any(one is follower.current for one in gc.get_objects())  # no collection walks the city
        await write(settings, version("3", 5, activate=False))
        await write(settings, version("3", 5)[-1:])
        await eventually_async(lambda: seen == ["2", "3"], 60)
        assert len(follower.current.grids) == 5


async def test_a_version_whose_counts_disagree_leaves_the_old_one_in_force_and_says_why(
    settings: Settings, own_registry: str
) -> None:
    await ensure(settings, [topics.TopicSpec(own_registry, 1, "", "")])
    await write(settings, version("1", 2))
    follower = RegistryFollower(settings)
    async with following(follower):
        await follower.wait_caught_up(20)
        await write(settings, version("2", 1, miscount=1))
        await eventually_async(lambda: follower.problem, 60)
        assert "version 2" in str(follower.problem)
        assert follower.current is not None
        assert follower.current.version == "1"
        assert follower.check() is True


async def test_a_process_that_starts_after_a_bad_activation_has_the_version_before(
    settings: Settings, own_registry: str
) -> None:
    await ensure(settings, [topics.TopicSpec(own_registry, 1, "", "")])
    bad = [*version("3", 3, miscount=1), *version("4", 1, miscount=1)]
    await write(settings, [*version("1", 1), *version("2", 2), *bad])
    follower = RegistryFollower(settings)
    async with following(follower):
        await follower.wait_caught_up(20)
        assert follower.current is not None
        assert follower.current.version == "2"
        assert "version 4" in str(follower.problem)
        assert follower.check() is True
        await write(settings, version("4", 1))
        await eventually_async(lambda: follower.current and follower.current.version == "4", 60)
        assert follower.problem is None


async def test_with_no_version_that_is_whole_it_is_not_ready_and_says_why(
    settings: Settings, own_registry: str
) -> None:
    await ensure(settings, [topics.TopicSpec(own_registry, 1, "", "")])
    await write(settings, version("1", 1, miscount=1))
    follower = RegistryFollower(settings)
    async with following(follower):
        await follower.wait_caught_up(20)
        assert "version 1" in str(follower.check())


class GridOfTomorrow(city.Grid, frozen=True):
    """A grid with a field that no reader here knows."""

    people: int = 0


async def test_a_version_that_a_newer_writer_loaded_comes_into_force(
    settings: Settings, own_registry: str
) -> None:
    await ensure(settings, [topics.TopicSpec(own_registry, 1, "", "")])
    grid = GridOfTomorrow("g", "G", "1", "2", "3", people=900)
    records: list[tuple[str, city.City | city.Grid]] = [("city", city.City("c", "City")), ("grid", grid)]
    written = [entry(f"registry.{kind}", city.record_key(kind, r.id, "1"), r) for kind, r in records]
    activated = city.Activated("1", city.counts_of(records), city.digest_of(records))
    await write(settings, [*written, entry(city.ACTIVATED, city.activation_key("1"), activated)])
    follower = RegistryFollower(settings)
    async with following(follower):
        await follower.wait_caught_up(20)
        assert follower.problem is None
        assert follower.current is not None
        assert list(follower.current.grids) == ["g"]


async def test_versions_that_others_came_after_are_let_go_of_and_come_back_when_loaded_anew(
    settings: Settings, own_registry: str
) -> None:
    await ensure(settings, [topics.TopicSpec(own_registry, 1, "", "")])
    await write(settings, [*version("1", 1), *version("2", 2), *version("3", 3)])
    await write(settings, version("4", 4, activate=False))
    follower = RegistryFollower(settings)
    async with following(follower):
        await follower.wait_caught_up(20)
        assert sorted(follower._versions) == ["3", "4"]
        await write(settings, version("1", 1))
        await eventually_async(lambda: follower.current and follower.current.version == "1", 60)
        assert sorted(follower._versions) == ["1", "4"]


async def test_a_switch_that_fails_ends_the_follower_and_is_told(
    settings: Settings, own_registry: str
) -> None:
    await ensure(settings, [topics.TopicSpec(own_registry, 1, "", "")])
    await write(settings, version("1", 1))
    follower = RegistryFollower(settings)

    def broken(_: city.Snapshot) -> None:
        raise LookupError("a bug")

    follower.on_switch(broken)
    with pytest.raises(LookupError):
        await asyncio.wait_for(follower.run(), 60)


async def test_a_channel_key_holds_at_once_without_a_version_and_can_be_revoked(
    settings: Settings, own_registry: str
) -> None:
    await ensure(settings, [topics.TopicSpec(own_registry, 1, "", "")])
    hashed = city.hash_of_key("secret")
    key = city.ChannelKey(hashed, "kiosk", ("submit",))
    follower = RegistryFollower(settings)
    async with following(follower):
        await write(settings, [entry("registry.channel_key", city.channel_key_key(hashed), key)])
        await eventually_async(lambda: follower.channel_key(hashed), 60)
        revoked = city.ChannelKey(hashed, "kiosk", ("submit",), revoked=True)
        await write(settings, [entry("registry.channel_key", city.channel_key_key(hashed), revoked)])
        await eventually_async(lambda: (k := follower.channel_key(hashed)) and k.revoked, 60)
        await write(settings, [deletion(own_registry, city.channel_key_key(hashed), datetime.now(UTC))])
        await eventually_async(lambda: follower.channel_key(hashed) is None, 60)
