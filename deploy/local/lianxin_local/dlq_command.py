"""`lianxin dlq`: what could not be handled, kept whole; put back in order, or given up.

Each service keeps its own in its own database. A mark set here is acted on, within about a second, by the
worker that owns the key's partition.
"""

import json
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import click

from lianxin_chassis.parking import Aside, ParkedKey, ParkingLot
from lianxin_local.home import Home
from lianxin_local.options import takes_data
from lianxin_local.problem import Problem, say
from lianxin_local.service_database import asked
from lianxin_local.stack import SERVICES, Stack, require_stack

# A worker acts on a mark within about a second; one that is being started again takes longer.
ACTED_SECONDS = 60.0

service_option = click.option("--service", type=click.Choice(SERVICES), help="Only this service's.")


@dataclass(frozen=True, slots=True)
class Parked:
    """A parked key and whose it is."""

    service: str
    key: ParkedKey


@click.group()
def dlq() -> None:
    """Dead letters: list, show, put back in order (retry), give up (skip)."""


@dlq.command("list")
@takes_data
@service_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_command(home: Home, service: str | None, as_json: bool) -> None:
    """Every parked key: since when, why, and how many records wait behind it."""
    found = parked_keys(require_stack(home), service)
    for one in found:
        click.echo(json.dumps(as_object(one), ensure_ascii=False) if as_json else in_words(one))
    if not found:
        say("nothing is parked")


@dlq.command()
@takes_data
@click.argument("key")
@service_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(home: Home, key: str, service: str | None, as_json: bool) -> None:
    """What waits behind KEY, whole and in order. It may hold residents' words."""
    stack = require_stack(home)
    held = [one for one in parked_keys(stack, service) if one.key.key == key]
    if not held:
        raise Problem(f"nothing is parked under {key}; see lianxin dlq list")
    for name, topic in dict.fromkeys((one.service, one.key.topic) for one in held):
        for aside in asked(stack, name, lambda db, topic=topic: ParkingLot(db).show(topic, key)):  # type: ignore[misc]
            told = record_as_object(name, aside)
            click.echo(json.dumps(told, ensure_ascii=False) if as_json else "\n".join(record_in_words(told)))


@dlq.command()
@takes_data
@click.argument("key", required=False)
@click.option("--all", "everything", is_flag=True, help="Every parked key.")
@service_option
@click.option("--topic", help="Only keys parked on this topic.")
def retry(home: Home, key: str | None, everything: bool, service: str | None, topic: str | None) -> None:
    """Handle again what waits behind KEY, in order, and wait for the result."""
    if (key is None) != everything:
        raise click.UsageError("name one KEY, or say --all")
    stack = require_stack(home)
    chosen = [
        one
        for one in parked_keys(stack, service)
        if key in (None, one.key.key) and topic in (None, one.key.topic)
    ]
    _act(stack, chosen, key, lambda lot, one: lot.request_retry(one.topic, one.key))


@dlq.command()
@takes_data
@click.argument("key")
@click.option("--everything", is_flag=True, help="All that waits behind it, not only the first record.")
@service_option
def skip(home: Home, key: str, everything: bool, service: str | None) -> None:
    """Give up the first record behind KEY and handle the rest in order. It stays in the dead-letter topic."""
    stack = require_stack(home)
    chosen = [one for one in parked_keys(stack, service) if one.key.key == key]
    _act(stack, chosen, key, lambda lot, one: lot.request_skip(one.topic, one.key, everything=everything))


def parked_keys(stack: Stack, service: str | None = None) -> list[Parked]:
    """What is parked in one service, or in all, the oldest first. Raises Problem."""
    found = [
        Parked(name, key)
        for name in (SERVICES if service is None else (service,))
        for key in asked(stack, name, lambda db: ParkingLot(db).list_parked())
    ]
    return sorted(found, key=lambda one: one.key.first_at)


def as_object(one: Parked) -> dict[str, object]:
    """A parked key for programs."""
    return {
        "service": one.service,
        "topic": one.key.topic,
        "partition": one.key.partition,
        "key": one.key.key,
        "state": one.key.state,
        "reason": one.key.reason,
        "records": one.key.records,
        "attempts": one.key.attempts,
        "since": one.key.first_at.isoformat(),
    }


def in_words(one: Parked) -> str:
    """A parked key for a person."""
    key = one.key
    tried = f", tried {key.attempts} times" if key.attempts else ""
    return (
        f"{one.service:<9} {key.topic:<18} {key.key}  {key.reason}, {key.records} waiting "
        f"since {key.first_at:%Y-%m-%d %H:%M:%S} UTC{tried}"
    )


def record_as_object(service: str, aside: Aside) -> dict[str, object]:
    """A record as it was read; bytes that are no text are written with escapes."""
    record = aside.record
    return {
        "service": service,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "time": datetime.fromtimestamp(record.timestamp_ms / 1000, UTC).isoformat(),
        "reason": aside.reason,
        "detail": aside.detail,
        "headers": {name: text_of(value) for name, value in record.headers},
        "value": text_of(record.value),
    }


def text_of(value: bytes | None) -> str | None:
    """Bytes as text, with escapes where they are none."""
    return None if value is None else value.decode(errors="backslashreplace")


def record_in_words(told: dict[str, object]) -> list[str]:
    """The same for a person."""
    head = f"{told['service']} {told['topic']}/{told['partition']}/{told['offset']} {told['time']}"
    lines = [f"{head}: {told['reason']} {told['detail']}".rstrip()]
    headers = told["headers"]
    assert isinstance(headers, dict)
    lines += [f"    {name}: {value}" for name, value in headers.items()]
    return [*lines, f"    {told['value']}"]


def _act(
    stack: Stack,
    chosen: list[Parked],
    key: str | None,
    mark: Callable[[ParkingLot, ParkedKey], Awaitable[int]],
) -> None:
    """Mark what is chosen and wait until the workers have acted. Raises Problem for what stays parked."""
    if not chosen:
        raise Problem("nothing is parked" if key is None else f"nothing is parked under {key}")
    for one in chosen:
        asked(stack, one.service, lambda db, parked=one.key: mark(ParkingLot(db), parked))  # type: ignore[misc]
    say(f"{len(chosen)} marked; the workers act on it")
    left = _wait_until_acted(stack, chosen)
    for one in left:
        click.echo(in_words(one))
    if left:
        raise Problem(f"{len(left)} of {len(chosen)} still parked: mend what refuses them, then retry")
    click.echo(f"{len(chosen)} released")


def _wait_until_acted(stack: Stack, chosen: Iterable[Parked]) -> list[Parked]:
    """Those of `chosen` that are parked again (or still marked at the deadline)."""
    wanted = {(one.service, one.key.group, one.key.topic, one.key.key) for one in chosen}
    services = sorted({one.service for one in chosen})
    deadline = time.monotonic() + ACTED_SECONDS
    while True:
        left = [
            one
            for service in services
            for one in parked_keys(stack, service)
            if (one.service, one.key.group, one.key.topic, one.key.key) in wanted
        ]
        waiting = [one for one in left if one.key.state != "parked"]
        if not waiting:
            return left
        if time.monotonic() > deadline:
            names = ", ".join(sorted({f"{one.service}.worker" for one in waiting}))
            raise Problem(
                f"{names} has not acted on the mark in {ACTED_SECONDS:.0f} s: see lianxin status; "
                "the mark stays and is acted on when it can be"
            )
        time.sleep(0.3)
