"""Alerts by mail under a mail server that fails, hangs and is killed, and workers that are killed.

    make test ARGS='tests/faults/test_alert_storm.py -s'    a sample: 240 alerts, 4 kills of a worker
    make soak ARGS='tests/faults/test_alert_storm.py -s'    100,000 alerts to 8,129 deputies, 50 kills

and once more where the notifier's database is dropped meanwhile. `LIANXIN_STORM_SEED`, `LIANXIN_STORM_ALERTS`
and `LIANXIN_STORM_KILLS` make another run of either. The verdict is computed from the mail server's own
record and from `alerts.deliveries`.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from tests.faults.storm import Feeder, Storm, Watcher, accepted_by, deputies, draw, without_mailbox
from tests.faults.storm_verdict import (
    Accepted,
    accepted_again,
    everything_wrong,
    no_more_was_repeated_than_was_in_flight,
)
from tests.notifier.running import Running
from tests.notifier.topics import ensure_topics
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.smtp import SmtpServer

pytestmark = pytest.mark.kafka

DATABASE = "notifier_storm"
# 30% of all transactions fail, at every moment that there is.
FAULTS = {
    "refuse_recipient": 0.08,
    "drop_before": 0.03,
    "hang_before": 0.005,
    "drop_within": 0.03,
    "refuse": 0.12,
    "drop": 0.02,
    "hang": 0.005,
    "lose_answer": 0.008,
    "hang_after": 0.002,
}
# 30% as well, and none after which somebody might not know whether the message was accepted.
ANSWERED = {"refuse_recipient": 0.12, "drop_before": 0.05, "refuse": 0.13}
# After these nobody knows whether the message was accepted.
UNKNOWN = ("drop_within", "drop", "hang", "lose_answer", "hang_after")
SETTINGS = {
    "attempt_deadline_s": "4",
    "delivery_lease_s": "12",
    "retry_first_s": "0.5",
    "retry_longest_s": "4",
    "attempts_limit": "6",
    "breaker_rest_s": "1",
    "mongo_retry_writes": "false",  # as `lianxin up` has it for this database
}

say = sys.stderr.write


@dataclass(frozen=True, slots=True)
class Size:
    """How many alerts to how many deputies, about `ahead` of them under way; how often a worker and the mail
    server are killed, the mail server hangs, and the database is dropped. `slow_s`: how long it takes to
    accept a mail."""

    alerts: int
    deputies: int
    ahead: int
    connections: int
    within_s: float
    kills: int = 0
    server_kills: int = 0
    hangs: int = 0
    drops: int = 0
    slow_s: float = 0.0


SAMPLE = Size(240, 129, 240, 8, 300, kills=4, server_kills=1, hangs=1, slow_s=0.1)
WHOLE = Size(100_000, 8_129, 1_000, 16, 14_400, kills=50, server_kills=10, hangs=10)
DROPPED_SAMPLE = Size(300, 129, 300, 8, 300, drops=1, slow_s=0.1)
DROPPED_WHOLE = Size(10_000, 8_129, 1_000, 16, 3_600, drops=5)
# An attempt is given so long that a busy machine leaves none without an answer.
PATIENT = {"attempt_deadline_s": "10", "delivery_lease_s": "18"}


@pytest.fixture
def make_storm(
    tmp_path: Path, make_kafka: Callable[[], Broker], make_database: Callable[[], Database]
) -> Iterator[Callable[..., Storm]]:
    """Storms on a broker, a database and a mail server of their own."""
    made: list[Storm] = []

    def make(size: Size, seed: int, faults: dict[str, float], **settings: str) -> Storm:
        broker, database = make_kafka(), make_database()
        ensure_topics(broker.bootstrap)
        smtp = SmtpServer(tmp_path / "smtp", seed, brief=True)
        smtp.start()
        mail = {
            "smtp_host": smtp.host,
            "smtp_port": str(smtp.port),
            "smtp_connections": str(size.connections),
        }
        workers = [
            Running("worker", tmp_path, broker, database.url, DATABASE, **SETTINGS, **mail) for _ in range(2)
        ]
        addresses = deputies(size.deputies)
        behaviour = {"faults": faults, "slow_s": size.slow_s, "unknown": without_mailbox(addresses)}
        feeder = Feeder(broker.bootstrap, size.alerts, size.ahead, seed, list(addresses))
        drop = partial(drop_database, database.url)
        watcher = Watcher(broker.bootstrap)
        made.append(Storm(addresses, workers, smtp, behaviour, watcher, feeder, drop, say))
        return made[-1]

    yield make
    for storm in made:
        for worker in storm.workers:
            worker.stop()
        storm.smtp.kill()


def drop_database(url: str) -> None:
    """Drop the notifier's database while everybody works with it."""
    with MongoClient[dict[str, Any]](url) as client:
        client.drop_database(DATABASE)


