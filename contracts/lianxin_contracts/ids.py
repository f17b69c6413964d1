"""Identifiers. A retry anywhere yields the same ids, and so is recognised everywhere."""

import os
import time
import uuid

NAMESPACE = uuid.UUID("6f1d5b1e-2f0e-5c58-9d0c-11a9c1a7e0c5")


def derived(*parts: str) -> str:
    """UUIDv5 of `parts`, each kept apart from the next (a part may hold any character)."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(f"{len(p)}:{p}" for p in parts)))


def opinion_id(channel: str, key: str) -> str:
    """The id of the opinion that `channel` sent under its idempotency key or external id `key`."""
    return derived("opinion", channel, key)


def following(cause: str, type_: str, ordinal: int) -> str:
    """The id of the `ordinal`-th event of `type_` that follows from `cause` (an event id)."""
    return derived(cause, type_, str(ordinal))


def knock(case: str, clock: str, due_ms: int) -> str:
    """The id of a timer's knock: the same for every router that sends it."""
    return derived("case.due", case, clock, str(due_ms))


def review(case: str, registry_version: str, day: str) -> str:
    """The id of the router's request to look at `case` again under `registry_version` on a `day`
    (2026-11-23): the same for every router that sends it."""
    return derived("case.review", case, registry_version, day)


def merge(case: str, left: str, issue: str) -> str:
    """The id of the router's request that `case` follow from issue `left` to `issue`: the same for every
    router that sends it."""
    return derived("case.merge", case, left, issue)


def fresh() -> str:
    """A new time-ordered id: UUIDv7 (RFC 9562), 48 bits of milliseconds and 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
