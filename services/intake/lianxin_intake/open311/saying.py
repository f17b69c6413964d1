"""A POST of Open311 as the body of `POST /v1/opinions`, or as a visit: the same doors judge both."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Snapshot
from lianxin_intake.door import invalid
from lianxin_intake.identity import is_opinion_id
from lianxin_intake.open311.catalogue import ATTRIBUTE_CODES, require_service
from lianxin_intake.opinion import Fault

MAX_DESCRIPTION = 4_000  # characters, the specification's limit
MAX_ARGUMENTS = 200
# mySociety's statuses that an update of another system may bring: those that close nothing.
UPDATE_STATUSES = ("OPEN", "INVESTIGATING", "ACTION_SCHEDULED", "IN_PROGRESS")

_ATTRIBUTE = re.compile(r"attribute\[([^\[\]]+)\](\[\])?")
_NUMBER = re.compile(r"[+-]?[0-9]{1,3}(\.[0-9]{0,20})?")
_CJK = re.compile("[\u3400-\u9fff]")

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
    if "media_url" in arguments:
        body["media_url"] = arguments["media_url"]
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


def update_of(arguments: Arguments) -> dict[str, Any]:
    """The visit that the `arguments` of an update say, as `visit.recorded` has it.

    Raises 404 for what can't be a request's id, and 422 for what an update can't do here: where a request
    stands is decided by who holds it.
    """
    request = arguments.get("service_request_id", "")
    if request and not is_opinion_id(request.lower()):
        raise unknown_request()
    found = []
    if arguments.get("status", "OPEN").upper() not in UPDATE_STATUSES:
        known = ", ".join(UPDATE_STATUSES)
        found.append(
            Fault("status", "not_yours", f"Leave it out, or send one that closes nothing: {known}. "
                  "The deputy who holds a request closes it.")
        )  # fmt: skip
    if not any(arguments.get(name) for name in ("description", "media_url")):
        found.append(Fault("text", "missing", "Say what was seen or done."))
    if len(arguments.get("description", "")) > MAX_DESCRIPTION:
        found.append(Fault("text", "too_long", f"At most {MAX_DESCRIPTION} characters."))
    if found:
        raise invalid(found, "The update can't be recorded as it is")
    named = {
        "opinion": request.lower(),
        "text": arguments.get("description"),
        "visited_at": arguments.get("updated_datetime"),
        "media_url": arguments.get("media_url"),
        "deputy": arguments.get("attribute[deputy]"),
    }
    return {name: value for name, value in named.items() if value is not None}


def unknown_request() -> ProblemError:
    """404: no request has this id."""
    return ProblemError(
        404, "not_found", "The service_request_id was not found", "Send the id that the POST answered with."
    )


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
    """The words: the description, or the service's name where there is none."""
    text = arguments.get("description", "")
    if len(text) > MAX_DESCRIPTION:
        found.append(Fault("text", "too_long", f"{len(text)} characters; at most {MAX_DESCRIPTION}."))
    if not text or text.isspace():
        text = service
    return text


def _malformed(detail: str) -> ProblemError:
    return ProblemError(400, "malformed", "The body can't be read", detail)
