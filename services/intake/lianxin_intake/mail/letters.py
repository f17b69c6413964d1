"""A mail, read: who wrote what, with which pictures, and whether a person did at all. Pure, and never raises
for what a mail may hold: it is read as far as it can be.

Charsets are taken as they are meant: GB2312 as its superset GB18030, an unknown or wrong one as UTF-8 where
that fits, else as GB18030.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.utils import parseaddr
from typing import Literal

from lianxin_intake.cleaning import clean_line, clean_text
from lianxin_intake.mail.words import from_html, own_words

# What no person wrote: `bounce` and `reply` come from programs, `list` through one, `loop` round and round.
Automatic = Literal["bounce", "reply", "list", "loop"]

MAX_HOPS = 50  # Received headers; Postfix's own limit
MAX_PICTURES = 9
MIN_INLINE_BYTES = 16 * 1024  # smaller pictures inside a text are logos
_MAX_PARTS = 200
_MAX_DEPTH = 20
_MAX_TITLE = 200
_MAX_READ = 500_000  # characters of a text with its mark-up
_MAX_NAME = 254
_CHINESE = frozenset({"gb2312", "gbk", "cp936", "ms936", "x-gbk", "gb_2312-80", "gb18030", "hz-gb-2312"})
_REPLY_MARKS = ("re:", "re：", "fw:", "fwd:", "fw：", "回复:", "回复：", "答复:", "答复：", "转发:", "转发：")


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail. `name` is the same whenever it is sent again, and no other mail's; `message_id` as it was
    written, to be answered to; `left_out` counts attachments that are no pictures or too many."""

    name: str
    message_id: str
    sender: str
    sender_name: str
    title: str
    text: str
    pictures: tuple[bytes, ...]
    left_out: int
    automatic: Automatic | None


def read_letter(raw: bytes, envelope_sender: str) -> Letter:
    """The mail in `raw`, that `envelope_sender` (MAIL FROM; "" for none) sent."""
    message = message_from_bytes(raw)
    name, address = parseaddr(_header(message, "From"))
    title = _title(_header(message, "Subject"))
    message_id = clean_line(_header(message, "Message-ID"), 500)
    parts = list(_parts(message))
    pictures = [body for part in parts if (body := _picture(part)) is not None]
    others = [one for one in parts if one.get_content_disposition() == "attachment" and _picture(one) is None]
    kept = tuple(pictures[:MAX_PICTURES])
    return Letter(
        name=message_id or _fingerprint(message, raw),
        message_id=message_id,
        sender=clean_line(address, _MAX_NAME),
        sender_name=clean_line(name, _MAX_NAME),
        title=title,
        text=_words(parts) or title,
        pictures=kept,
        left_out=len(others) + len(pictures) - len(kept),
        automatic=_automatic(message, envelope_sender),
    )


def _automatic(message: Message, envelope_sender: str) -> Automatic | None:
    """By RFC 3834, section 2, and the older marks that are still sent."""
    if len(message.get_all("Received", [])) > MAX_HOPS:
        return "loop"
    if not envelope_sender or message.get_content_type() == "multipart/report":
        return "bounce"
    submitted = _header(message, "Auto-Submitted").partition(";")[0].strip().lower()
    precedence = _header(message, "Precedence").strip().lower()
    if submitted not in ("", "no") or precedence == "auto_reply" or "X-Autoreply" in message:
        return "reply"
    if precedence in ("bulk", "junk", "list") or "List-Id" in message:
        return "list"
    return None


def _parts(message: Message, depth: int = 0) -> Iterator[Message]:
    """The parts that hold something; a mail inside a mail is one, and is not looked into."""
    if not message.is_multipart() or message.get_content_maintype() == "message":
        yield message
        return
    if depth >= _MAX_DEPTH:
        return
    count = 0
    for part in message.get_payload():
        if isinstance(part, Message):
            for inner in _parts(part, depth + 1):
                count += 1
                if count > _MAX_PARTS:
                    return
                yield inner


def _words(parts: list[Message]) -> str:
    """The first plain text that says something, else the first HTML."""
    texts = [part for part in parts if part.get_content_disposition() != "attachment"]
    for part in texts:
        if part.get_content_type() == "text/plain" and (words := clean_text(own_words(_text(part)))):
            return words
    for part in texts:
        if part.get_content_type() == "text/html":
            words = clean_text(own_words(from_html(_text(part))))
            if words:
                return words
    return ""


def _picture(part: Message) -> bytes | None:
    if part.get_content_maintype() != "image":
        return None
    body = _payload(part)
    small = part.get_content_disposition() != "attachment" and len(body) < MIN_INLINE_BYTES
    return None if small or not body else body


def _payload(part: Message) -> bytes:
    body = part.get_payload(decode=True)
    return body if isinstance(body, bytes) else b""


def _text(part: Message) -> str:
    return decoded(_payload(part), _charset(part))[:_MAX_READ]


def _charset(part: Message) -> str | None:
    try:
        return part.get_content_charset()
    except (LookupError, UnicodeError, ValueError):  # a charset parameter that is itself badly encoded
        return None


def decoded(raw: bytes, charset: str | None) -> str:
    """`raw` as text; what fits no charset is replaced."""
    named = (charset or "").lower()
    tries = ["gb18030"] if named in _CHINESE else [named] if named not in ("", "us-ascii", "ascii") else []
    for one in (*tries, "utf-8", "gb18030"):
        try:
            return raw.decode(one)
        except (LookupError, UnicodeError, ValueError):
            continue
    return raw.decode("utf-8", "replace")


def _header(message: Message, name: str) -> str:
    """A header's value, decoded; "" where it is missing. Bytes that nobody encoded are read as text is."""
    value = message.get(name)
    if value is None:
        return ""
    # A header with bytes beyond ASCII comes as a Header that shows them as unknown; the bytes are in it.
    plain = "".join(_piece(part, charset) for part, charset in _pieces(value))
    return plain.replace("\r", " ").replace("\n", " ")


def _pieces(value: object) -> list[tuple[str | bytes, str | None]]:
    chunks = getattr(value, "_chunks", None)
    text = str(value) if chunks is None else "".join(chunk for chunk, _ in chunks)
    try:
        return decode_header(text)
    except (MessageError, ValueError, LookupError):  # an encoded word that is broken
        return [(text, None)]


def _piece(part: str | bytes, charset: str | None) -> str:
    raw = part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
    return decoded(raw, charset)


def _title(subject: str) -> str:
    title = clean_line(subject, _MAX_TITLE)
    while title.lower().startswith(_REPLY_MARKS):
        title = title[min(title.find(mark) for mark in ":：" if mark in title) + 1 :].strip()
    return title


def _fingerprint(message: Message, raw: bytes) -> str:
    """A name for a mail without Message-ID: what mail servers do not change on the way."""
    body = raw.partition(b"\r\n\r\n")[2] or raw.partition(b"\n\n")[2]
    told = "\x1f".join(_header(message, name) for name in ("From", "Date", "Subject"))
    return hashlib.sha256(told.encode("utf-8", "replace") + b"\x1f" + body).hexdigest()
