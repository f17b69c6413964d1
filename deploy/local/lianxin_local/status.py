"""How the stack is doing, asked of each process over HTTP; the cost does not grow with what is stored."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from lianxin_local.keys import demo_keys_of
from lianxin_local.observe import fetch, is_ready, pids
from lianxin_local.stack import SERVICE_PROCESSES, SERVICES, Stack

COUNTED = "lianxin_counted_opinions"
# Which service owns which figure.
OWNERS = {
    "submitted": "intake",
    "assigned": "router",
    "triage": "router",
    "alerted": "notifier",
    "closed": "metrics",
}


def status(stack: Stack) -> dict[str, Any]:
    """The object of `lianxin status --json`."""
    running = pids(stack.home)
    keys = demo_keys_of(stack.home)
    with ThreadPoolExecutor(len(SERVICE_PROCESSES) * 2) as at_once:
        ready = dict(
            zip(
                SERVICE_PROCESSES,
                at_once.map(lambda name: is_ready(stack.process_url(name)), SERVICE_PROCESSES),
                strict=True,
            )
        )
        told = dict(
            zip(
                SERVICE_PROCESSES,
                at_once.map(lambda name: counted_by(stack.process_url(name)), SERVICE_PROCESSES),
                strict=True,
            )
        )
    return {
        "services": {
            service: {
                "url": stack.url(service),
                "ready": all(ready[name] for name in processes_of(service)),
            }
            for service in SERVICES
        },
        "broker": {"kind": stack.broker, "bootstrap": stack.bootstrap},
        "database": {"url": stack.database_url},
        "mail": {"smtp": f"127.0.0.1:{stack.ports['smtp']}"},
        "keys": {"submit": keys.submit, "staff": keys.staff},
        "pids": running,
        "counts": {
            what: total([told[name] for name in processes_of(service)], what)
            for what, service in OWNERS.items()
        },
    }


def processes_of(service: str) -> list[str]:
    """The processes of one service."""
    return [name for name in SERVICE_PROCESSES if name.startswith(f"{service}.")]


def counted_by(url: str) -> dict[str, float] | None:
    """What one process has counted, by the name of the figure; None if it does not answer."""
    told = fetch(f"{url}/metrics", timeout=5.0)
    if told is None:
        return None
    try:
        families = list(text_string_to_metric_families(told))
    except ValueError:
        return None
    return {
        sample.labels["what"]: sample.value
        for family in families
        if family.name == COUNTED
        for sample in family.samples
    }


def total(told: Sequence[dict[str, float] | None], what: str) -> int | None:
    """One figure of a service; None where nobody who counts it answers. Every process that counts it tells
    the whole figure, so the newest is the highest and none is added."""
    figures = [one[what] for one in told if one and what in one]
    return int(max(figures)) if figures else None


def in_words(told: dict[str, Any]) -> list[str]:
    """The same for a person."""
    lines = []
    for service, about in told["services"].items():
        lines.append(f"{service:<10}{'ready' if about['ready'] else 'not ready':<11}{about['url']}")
    lines.append(f"{'broker':<10}{told['broker']['kind']:<11}{told['broker']['bootstrap']}")
    lines.append(f"{'database':<10}{'':<11}{told['database']['url']}")
    running = ", ".join(f"{name} {pid}" for name, pid in told["pids"].items())
    lines.append(f"{'pids':<10}{running or 'nothing runs: lianxin up'}")
    counts = ", ".join(f"{what} {'?' if n is None else n}" for what, n in told["counts"].items())
    lines.append(f"{'counts':<10}{counts}")
    return lines
