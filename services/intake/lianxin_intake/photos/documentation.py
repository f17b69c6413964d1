"""What `/docs` says of photos."""

from lianxin_intake.documentation import Extra, problems

_ID = "0192f0c1-7a5e-7c3d-9b1f-3f2a1c0d4e5f.Xk3v0mQ2rT8sYbLw9ZpA"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": {"type": "string", "format": "binary"}},
    }
}

UPLOAD: Extra = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "The same key again means the same photo, kept once under the same id.",
            "schema": {"type": "string", "maxLength": 255},
        }
    ],
    "security": [{"channel key": []}],
    "requestBody": {
        "required": True,
        "content": {
            **dict.fromkeys(("image/jpeg", "image/png", "image/webp"), _BINARY),
            "multipart/form-data": _FORM,
        },
    },
    "responses": {
        "201": {
            "description": "Kept. Name the id in an opinion's `attachments`, or as `evidence`, within a day.",
            "content": {"application/json": {"example": {"id": _ID, "width": 1536, "height": 2048}}},
        },
        **problems(400, 401, 403, 409, 413, 415, 422, 429, 503),
    },
}

SHOW: Extra = {
    "parameters": [
        {"name": "attachment", "in": "path", "required": True, "schema": {"type": "string"}},
        *(
            {"name": name, "in": "query", "required": False, "description": meaning, "schema": schema}
            for name, meaning, schema in (
                ("size", "`thumb` for the small one.", {"type": "string", "enum": ["thumb"]}),
                ("code", "The tracking code of its opinion.", {"type": "string", "maxLength": 64}),
                ("until", "Until when a link opens it, seconds since the epoch.", {"type": "integer"}),
                ("sig", "The link's signature.", {"type": "string"}),
            )
        ),
    ],
    "security": [{"channel key": []}, {}],
    "responses": {
        "200": {"description": "The photo.", "content": {"image/jpeg": _BINARY}},
        **problems(401, 403, 404, 429, 503),
    },
}
