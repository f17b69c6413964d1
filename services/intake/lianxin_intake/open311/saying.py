"""A POST of Open311 as the body of `POST /v1/opinions`: the same door judges both."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Snapshot
from lianxin_intake.door import invalid
from lianxin_intake.open311.catalogue import ATTRIBUTE_CODES, require_service
from lianxin_intake.opinion import Fault

MAX_DESCRIPTION = 4_000  # characters, the specification's limit
MAX_MEDIA_URL = 2_000  # characters: what browsers and logs take
MAX_ARGUMENTS = 200
# The line by which a link is kept: opinions have photos of their own and no place for a link.
MEDIA_LINE = "链接 Link: "

_ATTRIBUTE = re.compile(r"attribute\[([^\[\]]+)\](\[\])?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{0,20})?")
_CJK = re.compile("[\u3400-\u9fff]")
_LINK = re.compile(r"https?://[^\s\x00-\x1f\x7f-\x9f<>\"]+", re.IGNORECASE)

Arguments = Mapping[str, str]


def read_form(raw: bytes) -> dict[str, str]:
    """The arguments of a form-urlencoded body in UTF-8; an empty one counts as absent.

    Raises 400 where it is no such body, or gives one argument twice.
    """
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_ARGUMENTS)
    except UnicodeDecodeError:
        raise _malformed("It is not UTF-8.") from None
    except ValueError:
        raise _malformed(f"At most {MAX_ARGUMENTS} arguments.") from None
    arguments: dict[str, str] = {}
    for name, value in pairs:
        if not value:
            continue
        if name in arguments:
            raise _malformed(f"The argument {name[:80]!r} is given twice.")
        arguments[name] = value
    return arguments


def body_of(arguments: Arguments, city: Snapshot) -> dict[str, Any]:
    """The opinion that `arguments` say, as `POST /v1/opinions` takes it.

    Raises 404 for an unknown service_code, 400 or 422 for what is missing or can't be read; codes, lengths
    and places are judged by the door.
    """
    code = arguments.get("service_code")
    if code is None:
        raise invalid([Fault("topic", "missing", "Say which service: see GET /open311/v2/services.xml.")])
    topic = require_service(city, code)
    attributes, found = _attributes(arguments)
    body: dict[str, Any] = {"topic": topic.id}
    for name in ("title", "station", "grid", "language", "external_id", "occurred_at"):
        if name in attributes:
            body[name] = attributes[name]
    grid = arguments.get("address_id")
    if grid is not None and body.setdefault("grid", grid) != grid:
        found.append(Fault("address_id", "contradiction", "It names another grid than attribute[grid]."))
    if "address_string" in arguments:
        body["address"] = arguments["address_string"]
    body |= _location(arguments, attributes, found)
    # Coordinates that can't be read are a fault of their own.
    if not body.keys() & {"address", "grid", "station"} and not arguments.keys() & {"lat", "long"}:
        found.append(
            Fault("location", "missing", "Say where: lat and long, address_string, address_id or a station.")
        )
    if contact := _contact(arguments):
        body["contact"] = contact
    body["text"] = _text(arguments, topic.name, found)
    if found:
        raise invalid(found)
    return body


def _attributes(arguments: Arguments) -> tuple[dict[str, str], list[Fault]]:
    """The service attributes by code, and what is wrong with them."""
    given: dict[str, str] = {}
    found: list[Fault] = []
    for name, value in arguments.items():
        match = _ATTRIBUTE.fullmatch(name)
        if match is None:
            continue
        code = match[1]
        if code not in ATTRIBUTE_CODES:
            known = ", ".join(ATTRIBUTE_CODES)
            found.append(Fault(name[:80], "unknown_attribute", f"No service has it. There is {known}."))
        elif code in given:
            found.append(Fault(f"attribute[{code}]", "given_twice", "Give one value."))
        else:
            given[code] = value
    return given, found


def _location(arguments: Arguments, attributes: Arguments, found: list[Fault]) -> dict[str, Any]:
    lat, long = arguments.get("lat"), arguments.get("long")
    if lat is None and long is None:
        return {}
    numbers = [_number(lat), _number(long)]
    for name, number in zip(("location.lat", "location.lon"), numbers, strict=True):
        if number is None:
            found.append(Fault(name, "no_number", "Send lat and long together, in decimal degrees."))
    if None in numbers:
        return {}
    return {"location": {"lat": numbers[0], "lon": numbers[1], "crs": attributes.get("crs", "wgs84")}}


def _number(text: str | None) -> float | None:
    """A decimal number; Python's own reading takes underscores, other scripts' digits and `nan` too."""
    if text is None or _NUMBER.fullmatch(text.strip()) is None:
        return None
    return float(text)


def _contact(arguments: Arguments) -> dict[str, str]:
    """The contact, sealed by the door. A Chinese name begins with the family's and has no space."""
    contact = {name: arguments[name] for name in ("phone", "email") if name in arguments}
    first, last = arguments.get("first_name", "").strip(), arguments.get("last_name", "").strip()
    name = last + first if _CJK.search(last + first) else f"{first} {last}".strip()
    return {"name": name, **contact} if name else contact


def _text(arguments: Arguments, service: str, found: list[Fault]) -> str:
    """The words: the description, or the service's name where there is none, and the link in a line of its
    own."""
    text = arguments.get("description", "")
    if len(text) > MAX_DESCRIPTION:
        found.append(Fault("text", "too_long", f"{len(text)} characters; at most {MAX_DESCRIPTION}."))
    if not text or text.isspace():
        text = service
    link = arguments.get("media_url")
    if link is None:
        return text
    if len(link) > MAX_MEDIA_URL or not _is_link(link):
        found.append(
            Fault("media_url", "no_link", f"Send an http or https URL of at most {MAX_MEDIA_URL} characters.")
        )
    return f"{text}\n\n{MEDIA_LINE}{link}"


def _is_link(link: str) -> bool:
    """Whether `link` is a web address with a host. It is kept and never fetched."""
    if _LINK.fullmatch(link) is None:
        return False
    try:
        return bool(urlsplit(link).hostname)
    except ValueError:
        return False


def _malformed(detail: str) -> ProblemError:
    return ProblemError(400, "malformed", "The body can't be read", detail)
