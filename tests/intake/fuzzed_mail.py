"""Mails that went wrong on the way, the same ones under the same seed."""

import random
from email.message import EmailMessage

_CHARSETS = (
    "utf-8",
    "gb2312",
    "gb18030",
    "us-ascii",
    "no-such",
    "utf-16",
    "utf-7",
    "",
    "=?x?",
    "idna",
    "hex",
)
_ENCODINGS = ("7bit", "8bit", "base64", "quoted-printable", "x-uuencode", "nonsense")
_TYPES = (
    "text/plain", "text/html", "multipart/mixed", "multipart/alternative; boundary=x",
    "message/rfc822", "image/png",
    "multipart/report", "/", "text", "multipart/mixed; boundary*0*=utf-8''%ff; boundary*1=b",
)  # fmt: skip


def whole(chance: random.Random, number: int) -> bytes:
    """A mail as a client makes it."""
    mail = EmailMessage()
    mail["From"] = "王先生 <wang@example.org>"
    mail["Subject"] = f"路灯 {number}"
    mail["Message-ID"] = f"<{number}.{chance.getrandbits(64):x}@example.org>"
    mail.set_content(f"路灯坏了 {chance.getrandbits(32)}\n\n-- \n王\n")
    if chance.random() < 0.5:
        mail.add_alternative("<p>路灯坏了</p>", subtype="html")
    if chance.random() < 0.3:
        mail.add_attachment(chance.randbytes(50), maintype="image", subtype="jpeg", filename="照片.jpg")
    return mail.as_bytes()


def broken(chance: random.Random, number: int) -> bytes:
    """A mail with one to four things wrong with it; now and then with none."""
    raw = whole(chance, number)
    for _ in range(chance.randrange(5)):
        raw = chance.choice((_cut, _flipped, _header, _charset, _nested, _bytes))(chance, raw)
    return raw


def _cut(chance: random.Random, raw: bytes) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def _flipped(chance: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.randrange(1, 20)):
        if changed:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _header(chance: random.Random, raw: bytes) -> bytes:
    name = chance.choice(
        ("From", "Subject", "Message-ID", "Content-Type", "Content-Disposition", "Date", ":")
    )
    value = chance.choice(
        (
            b"",
            b"=?utf-8?B?!!!?=",
            b"=?gb2312?Q?=FF=",
            b"\xff\xfe",
            "裸字".encode("gb18030"),
            b"<<<>>>",
            b'"',
            b"a" * 5000,
        )
    )
    return name.encode() + b": " + value + b"\n" + raw


def _charset(chance: random.Random, raw: bytes) -> bytes:
    head = (
        f"Content-Type: {chance.choice(_TYPES)}; charset={chance.choice(_CHARSETS)}\n"
        f"Content-Transfer-Encoding: {chance.choice(_ENCODINGS)}\n"
    )
    return head.encode() + raw


def _nested(chance: random.Random, raw: bytes) -> bytes:
    for depth in range(chance.randrange(1, 40)):
        edge = f"b{depth}".encode()
        raw = (
            b"Content-Type: multipart/mixed; boundary="
            + edge
            + b"\n\n--"
            + edge
            + b"\n"
            + raw
            + b"\n--"
            + edge
            + b"--"
        )
    return b"From: x@example.org\n" + raw


def _bytes(chance: random.Random, raw: bytes) -> bytes:
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + chance.randbytes(chance.randrange(1, 200)) + raw[at:]
