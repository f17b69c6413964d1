"""deploy/kubernetes, built by kustomize and checked against Kubernetes's own schemas.

Not checked by a schema, since no package carries them: Strimzi's, KEDA's and the Prometheus Operator's kinds.
What they must say of us is checked by hand below; that the operators take it is not.
"""

import copy
import shutil
import subprocess
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deploy.images.dockerfile import read
from deploy.kubernetes.generate import FILES, OUT, made
from lianxin_contracts import topics
from lianxin_contracts.access import SERVICES, rules
from lianxin_local.stack import PRIVATE
from tests.deploy.compose import PROCESSES, ROOT
from tests.support.durable import skip_or_fail

OVERLAY = ROOT / "deploy" / "kubernetes" / "overlays" / "city"
VERSION = "1.33"
OPERATORS = ("kafka.strimzi.io/", "keda.sh/", "monitoring.coreos.com/")
Manifest = dict[str, Any]


@cache
def manifests() -> tuple[Manifest, ...]:
    """Everything that `kubectl apply -k` would send."""
    if shutil.which("kubectl") is None:
        skip_or_fail("kustomize comes with kubectl, which is not here")
    built = subprocess.run(
        ["kubectl", "kustomize", str(OVERLAY)], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return tuple(yaml.safe_load_all(built.stdout))


def of_kind(kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in manifests() if one["kind"] == kind}


def pod_of(manifest: Manifest) -> Manifest:
    return dict(manifest["spec"]["template"]["spec"])


def process_of(manifest: Manifest) -> Manifest:
    (process,) = pod_of(manifest)["containers"]
    return dict(process)


def test_every_manifest_is_as_kubernetes_wants_it():
    checked = 0
    for one in manifests():
        if not one["apiVersion"].startswith(OPERATORS):
            kubernetes_validate.validate(one, VERSION, strict=True)
            checked += 1

    assert checked >= 25


def test_a_misspelt_field_would_be_found():
    spoilt = copy.deepcopy(of_kind("Deployment")["router-worker"])
    spoilt["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(spoilt, VERSION, strict=True)


def test_what_no_schema_was_there_for_is_known_by_name():
    unchecked = {one["kind"] for one in manifests() if one["apiVersion"].startswith(OPERATORS)}

    assert unchecked == {
        "Kafka", "KafkaNodePool", "KafkaTopic", "KafkaUser", "ScaledObject", "PodMonitor", "PrometheusRule"
    }  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_what_follows_from_code_is_committed_as_the_code_makes_it(name: str):
    assert (OUT / name).read_text("utf-8") == made(name), "python -m deploy.kubernetes.generate"


def test_api_and_worker_of_each_service_are_apart():
    assert set(of_kind("Deployment")) == set(PROCESSES)
    for name, manifest in of_kind("Deployment").items():
        process = process_of(manifest)
        dockerfile = ROOT / "services" / name.split("-")[0] / "Dockerfile"
        built_in = read(dockerfile)[-1].last("CMD")
        assert built_in is not None
        assert process.get("command", built_in.exec_form())[-1] == PROCESSES[name]


@pytest.mark.parametrize("name", [*PROCESSES, "registry"])
def test_a_pod_is_confined(name: str):
    manifest = (of_kind("Deployment") | of_kind("Job"))[name]
    pod, process = pod_of(manifest), process_of(manifest)

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert process["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert process["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in process["resources"]["limits"]
    assert not process["image"].endswith(":latest")
    assert ":" in process["image"]


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_is_asked_whether_it_lives_and_is_ready_and_has_time_to_end(name: str):
    manifest = of_kind("Deployment")[name]
    process = process_of(manifest)

    assert process["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert process["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert (
        pod_of(manifest)["terminationGracePeriodSeconds"] > 25 + 5
    )  # process.STOP_S and the pause before it


@pytest.mark.parametrize("name", PROCESSES)
def test_a_disruption_takes_one_of_them_at_a_time(name: str):
    labels = of_kind("Deployment")[name]["spec"]["selector"]["matchLabels"]
    budget = of_kind("PodDisruptionBudget")[name]["spec"]

    assert budget["selector"]["matchLabels"] == labels
    assert of_kind("Deployment")[name]["spec"]["replicas"] >= 2
    assert budget.get("minAvailable", budget.get("maxUnavailable")) == 1


def test_workers_scale_by_lag_slowly_and_never_beyond_the_partitions():
    scalers = of_kind("ScaledObject")

    assert set(scalers) == {name for name in PROCESSES if name.endswith("worker")}
    for name, scaler in scalers.items():
        spec = scaler["spec"]
        assert spec["scaleTargetRef"]["name"] == name
        assert spec["maxReplicaCount"] <= min(t.partitions for t in topics.ALL if t.partitions > 1)
        assert spec["minReplicaCount"] >= 2
        down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
        assert down["stabilizationWindowSeconds"] >= 1800
        assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 900}]
        (trigger,) = spec["triggers"]
        assert "lianxin_consumer_lag" in trigger["metadata"]["query"]
        assert name.split("-")[0] in trigger["metadata"]["query"]


@pytest.mark.parametrize("party", SERVICES)
def test_a_service_s_rights_on_the_broker_are_those_of_the_contracts(party: str):
    acls = of_kind("KafkaUser")[party]["spec"]["authorization"]["acls"]
    granted = {
        (acl["resource"]["type"], acl["resource"]["name"], acl["resource"]["patternType"], operation)
        for acl in acls
        for operation in acl["operations"]
    }

    named = {"read": "Read", "write": "Write", "describe": "Describe", "describe_configs": "DescribeConfigs"}
    assert granted == {
        (rule.resource, rule.name, "prefix" if rule.prefixed else "literal", named[rule.act])
        for rule in rules(party)
    }


@pytest.mark.parametrize("name", PROCESSES)
def test_a_pod_is_told_its_own_secrets_and_signs_in_as_itself(name: str):
    service = name.split("-")[0]
    told = {one["name"]: one for one in process_of(of_kind("Deployment")[name])["env"]}
    secrets = {
        key: one["valueFrom"]["secretKeyRef"]
        for key, one in told.items()
        if "secretKeyRef" in one.get("valueFrom", {})
    }

    assert {key for key in secrets if key in PRIVATE} <= {
        key for key, whose in PRIVATE.items() if service in whose
    }
    assert told["LIANXIN_KAFKA_SASL_USERNAME"]["value"] == service
    assert secrets["LIANXIN_KAFKA_SASL_PASSWORD"] == {"name": service, "key": "password"}
    assert {ref["name"] for ref in secrets.values()} <= {service, f"lianxin-{service}"}
    assert not any(
        "value" in told[key]
        for key in told
        if key.endswith(("_PASSWORD", "_SECRET", "_KEY", "_URL"))
        and key not in ("LIANXIN_PUBLIC_URL", "LIANXIN_INTAKE_URL", "LIANXIN_NOTIFIER_URL")
    )


def test_nothing_passes_between_pods_that_is_not_said():
    policies = of_kind("NetworkPolicy")
    everything = policies["nothing"]["spec"]

    assert everything["podSelector"]["matchLabels"] == {"app.kubernetes.io/part-of": "lianxin"}
    assert set(everything["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in everything
    assert "egress" not in everything
    for manifest in [*of_kind("Deployment").values(), *of_kind("Job").values()]:
        labels = manifest["spec"]["template"]["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "lianxin"


def test_only_the_notifier_s_worker_reaches_the_world_and_never_the_inside():
    (rule,) = of_kind("NetworkPolicy")["notifier-outside"]["spec"]["egress"]
    (block,) = rule["to"]

    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(
        block["ipBlock"]["except"]
    )
    outward = [
        n
        for n, p in of_kind("NetworkPolicy").items()
        if any("ipBlock" in str(e) for e in p["spec"].get("egress", []))
    ]
    assert outward == ["notifier-outside"]


def test_pictures_of_wechat_leave_intake_s_api_by_https_alone_where_an_overlay_asks_for_it():
    folder = ROOT / "deploy" / "kubernetes" / "components" / "wechat-pictures"
    (policy,) = yaml.safe_load_all((folder / "network.yaml").read_text("utf-8"))
    (rule,) = policy["spec"]["egress"]
    (inside,) = of_kind("NetworkPolicy")["notifier-outside"]["spec"]["egress"]

    assert policy["spec"]["podSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "intake",
        "app.kubernetes.io/component": "api",
    }
    assert rule["ports"] == [{"protocol": "TCP", "port": 443}]
    assert rule["to"][0]["ipBlock"]["except"] == inside["to"][0]["ipBlock"]["except"]
    component = yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))
    assert (component["kind"], component["resources"]) == ("Component", ["network.yaml"])


def test_no_door_leads_to_metrics_or_documentation():
    (ingress,) = of_kind("Ingress").values()
    paths = [path["path"] for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]]

    assert "/" not in paths
    assert not any(
        inside.startswith(path)
        for path in paths
        for inside in ("/metrics", "/docs", "/openapi.json", "/readyz")
    )


def test_every_page_of_the_workbench_has_a_door():
    (ingress,) = of_kind("Ingress").values()
    (doors,) = [
        [(path["path"], path["pathType"]) for path in rule["http"]["paths"]]
        for rule in ingress["spec"]["rules"]
        if rule["host"].startswith("notifier")
    ]
    pages = (
        *("/inbox", "/inbox/x", "/duty/x", "/signin", "/signin/x", "/signin/oidc/callback", "/signout"),
        *("/signins", "/station", "/supervision", "/triage", "/preferences", "/devices", "/stop/x"),
        *("/sw.js", "/push-worker.js", "/static/workbench.css"),
    )
    for page in pages:
        assert any(
            page == path or (kind == "Prefix" and page.startswith(f"{path.rstrip('/')}/"))
            for path, kind in doors
        ), page


def test_prometheus_finds_the_labels_that_rules_and_dashboard_ask_for():
    spec = of_kind("PodMonitor")["lianxin"]["spec"]
    labels = {name: m["spec"]["template"]["metadata"]["labels"] for name, m in of_kind("Deployment").items()}

    assert spec["jobLabel"] == "app.kubernetes.io/name"
    assert spec["podMetricsEndpoints"][0]["relabelings"][0]["targetLabel"] == "process"
    assert {
        (one["app.kubernetes.io/name"], one["app.kubernetes.io/component"]) for one in labels.values()
    } == {tuple(name.split("-")) for name in PROCESSES}
