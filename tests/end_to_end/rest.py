"""When a stack has come to rest: nothing is waiting to be worked off, so what it shows is its last word."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from lianxin_local.stack import SERVICE_PROCESSES
from tests.support.stacks import LocalStack

WORKERS = tuple(name for name in SERVICE_PROCESSES if name.endswith(".worker"))


def lag(stack: LocalStack) -> float:
    """Records that some worker has not worked off, as the workers tell it; infinite where one tells none.
    Raises httpx.TransportError where one is away."""
    left = 0.0
    for name in WORKERS:
        url = f"http://127.0.0.1:{stack.saved['ports'][name]}/metrics"
        found = samples(httpx.get(url, trust_env=False, timeout=30).text, "lianxin_consumer_lag")
        left += sum(records for _, records in found) if found else float("inf")
    return left


def samples(text: str, name: str) -> list[tuple[dict[str, str], float]]:
    """(labels, value) of each series of one metric on a /metrics page."""
    return [
        (sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    ]
