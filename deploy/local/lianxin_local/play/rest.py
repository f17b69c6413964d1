"""When a stack has come to rest: every worker is at the end of its topics, and the counts stand still."""

import asyncio
import time
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from lianxin_local.observe import fetch
from lianxin_local.stack import SERVICE_PROCESSES, Stack
from lianxin_local.status import status

WORKERS = tuple(name for name in SERVICE_PROCESSES if name.endswith(".worker"))
LOOK_EVERY_S = 1.0
# Counts are told by processes that look for themselves once a second.
STILL_S = 3.0

Counts = dict[str, int | None]


def behind(stack: Stack) -> float | None:
    """Records that some worker has not handled yet; None where one of them does not tell."""
    left = 0.0
    for name in WORKERS:
        told = fetch(f"{stack.process_url(name)}/metrics", timeout=10.0)
        if told is None:
            return None
        found = [
            sample.value
            for family in text_string_to_metric_families(told)
            for sample in family.samples
            if sample.name == "lianxin_consumer_lag"
        ]
        if not found:
            return None
        left += sum(found)
    return left


async def at_rest(stack: Stack, within_s: float) -> Counts:
    """The counts of `lianxin status` once nothing is on its way. Raises TimeoutError."""
    deadline = time.monotonic() + within_s
    last: Counts = {}
    since = time.monotonic()
    while True:
        if await asyncio.to_thread(behind, stack) == 0:
            counts: dict[str, Any] = (await asyncio.to_thread(status, stack))["counts"]
            if counts != last:
                last, since = counts, time.monotonic()
            elif time.monotonic() - since >= STILL_S and None not in counts.values():
                return counts
        else:
            last = {}
        if time.monotonic() > deadline:
            raise TimeoutError(f"not at rest within {within_s:g} s")
        await asyncio.sleep(LOOK_EVERY_S)


def equations(counts: Counts) -> list[tuple[str, bool]]:
    """What must hold at rest, with its figures, and whether it does."""
    submitted, assigned, triage, alerted = (
        counts[what] for what in ("submitted", "assigned", "triage", "alerted")
    )
    whole = None if assigned is None or triage is None else assigned + triage
    return [
        (f"submitted {submitted} = assigned {assigned} + triage {triage}", submitted == whole),
        (f"alerted {alerted} = assigned {assigned}", alerted == assigned),
    ]
