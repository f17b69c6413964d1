"""Every figure stays exact whatever is killed, repeated or moved between workers (invariants 3 and 11)."""

import random
from collections.abc import Callable
from datetime import timedelta

import pytest

from lianxin_contracts import topics
from lianxin_contracts.envelope import Event
from tests.metrics.published import published
from tests.metrics.running import Running, Watch, differences, prepare_topics, publish, read_log
from tests.metrics.story import MONDAY, delivery, life, mixed
from tests.support.brokers import Broker
from tests.support.wait import eventually

Make = Callable[..., Running]
ALERTED = MONDAY + timedelta(days=400)


def shows_the_log(process: Running, broker: Broker) -> bool:
    """Raises, naming the differences, where the process shows something else than the log says."""
    expected = published(read_log(broker)).samples
    found = differences(process.samples(), expected)
    assert not found, found[:5]
    return True


def test_figures_are_exact_after_kills_repeats_and_rebalances_and_no_counter_falls(
    city_log: Broker, make_running: Make
) -> None:
    chance = random.Random(20261123)
    events = mixed([life(seed) for seed in range(1_000, 1_160)], 1)
    api = make_running("api", "exact")
    workers = [make_running("worker", "exact") for _ in range(2)]
    steps = alert_steps()
    publish(city_log, [*steps, *steps], topic=topics.DELIVERIES)
    with Watch(api, *workers) as watch:
        for process in (api, *workers):
            process.start(ready=False)
        done = 0
        for part in range(1, 4):
            upto = len(events) * part // 4
            publish(city_log, events[done:upto])
            # The router may publish what it could not confirm once more, long after.
            publish(city_log, chance.sample(events[:upto], 40))
            done = upto
            victim = workers[chance.randrange(2)]
            eventually(lambda: watch.scrapes > 0 and chance.random() < 0.2, timeout=120)
            victim.kill()
            victim.start(ready=False)
        publish(city_log, events[done:])
        for process in (api, *workers):
            eventually(lambda process=process: shows_the_log(process, city_log), timeout=120, every=0.5)
    assert watch.falls == []
    closed = len({record.case for record in read_log(city_log) if record.type == "opinion.closed"})
    assert [process.counted("closed") for process in (api, *workers)] == [closed] * 3
    eventually(lambda: mail_delivered(api) == (2, 3), timeout=60)


def alert_steps() -> list[Event]:
    """Three alerts by mail, of which two arrive in the end."""
    return [
        delivery(f"alert-{n}", "mail", status, ALERTED + timedelta(seconds=n), n)
        for n in range(3)
        for status in ("attempting", "sent" if n else "failed")
    ]


def mail_delivered(api: Running) -> tuple[int, int]:
    day = (ALERTED + timedelta(hours=8)).date().isoformat()
    report = api.http.get("/v1/reports/day", params={"date": day, "as_of": "2028-01-01"}).json()
    (row,) = [row for row in report["figures"] if row["figure"] == "alerts_delivered"]
    return row["numerator"], row["n"]


@pytest.mark.soak
def test_a_record_out_of_sequence_parks_its_case_and_no_other(
    make_kafka: Callable[[], Broker], make_running: Make
) -> None:
    # A broker of its own: whoever reads such a log from the start parks that case for good.
    broker = make_kafka()
    prepare_topics(broker)
    good, bad = life(3_000), life(3_001)
    worker, api = (
        make_running("worker", "parked", broker).start(),
        make_running("api", "parked", broker).start(),
    )
    publish(broker, [bad.events[0], *bad.events[2:], *good.events])
    eventually(lambda: "sequence_gap" in worker.http.get("/metrics").text, timeout=60)
    expected = published(r for r in read_log(broker) if r.case != bad.case or r.sequence == 1).samples
    eventually(lambda: not differences(api.samples(), expected), timeout=60, every=0.5)
