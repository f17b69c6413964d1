"""The laptop stack: broker and database for real, without the services."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pymongo
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.brokers import answers_now
from tests.support.stacks import LIANXIN, LocalStack
from tests.support.wait import eventually

pytestmark = pytest.mark.kafka  # a stack in memory has no yesterday


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    stack = LocalStack(tmp_path_factory.mktemp("stack"), "--without-services")
    try:
        stack.up()
        yield stack
    finally:
        stack.remove()


async def write(stack: LocalStack, *words: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.bootstrap)
    await admin.start()
    if "said" not in await admin.list_topics():
        await admin.create_topics([NewTopic("said", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(
        bootstrap_servers=stack.bootstrap, acks="all", enable_idempotence=True
    ) as producer:
        for word in words:
            await producer.send_and_wait("said", word)


async def read(stack: LocalStack) -> list[bytes]:
    partition = TopicPartition("said", 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        await consumer.seek_to_beginning(partition)
        found: list[bytes] = []
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                found += [record.value for record in records]
        return found
    finally:
        await consumer.stop()


def note(stack: LocalStack, word: str) -> None:
    with pymongo.MongoClient(stack.database_url) as client:
        client.yesterday.words.insert_one({"_id": word})


def noted(stack: LocalStack) -> set[str]:
    with pymongo.MongoClient(stack.database_url) as client:
        return {one["_id"] for one in client.yesterday.words.find()}


def gone(pids: dict[str, int]) -> bool:
    return not any(
        psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids.values()
    )


async def test_a_second_start_finds_yesterdays_data(bare: LocalStack) -> None:
    await write(bare, b"one", b"two")
    note(bare, "one")
    pids = bare.status()["pids"]
    keys = bare.keys

    bare.down()
    assert gone(pids)
    assert bare.status()["pids"] == {}

    bare.up()
    assert (await read(bare))[:2] == [b"one", b"two"]
    assert "one" in noted(bare)
    assert bare.keys == keys


async def test_a_killed_broker_comes_back_with_what_it_acknowledged(bare: LocalStack) -> None:
    await write(bare, b"before the kill")
    killed = bare.kill("broker")
    bare.up()
    assert bare.status()["pids"]["broker"] != killed
    assert b"before the kill" in await read(bare)


def test_a_killed_database_comes_back_with_what_it_answered(bare: LocalStack) -> None:
    note(bare, "before the kill")
    killed = bare.kill("database")
    bare.up()
    assert bare.status()["pids"]["database"] != killed
    assert "before the kill" in noted(bare)


async def test_up_heals_a_stack_whose_supervisor_was_killed(bare: LocalStack) -> None:
    await write(bare, b"before the supervisor died")
    before = bare.status()["pids"]
    os.kill(int((bare.directory / "supervisord.pid").read_text()), signal.SIGKILL)
    assert bare.status()["pids"] == before  # they are found without it
    bare.up()
    eventually(lambda: gone(before))
    assert b"before the supervisor died" in await read(bare)


def test_up_on_a_running_stack_restarts_nothing(bare: LocalStack) -> None:
    before = bare.status()["pids"]
    bare.up()
    assert bare.status()["pids"] == before


def test_status_tells_what_is_asked_of_it_also_when_services_do_not_answer(bare: LocalStack) -> None:
    told = bare.status()
    assert set(told) == {"services", "broker", "database", "mail", "keys", "pids", "counts"}
    assert set(told["services"]) == {"intake", "router", "notifier", "metrics"}
    assert all(set(one) == {"url", "ready"} and one["ready"] is False for one in told["services"].values())
    assert told["services"]["metrics"]["url"] == f"http://127.0.0.1:{bare.port_base + 3}"
    assert told["broker"] == {"kind": "kafka", "bootstrap": f"127.0.0.1:{bare.port_base + 92}"}
    assert set(told["keys"]) == {"submit", "staff"}
    assert set(told["pids"]) == {"broker", "database"}
    assert told["counts"] == dict.fromkeys(("submitted", "assigned", "triage", "alerted", "closed"))


def test_secrets_and_socket_are_for_their_owner_only(bare: LocalStack) -> None:
    for name in ("secrets.json", "keys.json", "stack.json", "supervisord.conf"):
        path = bare.directory / name
        if path.exists():
            assert path.stat().st_mode & 0o077 == 0, name
    sockets = [p for p in bare.directory.iterdir() if p.is_socket()]
    assert all(p.stat().st_mode & 0o077 == 0 for p in sockets)


def test_another_broker_is_refused_while_the_stack_runs(bare: LocalStack) -> None:
    done = bare.lianxin("up", "--detach", "--broker", "tansu", "--without-services", check=False)
    assert done.returncode == 1
    assert "lianxin down first" in one_line(done.stderr)


def test_a_taken_port_is_named_with_its_holder_and_the_way_out(tmp_path: Path, bare: LocalStack) -> None:
    with socket.socket() as taken:
        other = LocalStack(tmp_path / "other")
        taken.bind(("127.0.0.1", other.port_base + 92))
        taken.listen()
        options = ("--detach", "--without-services", "--port-base", str(other.port_base))
        done = other.lianxin("up", *options, check=False)
    assert done.returncode == 1
    said = one_line(done.stderr)
    assert f"port {other.port_base + 92} (broker) is taken by" in said
    assert f"(pid {os.getpid()})" in said
    assert "--port-base" in said
    assert other.lianxin("down", check=False).returncode == 1  # nothing was left behind to stop


def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path / "stack")
    command = [str(LIANXIN), "--data", str(stack.directory), "up", "--without-services"]
    command += ["--port-base", str(stack.port_base)]
    foreground = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert foreground.stderr is not None
        while "Ctrl-C" not in (line := foreground.stderr.readline()):
            assert line, "it ended by itself"
        pids = stack.status()["pids"]
        assert set(pids) == {"broker", "database"}
        foreground.send_signal(signal.SIGINT)
        assert foreground.wait(60) == 0
        assert gone(pids)
    finally:
        foreground.kill()
        foreground.communicate()
        stack.lianxin("down", check=False)


def test_without_network_or_jars_the_stand_in_runs_and_says_what_it_lacks(tmp_path: Path) -> None:
    nothing = {
        "LIANXIN_JAR_RESOLVER": "mvn",
        "PATH": "/nonexistent",
        "LIANXIN_CACHE_DIR": str(tmp_path / "c"),
    }
    stack = LocalStack(tmp_path / "stack", "--without-services", "--broker", "auto", env=nothing)
    options = ("--detach", "--without-services", "--port-base", str(stack.port_base))
    try:
        done = stack.lianxin("up", *options)
        assert "can't fetch Apache Kafka's jars (mvn: not installed)" in done.stderr
        assert "memory" in done.stderr
        told = stack.status()
        assert told["broker"]["kind"] == "tansu"
        assert answers_now(told["broker"]["bootstrap"])
    finally:
        stack.down()


def one_line(said: str) -> str:
    """The message, which is one line and no traceback."""
    lines = [line for line in said.splitlines() if line.startswith("lianxin:")]
    assert "Traceback" not in said
    assert len(lines) == 1, said
    return lines[0]
