"""What `/docs` says of Open311: both forms of every answer, the arguments, the errors."""

from typing import Any

from lianxin_contracts.inbound import MAX_MEDIA_URL
from lianxin_intake.open311.catalogue import ATTRIBUTE_CODES
from lianxin_intake.open311.saying import MAX_DESCRIPTION, UPDATE_STATUSES

Extra = dict[str, Any]

_STRING = {"type": "string"}
_NULLABLE = {"type": ["string", "null"]}
_ERRORS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["code", "description"],
        "properties": {"code": {"type": "integer"}, "description": _STRING},
    },
}
_MEANING = {
    400: "An argument is missing or wrong, or something else was sent under this Idempotency-Key (code 409).",
    403: "The api_key is missing, unknown, revoked or may not do this.",
    404: "There is no such format, jurisdiction, service, request or token.",
    413: "The body is too large.",
    415: "The body is not form-urlencoded in UTF-8.",
    429: "Too fast: wait as long as `Retry-After` says.",
    503: "Not confirmed, or not to be read now: try again after `Retry-After` seconds.",
}
_FORM = {
    "name": "form",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": ["xml", "json"]},
}
_JURISDICTION = {"name": "jurisdiction_id", "in": "query", "required": False, "schema": _STRING}
_LANGUAGE = {
    "name": "Accept-Language",
    "in": "header",
    "required": False,
    "description": "en for English names; Chinese otherwise.",
    "schema": _STRING,
}
_DATES = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "description": "W3C date and time with a zone.",
        "schema": {"type": "string", "format": "date-time"},
    }
    for name in ("start_date", "end_date")
]
_PAGES = [
    {"name": name, "in": "query", "required": False, "schema": {"type": "integer", "minimum": 1}}
    for name in ("page", "page_size")
]


def _argument(name: str, description: str) -> Extra:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": _STRING,
    }


def _in_path(name: str) -> Extra:
    return {"name": name, "in": "path", "required": True, "schema": _STRING}


_EXTENSIONS = _argument("extensions", "true: with stage, group and notes.")


def _responses(schema: Extra, description: str, *statuses: int) -> Extra:
    def both(schema: Extra) -> Extra:
        return {"application/json": {"schema": schema}, "text/xml": {"schema": _STRING}}

    return {
        "200": {"description": description, "content": both(schema)},
        **{
            str(status): {"description": _MEANING[status], "content": both(_ERRORS)}
            for status in (400, *statuses)
        },
    }


_OBJECT = {"type": "object"}
_OBJECTS = {"type": "array", "items": _OBJECT}
_REQUEST = {
    "type": "object",
    "properties": {
        "service_request_id": _STRING,
        "status": {"type": "string", "enum": ["open", "closed"]},
        "status_notes": _STRING,
        "service_name": _NULLABLE,
        "service_code": _NULLABLE,
        "description": {
            **_NULLABLE,
            "description": "A redacted version, where one was released; the resident's words are private.",
        },
        "requested_datetime": _NULLABLE,
        "updated_datetime": _NULLABLE,
        "expected_datetime": _NULLABLE,
        "address": {**_NULLABLE, "description": "District and street."},
        "lat": {"type": ["number", "null"], "description": "WGS-84, rounded to about 100 m."},
        "long": {"type": ["number", "null"]},
    },
}
_REQUESTS = {"type": "array", "items": _REQUEST}

