"""Posts to a WeChat callback that went wrong, the same ones under the same seed. Signed all the same: what is
not is refused before anybody looks at it."""

import random
from xml.sax.saxutils import escape

_FIELDS = (
    "ToUserName", "FromUserName", "CreateTime", "MsgType", "MsgId", "Content", "Event", "EventKey", "MediaId",
    "Location_X", "Location_Y", "Label", "Recognition", "Encrypt", "Unheard-of",
)  # fmt: skip
_VALUES = (
    "", "0", "-1", "nan", "1e999", "9" * 30, "text", "event", "subscribe", "SCAN", "qrscene_", "S1",
    "提交", "1", "取消", "查询 " + "0" * 70, "\u200b" * 60, "\ufeff\u202e", "长" * 3000, "<xml>",
    "]]>", "&amp;", "路灯坏了", "\x85\x9f",
)  # fmt: skip


def post(chance: random.Random, number: int) -> bytes:
    """One body; about half are messages that can be read."""
    fields = {
        "ToUserName": "gh_1",
        "FromUserName": f"fuzz{number // 60}-{chance.randrange(6)}",
        "CreateTime": str(1_700_000_000 + number),
        "MsgType": chance.choice(
            ("text", "text", "text", "text", "voice", "image", "location", "event", "link", "")
        ),
        "MsgId": str(chance.getrandbits(60)),
        "Content": chance.choice(("路灯坏了", "提交", chance.choice(_VALUES))),
        "Event": chance.choice(("subscribe", "SCAN", "CLICK", "unsubscribe", "LOCATION", "x")),
        "EventKey": chance.choice(_VALUES),
        "Location_X": chance.choice(("31.5", "91", "nan", "")),
        "Location_Y": chance.choice(("120.3", "-181", "inf")),
    }
    for _ in range(chance.choice((0, 0, 1, 2))):
        fields[chance.choice(_FIELDS)] = chance.choice(_VALUES)
    inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    raw = f"<xml>{inside}</xml>".encode()
    for _ in range(chance.choice((0, 0, 0, 1, 2))):
        raw = chance.choice((_cut, _flipped, _wrapped, _entities))(chance, raw)
    return raw


def _cut(chance: random.Random, raw: bytes) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def _flipped(chance: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.randrange(1, 6)):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _wrapped(chance: random.Random, raw: bytes) -> bytes:
    depth = chance.choice((1, 50, 2000))
    return b"<xml>" * depth + raw + b"</xml>" * depth


def _entities(chance: random.Random, raw: bytes) -> bytes:
    head = chance.choice(
        (
            b'<!DOCTYPE xml [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
            b'<!DOCTYPE xml SYSTEM "http://127.0.0.1:1/x">',
            b'<?xml version="1.0" encoding="utf-7"?>',
            b'<?xml version="1.0" encoding="gb18030"?>',
            b"\xef\xbb\xbf",
            b"\x00",
        )
    )
    return head + raw.replace("路灯坏了".encode(), b"&b;")
