"""A city travels whole: from files through the broker into every service's follower."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.conftest import new_broker
from tests.support.brokers import Broker
from tests.support.wait import eventually_async

from lianxin_chassis.registry import RegistryFollower
from lianxin_chassis.topics import ensure
from lianxin_contracts import registry
from lianxin_local.city_files import read_city, version_of
from lianxin_local.home import Home
from lianxin_local.keys import demo_keys_of
from lianxin_local.keys_command import revoked
from lianxin_local.registry_command import load_if_empty
from lianxin_local.registry_publish import known_keys, operator, publish_city, publish_keys, publisher
from lianxin_local.seed import make_known
from lianxin_local.stack import sample_city

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def loaded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker for the tests that put cities of their own in force: the whole run's must not see them."""
    broker = new_broker(tmp_path_factory.mktemp("registry-kafka"))
    yield broker
    broker.kill()


@contextlib.asynccontextmanager
async def following(bootstrap: str) -> AsyncIterator[RegistryFollower]:
    follower = RegistryFollower(operator(bootstrap))
    task = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        follower.stop()
        await task


def small_city(directory: Path, *, without: str = "") -> Path:
    """The sample city's frame without its deputies, so that loading it takes no time."""
    directory.mkdir()
    for file in sample_city().glob("*.ndjson"):
        if file.stem not in ("deputies", "mandates", "rosters", without):
            shutil.copy(file, directory)
    return directory


async def test_the_whole_sample_city_comes_into_force_and_a_second_start_loads_nothing(make_kafka) -> None:
    broker: Broker = make_kafka()
    await ensure(operator(broker.bootstrap))
    loaded = await asyncio.to_thread(load_if_empty, broker.bootstrap, sample_city())
    again = await asyncio.to_thread(load_if_empty, broker.bootstrap, sample_city())
    assert (loaded, again) == (True, False)
    expected = read_city(sample_city())
    async with following(broker.bootstrap) as follower:
        await follower.wait_caught_up(120)
        assert follower.problem is None
        assert follower.current is not None
        assert follower.current.version == version_of(expected.digest())
        assert len(follower.current.deputies) == expected.counts["deputy"]


async def test_an_older_city_comes_back_by_loading_its_files_again(
    loaded_broker: Broker, tmp_path: Path
) -> None:
    settings = operator(loaded_broker.bootstrap)
    await ensure(settings)
    old = read_city(small_city(tmp_path / "old"))
    new = read_city(small_city(tmp_path / "new", without="stations"))
    async with publisher(settings) as out, following(loaded_broker.bootstrap) as follower:
        for city in (old, new, old):
            version = await publish_city(out, city)
            await eventually_async(
                lambda v=version: follower.current is not None and follower.current.version == v
            )
            assert follower.current is not None
            assert len(follower.current.stations) == city.counts.get("station", 0)


async def test_a_demo_key_that_was_revoked_stays_so_at_the_next_start(
    loaded_broker: Broker, tmp_path: Path
) -> None:
    settings = operator(loaded_broker.bootstrap)
    await ensure(settings)
    keys = demo_keys_of(Home.at(tmp_path))
    await make_known(loaded_broker.bootstrap, keys)
    staff = (await known_keys(settings))[registry.hash_of_key(keys.staff)]
    assert not staff.revoked
    async with publisher(settings) as out:
        await publish_keys(out, [revoked(staff)])

    await make_known(loaded_broker.bootstrap, keys)

    known = await known_keys(settings)
    assert known[registry.hash_of_key(keys.staff)].revoked
    assert not known[registry.hash_of_key(keys.submit)].revoked


async def test_a_revoked_channel_key_is_known_as_revoked_at_once(loaded_broker: Broker) -> None:
    settings = operator(loaded_broker.bootstrap)
    await ensure(settings)
    key = registry.ChannelKey(registry.hash_of_key("secret"), "demo", ("submit",))
    async with publisher(settings) as out, following(loaded_broker.bootstrap) as follower:
        await publish_keys(out, [key], datetime.now(UTC))
        await eventually_async(lambda: follower.channel_key(key.id) == key)
        await publish_keys(out, [registry.ChannelKey(key.id, key.channel, key.scopes, revoked=True)])
        await eventually_async(lambda: getattr(follower.channel_key(key.id), "revoked", False))
