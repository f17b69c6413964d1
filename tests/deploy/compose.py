"""docker-compose.yml as an engine would read it, with a .env as `lianxin secrets fill` makes it."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from lianxin_local.secrets_command import filled_in

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
TEMPLATE = ROOT / ".env.example"
# compose service -> module that its container runs
PROCESSES = {
    "intake-api": "lianxin_intake.api",
    "intake-worker": "lianxin_intake.worker",
    "intake-mail": "lianxin_intake.mail",
    "router-worker": "lianxin_router.worker",
    "notifier-api": "lianxin_notifier.api",
    "notifier-worker": "lianxin_notifier.worker",
    "metrics-api": "lianxin_metrics.api",
    "metrics-worker": "lianxin_metrics.worker",
}
OURS = (*PROCESSES, "registry")


@cache
def dotenv() -> dict[str, str]:
    """The variables of a .env made from the template."""
    lines = filled_in(TEMPLATE.read_text("utf-8")).splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]", line))


@cache
def project() -> dict[str, Any]:
    """The whole file, interpolated."""
    return dict(yaml.safe_load(_interpolated(FILE.read_text("utf-8"), dotenv())))


def services() -> dict[str, dict[str, Any]]:
    return dict(project()["services"])


def _interpolated(text: str, known: dict[str, str]) -> str:
    """`${NAME}`, `${NAME:-default}` and `${NAME:?why}`, as the Compose Specification has them."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found["name"], found["kind"], found["rest"]
        if known.get(name):
            return known[name]
        assert kind == ":-", f"{name} has no value: {rest}"
        return rest

    text = re.sub(r"(?<!\$)\$\{(?P<name>\w+)(?P<kind>:[-?])?(?P<rest>[^}]*)\}", value, text)
    return text.replace("$$", "$")
