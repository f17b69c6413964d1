"""What `/docs` says of the routes that read their bodies themselves: schemas, examples, headers, problems."""

from typing import Any

import msgspec

from lianxin_chassis.problems import MEDIA_TYPE
from lianxin_intake.opinion import OpinionBody

Extra = dict[str, Any]

_EXAMPLE_ID = "0192f0c1-7a5e-7c3d-9b1f-3f2a1c0d4e5f"
RECEIPT = {
    "id": _EXAMPLE_ID,
    "tracking_code": "7QK2-M4XW-9PZ3H",
    "status_url": f"https://intake.example.org/v1/opinions/{_EXAMPLE_ID}",
}
_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key again means the same opinion, counted once. A random UUID will do.",
    "schema": {"type": "string", "maxLength": 255},
}
SCHEMAS, _COMPONENTS = msgspec.json.schema_components(
    [OpinionBody], ref_template="#/components/schemas/{name}"
)
# Merged into the document by `api`: FastAPI does not know of models that it does not parse.
COMPONENTS: dict[str, Any] = _COMPONENTS


def problems(*statuses: int) -> dict[str, Any]:
    """The problem documents that a route may answer with."""
    return {
        str(status): {"description": _MEANING[status], "content": {MEDIA_TYPE: {}}} for status in statuses
    }


_MEANING = {
    400: "The body is no JSON, or a field has the wrong type or an unknown name.",
    401: "No channel key, or one that is unknown or revoked.",
    403: "The key or the tracking code does not allow this.",
    404: "There is no such opinion.",
    409: "`idempotency_conflict`: something else was sent under this key.",
    413: "The body is too large.",
    415: "The body is not of the media type that is read here.",
    422: "The fields named in `errors` are wrong.",
    429: "Too fast: wait as long as `Retry-After` says.",
    503: "Not confirmed: send again after `Retry-After` seconds with the Idempotency-Key given back.",
}

_FULL = {
    "text": "扬名街道金匮桥下的路灯坏了三天，晚上看不见路。",
    "title": "路灯不亮",
    "topic": "transport.road",
    "station": "S0100",
    "location": {"lat": 31.5689, "lon": 120.2986, "crs": "wgs84"},
    "address": "金匮桥北堍",
    "contact": {"name": "王女士", "phone": "+86 510 12345678"},
    "external_id": "desk-2026-000123",
    "language": "zh",
}

SUBMIT: Extra = {
    "parameters": [_KEY_PARAMETER],
    "security": [{"channel key": []}],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": SCHEMAS[0],
                "examples": {
                    "words alone": {
                        "value": {"text": "The street light at Jinkui bridge has been dark for days."}
                    },
                    "everything": {"value": _FULL},
                    "an offline outbox (scope backdate)": {
                        "value": {"text": "公交站牌倒了。", "occurred_at": "2026-11-22T18:30:00+08:00"}
                    },
                },
            }
        },
    },
    "responses": {
        "202": {
            "description": "Durably stored. Keep the tracking code: it is all that a resident needs.",
            "content": {"application/json": {"example": RECEIPT}},
        },
        **problems(400, 401, 403, 409, 413, 415, 422, 429, 503),
    },
}

BATCH: Extra = {
    "parameters": [_KEY_PARAMETER],
    "security": [{"channel key": []}],
    "requestBody": {
        "required": True,
        "content": {
            "application/x-ndjson": {
                "schema": {
                    "type": "string",
                    "description": "One JSON object as for POST /v1/opinions on each line.",
                },
                "example": '{"text": "路灯坏了", "external_id": "a-1"}\n'
                '{"text": "井盖松了", "external_id": "a-2"}\n',
            }
        },
    },
    "responses": {
        "200": {
            "description": "One result line for each line, in order.",
            "content": {
                "application/x-ndjson": {
                    "schema": {"type": "string"},
                    "example": '{"line":1,"status":202,"id":"…","tracking_code":"…","status_url":"…"}\n'
                    '{"line":2,"status":422,"problem":{"code":"missing","title":"…","errors":[…]}}\n',
                }
            },
        },
        **problems(400, 401, 403, 415, 429, 503),
    },
}


def spoken(example: dict[str, Any], *, keyed: bool = False) -> Extra:
    """A route by which a resident says something more about an opinion; `keyed`: by a channel's key."""
    return {
        "parameters": [_KEY_PARAMETER],
        "security": [{"channel key": []}] if keyed else [],
        "requestBody": {"required": True, "content": {"application/json": {"example": example}}},
        "responses": {
            "202": {
                "description": "Durably stored; what comes of it shows in the opinion's timeline.",
                "content": {
                    "application/json": {
                        "example": {
                            "id": _EXAMPLE_ID,
                            "command_id": "0192f0c2-0000-7000-8000-000000000000",
                            "status_url": RECEIPT["status_url"],
                        }
                    }
                },
            },
            **problems(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
        },
    }


def printed(media_type: str, *statuses: int) -> Extra:
    """A route that answers with something to print or show, of `media_type`."""
    meaning = {
        404: "No station or region has this id, or the region has no station.",
        422: "A parameter is outside its limits, or the region has too many stations for one document.",
        503: "No registry yet, or too much is being drawn: ask again after `Retry-After` seconds.",
    }
    return {
        "responses": {
            "200": {
                "description": "What was asked for.",
                "content": {media_type: {"schema": {"type": "string", "format": "binary"}}},
            },
            **{
                str(status): {"description": meaning[status], "content": {MEDIA_TYPE: {}}}
                for status in statuses
            },
        }
    }


VIEW_EXAMPLE = {
    "id": _EXAMPLE_ID,
    "stage": "resolved",
    "topic": "0101",
    "grid": "320213001001001",
    "submitted_at": "2026-11-23T00:00:00.000Z",
    "holder": "D-0042",
    "due": "2026-12-02T09:00:00.000Z",
    "timeline": [
        {"at": "2026-11-23T00:00:00.000Z", "type": "opinion.submitted", "text": "金匮桥下的路灯坏了三天。"},
        {"at": "2026-11-23T00:00:01.000Z", "type": "opinion.assigned", "text": "已交办给李强代表。"},
        {"at": "2026-11-24T02:00:00.000Z", "type": "opinion.resolved", "text": "路灯已修好，谢谢您的反映。"},
    ],
    "rating": None,
}
