"""Alerts: each fires when it should and not when it need not, and tells whoever is woken what to do."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.compose import ROOT
from tests.support.durable import skip_or_fail

FOLDER = ROOT / "deploy" / "prometheus"
TESTS = sorted(FOLDER.glob("*_test.yml"))
PAGE = ROOT / "docs" / "operations.md"


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


NAMES = [rule["alert"] for rule in alerts()]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        skip_or_fail("no promtool: apt-get install prometheus")
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("file", TESTS, ids=lambda path: path.name)
def test_every_alert_does_what_its_tests_say(file: Path):
    ran = promtool("test", "rules", str(file))

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("config", ["prometheus.yml", "compose.yml"])
def test_prometheus_takes_its_configuration(config: str):
    ran = promtool("check", "config", str(FOLDER / config))

    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_is_seen_to_fire_and_to_stay_quiet(name: str):
    tests = [test for file in TESTS for test in yaml.safe_load(file.read_text("utf-8"))["tests"]]
    expected = [
        one.get("exp_alerts", [])
        for test in tests
        for one in test["alert_rule_test"]
        if one["alertname"] == name
    ]

    assert any(expected), "no test in which it fires"
    assert name == "Watchdog" or not all(expected), "no test in which it does not"


@pytest.mark.parametrize("rule", alerts(), ids=NAMES)
def test_an_alert_says_how_grave_it_is_and_where_to_read_on(rule: dict[str, Any]):
    name, told = rule["alert"], rule["annotations"]

    assert rule["labels"]["severity"] in ("critical", "warning") or name == "Watchdog"
    assert re.match(r"^[\u4e00-\u9fff].* · \S", told["summary"]), "Chinese first, English beside"
    assert told["runbook"] == f"docs/operations.md#{name.lower()}"


def test_every_alert_has_a_section_and_every_section_an_alert():
    part = PAGE.read_text("utf-8").partition("\n## Alerts\n")[2].partition("\n## ")[0]

    assert re.findall(r"^### (\w+)$", part, re.MULTILINE) == NAMES
