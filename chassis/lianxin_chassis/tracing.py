"""W3C trace context: the `traceparent` that goes through HTTP headers and record headers."""

import os
import re

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def new_traceparent() -> str:
    """The head of a new trace, sampled."""
    return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"


def child(traceparent: str | None) -> str:
    """A new span in the trace of `traceparent`; a new trace where that is missing or malformed."""
    parsed = _TRACEPARENT.fullmatch(traceparent or "")
    if parsed is None or not parsed[1].strip("0") or not parsed[2].strip("0"):
        return new_traceparent()
    return f"00-{parsed[1]}-{os.urandom(8).hex()}-{parsed[3]}"
