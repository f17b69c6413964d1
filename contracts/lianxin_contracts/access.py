"""What each party may do on the broker, derived from who sends and receives what (`asyncapi.OPERATIONS`).

A broker's access lists know topics and groups, not types of records. `opinions.inbound` is written by intake,
notifier and router alike, so who may say `case.accept` there can't be expressed: the router judges each
command's source and actor, and whoever stole one service's credentials could still name another's source.
What the lists do hold: only the router writes cases, words and contacts; only the notifier reads contacts;
only the operator writes the city; metrics writes nothing but its dead letters.
"""

from dataclasses import dataclass
from typing import Literal

from lianxin_contracts import topics
from lianxin_contracts.asyncapi import OPERATIONS, dead_letter_operations

SERVICES = ("intake", "router", "notifier", "metrics")

Resource = Literal["topic", "group"]
Act = Literal["read", "write", "describe", "describe_configs"]


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """`party` may `act` on the `resource` called `name`, or on all whose name begins so (`prefixed`)."""

    party: str
    resource: Resource
    name: str
    act: Act
    prefixed: bool = False


def rules(party: str) -> tuple[Rule, ...]:
    """Everything that the service `party` may do, sorted; what is not here it may not. The operator is no
    service: who makes topics and rules is above them."""
    found = {
        Rule(party, "topic", operation.topic, "write" if operation.sends else "read")
        for operation in (*OPERATIONS, *dead_letter_operations())
        if operation.party == party
    }
    # Its groups are `intake-g3` for a generation, `notifier-deliveries-…` for a rebuild, `router` itself.
    found.add(Rule(party, "group", party, "read", prefixed=True))
    # At its start each process checks all topics and their settings.
    found |= {Rule(party, "topic", spec.name, "describe") for spec in topics.ALL}
    found |= {Rule(party, "topic", spec.name, "describe_configs") for spec in topics.ALL}
    return tuple(sorted(found))
