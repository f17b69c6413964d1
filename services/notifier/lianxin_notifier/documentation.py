"""What `/docs` says of the routes: bodies that they read themselves, answers, problems, examples."""

from typing import Any

import msgspec

from lianxin_chassis.problems import documented
from lianxin_contracts.words import Words
from lianxin_notifier.actions import ActionRequest
from lianxin_notifier.contact import Contact
from lianxin_notifier.preferences import Preferences
from lianxin_notifier.reached import Reached
from lianxin_notifier.sessions import Session
from lianxin_notifier.store import Item
from lianxin_notifier.web_push import Subscription

Responses = dict[int | str, dict[str, Any]]

KEY = "channel key"
A_DEPUTY: Any = {"a deputy": {"value": "D-0042"}}
_CASE = "0192f0c1-7a5e-7c3d-9b1f-3f2a1c0d4e5f"
_COMMAND = "0192f0c2-0000-7000-8000-000000000000"
_MODELS = (ActionRequest, Item, Session, Contact, Words, Subscription, Preferences, Reached)
_SCHEMAS, _COMPONENTS = msgspec.json.schema_components(_MODELS, ref_template="#/components/schemas/{name}")
_SCHEMA_OF = dict(zip(_MODELS, _SCHEMAS, strict=True))

_MEANING = {
    400: "The body is no JSON.",
    401: "Nobody is signed in and no channel key was sent, or it is unknown or revoked.",
    403: "The key, the person's role or the page's token does not allow this, or the case is another's.",
    404: "There is no such case, command, person or sign-in.",
    409: "`idempotency_conflict`: something else was sent under this key.",
    413: "The body is too large.",
    415: "The body is no JSON by its media type.",
    422: "A field is missing or wrong; the detail says which.",
    503: "Broker, database or registry is away: send again after `Retry-After` seconds.",
}


def answers(status: int, description: str, schema: Any, example: Any, *problems: int) -> Responses:
    """One answer of JSON and the problems, besides those of every route (401, 403, 503)."""
    content = {"application/json": {"schema": schema, "example": example}}
    told = {one: _MEANING[one] for one in sorted({401, 403, 503, *problems})}
    return {status: {"description": description, "content": content}, **documented(told)}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _optional(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_TEXT = {"type": "string"}
_TIME = _optional({"type": "string", "format": "date-time"})
_CODE = _optional(_TEXT)

INBOX = answers(
    200,
    "What waits, or what is in the stage asked for.",
    _object(items={"type": "array", "items": _SCHEMA_OF[Item]}, next=_CODE),
    {
        "items": [
            {
                "id": _CASE,
                "stage": "assigned",
                "topic": "0101",
                "grid": "320213001001001",
                "assigned_at": "2026-11-23T00:00:01Z",
                "due": "2026-11-24T09:00:00Z",
                "number": 17,
                "role": "holder",
                "state": "open",
            }
        ],
        "next": "17",
    },
    404,
    422,
)

STREAM: Responses = {
    **documented({one: _MEANING[one] for one in (401, 403, 404, 422, 503)}),
    200: {
        "description": "Server-sent events, for as long as the client stays.",
        "content": {
            "text/event-stream": {
                "schema": _TEXT,
                "example": 'event: ready\ndata: {"after":16,"number":16}\n\n'
                f'id: 17\nevent: alert\ndata: {{"id":"{_CASE}","number":17,"stage":"assigned"}}\n\n',
            }
        },
    },
}

ACT = answers(
    202,
    "The broker has the command; what became of it is asked for by its id.",
    _object(command_id={"type": "string", "format": "uuid"}),
    {"command_id": _COMMAND},
    400,
    404,
    409,
    413,
    415,
    422,
)

ACT_BODY = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key again means the same command, heeded once. A random UUID will do.",
            "schema": {"type": "string", "maxLength": 255},
        }
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/ActionRequest"},
                "examples": {
                    "accept": {"value": {"action": "accept", "as": "D-0042"}},
                    "answer": {
                        "value": {"action": "answer", "as": "D-0042", "text": "已约街道下周一到现场查看。"}
                    },
                    "progress with photos": {
                        "value": {
                            "action": "progress",
                            "as": "D-0042",
                            "text": "路灯杆已换好。",
                            "evidence": ["a-17", "a-18"],
                        }
                    },
                    "hand over to a department": {
                        "value": {"action": "hand_over", "as": "D-0042", "to": "housing", "role": "main"}
                    },
                    "transfer": {
                        "value": {"action": "transfer", "as": "D-0042", "to": "D-0043", "reason": "leave"}
                    },
                    "return": {
                        "value": {"action": "return", "as": "D-0042", "reason": "not_my_grid"},
                    },
                    "pause": {"value": {"action": "pause", "as": "D-0042", "reason": "weather"}},
                    "resume": {"value": {"action": "resume", "as": "D-0042"}},
                    "resolve": {
                        "value": {
                            "action": "resolve",
                            "as": "D-0042",
                            "outcome": "solved",
                            "text": "路灯已修好，谢谢您的反映。",
                        }
                    },
                    "assign from triage": {
                        "value": {"action": "assign", "as": "T-0001", "to": "D-0042", "topic": "0101"}
                    },
                    "supervise": {"value": {"action": "supervise", "as": "T-0001", "text": "请尽快答复。"}},
                    "publish a redacted version": {
                        "value": {"action": "publish", "as": "T-0001", "text": "某小区路灯不亮。"}
                    },
                    "unpublish": {"value": {"action": "unpublish", "as": "T-0001"}},
                    "erase what a resident said": {
                        "value": {"action": "erase", "as": "A-0001", "reason": "resident_asked"}
                    },
                    "reveal the contact": {"value": {"action": "reveal_contact", "as": "D-0042"}},
                },
            }
        },
    },
}

