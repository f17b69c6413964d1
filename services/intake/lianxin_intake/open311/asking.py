"""What a GET of Open311 asks for: its arguments as one `Selection` of the projection."""

import re
from datetime import UTC, datetime, timedelta

from starlette.datastructures import QueryParams

from lianxin_chassis.problems import ProblemError
from lianxin_contracts.lifecycle import STAGES, Stage
from lianxin_intake.projection import FINISHED
from lianxin_intake.store import Selection

# The specification's limits: a span of 90 days, 1,000 requests.
LONGEST_SPAN = timedelta(days=90)
MOST = 1_000
# Pages further back cost the database more with each: ask for another span of dates instead.
MOST_SKIPPED = 100_000
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
# A `+` that was not escaped in the address arrives as a space.
_LOST_PLUS = re.compile(r" (?=\d\d:?\d\d$)")
STATUSES: dict[str, tuple[Stage, ...]] = {
    "open": tuple(stage for stage in STAGES if stage not in FINISHED),
    "closed": tuple(stage for stage in STAGES if stage in FINISHED),
}


def listed(query: QueryParams, name: str) -> list[str]:
    """The values of an argument that may be a comma-separated list, or given several times; no empty ones."""
    return [
        one for value in query.getlist(name) for one in (part.strip() for part in value.split(",")) if one
    ]


def ids_asked(query: QueryParams) -> list[str]:
    """The service_request_ids, each once. Raises 400 for too many."""
    ids = list(dict.fromkeys(one.lower() for one in listed(query, "service_request_id")))
    if len(ids) > MOST:
        raise bad("service_request_id", f"At most {MOST} at a time.")
    return ids


def selection(query: QueryParams, now: datetime) -> Selection:
    """Which requests `query` asks for. Raises 400, naming the argument."""
    start, end = span(query, now)
    page, size = paging(query)
    stages: list[Stage] = []
    for status in listed(query, "status"):
        if status.lower() not in STATUSES:
            raise bad("status", f"Send {' or '.join(STATUSES)}.")
        stages += STATUSES[status.lower()]
    return Selection(
        start=start,
        end=end,
        topics=tuple(listed(query, "service_code")),
        stages=tuple(stages),
        skip=(page - 1) * size,
        limit=size,
    )


def span(query: QueryParams, now: datetime) -> tuple[datetime, datetime]:
    """From start_date to end_date, both included, at most 90 days; the last 90 days where none is given."""
    start, end = _moment(query, "start_date"), _moment(query, "end_date")
    if start is None:
        end = end or now
        return end - LONGEST_SPAN, end
    if end is None:
        return start, min(start + LONGEST_SPAN, max(now, start))
    if end < start:
        raise bad("end_date", "It lies before start_date.")
    if end - start > LONGEST_SPAN:
        raise bad("end_date", f"At most {LONGEST_SPAN.days} days from start_date.")
    return start, end


def paging(query: QueryParams) -> tuple[int, int]:
    """The page, from 1, and its size."""
    page, size = _whole(query, "page", 1, MOST_SKIPPED), _whole(query, "page_size", MOST, MOST)
    if (page - 1) * size > MOST_SKIPPED:
        raise bad("page", f"At most {MOST_SKIPPED} requests back; ask for another span of dates.")
    return page, size


def flag(query: QueryParams, name: str) -> bool:
    """Whether the argument says true. Raises 400 for what is neither true nor false."""
    value = query.get(name, "").lower()
    if value not in ("", "true", "false"):
        raise bad(name, "Send true or false.")
    return value == "true"


def _whole(query: QueryParams, name: str, default: int, most: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        raise bad(name, f"Send a whole number from 1 to {most}.")
    return int(text)


def _moment(query: QueryParams, name: str) -> datetime | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(_LOST_PLUS.sub("+", text))
        if moment.tzinfo is None:
            raise bad(name, "Give its zone, such as 2026-11-23T08:00:00+08:00 or 2026-11-23T00:00:00Z.")
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise bad(name, "Send a W3C date and time, such as 2026-11-23T00:00:00Z.") from None
    if not _EARLIEST <= moment <= _LATEST:
        raise bad(name, f"It lies before {_EARLIEST.year} or after {_LATEST.year}.")
    return moment


def bad(name: str, message: str) -> ProblemError:
    """400 for the argument `name`."""
    return ProblemError(
        400,
        "bad_argument",
        "An argument is wrong",
        f"{name}: {message}",
        errors=[{"field": name, "code": "bad_argument", "message": message}],
    )
