"""The helpers that other tests stand on."""

import os
import smtplib
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from itertools import combinations
from pathlib import Path

import psutil
import pymongo
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from lianxin_local.ports import ports_from
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.ports import free_base, free_port, own_range
from tests.support.smtp import SmtpServer
from tests.support.wait import eventually, eventually_async


async def test_the_sessions_broker_takes_records(kafka: Broker) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("support.probe", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        assert (await producer.send_and_wait("support.probe", b"x")).offset >= 0


def test_a_database_keeps_what_it_answered_when_killed(make_database: Callable[[], Database]) -> None:
    database = make_database()
    with pymongo.MongoClient(database.url, w="majority") as client:
        for number in range(500):
            client.probe.numbers.insert_one({"_id": number})
    database.kill()
    database.start()
    with pymongo.MongoClient(database.url) as client:
        assert client.probe.numbers.count_documents({}) == 500


def mail() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@lianxin.example", "b@lianxin.example", "交办"
    message["Message-ID"] = "<1@lianxin.example>"
    message.set_content("一件新的意见\n")
    return message


def send(server: SmtpServer) -> None:
    with smtplib.SMTP(server.host, server.port, timeout=2) as client:
        client.send_message(mail())


def test_the_mail_server_keeps_accepts_fails_and_hangs_as_told(smtp_server: SmtpServer) -> None:
    send(smtp_server)
    (got,) = smtp_server.messages()
    assert got["subject"] == "交办"
    assert got["to"] == ["b@lianxin.example"]
    assert got["message_id"] == "<1@lianxin.example>"
    assert "一件新的意见" in got["body"]

    smtp_server.behave(fail=1.0)
    with pytest.raises(smtplib.SMTPDataError):
        send(smtp_server)
    smtp_server.behave(hang=True)
    with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected)):
        send(smtp_server)
    smtp_server.behave()
    send(smtp_server)
    assert len(smtp_server.messages()) == 2

    smtp_server.kill()
    with pytest.raises(OSError, match="refused"):
        send(smtp_server)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_what_a_test_started_dies_with_a_killed_test_process() -> None:
    program = (
        "import pathlib, sys, time\n"
        "from tests.support.processes import Spawned\n"
        "print(Spawned(['sleep', '600'], pathlib.Path('/dev/null')).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    eventually(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie")


def test_the_workers_of_one_run_never_pick_the_same_port() -> None:
    ranges = [
        set(own_range({"PYTEST_XDIST_WORKER": f"gw{number}", "PYTEST_XDIST_WORKER_COUNT": "3"}))
        for number in range(3)
    ]
    assert all(a.isdisjoint(b) for a, b in combinations(ranges, 2))
    assert set(own_range({})) >= set.union(*ranges)


def test_a_port_is_given_away_once_though_nobody_listens_there_now() -> None:
    bases = [free_base() for _ in range(20)]
    ports = [port for base in bases for port in ports_from(base).values()] + [free_port() for _ in range(200)]
    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize(
    ("environment", "outcome"),
    [
        ({"LIANXIN_TEST_BROKER": "tansu"}, "1 skipped"),
        ({"LIANXIN_TEST_BROKER": "tansu", "CI": "true"}, "1 error"),
        ({"LIANXIN_TEST_BROKER": "", "LIANXIN_JAVA": "/bin/false"}, "1 skipped"),
        ({"LIANXIN_TEST_BROKER": "", "LIANXIN_JAVA": "/bin/false", "CI": "true"}, "1 error"),
    ],
)
def test_a_test_that_needs_a_durable_broker_says_so_where_there_is_none_and_fails_on_ci(
    tmp_path: Path, environment: dict[str, str], outcome: str
) -> None:
    """In a run of its own, whose test would pass."""
    (tmp_path / "test_it.py").write_text("import pytest\n\n@pytest.mark.kafka\ndef test_it(): pass\n")
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    surroundings = {name: value for name, value in os.environ.items() if name != "CI"} | environment
    done = subprocess.run(
        [*command, "-c", str(root / "pyproject.toml"), "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=root,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert outcome in done.stdout, done.stdout + done.stderr
    assert "needs a durable broker" in done.stdout


async def test_eventually_waits_and_tells_what_it_last_saw() -> None:
    seen = iter([0, 0, 7])
    assert eventually(lambda: next(seen), timeout=5) == 7
    with pytest.raises(AssertionError, match="last: 0"):
        eventually(lambda: 0, timeout=0.1)

    async def soon() -> str:
        return "yes"

    assert await eventually_async(soon) == "yes"