DISCOVERY: Extra = {
    "parameters": [_FORM],
    "responses": _responses(_OBJECT, "Where the API is.", 404, 503),
}
SERVICES: Extra = {
    "parameters": [_FORM, _JURISDICTION, _LANGUAGE],
    "responses": _responses(_OBJECTS, "The topics of the city.", 404, 503),
}
DEFINITION: Extra = {
    "parameters": [_in_path("service_code"), _FORM, _JURISDICTION],
    "responses": _responses(_OBJECT, "The attributes of one service.", 404, 503),
}
REQUEST: Extra = {
    "parameters": [_in_path("service_request_id"), _FORM, _JURISDICTION, _LANGUAGE, _EXTENSIONS],
    "responses": _responses(_REQUESTS, "A list of the one request.", 404, 429, 503),
}
REQUESTS: Extra = {
    "parameters": [
        _FORM,
        _JURISDICTION,
        _LANGUAGE,
        _argument("service_request_id", "Comma-separated; overrides every other filter."),
        _argument("service_code", "Comma-separated."),
        *_DATES,
        _argument("status", "open, closed, or both, comma-separated."),
        *_PAGES,
        _EXTENSIONS,
    ],
    "responses": _responses(_REQUESTS, "The newest first; none is an empty list.", 404, 429, 503),
}
UPDATES: Extra = {
    "parameters": [_FORM, _JURISDICTION, _LANGUAGE, *_DATES, *_PAGES],
    "responses": _responses(_OBJECTS, "mySociety's extension: changes of stage.", 404, 429, 503),
}
TOKEN: Extra = {
    "parameters": [_in_path("token"), _FORM, _JURISDICTION],
    "responses": {
        status: response for status, response in _responses(_OBJECTS, "", 404, 503).items() if status != "200"
    },
}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key again means the same request, counted once.",
    "schema": {"type": "string", "maxLength": 255},
}
POST: Extra = {
    "parameters": [
        _FORM,
        _KEY,
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["api_key", "service_code"],
                    "properties": {
                        "api_key": {"type": "string", "description": "A channel key of the scope submit."},
                        "jurisdiction_id": _STRING,
                        "service_code": _STRING,
                        "lat": {"type": "number", "minimum": -90, "maximum": 90},
                        "long": {"type": "number", "minimum": -180, "maximum": 180},
                        "address_string": _STRING,
                        "address_id": {"type": "string", "description": "A grid code."},
                        "description": {"type": "string", "maxLength": MAX_DESCRIPTION},
                        "media_url": {"type": "string", "format": "uri", "maxLength": MAX_MEDIA_URL},
                        "email": _STRING,
                        "phone": _STRING,
                        "first_name": _STRING,
                        "last_name": _STRING,
                        **{f"attribute[{code}]": _STRING for code in ATTRIBUTE_CODES},
                    },
                },
                "example": {
                    "api_key": "lx_…",
                    "service_code": "transport.road",
                    "lat": 31.5689,
                    "long": 120.2986,
                    "description": "金匮桥下的路灯坏了三天。",
                },
            }
        },
    },
    "responses": _responses(
        _OBJECTS, "Durably stored: its service_request_id.", 403, 404, 413, 415, 429, 503
    ),
}
POST_UPDATE: Extra = {
    "parameters": [_FORM, _KEY],
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["api_key", "service_request_id"],
                    "properties": {
                        "api_key": {"type": "string", "description": "A channel key of the scope field."},
                        "jurisdiction_id": _STRING,
                        "service_request_id": _STRING,
                        "update_id": {
                            "type": "string",
                            "description": "The sender's own; makes a repeat safe.",
                        },
                        "status": {"type": "string", "enum": list(UPDATE_STATUSES)},
                        "description": {"type": "string", "maxLength": MAX_DESCRIPTION},
                        "updated_datetime": {"type": "string", "format": "date-time"},
                        "media_url": {"type": "string", "format": "uri", "maxLength": MAX_MEDIA_URL},
                        "attribute[deputy]": {"type": "string", "description": "The deputy who went."},
                    },
                },
                "example": {
                    "api_key": "lx_…",
                    "service_request_id": "0192f0c1-7a5e-7c3d-9b1f-3f2a1c0d4e5f",
                    "update_id": "4711",
                    "description": "路灯已换，夜里再看一次。",
                },
            }
        },
    },
    "responses": _responses(_OBJECTS, "Durably stored: its update_id.", 403, 404, 413, 415, 429, 503),
}
