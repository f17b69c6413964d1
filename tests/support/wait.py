"""Waiting for something to become true, with a deadline; never a bare sleep."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(condition: Callable[[], T], timeout: float = 60.0, every: float = 0.05) -> T:
    """Call until the answer is true, and return it. What it last answered or raised is in the failure."""
    deadline = time.monotonic() + timeout
    while True:
        last: object
        try:
            last = answer = condition()
            if answer:
                return answer
        except Exception as error:  # noqa: BLE001  # an error is one way of not being true yet
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout:g} s: {describe(condition)}; last: {last!r}")
        time.sleep(every)


async def eventually_async(
    condition: Callable[[], T | Awaitable[T]], timeout: float = 60.0, every: float = 0.05
) -> T:
    """As `eventually`, in a running loop; the condition may be a coroutine function."""
    deadline = time.monotonic() + timeout
    while True:
        last: object
        try:
            answer = condition()
            last = told = await answer if inspect.isawaitable(answer) else answer
            if told:
                return told  # type: ignore[return-value]
        except Exception as error:  # noqa: BLE001
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not true within {timeout:g} s: {describe(condition)}; last: {last!r}")
        await asyncio.sleep(every)


def describe(condition: Callable[[], object]) -> str:
    """Its source where it can be had, else its name."""
    try:
        return " ".join(inspect.getsource(condition).split())[:200]
    except (OSError, TypeError):
        return repr(condition)