COMMAND = answers(
    200,
    "`pending` until the router has decided; `refused` with the reason's `code`.",
    {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"enum": ["pending", "applied", "refused"]}, "code": _TEXT},
    },
    {"status": "applied"},
    404,
)

_DUES = ("acknowledge", "first_response", "resolve")
_PARTS = ("part", "kind", "text", "title", "address", "place", "language", "by")
_WORDS = _COMPONENTS["Words"]["properties"]

CASE = answers(
    200,
    "The case as this person's inbox has it.",
    _object(
        **{"id": {"type": "string", "format": "uuid"}, "stage": _TEXT},
        **dict.fromkeys(("topic", "grid", "street", "holder"), _CODE),
        **dict.fromkeys(("assigned_at", "due"), _TIME),
        dues=_object(**dict.fromkeys(_DUES, _TIME)),
        replayed={"type": "boolean"},
        erased={"type": "boolean"},
        sequence={"type": "integer"},
        words={"type": "array", "items": _object(**{name: _WORDS[name] for name in _PARTS})},
    ),
    {
        "id": _CASE,
        "stage": "assigned",
        "topic": "0101",
        "grid": "320213001001001",
        "street": "320213001",
        "holder": "D-0042",
        "assigned_at": "2026-11-23T00:00:01Z",
        "due": "2026-11-24T09:00:00Z",
        "dues": {
            "acknowledge": "2026-11-24T09:00:00Z",
            "first_response": "2026-11-26T09:00:00Z",
            "resolve": "2026-12-21T09:00:00Z",
        },
        "replayed": False,
        "erased": False,
        "sequence": 2,
        "words": [
            {
                "part": "text",
                "kind": "opinion",
                "text": "金匮桥下的路灯坏了三天。",
                "title": "路灯不亮",
                "address": "金匮桥北堍",
                "place": {"lat": 31.5689, "lon": 120.2986, "crs": "wgs84"},
                "language": "zh",
                "by": {"kind": "resident"},
            }
        ],
    },
    404,
    422,
)

CONTACT = answers(
    200,
    "The contact, for a few minutes after the record of its reveal.",
    _object(contact=_SCHEMA_OF[Contact], revealed_at={"type": "string", "format": "date-time"}),
    {"contact": {"name": "王女士", "phone": "+86 510 12345678"}, "revealed_at": "2026-11-23T03:00:00Z"},
    404,
    422,
) | documented(
    {
        409: "`reveal_pending`: the reveal is not on record yet; ask again after `Retry-After` seconds.",
        410: "`reveal_expired`: too long after the reveal; reveal again.",
    }
)

SIGNINS = answers(
    200,
    "The newest first.",
    _object(items={"type": "array", "items": _SCHEMA_OF[Session]}),
    {
        "items": [
            {
                "id": _COMMAND,
                "person": "D-0042",
                "provider": "link",
                "created": "2026-11-23T00:00:00Z",
                "expires": "2026-12-23T00:00:00Z",
                "revoked": "2026-11-24T00:00:00Z",
            }
        ]
    },
    422,
)

LINK = answers(
    201,
    "A link that works once.",
    _object(link={"type": "string", "format": "uri"}, valid_s={"type": "integer"}),
    {"link": "https://lianxin.example.org/in/…", "valid_s": 900},
    404,
    422,
)

_WISHED = {
    "channels": None,
    "quiet": {"start": "22:00", "end": "07:00", "days_off": True},
    "digest": None,
    "language": "zh",
    "paused_until": None,
}

PREFERENCES = answers(
    200,
    "What this person wishes, may choose from, and what would become of an alert that is not urgent now.",
    _object(
        person=_TEXT,
        preferences=_SCHEMA_OF[Preferences],
        offered={"type": "array", "items": _TEXT},
        now=_SCHEMA_OF[Reached],
    ),
    {
        "person": "D-0042",
        "preferences": _WISHED,
        "offered": ["mail:d42@deputies.example"],
        "now": {"channels": ["mail:d42@deputies.example"], "why": "quiet", "until": "2026-11-23T23:00:00Z"},
    },
    400,
    404,
    413,
    422,
)

PREFERENCES_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Preferences"}}},
    },
}

_DEVICE = _object(id=_TEXT, label=_TEXT, created={"type": "string", "format": "date-time"})
_A_DEVICE = {"id": _COMMAND, "label": "Chrome · Android", "created": "2026-11-23T00:00:00Z"}

PUSH_KEY = answers(200, "The public key, base64url.", _object(key=_TEXT), {"key": "BNcRdreALRFX…"}, 404)

DEVICES = answers(
    200, "The newest first.", _object(items={"type": "array", "items": _DEVICE}), {"items": [_A_DEVICE]}
)

DEVICE = answers(201, "This browser takes alerts.", _DEVICE, _A_DEVICE, 400, 404, 413, 415, 422)

DEVICE_REMOVED = answers(
    200, "It takes no more alerts.", _object(removed={"type": "integer"}), {"removed": 1}, 404
)

SUBSCRIPTION = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Subscription"}}},
    }
}

REVOKED = answers(200, "How many were ended.", _object(revoked={"type": "integer"}), {"revoked": 1}, 404, 422)


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """`document` with the models and the key that FastAPI does not see."""
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(_COMPONENTS)
    components["securitySchemes"] = {KEY: {"type": "http", "scheme": "bearer"}}
    document["security"] = [{KEY: []}]
    return document
