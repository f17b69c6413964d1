"""Times as files write them, made instants."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

_WRITTEN = re.compile(
    r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})"
    r"(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?)?"
    r"\s*(Z|[+-]\d{2}:?\d{2})?"
)


def instant(text: str, zone: ZoneInfo, written: str | None = None) -> datetime:
    """The instant (UTC) that `text` names: a year, month and day, with `-`, `/` or `.` between, and a time of
    day; or as `written`, in the directives of `strptime`. Without a zone of its own it is local time in
    `zone`; of an hour that comes twice, when clocks are set back, the first is meant. Raises ValueError."""
    text = text.strip()
    found = datetime.strptime(text, written) if written else _parsed(text)  # noqa: DTZ007 - the zone is next
    return (found if found.tzinfo is not None else found.replace(tzinfo=zone)).astimezone(UTC)


def _parsed(text: str) -> datetime:
    match = _WRITTEN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no time such as 2026-11-23 08:00:00; say how it is written")
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    plain = datetime(  # noqa: DTZ001 - where it has no zone, the file's is taken
        int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
        int((fraction or "").ljust(6, "0")),
    )  # fmt: skip
    if offset is None:
        return plain
    colon = offset if offset == "Z" or ":" in offset else f"{offset[:3]}:{offset[3:]}"
    return datetime.fromisoformat(plain.isoformat() + colon)
