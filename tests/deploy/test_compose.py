"""docker-compose.yml: what it promises to whoever runs it. No engine starts it here; a compose implementation
reads it, and `test_broker_access.py` and `test_proxy.py` run what it holds."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.images.dockerfile import read
from lianxin_local.jars import KAFKA_VERSION
from lianxin_local.problem import Problem
from lianxin_local.secrets_command import filled_in
from lianxin_local.stack import PRIVATE
from tests.deploy.compose import FILE, OURS, PROCESSES, ROOT, TEMPLATE, dotenv, project, services
from tests.support.durable import skip_or_fail
from tests.support.stacks import LIANXIN

# The reference implementation's loader and checker; a Go module, fetched by version.
COMPOSE_GO = "github.com/compose-spec/compose-go/v2/cmd@v2.2.0"
EVERY = sorted(services())


def test_a_compose_implementation_takes_the_file():
    if shutil.which("go") is None:
        skip_or_fail("compose's reference loader needs Go")
    environment = os.environ | dotenv()
    ran = subprocess.run(
        ["go", "run", COMPOSE_GO, str(FILE)],
        env=environment,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr


def test_without_secrets_it_refuses_to_start_and_names_the_template():
    missing = re.findall(r"\$\{(\w+):\?see \.env\.example\}", FILE.read_text("utf-8"))

    assert set(missing) == {name for name in template() if not template()[name]}


def template() -> dict[str, str]:
    lines = TEMPLATE.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))


def test_the_template_names_every_variable_that_is_used_and_no_other():
    assert set(template()) == set(re.findall(r"(?<!\$)\$\{(\w+)", FILE.read_text("utf-8")))


def test_every_secret_is_made_at_random_and_a_name_of_unknown_kind_is_refused():
    again = dict(
        line.split("=", 1) for line in filled_in(TEMPLATE.read_text()).splitlines() if re.match("[A-Z]", line)
    )
    secrets = [name for name in template() if not template()[name]]

    assert all(len(dotenv()[name]) >= 22 and dotenv()[name] != again[name] for name in secrets)
    with pytest.raises(Problem, match="COLOUR"):
        filled_in("COLOUR=\n")


@pytest.mark.parametrize("name", EVERY)
def test_every_container_is_confined(name: str):
    told = services()[name]

    assert told["read_only"] is True
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]
    assert told["init"] is True
    assert {"mem_limit", "cpus", "pids_limit"} <= told.keys()
    assert told["restart"] in ("unless-stopped", "on-failure:5")
    assert "privileged" not in told
    assert not user_of(told).startswith(("0", "root"))


def user_of(told: dict[str, Any]) -> str:
    """Whom a container runs as: by compose, or by the image that is built here."""
    if "user" in told:
        return str(told["user"])
    step = read(ROOT / told["build"]["dockerfile"])[-1].last("USER")
    assert step is not None
    return step.rest


@pytest.mark.parametrize("name", [name for name in EVERY if name != "registry"])
def test_every_container_that_stays_says_whether_it_is_well(name: str):
    told = services()[name]

    assert "healthcheck" in told or read(ROOT / told["build"]["dockerfile"])[-1].last("HEALTHCHECK")


def test_no_service_broker_or_database_publishes_a_port_itself():
    published = {name: told["ports"] for name, told in services().items() if "ports" in told}

    assert set(published) == {"proxy", "prometheus", "alertmanager", "grafana", "mail"}
    for name in ("prometheus", "alertmanager", "grafana", "mail"):
        assert all(port.startswith("127.0.0.1:") for port in published[name])


def test_a_service_reaches_the_world_only_where_its_work_is_there():
    inside = {name for name, told in project()["networks"].items() if told.get("internal")}
    outward = {name for name in OURS if set(services()[name]["networks"]) - inside}

    assert outward == {"notifier-worker"}, "webhooks leave from there"
    assert set(services()["kafka"]["networks"]) == {"broker"}
    assert set(services()["mongo"]["networks"]) == {"store"}


@pytest.mark.parametrize("name", PROCESSES)
def test_a_container_is_told_its_own_secrets_and_no_other(name: str):
    service = name.split("-")[0]
    told = services()[name]["environment"]

    assert {secret for secret in PRIVATE if secret in told} <= {
        s for s, whose in PRIVATE.items() if service in whose
    }
    assert told["LIANXIN_KAFKA_SASL_USERNAME"] == service
    others = {
        value
        for key, value in dotenv().items()
        if key.endswith("_PASSWORD") and f"_{service.upper()}_" not in key
    }
    assert not any(other in value for other in others for value in told.values())


def test_the_proxy_s_network_is_the_one_that_services_believe():
    subnet = project()["networks"]["front"]["ipam"]["config"][0]["subnet"]

    for name in ("intake-api", "notifier-api", "metrics-api"):
        assert services()[name]["environment"]["LIANXIN_TRUSTED_PROXIES"] == subnet


def test_the_broker_is_the_version_that_everything_is_tested_with():
    assert services()["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_third_parties_images_are_named_by_version():
    images = {told["image"] for told in services().values() if "build" not in told}

    assert all(re.search(r":v?\d+\.\d+\.\d+", image) for image in images), images


def test_every_file_that_is_mounted_or_built_is_there():
    for told in services().values():
        for volume in told.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists(), source
        if "build" in told:
            assert (ROOT / told["build"]["dockerfile"]).is_file()


def test_alertmanager_takes_its_file():
    if shutil.which("amtool") is None:
        skip_or_fail("no amtool: apt-get install prometheus-alertmanager")
    file = ROOT / "deploy" / "prometheus" / "alertmanager.yml"

    assert (
        subprocess.run(["amtool", "check-config", str(file)], capture_output=True, check=False).returncode
        == 0
    )


def test_the_mail_that_alertmanager_sends_goes_to_the_mail_catcher():
    text = Path(ROOT / "deploy/prometheus/alertmanager.yml").read_text("utf-8")

    assert "mail:1025" in text
    assert "mail" in services()["alertmanager"]["networks"]


def test_secrets_are_written_for_their_owner_alone_and_never_over_others(tmp_path: Path):
    out = tmp_path / ".env"
    fill = [str(LIANXIN), "secrets", "fill", str(TEMPLATE), "--out", str(out)]

    first = subprocess.run(fill, capture_output=True, text=True, check=False)
    written = out.read_text("utf-8")
    again = subprocess.run(fill, capture_output=True, text=True, check=False)

    assert first.returncode == 0, first.stderr
    assert out.stat().st_mode & 0o777 == 0o600
    assert again.returncode != 0
    assert "is there already" in again.stderr
    assert out.read_text("utf-8") == written


def test_wechat_gives_intake_s_api_a_way_out_and_keeps_its_other_networks():
    added = yaml.safe_load((ROOT / "deploy" / "compose" / "wechat.yml").read_text("utf-8"))

    assert set(added["services"]) == {"intake-api"}
    told = added["services"]["intake-api"]
    assert set(told["networks"]) - set(services()["intake-api"]["networks"]) == {"outside"}
    assert set(services()["intake-api"]["networks"]) < set(told["networks"])
    assert set(told["environment"]) == {"LIANXIN_WECHAT"}


def test_prometheus_asks_every_process_of_ours_by_name():
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "compose.yml").read_text("utf-8"))
    asked = {name for job in config["scrape_configs"] for d in job["dns_sd_configs"] for name in d["names"]}

    assert asked == set(PROCESSES)
    assert all("watch" in services()[name]["networks"] for name in PROCESSES)


def test_whoever_keeps_photos_reaches_the_database():
    assert all("store" in services()[name]["networks"] for name in PROCESSES)
