"""Workers in processes of their own: killed, stopped, joined by others, hanging. No record is lost, none is
handled before the one that precedes it under its key, whatever happens."""

import random

import pytest

from lianxin_chassis.settings import Settings
from tests.chassis.bench import numbered, publish
from tests.chassis.conftest import MakeBench
from tests.support.wait import eventually_async

KEYS, EACH = 30, 60
QUICK = {"kafka_session_timeout_ms": 2_000, "kafka_heartbeat_ms": 300}


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """Sessions so short that a killed worker's partitions move within seconds."""
    return settings.model_copy(update=QUICK)


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.soak) for n in range(2, 8))])
async def test_workers_killed_at_any_moment_lose_and_reorder_nothing(
    make_bench: MakeBench, quick: Settings, seed: int
) -> None:
    moments = random.Random(seed)
    bench = await make_bench(quick, slow_s=0.05, options={"max_batch": 25})
    await publish(quick, numbered(bench.topic, KEYS, EACH))
    workers = [bench.start(), bench.start()]
    for _ in range(3):
        wanted = min(len(bench.effects()) + moments.randrange(50, 400), KEYS * EACH - 50)
        await eventually_async(lambda wanted=wanted: len(bench.effects()) >= wanted, 60)
        victim = moments.choice(workers)
        victim.kill()
        workers[workers.index(victim)] = bench.start()
    await bench.all_done(KEYS, EACH)
    assert bench.skipped_ahead() == []


async def test_a_worker_that_joins_and_one_that_leaves_cost_no_record_and_no_repetition(
    make_bench: MakeBench, quick: Settings
) -> None:
    bench = await make_bench(quick, slow_s=0.1, options={"max_batch": 25})
    await publish(quick, numbered(bench.topic, KEYS, EACH))
    first = bench.start()
    await eventually_async(bench.effects, 60)
    second = bench.start()
    await eventually_async(lambda: second.effects.exists() and second.effects.read_text(), 60)
    first.terminate()
    assert await first.ended() == 0
    await bench.all_done(KEYS, EACH)
    assert bench.skipped_ahead() == []
    assert bench.repeated() == 0


async def test_a_worker_told_to_stop_finishes_the_batch_in_hand_and_commits_it(
    make_bench: MakeBench, quick: Settings
) -> None:
    bench = await make_bench(quick, slow_s=2.0)
    await publish(quick, numbered(bench.topic, 5, 5))
    worker = bench.start()
    await eventually_async(lambda: bench.noted("taken"), 60)
    worker.terminate()
    assert await worker.ended() == 0
    finished = len(bench.effects())
    assert finished > 0
    bench.start(slow_s=0.0)
    await bench.all_done(5, 5)
    assert bench.repeated() == 0


async def test_a_worker_told_to_stop_while_it_waits_for_an_outage_leaves_the_batch_to_the_next(
    make_bench: MakeBench, quick: Settings
) -> None:
    bench = await make_bench(quick)
    await publish(quick, numbered(bench.topic, 5, 5))
    bench.raise_flag("away")
    worker = bench.start()
    await eventually_async(lambda: bench.noted("waiting"), 60)
    assert (await worker.get("/readyz")).status_code == 503
    assert (await worker.get("/livez")).status_code == 200
    worker.terminate()
    assert await worker.ended() == 0
    bench.lower_flag("away")
    bench.start()
    await bench.all_done(5, 5)
    assert bench.skipped_ahead() == []


async def test_an_outage_holds_no_rebalance_up_and_is_over_when_it_is_over(
    make_bench: MakeBench, quick: Settings
) -> None:
    bench = await make_bench(quick)
    await publish(quick, numbered(bench.topic, 20, 5))
    bench.raise_flag("away")
    bench.start()
    await eventually_async(lambda: bench.noted("waiting"), 60)
    second = bench.start()
    await eventually_async(lambda: bench.noted("waiting", second), 60)
    bench.lower_flag("away")
    await bench.all_done(20, 5)
    assert bench.skipped_ahead() == []
    await second.ready()


@pytest.mark.parametrize("fault", ["hang", "block"])
async def test_a_handler_that_hangs_ends_the_process_with_nothing_committed(
    make_bench: MakeBench, quick: Settings, fault: str
) -> None:
    bench = await make_bench(quick, options={"batch_deadline_s": 1.5})
    await publish(quick, numbered(bench.topic, 5, 5))
    bench.raise_flag(fault)
    worker = bench.start()
    assert await worker.ended(60) == 70
    assert bench.effects() == []
    bench.lower_flag(fault)
    bench.start(options={})
    await bench.all_done(5, 5)


async def test_a_consumer_that_stands_still_while_the_broker_has_records_ends_its_process(
    make_bench: MakeBench, quick: Settings
) -> None:
    bench = await make_bench(quick, stuck=True, options={"watchdog_s": 1.0})
    await publish(quick, numbered(bench.topic, 20, 1))
    worker = bench.start()
    assert await worker.ended(60) == 70
    assert "the consumer is stuck" in worker.spawned.tail()
