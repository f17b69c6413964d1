"""What WeChat posts, read, and what we answer, written: its XML formats. Pure.

Read by a parser that knows neither DTDs nor entities (defusedxml). A message is named by its MsgId, an event
by its sender and CreateTime: what WeChat documents for telling its own retries.
"""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException, ElementTree

from lianxin_intake.wechat.conversation import (
    Arrived,
    Ignored,
    Left,
    Pointed,
    Said,
    Scanned,
    Showed,
    Tapped,
    Unsupported,
    Wrote,
)

MAX_BYTES = 64 * 1024  # a text message has at most 2,048 bytes; encrypted and in both forms, about six times
MAX_REPLY_BYTES = 2_048  # of Content, WeChat's limit for a passive reply
_SCENE = "qrscene_"  # before the scene in a subscription by QR code
_MAX_FIELD = 10_000  # characters
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Malformed(Exception):
    """It is no message of WeChat's; `str()` says why, without its content."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message or event. `sender` is the person's openid: to be hashed at once, and never kept; `name`
    tells it from every other of this sender; `at` is WeChat's time, seconds since 1970."""

    to: str
    sender: str
    at: int
    name: str
    said: Said


def fields_of(body: bytes) -> dict[str, str]:
    """The fields of the XML document `body`: the texts of its root's children. Raises `Malformed`."""
    try:
        root = ElementTree.fromstring(body, forbid_dtd=True, forbid_entities=True, forbid_external=True)
    except DefusedXmlException:
        raise Malformed("Send XML without DTD and entities.") from None
    except (ParseError, ValueError, LookupError):  # a wrong form, wrong bytes, an encoding that nobody knows
        raise Malformed("The body is no XML.") from None
    if root.tag != "xml":
        raise Malformed("The root element is <xml>.")
    return {str(child.tag): _text(child) for child in root if len(child) == 0}


def message_of(fields: Mapping[str, str]) -> Message:
    """The message that `fields` hold. Raises `Malformed` where what every message has is missing."""
    to, sender = fields.get("ToUserName", ""), fields.get("FromUserName", "")
    at = _integer(fields.get("CreateTime", ""))
    kind = fields.get("MsgType", "")
    if not to or not sender or at is None or not kind or len(to) > 128 or len(sender) > 128:
        raise Malformed("ToUserName, FromUserName, CreateTime and MsgType are needed.")
    if kind == "event":
        event = fields.get("Event", "")
        # Two events of one second are told apart by what they are; WeChat's retry repeats that too.
        which = hashlib.sha256(f"{event}:{fields.get('EventKey', '')}".encode()).hexdigest()[:16]
        name = f"event:{at}:{which}"
        return Message(to, sender, at, name, _event(event, fields))
    number = _integer(fields.get("MsgId", ""))
    if number is None:
        raise Malformed("A message has a MsgId.")
    return Message(to, sender, at, f"message:{number}", _message(kind, fields))


def _message(kind: str, fields: Mapping[str, str]) -> Said:
    match kind:
        case "text":
            return Wrote(fields.get("Content", "")[:_MAX_FIELD])
        case "voice":
            heard = fields.get("Recognition", "").strip()
            return Wrote(heard[:_MAX_FIELD], heard=True) if heard else Unsupported("voice")
        case "image":
            return Showed(fields.get("MediaId", ""), fields.get("PicUrl", ""))
        case "location":
            lat, lon = _degrees(fields.get("Location_X", ""), 90), _degrees(fields.get("Location_Y", ""), 180)
            if lat is None or lon is None:
                raise Malformed("Location_X and Location_Y are degrees.")
            return Pointed(lat, lon, " ".join(fields.get("Label", "").split())[:500])
        case _:
            return Unsupported(kind)


def _event(event: str, fields: Mapping[str, str]) -> Said:
    key = fields.get("EventKey", "")
    match event:
        case "subscribe" if key.startswith(_SCENE):
            return Scanned(key.removeprefix(_SCENE), first=True)
        case "subscribe":
            return Arrived()
        case "SCAN":
            return Scanned(key)
        case "unsubscribe":
            return Left()
        case "CLICK":
            return Tapped(key)
        case _:
            return Ignored()


def reply_xml(message: Message, text: str, at: int) -> bytes:
    """`text` as a passive reply to `message`, cut to what WeChat takes; `at` in seconds since 1970."""
    return _document(
        {
            "ToUserName": message.sender,
            "FromUserName": message.to,
            "CreateTime": str(at),
            "MsgType": "text",
            "Content": _cut(text),
        }
    )


def encrypted_xml(encrypted: str, signature: str, timestamp: str, nonce: str) -> bytes:
    """The envelope of an encrypted reply."""
    return _document(
        {"Encrypt": encrypted, "MsgSignature": signature, "TimeStamp": timestamp, "Nonce": nonce}
    )


def _document(fields: Mapping[str, str]) -> bytes:
    inside = "".join(f"<{name}>{escape(_NOT_XML.sub('', value))}</{name}>" for name, value in fields.items())
    return f"<xml>{inside}</xml>".encode()


def _cut(text: str) -> str:
    raw = text.encode()
    if len(raw) <= MAX_REPLY_BYTES:
        return text
    return raw[: MAX_REPLY_BYTES - len("…".encode())].decode(errors="ignore") + "…"


def _text(element: Element) -> str:
    return element.text or ""


def _integer(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else None


def _degrees(text: str, most: float) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) <= most else None
