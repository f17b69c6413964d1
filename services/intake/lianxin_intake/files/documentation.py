"""What `/docs` says of `POST /v1/files`."""

from lianxin_intake.documentation import Extra, problems

CSV = "text/csv"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_REPORT = (
    '{"row":2,"status":"accepted","id":"…","tracking_code":"…"}\n'
    '{"row":3,"status":"refused","code":"missing","mend":"请填写意见内容。","errors":[…]}\n'
    '{"summary":{"rows":2,"accepted":1,"duplicate":0,"refused":1,"columns":{"text":"内容"},"ignored":[]}}\n'
)

FILES: Extra = {
    "security": [{"channel key": []}],
    "requestBody": {
        "required": True,
        "content": {
            CSV: {
                "schema": {"type": "string"},
                "example": "内容,地址,编号\n路灯坏了,金匮桥北堍,GD-1\n井盖松了,,GD-2\n",
            },
            XLSX: {"schema": {"type": "string", "format": "binary"}},
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"text": "路灯坏了", "external_id": "GD-3"}\n',
            },
        },
    },
    "responses": {
        "200": {
            "description": "What became of each row, and a summary.",
            "content": {
                "application/x-ndjson": {"schema": {"type": "string"}, "example": _REPORT},
                CSV: {"schema": {"type": "string"}},
            },
        },
        **problems(400, 401, 403, 413, 415, 422, 503),
    },
}
