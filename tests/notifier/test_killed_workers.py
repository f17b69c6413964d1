"""Mail by workers that are killed and started again."""

import random
from collections import Counter
from collections.abc import Callable

import pytest

from tests.notifier.conftest import QUICK
from tests.notifier.lifecycles import History
from tests.notifier.mails import assign, ended, mails_of
from tests.notifier.running import Running
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.smtp import SmtpServer

pytestmark = pytest.mark.usefixtures("alone")

MakeWorker = Callable[..., Running]


def mailing(make_worker: MakeWorker, smtp: SmtpServer, **env: str) -> Running:
    return make_worker(**{"smtp_host": smtp.host, "smtp_port": str(smtp.port), **QUICK, **env})


def test_a_retry_survives_a_restart(
    city_broker: Broker, make_worker: MakeWorker, smtp_server: SmtpServer
) -> None:
    smtp_server.behave(fail=1.0)
    first = mailing(make_worker, smtp_server, retry_first_s="2", retry_longest_s="2").start()
    cases = assign(city_broker, 5)
    eventually(lambda: ended(city_broker, cases, "failed"))
    first.kill()
    smtp_server.behave()
    mailing(make_worker, smtp_server).start()
    eventually(lambda: ended(city_broker, cases))
    assert set(Counter(m["message_id"] for m in smtp_server.messages()).values()) == {1}


def test_a_mail_is_given_up_after_the_last_attempt_with_the_reason(
    city_broker: Broker, make_worker: MakeWorker, smtp_server: SmtpServer
) -> None:
    smtp_server.behave(fail=1.0)
    worker = mailing(make_worker, smtp_server, attempts_limit="3").start()
    cases = assign(city_broker, 1)
    eventually(lambda: ended(city_broker, cases, "dead"))
    steps = [(r.status, r.attempt) for r in mails_of(city_broker, cases)]
    assert steps[-2:] == [("attempting", 3), ("dead", 3)]
    assert mails_of(city_broker, cases)[-1].error == "smtp 451 4.3.0"
    assert worker.metric('lianxin_alert_deliveries_total{channel="mail",status="dead"}') == 1.0


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(2, 8))])
def test_a_killed_worker_repeats_at_most_one_mail_per_connection_and_marks_it(
    city_broker: Broker, make_worker: MakeWorker, smtp_server: SmtpServer, seed: int
) -> None:
    chance = random.Random(seed)
    connections, kills = 3, 2
    worker = mailing(make_worker, smtp_server, smtp_connections=str(connections))
    cases: list[History] = []
    for _ in range(kills):
        worker.start()
        before = len(smtp_server.messages())
        cases += assign(city_broker, 40)
        moment = before + chance.randrange(1, 35)
        eventually(lambda moment=moment: len(smtp_server.messages()) >= moment, every=0.001)  # type: ignore[misc]
        worker.kill()
    worker.start()
    eventually(lambda: ended(city_broker, cases), every=0.5)
    records = mails_of(city_broker, cases)
    repeats = [r for r in records if r.repeated_after_crash and r.status == "attempting"]
    accepted = Counter(m["message_id"] for m in smtp_server.messages())
    assert set(accepted) == {r.message_id for r in records}
    assert {m for m, times in accepted.items() if times > 1} <= {r.message_id for r in repeats}
    assert len(repeats) <= connections * kills
    assert worker.metric('lianxin_repeated_after_crash_total{channel="mail"}') <= connections * kills


def test_without_a_mail_server_mail_is_recorded_as_skipped(
    city_broker: Broker, make_worker: MakeWorker
) -> None:
    make_worker().start()
    cases = assign(city_broker, 1)
    eventually(lambda: ended(city_broker, cases, "skipped"))
    assert [r.status for r in mails_of(city_broker, cases)] == ["skipped"]
