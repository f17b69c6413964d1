"""The start-up check of the topics: what is missing is made, what is wrong is refused."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

import lianxin_contracts.topics
from lianxin_chassis.logs import get_logger
from lianxin_chassis.outages import Backoff, Outage
from lianxin_chassis.settings import Settings
from lianxin_contracts.topics import TopicSpec

log = get_logger(__name__)


class WrongTopicSettings(Exception):
    """A topic exists and is not as the contract says: `str()` is one line for each difference."""


async def ensure(
    settings: Settings, specs: Iterable[TopicSpec] = lianxin_contracts.topics.ALL, timeout_s: float = 60.0
) -> None:
    """Create what is missing of `specs` and check partitions and settings of what exists.

    Raises `WrongTopicSettings` for a topic that differs, and `Outage` where the broker can't be reached
    within `timeout_s` seconds. Safe to run from several processes at once.
    """
    backoff = Backoff(cap_s=2.0)
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                try:
                    return await _ensure_once(settings, list(specs))
                except (KafkaError, OSError) as error:
                    log.info("topics can't be checked yet", error=repr(error))
                await asyncio.sleep(backoff.next())
    except TimeoutError as error:
        raise Outage(f"topics could not be checked in {timeout_s:g} s", what="broker") from error


async def _ensure_once(settings: Settings, specs: list[TopicSpec]) -> None:
    admin = AIOKafkaAdminClient(**settings.kafka_client(), request_timeout_ms=15_000)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [spec for spec in specs if spec.name not in existing]
        if missing:
            await _create(admin, settings, missing)
        await _check(admin, settings, specs)
    finally:
        await admin.close()


def wanted_config(settings: Settings, spec: TopicSpec) -> Mapping[str, str]:
    """The broker settings that `spec` must have here: with three replicas, two must have a record."""
    durable = {"min.insync.replicas": "2"} if settings.kafka_replication >= 3 else {}
    return {**spec.config, **durable}


async def _create(admin: AIOKafkaAdminClient, settings: Settings, specs: list[TopicSpec]) -> None:
    answer = await admin.create_topics(
        [
            NewTopic(
                spec.name,
                spec.partitions,
                settings.kafka_replication,
                topic_configs=dict(wanted_config(settings, spec)),
            )
            for spec in specs
        ],
        timeout_ms=15_000,
    )
    for topic, code, *message in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:  # another process was quicker
            raise error(f"{topic}: {message}")
        log.info("topic made", topic=topic)


async def _check(admin: AIOKafkaAdminClient, settings: Settings, specs: list[TopicSpec]) -> None:
    wrong: list[str] = []
    described = {t["topic"]: t for t in await admin.describe_topics([spec.name for spec in specs])}
    for spec in specs:
        found = described.get(spec.name, {})
        if found.get("error_code", 3):
            # Just made, and this broker has not heard of it yet.
            raise for_code(found.get("error_code", 3))(spec.name)
        partitions = len(found["partitions"])
        if partitions != spec.partitions:
            wrong.append(f"{spec.name}: has {partitions} partitions, wanted {spec.partitions}")
    configs = await _configs(admin, [spec.name for spec in specs])
    for spec in specs:
        for name, wanted in wanted_config(settings, spec).items():
            value = configs.get(spec.name, {}).get(name)
            # A broker that does not tell a setting (the laptop's stand-in) can't be held to it.
            if value is not None and value != wanted:
                wrong.append(f"{spec.name}: {name} is {value}, wanted {wanted}")
    if wrong:
        raise WrongTopicSettings("\n".join(wrong))


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    answers: list[Any] = await admin.describe_configs(resources)
    for answer in answers:
        for code, message, _type, name, entries in answer.resources:
            if code:
                raise for_code(code)(f"{name}: {message}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found
