"""Credentials and access rules on a real broker with compose's own settings: each service can do its work,
and nothing else."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.admin import CreateAclsRequest

from lianxin_contracts import topics
from lianxin_contracts.access import SERVICES, rules
from tests.deploy.compose import PROCESSES, services
from tests.deploy.secured import SecuredKafka
from tests.support.databases import Database
from tests.support.durable import require_durable_broker
from tests.support.ports import free_port
from tests.support.processes import Spawned
from tests.support.wait import eventually, eventually_async

CITY = Path(__file__).parents[2] / "registry" / "wuxi-sample"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    require_durable_broker()
    one = SecuredKafka(tmp_path_factory.mktemp("secured") / "kafka")
    try:
        one.start()
        yield one
    finally:
        one.kill()


async def write(broker: SecuredKafka, party: str, topic: str) -> None:
    producer = AIOKafkaProducer(**broker.client(party), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topic, b"{}", key=b"nobody", partition=0)
    finally:
        await producer.stop()


async def may_write(broker: SecuredKafka, party: str, topic: str) -> bool:
    try:
        await write(broker, party, topic)
    except TopicAuthorizationFailedError:
        return False
    return True


async def read(broker: SecuredKafka, party: str, topic: str) -> None:
    consumer = AIOKafkaConsumer(**broker.client(party), group_id=None, enable_auto_commit=False)
    await consumer.start()
    try:
        where = TopicPartition(topic, 0)
        consumer.assign([where])
        consumer.seek(where, 0)
        async with asyncio.timeout(10):
            await consumer.getone()
    finally:
        await consumer.stop()


async def test_nobody_gets_in_without_credentials(broker: SecuredKafka):
    for wrong in ({"security_protocol": "PLAINTEXT"}, {"sasl_plain_password": "guessed"}):
        producer = AIOKafkaProducer(**broker.client("intake") | wrong, request_timeout_ms=3_000)
        with pytest.raises((KafkaConnectionError, KafkaError)):
            await producer.start()
        await producer.stop()


@pytest.mark.parametrize(
    ("party", "topic"),
    [
        ("intake", topics.LIFECYCLE),
        ("notifier", topics.LIFECYCLE),
        ("metrics", topics.LIFECYCLE),
        ("metrics", topics.INBOUND),
        ("intake", topics.WORDS),
        ("intake", topics.CONTACTS),
        ("notifier", topics.REGISTRY),
        ("router", topics.DELIVERIES),
    ],
)
async def test_a_service_can_t_write_what_another_says(broker: SecuredKafka, party: str, topic: str):
    with pytest.raises(TopicAuthorizationFailedError):
        await write(broker, party, topic)


@pytest.mark.parametrize(
    ("party", "topic"), [("intake", topics.CONTACTS), ("metrics", topics.WORDS), ("intake", topics.INBOUND)]
)
async def test_a_service_can_t_read_what_is_not_for_it(broker: SecuredKafka, party: str, topic: str):
    with pytest.raises((TopicAuthorizationFailedError, TimeoutError)) as refused:
        await read(broker, party, topic)
    assert refused.type is TopicAuthorizationFailedError


async def test_a_service_can_make_no_topic_and_no_rule(broker: SecuredKafka):
    admin = AIOKafkaAdminClient(**broker.client("router"))
    await admin.start()
    try:
        made = await admin.create_topics([NewTopic("mine", 1, 1)])
        codes = [code for _, code, *_ in made.topic_errors]
        rule = await admin._send_to_controller(CreateAclsRequest(2, "registry", 3, "User:router", "*", 4, 3))
        codes += [code for code, _ in rule.creation_responses]
    finally:
        await admin.close()
    assert [for_code(code).__name__ for code in codes] == [
        "TopicAuthorizationFailedError",
        "ClusterAuthorizationFailedError",
    ]


async def test_a_rule_that_is_too_much_is_gone_after_the_next_preparation(broker: SecuredKafka):
    admin = AIOKafkaAdminClient(**broker.client("operator"))
    await admin.start()
    await admin._send_to_controller(CreateAclsRequest(2, topics.REGISTRY, 3, "User:metrics", "*", 4, 3))
    await admin.close()
    # The broker's authorizer follows what the controller has decided, a moment later.
    await eventually_async(lambda: may_write(broker, "metrics", topics.REGISTRY))

    told = broker.lianxin("broker", "prepare", "--bootstrap", broker.bootstrap).stdout

    assert "0 added, 1 removed" in told

    async def refused() -> bool:
        return not await may_write(broker, "metrics", topics.REGISTRY)

    await eventually_async(refused)


def test_only_the_router_writes_cases_and_only_the_operator_writes_the_city():
    writers: dict[str, set[str]] = {}
    for party in SERVICES:
        for rule in rules(party):
            if rule.act == "write":
                writers.setdefault(rule.name, set()).add(party)

    assert writers[topics.LIFECYCLE] == writers[topics.WORDS] == writers[topics.CONTACTS] == {"router"}
    assert writers[topics.DELIVERIES] == {"notifier"}
    assert topics.REGISTRY not in writers
    # What access lists can't tell apart: the router judges who may say what there.
    assert writers[topics.INBOUND] == {"intake", "notifier", "router"}


@pytest.fixture
def containers(broker: SecuredKafka, database: Database, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Every process of the four services with the environment that compose gives its container, and no other;
    yields their addresses."""
    broker.lianxin("registry", "load", "--bootstrap", broker.bootstrap, "--if-empty", str(CITY))
    spawned: list[Spawned] = []
    addresses: dict[str, str] = {}
    try:
        for name, module in PROCESSES.items():
            port = free_port()
            told: dict[str, Any] = services()[name]["environment"] | {
                "LIANXIN_KAFKA_BOOTSTRAP": broker.bootstrap,
                "LIANXIN_MONGO_URL": database.url,
                "LIANXIN_HTTP_PORT": str(port),
                "LIANXIN_SMTP_HOST": "",
                "LIANXIN_MAIL_PORT": "0",
            }
            spawned.append(Spawned([sys.executable, "-m", module], tmp_path / f"{name}.log", told))
            addresses[name] = f"http://127.0.0.1:{port}"
        for address in addresses.values():
            eventually(
                lambda url=address: httpx.get(f"{url}/readyz").status_code == 200, timeout=120, every=0.5
            )  # type: ignore[misc]
        yield addresses
    finally:
        for one in spawned:
            one.kill()


