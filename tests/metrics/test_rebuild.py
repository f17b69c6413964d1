"""A rebuild gives the same state, and nobody sees a counter fall meanwhile (invariant 8)."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.generations import Generations, collection_name
from lianxin_metrics.settings import MetricsSettings
from lianxin_metrics.store import COLLECTIONS, PROJECTION
from tests.metrics.published import published
from tests.metrics.running import Running, Watch, differences, publish, read_log
from tests.metrics.story import life, mixed
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.wait import eventually

Make = Callable[..., Running]
STAMPS = ("epoch", "batch", "past")


def documents(database: Database, service: str) -> dict[str, dict[Any, Any]]:
    """The live collections of the service, without who wrote what."""

    async def read() -> dict[str, dict[Any, Any]]:
        db = open_database(MetricsSettings(mongo_url=database.url, mongo_database=f"lianxin_{service}"))
        live = await Generations(db, PROJECTION).live()
        found = {}
        for base in COLLECTIONS:
            all_of_it = await db[collection_name(base, live)].find({}).to_list(None)
            found[base] = {d["_id"]: {k: v for k, v in d.items() if k not in STAMPS} for d in all_of_it}
        await close_database(db)
        return found

    return asyncio.run(read())


@pytest.fixture
def log_shown(city_log: Broker) -> Callable[[Running], bool]:
    def shown(process: Running) -> bool:
        found = differences(process.samples(), published(read_log(city_log)).samples)
        assert not found, found[:5]
        return True

    return shown


def rebuild(worker: Running) -> None:
    """Run a rebuild to its end; the worker ends when another generation is live, and is started again."""
    revivals = worker.revivals
    rebuilding = worker.rebuild()
    eventually(lambda: not rebuilding.alive, timeout=180)
    assert rebuilding.process.returncode == 0, rebuilding.tail()
    eventually(lambda: worker.revivals > revivals and worker.is_ready(), timeout=90)


def test_a_rebuild_gives_the_same_facts_the_same_report_and_no_fallen_counter(
    city_log: Broker, database: Database, make_running: Make, log_shown: Callable[[Running], bool]
) -> None:
    publish(city_log, mixed([life(seed) for seed in range(4_000, 4_080)], 5))
    worker, api = make_running("worker", "rebuilt").start(), make_running("api", "rebuilt").start()
    eventually(lambda: log_shown(api), timeout=60, every=0.5)
    before = documents(database, "rebuilt")
    report = api.http.get("/v1/reports/year", params={"year": "2024", "as_of": "2027-01-01"}).content
    with Watch(worker, api) as watch:
        rebuild(worker)
        log_shown(api)
        assert documents(database, "rebuilt") == before
        again = api.http.get("/v1/reports/year", params={"year": "2024", "as_of": "2027-01-01"}).content
        assert again == report
        publish(city_log, mixed([life(seed) for seed in range(4_100, 4_120)], 6))
        eventually(lambda: log_shown(api), timeout=60, every=0.5)
    assert watch.falls == []


@pytest.mark.soak
def test_events_that_come_while_it_is_rebuilt_are_counted_once(
    city_log: Broker, make_running: Make, log_shown: Callable[[Running], bool]
) -> None:
    events = mixed([life(seed) for seed in range(5_000, 5_150)], 6)
    third = len(events) // 3
    publish(city_log, events[:third])
    worker, api = make_running("worker", "moving").start(), make_running("api", "moving").start()
    eventually(lambda: log_shown(api), timeout=60, every=0.5)
    with Watch(worker, api) as watch:
        during = threading.Thread(target=publish, args=(city_log, events[third : 2 * third]))
        during.start()
        rebuild(worker)
        during.join()
        publish(city_log, events[2 * third :])
        eventually(lambda: log_shown(api), timeout=60, every=0.5)
    assert watch.falls == []


@pytest.mark.soak
def test_a_database_that_was_lost_is_filled_again_from_the_log(
    city_log: Broker, database: Database, make_running: Make, log_shown: Callable[[Running], bool]
) -> None:
    worker, api = make_running("worker", "lost").start(), make_running("api", "lost").start()
    eventually(lambda: log_shown(api), timeout=60, every=0.5)
    worker.stop()

    async def lose() -> None:
        db = open_database(MetricsSettings(mongo_url=database.url, mongo_database="lianxin_lost"))
        await db.client.drop_database("lianxin_lost")
        await close_database(db)

    asyncio.run(lose())
    worker.start()
    eventually(lambda: log_shown(api), timeout=60, every=0.5)
