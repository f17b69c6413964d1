"""CloudEvents 1.0 over HTTP, read: binary, structured and batched, into what the door takes. Pure.

Per the HTTP protocol binding and the JSON event format. `source` and `id` together name an event, so the
same two are the same opinion. Attributes that are read: `id`, `source`, `type`, `specversion`, `time`,
`datacontenttype`; `time` is the moment that the sender gave the event and counts as `occurred_at` only
where the data says so itself, since that needs a scope that few keys have.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

import msgspec

from lianxin_chassis.problems import ProblemError

TYPE = "opinion.submitted"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
MAX_BATCH = 500  # events in one request
# Of a whole batch, bytes.
MAX_BATCH_BYTES = 8 * 1024 * 1024
_REQUIRED = ("specversion", "id", "source", "type")
_MAX_ATTRIBUTE = 1_024

Mode = Literal["binary", "structured", "batch"]


@dataclass(frozen=True, slots=True)
class Submission:
    """One event: the body of an opinion as JSON bytes, and the key under which it counts once."""

    raw: bytes
    key: str


def mode_of(headers: Mapping[str, str]) -> Mode:
    """How the event travels. Batch is told first, since structured is a prefix of it. Raises 415 for
    another event format than JSON, and for what is no event at all."""
    type_ = headers.get("content-type", "").partition(";")[0].strip().lower()
    if type_.startswith("application/cloudevents-batch"):
        if type_ == BATCH:
            return "batch"
    elif type_.startswith("application/cloudevents"):
        if type_ == STRUCTURED:
            return "structured"
    elif all(f"ce-{name}" in headers for name in _REQUIRED):
        if type_ == "application/json":
            return "binary"
        raise ProblemError(
            415,
            "unsupported_media_type",
            "The event's data is not JSON",
            "Send Content-Type: application/json.",
        )
    elif any(name.startswith("ce-") for name in headers):
        missing = ", ".join(f"ce-{name}" for name in _REQUIRED if f"ce-{name}" not in headers)
        raise _bad(f"Missing: {missing}.")
    raise ProblemError(
        415,
        "unsupported_media_type",
        "This is no CloudEvent",
        f"Send {STRUCTURED}, {BATCH}, or application/json with ce- headers.",
    )


def binary(headers: Mapping[str, str], body: bytes) -> Submission:
    """The submission in a binary-mode request."""
    if "ce-datacontenttype" in headers:
        raise _bad("In binary mode Content-Type says what the data is; leave ce-datacontenttype out.")
    return _submission({name: _header(headers[f"ce-{name}"], name) for name in _REQUIRED}, body)


def structured(body: bytes) -> Submission:
    """The submission in a structured-mode request."""
    return from_json(_decoded(body, dict[str, Any]))


def batched(body: bytes) -> list[dict[str, Any]]:
    """The events of a batch, each to be given to `from_json`. Raises 413 for too many."""
    events: list[dict[str, Any]] = _decoded(body, list[dict[str, Any]])
    if len(events) > MAX_BATCH:
        raise ProblemError(413, "too_large", "Too many events at once", f"At most {MAX_BATCH} in one batch.")
    return events


def from_json(event: dict[str, Any]) -> Submission:
    """The submission in one event of the JSON format. Raises 400 and 422."""
    attributes = {name: event.get(name) for name in _REQUIRED}
    if "data_base64" in event:
        raise _bad("Send the data as JSON in `data`, not in `data_base64`.")
    content = event.get("datacontenttype", "application/json")
    if not isinstance(content, str) or content.partition(";")[0].strip().lower() != "application/json":
        raise _bad("datacontenttype must be application/json.")
    if not isinstance(event.get("data"), dict):
        raise _bad("`data` must be an object as for POST /v1/opinions.")
    return _submission(attributes, msgspec.json.encode(event["data"]))


def _submission(attributes: Mapping[str, Any], raw: bytes) -> Submission:
    for name in _REQUIRED:
        value = attributes[name]
        if not isinstance(value, str) or not 1 <= len(value) <= _MAX_ATTRIBUTE:
            raise _bad(f"`{name}` must be a text of 1 to {_MAX_ATTRIBUTE} characters.")
    if attributes["specversion"] != "1.0":
        raise _bad("specversion must be 1.0.")
    if attributes["type"] != TYPE:
        raise ProblemError(
            422,
            "unknown_event_type",
            "Events of this type are not taken",
            f"The type taken here is {TYPE}.",
            field="type",
        )
    # The length keeps apart where the source ends: both parts may hold any character.
    return Submission(
        raw, f"cloudevent:{len(attributes['source'])}:{attributes['source']}:{attributes['id']}"
    )


def _header(value: str, name: str) -> str:
    """An attribute as it is in a header: unquoted where it is quoted, then percent-decoded once, then
    UTF-8."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    try:
        # Some senders leave UTF-8 as it is instead of percent-encoding it: latin-1 gives the bytes back.
        return unquote_to_bytes(value.encode("latin-1")).decode()
    except UnicodeError:
        raise _bad(f"ce-{name} is not UTF-8.") from None


def _decoded(body: bytes, type_: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(400, "malformed", "The event can't be read", f"{error}.") from None


def _bad(detail: str) -> ProblemError:
    return ProblemError(400, "bad_event", "The CloudEvent is not complete", detail)
