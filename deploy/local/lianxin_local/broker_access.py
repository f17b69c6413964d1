"""Access lists on the broker: the services may what `lianxin_contracts.access` says, and nothing else."""

from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from lianxin_chassis.settings import Settings
from lianxin_contracts.access import SERVICES, Rule, rules

# Numbers of Kafka's protocol: ResourceType, PatternType, AclOperation, AclPermissionType.
_RESOURCES = {"topic": 2, "group": 3}
_LITERAL, _PREFIXED, _ANY = 3, 4, 1
_ACTS = {"read": 3, "write": 4, "describe": 8, "describe_configs": 10}
_ALLOW = 3
_EVERYWHERE = "*"

Entry = tuple[int, str, int, str, str, int, int]
"""Resource type, its name, pattern type, principal, host, operation, permission."""


async def set_access(settings: Settings) -> tuple[int, int]:
    """Add what is missing, then remove what is too much, of the four services' rules; returns how many of
    each. The services' other rights are untouched meanwhile, so this may run beside them.

    Raises aiokafka's KafkaError, such as ClusterAuthorizationFailedError where the settings' user may not,
    and SecurityDisabled where the broker has no authorizer.
    """
    admin = AIOKafkaAdminClient(**settings.kafka_client(), request_timeout_ms=15_000)
    try:
        await admin.start()
        wanted = {_entry(rule) for service in SERVICES for rule in rules(service)}
        there = {entry for service in SERVICES for entry in await _described(admin, principal(service))}
        for entry in sorted(wanted - there):
            answer = await admin._send_to_controller(CreateAclsRequest(*entry))
            _refuse(answer.creation_responses)
        for entry in sorted(there - wanted):
            answer = await admin._send_to_controller(DeleteAclsRequest(*entry))
            _refuse([(code, message) for code, message, _ in answer.filter_responses])
        return len(wanted - there), len(there - wanted)
    finally:
        await admin.close()


def principal(service: str) -> str:
    """How the broker calls whoever signs in with the service's credentials."""
    return f"User:{service}"


def _entry(rule: Rule) -> Entry:
    pattern = _PREFIXED if rule.prefixed else _LITERAL
    who = principal(rule.party)
    return (_RESOURCES[rule.resource], rule.name, pattern, who, _EVERYWHERE, _ACTS[rule.act], _ALLOW)


async def _described(admin: AIOKafkaAdminClient, who: str) -> list[Entry]:
    answer = await admin._send_request(DescribeAclsRequest(_ANY, None, _ANY, who, None, _ANY, _ANY))
    _refuse([(answer.error_code, answer.error_message)])
    return [
        (kind, name, pattern, principal_, host, operation, permission)
        for kind, name, pattern, entries in answer.resources
        for principal_, host, operation, permission in entries
    ]


def _refuse(results: list[tuple[Any, ...]]) -> None:
    for code, message in results:
        if code:
            raise for_code(code)(message)
