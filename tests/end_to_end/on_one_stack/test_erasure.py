"""What a resident has erased is nowhere any more, but where the privacy notice says that it stays 30 days:
every topic after compaction, every database, and every projection that is built again."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import bson
import httpx
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from pymongo import MongoClient

from lianxin_contracts import ids, topics
from tests.end_to_end.journey import TRIAGE_STAFF
from tests.end_to_end.log import read_log
from tests.end_to_end.surface import Addresses, Surface
from tests.intake.pictures import photograph
from tests.support.brokers import wanted_broker
from tests.support.stacks import LocalStack
from tests.support.wait import eventually, eventually_async

PATIENCE_S = 120.0
COMPACTED = (topics.WORDS, topics.CONTACTS)
SERVICES = ("intake", "router", "notifier", "metrics")
TITLE, TEXT, ADDRESS = "紫鸢花标题甲一", "青石巷里的蓝鲸路灯不亮", "琥珀弄九十九号"
RELEASED, ANSWER, PROGRESS = "某巷里的朱雀路灯不亮", "白鹭已到现场查看", "灰雁正在换灯泡"
NAME, PHONE, MAIL = "欧阳麒麟", "13900007788", "qilin@residents.example"
IN_CLEAR_NOWHERE = (NAME, PHONE, MAIL)
SAID = (TITLE, TEXT, ADDRESS, RELEASED, ANSWER, PROGRESS)


@pytest.fixture
def city(stack: LocalStack) -> LocalStack:
    if wanted_broker().kind != "kafka":
        pytest.skip("the stand-in broker does not compact")
    return stack


def test_what_is_erased_is_in_no_topic_no_database_and_comes_back_with_no_rebuild(city: LocalStack) -> None:
    chunks_before = chunks(city)
    opinion, code = asyncio.run(everything_said(city))
    sealed = eventually(lambda: sealed_contacts(city, opinion), PATIENCE_S)
    marks = {word: word.encode() for word in SAID} | sealed
    eventually(lambda: set(in_topics(city, marks)) == {topics.INBOUND, *COMPACTED}, PATIENCE_S)
    # What is looked for is there to be found, so that finding nothing later says something.
    eventually(lambda: set(in_databases(city, marks)) >= {"intake", "notifier"}, PATIENCE_S)
    assert chunks(city) > chunks_before

    erase_on_the_page(city, opinion, code)

    def gone() -> bool:
        assert in_databases(city, marks) == {}
        return True

    eventually(gone, PATIENCE_S)
    eventually(lambda: chunks(city) == chunks_before, PATIENCE_S)
    asyncio.run(compact(city.bootstrap))
    eventually(lambda: set(in_topics(city, marks)) == {topics.INBOUND}, PATIENCE_S, every=1.0)
    assert set(in_topics(city, marks)[topics.INBOUND]) == set(marks)
    asyncio.run(configure(city.bootstrap, {}))
    for service in SERVICES:
        city.lianxin("rebuild", service, timeout=PATIENCE_S)
        assert in_databases(city, marks) == {}, service
    assert chunks(city) == chunks_before
    in_clear = {word: word.encode() for word in IN_CLEAR_NOWHERE}
    assert (in_topics(city, in_clear), in_databases(city, in_clear)) == ({}, {})


async def everything_said(stack: LocalStack) -> tuple[str, str]:
    """One opinion with a photo and a contact, answered, noted on and released; its id and tracking code."""
    addresses = Addresses.of_status(stack.status())
    async with Surface(addresses, patience_s=PATIENCE_S) as surface:
        body: dict[str, Any] = {
            "title": TITLE,
            "text": TEXT,
            "address": ADDRESS,
            "station": (await surface.stations())[0]["id"],
            "topic": next(topic["id"] for topic in await surface.topics() if topic.get("parent")),
            "contact": {"name": NAME, "phone": PHONE, "email": MAIL},
            "attachments": [await uploaded(addresses)],
        }
        receipt = (await surface.submit(body, ids.fresh())).body
        id_, code = receipt["id"], receipt["tracking_code"]

        async def held_by() -> Any:
            return (await surface.opinion(id_, code))["holder"]

        deputy = str(await eventually_async(held_by, PATIENCE_S))
        steps: list[tuple[str, str, dict[str, str]]] = [
            ("accept", deputy, {}),
            ("answer", deputy, {"text": ANSWER}),
            ("progress", deputy, {"text": PROGRESS}),
            ("publish", TRIAGE_STAFF, {"text": RELEASED}),
        ]
        for action, actor, fields in steps:
            command = await surface.act(id_, action, actor, ids.fresh(), **fields)

            told = await decided(surface, command)
            assert "code" not in told, (action, told)
        return id_, code


async def decided(surface: Surface, command: str) -> dict[str, Any]:
    """What became of `command`, as soon as the router has decided."""

    async def answer() -> Any:
        told = await surface.command(command)
        return told if told["status"] != "pending" else None

    told: dict[str, Any] = await eventually_async(answer, PATIENCE_S)
    return told


async def uploaded(addresses: Addresses) -> str:
    headers = {"Authorization": f"Bearer {addresses.submit_key}", "Content-Type": "image/jpeg"}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        answer = await http.post(f"{addresses.intake}/v1/attachments", content=photograph(), headers=headers)
    return str(answer.raise_for_status().json()["id"])


def erase_on_the_page(stack: LocalStack, opinion: str, code: str) -> None:
    form = {"key": ids.fresh(), "sure": "yes"}
    url = f"{stack.url('intake')}/t/{code}/erasure?id={opinion}"
    answer = httpx.post(url, data=form, trust_env=False, timeout=60)
    assert answer.status_code == 303, answer.text


def sealed_contacts(stack: LocalStack, opinion: str) -> dict[str, bytes]:
    """The sealed contacts of `opinion` as the log holds them, in base64."""
    log = asyncio.run(read_log(stack.bootstrap, [topics.CONTACTS]))
    values = [json.loads(r.value or b"") for r in log.of(topics.CONTACTS) if r.key.startswith(opinion)]
    long = [text for value in values for text in value.values() if isinstance(text, str) and len(text) > 60]
    return {f"sealed {n}": text.encode() for n, text in enumerate(long)}


def in_topics(stack: LocalStack, marks: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Which of `marks` lie on which topic."""
    found = {}
    for topic, records in asyncio.run(read_log(stack.bootstrap)).records.items():
        whole = b"\n".join(record.everything for record in records)
        if here := [name for name, raw in marks.items() if raw in whole]:
            found[topic] = here
    return found


