"""CloudEvents 1.0 over HTTP, read: binary, structured and batched, and what an event brings. Pure.

Per the HTTP protocol binding and the JSON event format. `source` and `id` together name an event, so the
same two are the same opinion or visit. `time` is the moment that the sender gave the event; it counts as
`occurred_at` only where the data says so itself, since that needs a scope that few keys have. `dataref` is
a link and is never fetched.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

import msgspec

from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Scope
from lianxin_intake import opinion, visits
from lianxin_intake.event_attributes import REQUIRED, Value, bad_event, checked, is_json
from lianxin_intake.reading import body_too_large, require_plain, require_type

# What an event may bring, and the scope that its key needs.
SCOPES: Mapping[str, Scope] = {"opinion.submitted": "submit", visits.TYPE: visits.SCOPE}
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
MAX_BATCH = 500  # events in one request
# Of a whole batch, bytes.
MAX_BATCH_BYTES = 8 * 1024 * 1024

Mode = Literal["binary", "structured", "batch"]

# As many values as a batch may hold, none of them looked into. A list would be made whole before its length
# is checked: 8 MiB of `1,1,1` would take 280 MB.
_Batch = msgspec.defstruct(
    "_Batch",
    [(f"event{number}", msgspec.Raw, msgspec.Raw()) for number in range(MAX_BATCH)],
    array_like=True,
    forbid_unknown_fields=True,
)
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event of any type. `attributes` without those that are null; `data` as bytes, None where there is
    none; `is_json`: the data is JSON in UTF-8, and nothing else is looked into here."""

    attributes: Mapping[str, Value]
    data: bytes | None
    is_json: bool


@dataclass(frozen=True, slots=True)
class Submission:
    """What is handed in by an event: its type, the body of an opinion or a visit as JSON bytes, the key under
    which it counts once, and the trace that the event itself names."""

    type: str
    raw: bytes
    key: str
    traceparent: str | None = None


def mode_of(headers: Mapping[str, str]) -> Mode:
    """How the event travels. Batch is told first, since what begins structured begins batch too. Raises 415
    for another event format than JSON, for a body that is compressed or not UTF-8, and for what is no event
    at all; 400 where one of the required headers is missing."""
    type_ = headers.get("content-type", "").strip().lower()
    if type_.startswith("application/cloudevents-batch"):
        require_type(headers, frozenset({BATCH}))
        return "batch"
    if type_.startswith("application/cloudevents"):
        require_type(headers, frozenset({STRUCTURED}))
        return "structured"
    missing = [f"ce-{name}" for name in REQUIRED if f"ce-{name}" not in headers]
    if not missing:
        require_plain(headers)
        return "binary"
    if any(name.startswith("ce-") for name in headers):
        raise bad_event(f"Missing: {', '.join(missing)}.")
    raise _unsupported(
        "This is no CloudEvent", f"Send {STRUCTURED}, {BATCH}, or application/json with ce- headers."
    )


def binary(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    """The event in a binary-mode request. Raises 400."""
    if "ce-datacontenttype" in headers:
        raise bad_event("In binary mode Content-Type says what the data is; leave ce-datacontenttype out.")
    given = {name[3:]: _from_header(value, name) for name, value in headers.items() if name.startswith("ce-")}
    content_type = headers.get("content-type", "")
    if content_type:
        given["datacontenttype"] = content_type
    return CloudEvent(checked(given), body or None, is_json(content_type))


def structured(body: bytes) -> CloudEvent:
    """The event in a structured-mode request, or one of a batch. Raises 400, and 413 beyond what one opinion
    may have."""
    if len(body) > opinion.MAX_BYTES:
        raise body_too_large(opinion.MAX_BYTES)
    members = _decoded(body, dict[str, msgspec.Raw])
    data = _data(members.pop("data", None), members.pop("data_base64", None))
    attributes = checked({name: _decoded(bytes(raw), Any, name) for name, raw in members.items()})
    return CloudEvent(attributes, data, is_json(str(attributes.get("datacontenttype", "application/json"))))


def batched(body: bytes) -> list[bytes]:
    """The events of a batch, each to be given to `structured`. Raises 400 for what is no list, and 413 for
    too many."""
    try:
        batch = msgspec.json.decode(body, type=_Batch)
    except msgspec.ValidationError as error:
        if not body.lstrip().startswith(b"["):
            raise _malformed(error) from None
        # Its values may be anything: the length is all that can be wrong.
        raise ProblemError(
            413, "too_large", "Too many events at once", f"At most {MAX_BATCH} in one batch.", limit=MAX_BATCH
        ) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error) from None
    return [event for raw in msgspec.structs.astuple(batch) if (event := bytes(raw))]


def submission(event: CloudEvent) -> Submission:
    """What `event` brings. Raises 422 for an event of a type that is not in `SCOPES`, 415 for data that is no
    JSON and 400 for none."""
    type_ = str(event.attributes["type"])
    if type_ not in SCOPES:
        raise ProblemError(
            422,
            "unknown_event_type",
            "Events of this type are not taken",
            "The types taken here are "
            + " and ".join(f"{name} (scope {scope!r})" for name, scope in SCOPES.items())
            + ".",
            field="type",
        )
    if not event.is_json:
        raise _unsupported("The event's data is not JSON", "Send it as application/json in UTF-8.")
    if event.data is None and "dataref" in event.attributes:
        raise ProblemError(
            400,
            "dataref_not_fetched",
            "What `dataref` points to is not fetched",
            "Send what it holds as the event's data: nothing that a sender names is ever fetched from here. "
            "Photos are uploaded to POST /v1/attachments, or linked as media_url.",
            field="dataref",
        )
    if event.data is None:
        raise bad_event("Send the opinion or the visit as the event's data.", "data")
    source, id_ = event.attributes["source"], event.attributes["id"]
    traceparent = event.attributes.get("traceparent")
    return Submission(
        type_,
        event.data,
        # The length keeps apart where the source ends: both parts may hold any character.
        f"cloudevent:{len(str(source))}:{source}:{id_}",
        traceparent if isinstance(traceparent, str) else None,
    )


def _from_header(value: str, name: str) -> str:
    """An attribute as it is in a header: unquoted where it is quoted, then percent-decoded once, then
    UTF-8."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    try:
        # Some senders leave UTF-8 as it is instead of percent-encoding it: latin-1 gives the bytes back.
        return unquote_to_bytes(value.encode("latin-1")).decode()
    except UnicodeError:
        raise bad_event(f"{name[:40]} is not UTF-8.") from None


def _data(data: msgspec.Raw | None, encoded: msgspec.Raw | None) -> bytes | None:
    """What of an event's two members for data is there. Raises 400 for both, and for what is no base64."""
    plain, base64_ = (None if raw is None or bytes(raw) == b"null" else bytes(raw) for raw in (data, encoded))
    if base64_ is None:
        return plain
    if plain is not None:
        raise bad_event("Send `data` or `data_base64`, not both.", "data_base64")
    try:
        return base64.b64decode(_decoded(base64_, str, "data_base64"), validate=True)
    except (binascii.Error, ValueError):
        raise bad_event("`data_base64` must be base64.", "data_base64") from None


def _decoded(body: bytes, type_: Any, member: str | None = None) -> Any:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if member is not None:
            raise bad_event(f"`{member[:40]}` can't be read.", member[:40]) from None
        raise _malformed(error) from None


def _malformed(error: Exception) -> ProblemError:
    return ProblemError(400, "malformed", "The event can't be read", f"{error}.")


def _unsupported(title: str, detail: str) -> ProblemError:
    return ProblemError(415, "unsupported_media_type", title, detail)
