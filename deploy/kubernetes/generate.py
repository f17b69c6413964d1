"""The manifests that follow from code: `python -m deploy.kubernetes.generate` writes base/generated/.

Topics and access rules from the contracts, alert rules from deploy/prometheus: one truth each.
"""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from lianxin_contracts import topics
from lianxin_contracts.access import SERVICES, Rule, rules

HERE = Path(__file__).parent
OUT = HERE / "base" / "generated"
PROMETHEUS = HERE.parent / "prometheus"
STRIMZI = "kafka.strimzi.io/v1"
CLUSTER = {"strimzi.io/cluster": "lianxin"}
REPLICAS = 3
_ACTS = {"read": "Read", "write": "Write", "describe": "Describe", "describe_configs": "DescribeConfigs"}

Manifest = dict[str, Any]


def kafka_topics() -> list[Manifest]:
    """Every topic, three times and in sync twice, as the services' start-up check wants it."""
    return [
        {
            "apiVersion": STRIMZI,
            "kind": "KafkaTopic",
            "metadata": {"name": spec.name, "labels": CLUSTER},
            "spec": {
                "partitions": spec.partitions,
                "replicas": REPLICAS,
                "config": {**spec.config, "min.insync.replicas": "2"},
            },
        }
        for spec in topics.ALL
    ]


def kafka_users() -> list[Manifest]:
    """Each service with its own credentials and rights, and the operator, whom the cluster takes for a
    super user. Strimzi puts each password into a Secret of the user's name."""
    told: list[Manifest] = [_user("operator", [])]
    return told + [_user(party, [_acl(*one) for one in _by_resource(rules(party))]) for party in SERVICES]


def _user(name: str, acls: list[Manifest]) -> Manifest:
    spec: Manifest = {"authentication": {"type": "scram-sha-512"}}
    if acls:
        spec["authorization"] = {"type": "simple", "acls": acls}
    labels = {**CLUSTER, "app.kubernetes.io/part-of": "lianxin"}
    return {
        "apiVersion": STRIMZI,
        "kind": "KafkaUser",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }


def _by_resource(all_rules: Iterable[Rule]) -> Iterable[tuple[Rule, list[str]]]:
    def resource(rule: Rule) -> tuple[str, str, bool]:
        return rule.resource, rule.name, rule.prefixed

    for _, found in groupby(sorted(all_rules, key=resource), resource):
        together = list(found)
        yield together[0], sorted(_ACTS[rule.act] for rule in together)


def _acl(rule: Rule, operations: list[str]) -> Manifest:
    pattern = "prefix" if rule.prefixed else "literal"
    return {
        "resource": {"type": rule.resource, "name": rule.name, "patternType": pattern},
        "operations": operations,
    }


def prometheus_rules() -> list[Manifest]:
    """The recording and alert rules, for the Prometheus Operator."""
    groups = [
        group
        for file in ("rules.yml", "alerts.yml")
        for group in yaml.safe_load((PROMETHEUS / file).read_text("utf-8"))["groups"]
    ]
    metadata = {"name": "lianxin", "labels": {"app.kubernetes.io/part-of": "lianxin"}}
    return [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": metadata,
            "spec": {"groups": groups},
        }
    ]


FILES = {
    "kafka-topics.yaml": kafka_topics,
    "kafka-users.yaml": kafka_users,
    "prometheus-rules.yaml": prometheus_rules,
}


def made(name: str) -> str:
    """One file's text."""
    head = "# Written by `python -m deploy.kubernetes.generate`; change what it is made from.\n"
    return head + yaml.safe_dump_all(FILES[name](), allow_unicode=True, sort_keys=False, width=110)


def main() -> None:
    """Write them all."""
    OUT.mkdir(exist_ok=True)
    for name in FILES:
        (OUT / name).write_text(made(name), "utf-8")


if __name__ == "__main__":
    main()