def in_databases(stack: LocalStack, marks: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Which of `marks` lie in the database of which service, in any collection, sealed ones as bytes too."""
    needles = {
        name: {raw, base64.b64decode(raw)} if name.startswith("sealed") else {raw}
        for name, raw in marks.items()
    }
    found: dict[str, set[str]] = {}

    def look(service: str, raw: bytes) -> None:
        if here := {name for name, forms in needles.items() if any(form in raw for form in forms)}:
            found.setdefault(service, set()).update(here)

    for_every_document(stack, lambda service, _, document: look(service, bson.encode(document)))
    return {service: sorted(here) for service, here in found.items()}


def chunks(stack: LocalStack) -> int:
    """How many pieces of files (GridFS) all databases hold."""
    seen: list[str] = []
    for_every_document(stack, lambda _, name, __: seen.append(name) if name.endswith(".chunks") else None)
    return len(seen)


def for_every_document(stack: LocalStack, do: Callable[[str, str, dict[str, Any]], None]) -> None:
    """`do(service, collection, document)` for all that the document server holds, less the server's own
    replication log, which wraps around (`docs/visibility.md`)."""
    with MongoClient[dict[str, Any]](stack.database_url) as client:
        for name in set(client.list_database_names()) - {"local"}:
            for collection in client[name].list_collection_names():
                for document in client[name][collection].find():
                    do(name.removeprefix("lianxin_"), collection, document)


async def compact(bootstrap: str) -> None:
    """Have the broker compact what holds words at once, and begin a new segment in every partition: the one
    that is written to is never compacted."""
    quick = {"segment.ms": "1", "max.compaction.lag.ms": "1", "min.cleanable.dirty.ratio": "0.0"}
    await configure(bootstrap, quick)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        for topic in COMPACTED:
            for partition in range(topics.BY_NAME[topic].partitions):
                key = f"{ids.fresh()}/{ids.fresh()}".encode()
                await producer.send_and_wait(topic, None, key, partition)
    finally:
        await producer.stop()


async def configure(bootstrap: str, more: Mapping[str, str]) -> None:
    """The settings of the contract, and `more`, on the topics that hold words."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.alter_configs(
            [
                ConfigResource(ConfigResourceType.TOPIC, name, {**topics.BY_NAME[name].config, **more})
                for name in COMPACTED
            ]
        )
    finally:
        await admin.close()
