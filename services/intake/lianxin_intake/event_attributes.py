"""The context attributes of a CloudEvent: what they are called and what they may hold. Pure.

Per CloudEvents 1.0, sections "Attribute naming convention", "Type system" and "Required attributes". Text
outside ASCII is taken as it is, also in a URI: some senders write Chinese there.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lianxin_chassis.problems import ProblemError

Value = str | bool | int

REQUIRED = ("specversion", "id", "source", "type")
# Of each required attribute, characters: together they name the opinion for good.
MAX_REQUIRED = 1_024
# Attributes that the specification knows: texts all of them, none of them empty.
_TEXTS = (*REQUIRED, "datacontenttype", "dataschema", "subject", "time")
_INTEGERS = range(-(2**31), 2**31)

_NAME = re.compile("[a-z0-9]+")
# Control characters, halves of surrogate pairs, and code points that will never be characters.
_NO_TEXT = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)
_SCHEME = r"[A-Za-z][A-Za-z0-9+.\-]*:"
_IN_URI = r'(?:%[0-9A-Fa-f]{2}|[^%\s<>"{}|\\^`])'
_URI = re.compile(f"{_SCHEME}{_IN_URI}+")
# Without a scheme nothing before the first slash may look like one.
_URI_REFERENCE = re.compile(f"{_SCHEME}{_IN_URI}+|(?![^/?#]*:){_IN_URI}+")
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:)([0-9]{2})(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_MEDIA_TYPE = re.compile(f"{_TOKEN}/{_TOKEN}")
_CHARSET = re.compile(r"charset\s*=\s*\"?([^;\"\s]*)")


def checked(given: Mapping[str, Any]) -> dict[str, Value]:
    """The attributes in `given`, those that are None left out. Raises 400, naming the first that is wrong:
    its name, its type, or what it holds."""
    for name in given:
        if _NAME.fullmatch(name) is None or name == "data":
            raise bad_event(f"No attribute is called {name[:40]!r}: lower-case letters and digits alone.")
    for name in REQUIRED:
        if given.get(name) is None:
            raise bad_event(f"`{name}` is missing.", name)
    attributes = {name: _value(name, value) for name, value in given.items() if value is not None}
    for name in _TEXTS:
        if name in attributes:
            _require_sense(name, attributes[name])
    if "dataref" in attributes and not _fits(_URI_REFERENCE, attributes["dataref"]):
        raise bad_event("`dataref` must be a URI.", "dataref")
    return attributes


def is_json(content_type: str) -> bool:
    """Whether data of this media type is JSON in UTF-8."""
    type_, _, parameters = content_type.lower().partition(";")
    subtype = type_.strip().partition("/")[2]
    charset = _CHARSET.search(parameters)
    return (subtype == "json" or subtype.endswith("+json")) and (
        charset is None or charset[1] in ("utf-8", "utf8")
    )


def bad_event(detail: str, attribute: str | None = None) -> ProblemError:
    """400: the sender's program is wrong, in its `attribute`."""
    extra: dict[str, Any] = {} if attribute is None else {"field": attribute}
    return ProblemError(400, "bad_event", "The CloudEvent is not as it should be", detail, **extra)


def _value(name: str, value: Any) -> Value:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        if value not in _INTEGERS:
            raise bad_event(f"`{name}` is no integer of 32 bits.", name)
        return value
    if not isinstance(value, str):
        raise bad_event(f"`{name}` must be a text, a truth value or an integer.", name)
    if _NO_TEXT.search(value):
        raise bad_event(f"`{name}` holds a control character or something that is no character.", name)
    return value


def _require_sense(name: str, value: Value) -> None:
    if not isinstance(value, str) or not value:
        raise bad_event(f"`{name}` must be a text that is not empty.", name)
    if name in REQUIRED and len(value) > MAX_REQUIRED:
        raise bad_event(f"`{name}` may have {MAX_REQUIRED} characters.", name)
    if name == "specversion" and value != "1.0":
        raise bad_event("`specversion` must be 1.0.", name)
    if name == "source" and not _fits(_URI_REFERENCE, value):
        raise bad_event(
            "`source` must be a URI such as https://desk.example.org/calls or /desk; in a header % is %25.",
            name,
        )
    if name == "dataschema" and not _fits(_URI, value):
        raise bad_event("`dataschema` must be a URI with its scheme.", name)
    if name == "time" and not _is_time(value):
        raise bad_event("`time` must be as RFC 3339 says: 2026-11-23T08:00:00+08:00.", name)
    if name == "datacontenttype" and not _fits(_MEDIA_TYPE, value.partition(";")[0].strip()):
        raise bad_event("`datacontenttype` must be a media type, such as application/json.", name)


def _fits(pattern: re.Pattern[str], value: Value) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_time(text: str) -> bool:
    found = _TIME.fullmatch(text)
    if found is None:
        return False
    # RFC 3339 knows leap seconds, and no datetime does.
    second = "59" if found[3] == "60" else found[3]
    try:
        datetime.fromisoformat(f"{found[1]}T{found[2]}{second}+00:00")
    except ValueError:
        return False
    return True