def asked(size: Size) -> tuple[Size, int]:
    """What is to be done, and the seed."""
    seed = int(os.environ.get("LIANXIN_STORM_SEED", "20261126"))
    alerts = int(os.environ.get("LIANXIN_STORM_ALERTS", size.alerts))
    kills = int(os.environ.get("LIANXIN_STORM_KILLS", size.kills)) if size.kills else 0
    say(f"\nLIANXIN_STORM_SEED={seed} LIANXIN_STORM_ALERTS={alerts} LIANXIN_STORM_KILLS={kills}\n")
    return replace(size, alerts=alerts, kills=kills), seed


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(SAMPLE, id="sample", marks=pytest.mark.timeout(2 * SAMPLE.within_s)),
        pytest.param(WHOLE, id="whole", marks=[pytest.mark.soak, pytest.mark.timeout(WHOLE.within_s + 600)]),
    ],
)
def test_every_alert_is_delivered_or_given_up_with_its_reason_and_none_twice_unmarked(
    size: Size, make_storm: Callable[..., Storm]
) -> None:
    size, seed = asked(size)
    storm = make_storm(size, seed, FAULTS)
    strikes = draw(size.kills, size.server_kills, size.hangs, size.drops, seed)

    asyncio.run(storm.run(strikes, size.within_s))

    accepted, told = accepted_by(storm.smtp), storm.watcher.told
    unanswered = sum(Counter(storm.smtp.befallen())[fault] for fault in UNKNOWN)
    # A killed worker had one message on each connection, a killed or hanging mail server one on each of both.
    in_flight = size.connections * (size.kills + 2 * size.server_kills + 2 * size.hangs)
    tell(storm, accepted, unanswered, in_flight)
    wrong = everything_wrong(storm.feeder.expected, told, accepted, storm.addresses)
    wrong["more was repeated than was in flight"] = no_more_was_repeated_than_was_in_flight(
        told, unanswered + in_flight
    )
    assert not any(wrong.values()), said(wrong)
    assert sum(count for what, count in storm.struck.items() if what.startswith("worker")) == size.kills
    assert told.ends()["dead"] < size.alerts / 20, "most mails must arrive"


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(DROPPED_SAMPLE, id="sample", marks=pytest.mark.timeout(2 * DROPPED_SAMPLE.within_s)),
        pytest.param(
            DROPPED_WHOLE,
            id="whole",
            marks=[pytest.mark.soak, pytest.mark.timeout(DROPPED_WHOLE.within_s + 600)],
        ),
    ],
)
def test_a_database_dropped_under_load_has_the_mail_server_receive_nothing_that_it_had_before(
    size: Size, make_storm: Callable[..., Storm]
) -> None:
    size, seed = asked(size)
    storm = make_storm(size, seed, ANSWERED, **PATIENT)

    asyncio.run(storm.run(draw(0, 0, 0, size.drops, seed), size.within_s))

    accepted, told = accepted_by(storm.smtp), storm.watcher.told
    tell(storm, accepted, 0, 0)
    assert accepted_again(accepted) == []
    wrong = everything_wrong(storm.feeder.expected, told, accepted, storm.addresses)
    assert not any(wrong.values()), said(wrong)
    assert storm.struck["database dropped"] == size.drops


def said(wrong: dict[str, list[str]]) -> str:
    """What is wrong, in few lines."""
    return "\n".join(
        f"{len(found)} × {what}; the first: " + "; ".join(found[:5]) for what, found in wrong.items() if found
    )


def tell(storm: Storm, accepted: list[Accepted], unanswered: int, in_flight: int) -> None:
    """The run in figures: a table, and the same as one line of JSON."""
    told = storm.watcher.told
    again = accepted_again(accepted)
    reasons = Counter(mail.error for mail in told.mails.values() if any(s == "dead" for s, _ in mail.ends))
    befallen = Counter(storm.smtp.befallen())
    figures = {
        "alerts": len(storm.feeder.expected),
        "deputies": len(storm.addresses),
        "seconds": round(storm.elapsed_s),
        "alerts_per_s": round(told.ended / storm.elapsed_s, 1),
        **{f"strikes: {what}": count for what, count in sorted(storm.struck.items())},
        "attempts": sum(len(mail.attempts) for mail in told.mails.values()),
        "failed on purpose": befallen.total(),
        "ended as": dict(told.ends()),
        "reasons of the dead": dict(reasons),
        "accepted by the mail server": len(accepted),
        "alerts marked as repeated": sum(mail.repeated for mail in told.mails.values()),
        "may have lost their answer": {
            "by the mail server": unanswered,
            "by kills and hangs, at most": in_flight,
        },
        "Message-IDs accepted more than once": len(again),
        "of them unmarked": sum(not all(one.repeated for one in several[1:]) for several in again),
    }
    for name, value in figures.items():
        say(f"  {name:38} {value}\n")
    say(json.dumps(figures, ensure_ascii=False) + "\n")