def test_every_service_does_its_whole_work_with_its_own_credentials(
    broker: SecuredKafka, containers: dict[str, str]
):
    submit = broker.lianxin(
        "keys", "create", "demo", "--scope", "submit", "--bootstrap", broker.bootstrap
    ).stdout.strip()
    staff = broker.lianxin(
        "keys", "create", "demo", "--scope", "act", "--bootstrap", broker.bootstrap
    ).stdout.strip()
    intake, notifier = containers["intake-api"], containers["notifier-api"]

    def said() -> dict[str, Any]:
        answer = httpx.post(
            f"{intake}/v1/opinions",
            headers={"Authorization": f"Bearer {submit}", "Idempotency-Key": "lamp"},
            json={
                "text": "小区门口的路灯坏了三天，晚上很黑",
                "station": "S0100",
                "contact": {"phone": "13800000000"},
            },
        )
        return dict(answer.json()) if answer.status_code == 202 else {}

    opinion = eventually(said, timeout=60)

    def view() -> dict[str, Any]:
        url = f"{intake}/v1/opinions/{opinion['id']}?code={opinion['tracking_code']}"
        return dict(httpx.get(url).json())

    holder = eventually(lambda: view().get("holder"), timeout=60)

    def acted(**action: str) -> bool:
        answer = httpx.post(
            f"{notifier}/v1/cases/{opinion['id']}/actions",
            headers={"Authorization": f"Bearer {staff}"},
            json={"as": holder, **action},
        )
        return answer.status_code == 202

    eventually(lambda: acted(action="accept"), timeout=60)
    eventually(lambda: view()["stage"] == "accepted", timeout=60)
    eventually(lambda: acted(action="resolve", outcome="solved", text="修好了"), timeout=60)
    eventually(lambda: view()["stage"] == "resolved", timeout=60)
    rating = {"score": "satisfied", "tracking_code": opinion["tracking_code"]}
    assert httpx.post(f"{intake}/v1/opinions/{opinion['id']}/rating", json=rating).status_code == 202
    eventually(lambda: view()["stage"] == "closed", timeout=60)
    eventually(
        lambda: counted(containers["metrics-api"], 'lianxin_opinion_events_total{type="opinion.closed"}'),
        timeout=60,
    )
    for address in containers.values():
        assert not counted(address, "lianxin_dead_letters_total{"), json.dumps(containers)


def counted(address: str, series: str) -> float:
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(series))
