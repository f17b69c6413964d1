"""What Open311 answers with: the same lists and objects as XML or as JSON, and errors in the same form.

XML is only ever written here, by the standard library's ElementTree; no XML is read anywhere.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from xml.etree import ElementTree

import msgspec
from starlette.responses import Response

from lianxin_chassis.problems import ProblemError

Form = Literal["xml", "json"]
Item = Mapping[str, Any]

# What stands for one element of a list, by the name of the list.
_ONE_OF = {
    "services": "service",
    "service_requests": "request",
    "service_request_updates": "request_update",
    "attributes": "attribute",
    "values": "value",
    "notes": "note",
    "endpoints": "endpoint",
    "formats": "format",
    "errors": "error",
}
_MEDIA_TYPES: Mapping[Form, str] = {
    "xml": "text/xml; charset=utf-8",
    "json": "application/json; charset=utf-8",
}
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
# All that XML 1.0 can't hold, even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# The specification knows 400, 403 and 404. What it says nothing about (405, 413, 415, 429, 503) stays.
_STATUS = {401: 403, 409: 400, 422: 400}
# The names of our fields in Open311.
_ARGUMENTS = {
    "text": "description",
    "topic": "service_code",
    "location": "lat, long",
    "location.lat": "lat",
    "location.lon": "long",
    "location.crs": "attribute[crs]",
    "address": "address_string",
    "contact": "email, phone, first_name, last_name",
    "contact.name": "first_name, last_name",
    "contact.phone": "phone",
    "contact.email": "email",
    "title": "attribute[title]",
    "station": "attribute[station]",
    "grid": "attribute[grid]",
    "external_id": "attribute[external_id]",
    "occurred_at": "attribute[occurred_at]",
    "language": "attribute[language]",
    "opinion": "service_request_id",
    "visited_at": "updated_datetime",
    "deputy": "attribute[deputy]",
}


def form_of(suffix: str) -> Form:
    """The form that a path asks for with its `suffix`. Raises 404 for any other."""
    if suffix == "xml":
        return "xml"
    if suffix == "json":
        return "json"
    raise ProblemError(404, "not_found", "There is no such format", "Ask for .xml or .json.")


def form_of_path(path: str) -> Form:
    """The form to tell an error in: what the path ends in, else XML, which every client reads."""
    return "json" if path.endswith(".json") else "xml"


def answer(
    form: Form,
    root: str,
    content: Sequence[Item] | Item,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """`content` in `form`, under the XML element `root`. In JSON a list is a bare array, as the Spark
    convention of the specification has it."""
    body = _json(content) if form == "json" else _xml(root, content)
    return Response(
        body,
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {}), "Content-Type": _MEDIA_TYPES[form]},
    )


def refusal(form: Form, error: ProblemError) -> Response:
    """`error` as the specification tells errors: a list of {code, description}, with its headers."""
    status = _STATUS.get(error.status, error.status)
    # A code within may be finer than the answer's: 409 says that the key was used for something else.
    code = 409 if error.status == 409 else status
    faults = error.extra.get("errors")
    if faults:
        found = [f"{_argument(fault['field'])}: {fault['message']}" for fault in faults]
    else:
        found = [f"{error.title}. {error.detail}".strip()]
    errors = [{"code": code, "description": description} for description in found]
    # The specification's key is an argument, not a header: no browser is to ask for a password.
    headers = {name: value for name, value in (error.headers or {}).items() if name != "WWW-Authenticate"}
    return answer(form, "errors", errors, status, headers)


def _argument(field: str) -> str:
    return _ARGUMENTS.get(field, field)


def _json(content: Sequence[Item] | Item) -> bytes:
    return msgspec.json.encode(content)


def _xml(root: str, content: Sequence[Item] | Item) -> bytes:
    element = ElementTree.Element(root)
    _fill(element, content)
    # ElementTree would write the declaration in single quotes, which the specification's examples don't.
    return _DECLARATION + ElementTree.tostring(element, encoding="unicode").encode()


def _fill(element: ElementTree.Element, content: Any) -> None:
    if isinstance(content, Mapping):
        for name, value in content.items():
            _fill(ElementTree.SubElement(element, name), value)
    elif isinstance(content, (list, tuple)):
        for one in content:
            _fill(ElementTree.SubElement(element, _ONE_OF[element.tag]), one)
    elif isinstance(content, bool):
        element.text = "true" if content else "false"
    elif content is not None:
        element.text = _NOT_XML.sub("\ufffd", str(content))
