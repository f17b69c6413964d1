"""What `/docs` says of `POST /v1/events` and of its handshake."""

from typing import Any

from lianxin_chassis.problems import MEDIA_TYPE
from lianxin_intake.documentation import RECEIPT, SCHEMAS, Extra, problems


def _event(id_: str, **members: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": id_,
        "source": "https://desk.example.org/calls",
        "type": "opinion.submitted",
    } | members


def _attribute(name: str, example: str, description: str) -> dict[str, Any]:
    return {
        "name": f"ce-{name}",
        "in": "header",
        "required": False,
        "description": f"Binary mode: {description}",
        "schema": {"type": "string"},
        "example": example,
    }


_VISIT_RECEIPT = {
    "id": RECEIPT["id"],
    "command_id": "5d1f6f0e-2b1c-5c0e-9a57-0d3c2b1a4f60",
    "status_url": RECEIPT["status_url"],
}
_REFUSED = {
    "status": 422,
    "problem": {
        "type": "urn:lianxin:problem:missing",
        "code": "missing",
        "title": "The opinion can't be accepted as it is",
        "detail": "text: Say what the opinion is: 1 to 10,000 characters.",
    },
}

EVENTS: Extra = {
    "security": [{"channel key": []}],
    "parameters": [
        _attribute("specversion", "1.0", "always 1.0."),
        _attribute("id", "4711", "with `ce-source` it names the event; the same two again count once."),
        _attribute("source", "https://desk.example.org/calls", "the sender, a URI or a part of one."),
        _attribute("type", "opinion.submitted", "opinion.submitted, or visit.recorded."),
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/cloudevents+json": {
                "schema": {"type": "object"},
                "examples": {
                    "structured mode": {
                        "value": _event("4711", data={"text": "路灯坏了", "topic": "transport.road"}),
                    },
                    "a visit (scope field)": {
                        "value": _event(
                            "4716",
                            type="visit.recorded",
                            data={"opinion": RECEIPT["id"], "text": "路灯已换，夜里再看一次。"},
                        ),
                    },
                    "data as base64": {
                        "value": _event(
                            "4712",
                            time="2026-11-23T08:00:00+08:00",
                            datacontenttype="application/json",
                            data_base64="eyJ0ZXh0IjogIui3r+eBr+WdjyJ9",
                        ),
                    },
                },
            },
            "application/cloudevents-batch+json": {
                "schema": {"type": "array", "items": {"type": "object"}},
                "examples": {
                    "two events, judged each on its own": {
                        "value": [
                            _event("4713", data={"text": "井盖松了"}),
                            _event("4714", data={"text": ""}),
                        ],
                    },
                    "none": {"value": []},
                },
            },
            "application/json": {
                "schema": SCHEMAS[0],
                "examples": {
                    "binary mode, with the ce- headers": {
                        "value": {"text": "路灯坏了", "topic": "transport.road"}
                    },
                },
            },
        },
    },
    "responses": {
        "202": {
            "description": "A single event, durably stored. A visit's receipt names the visit and has no "
            "tracking code: whoever recorded it is not the resident.",
            "content": {
                "application/json": {
                    "examples": {
                        "an opinion": {"value": RECEIPT},
                        "a visit": {"value": _VISIT_RECEIPT},
                    }
                }
            },
        },
        "200": {
            "description": "A batch: one result for each event, in order.",
            "content": {"application/json": {"example": {"results": [{"status": 202, **RECEIPT}, _REFUSED]}}},
        },
        **problems(400, 401, 403, 409, 413, 415, 422, 429),
        "503": {
            "description": "Not confirmed: send the same event again after `Retry-After` seconds.",
            "content": {MEDIA_TYPE: {}},
        },
    },
}

HANDSHAKE: Extra = {
    "security": [{}, {"channel key": []}],
    "parameters": [
        {
            "name": "WebHook-Request-Origin",
            "in": "header",
            "required": False,
            "description": "The sender's host name. Without it the answer says which methods there are.",
            "schema": {"type": "string"},
            "example": "events.example.org",
        }
    ],
    "responses": {
        "204": {
            "description": "Granted, where an origin was asked for.",
            "headers": {
                "Allow": {"schema": {"type": "string"}},
                "WebHook-Allowed-Origin": {"schema": {"type": "string"}},
                "WebHook-Allowed-Rate": {
                    "description": "Events a minute that this instance takes with this key.",
                    "schema": {"type": "integer"},
                },
            },
        },
        **problems(400, 401, 403, 503),
    },
}
