"""Requests to `POST /v1/events` that went wrong somewhere, made from a seed."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.intake.small_city import NO_SCOPE, REVOKED, SUBMIT

Headers = list[tuple[bytes, bytes]]

LARGE = 512 * 1024
STRUCTURED = b"application/cloudevents+json"
BATCH = b"application/cloudevents-batch+json"
JSON_TYPE = b"application/json"
MEDIA_TYPES = (
    STRUCTURED, BATCH, JSON_TYPE, b"", b";", b"/", b"text/plain", b"application/cloudevents",
    b"application/cloudevents+avro", b"application/cloudevents-batch",
    b"APPLICATION/CLOUDEVENTS+JSON; charset=utf-8",
    b"application/json; charset=gbk", b"application/json;charset", b"application/json; charset=\"utf-8",
    b"\xff/\xfe",
    b"application/vnd.example+json", b"multipart/form-data; boundary=x",
    b"application/cloudevents+json" * 50,
)  # fmt: skip
HEADER_VALUES = (
    b"", b" ", b"%", b"%%", b"%zz", b"%00", b"%0d%0aX: y", b"%ff", b"%c0%80", b"%ed%a0%80",
    b"%f4%90%80%80", b"%ef%bf%bf",
    b'"', b'""', b'"\\"', b'"\\\\"', b"\\", b'"%22"', b"\xe8\xb7\xaf", b"\xe8\xb7", b"\xff\xfe", b"\x00",
    b"\x7f", b"a\tb",
    b"null", b"true", b"0", b"-1", b"1.0", b"1.0.0", b"x" * 1025, b"%41" * 3000, b"\xed\xa0\x80", b"()",
    b"=?utf-8?b?6Lev?=",
    b"http://[", b"a b", b":", b"\r", b"opinion.rated", b"visit.recorded", b"0000-00-00T00:00:00Z",
    b"9999-12-31T23:59:60+23:59",
)  # fmt: skip
HEADER_NAMES = (
    b"ce-", b"ce-data", b"ce-data_base64", b"ce-datacontenttype", b"ce-My-Own", b"ce-a.b",
    b"ce-\xe8\xb7\xaf", b"ce-id ",
    b"CE-ID", b"ce-time", b"ce-subject", b"ce-dataschema", b"ce-dataref", b"ce-traceparent",
    b"ce-" + b"x" * 300,
    b"traceparent", b"Content-Encoding", b"Content-Type", b"Idempotency-Key", b"Expect",
    b"X-Forwarded-For", b"WebHook-Request-Origin",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**64, 10**400, 1.5, 1e308, "", " ", "x" * 1025, "x" * 20_000, "\x00",
    "\ud800", "\uffff",
    "\u202e" * 50, "\u200b" * 20_000, "路" * 10_001, [], {}, [[[]]], {"a": {"b": 1}}, "1.0",
    "opinion.rated", "visit.recorded",
    "application/json", "text/plain", "e30=", "eyJ0ZXh0IjoiYSJ9", "not base64!", "0000-00-00T00:00:00Z",
    "9999-12-31T23:59:59.999999999+23:59", "../../etc", "http://127.0.0.1:1/never-fetched", "{{7*7}}",
    "' or 1=1 --",
)  # fmt: skip
MEMBERS = (
    "specversion", "id", "source", "type", "time", "subject", "dataschema", "datacontenttype", "data",
    "data_base64",
    "dataref", "traceparent", "MyOwn", "my.own", "", "路", "__proto__", "x" * 5000,
)  # fmt: skip
FIELDS = (
    "text", "title", "topic", "station", "grid", "location", "address", "contact", "attachments",
    "external_id",
    "occurred_at", "language", "digest", "channel", "unknown",
)  # fmt: skip
RAW_VALUES = (
    b"NaN",
    b"1e999",
    b"-",
    b"9" * 5000,
    b'"\\ud800"',
    b'"\xff"',
    b"[" * 20_000,
    b'{"a":' * 20_000,
    b"01",
    b"tru",
)
KEYS = (
    b"",
    b"Bearer",
    b"Bearer \xff",
    b"Basic " + SUBMIT.encode(),
    f"Bearer {REVOKED}".encode(),
    f"Bearer {NO_SCOPE}".encode(),
)


@dataclass(frozen=True)
class Request:
    """What goes over the wire. `cut`: the body is shorter than announced. `large`: it may be turned away, and
    the connection closed, while it is still being sent."""

    wire: bytes
    cut: bool
    large: bool


def requests(seed: int, count: int) -> Iterator[Request]:
    """`count` requests, about one in eight of them without a fault."""
    random = Random(seed)
    for number in range(count):
        yield _request(random, f"fuzz-{seed}-{number}")


def _request(random: Random, id_: str) -> Request:
    mode = random.choice(("binary", "structured", "batch"))
    faults = random.choice((0, 1, 1, 1, 2, 2, 3, 4))
    events = [
        _event(f"{id_}-{n}", random) for n in range(random.choice((0, 1, 2, 5)) if mode == "batch" else 1)
    ]
    headers: Headers = [(b"Host", b"intake"), (b"Authorization", f"Bearer {SUBMIT}".encode())]
    in_json = random.randrange(faults + 1)
    for _ in range(in_json):
        if events:
            random.choice(_IN_JSON)(random.choice(events), random)
    if mode == "binary":
        (event,) = events
        body = _dumped(event.pop("data", {}))
        headers.append((b"Content-Type", JSON_TYPE))
        headers += [(f"ce-{name}".encode(), _in_header(value)) for name, value in event.items()]
    elif mode == "structured":
        body, type_ = _dumped(events[0]), STRUCTURED
        headers.append((b"Content-Type", type_))
    else:
        body = _dumped(_odd_batch(events, random) if random.random() < 0.2 else events)
        headers.append((b"Content-Type", BATCH))
    for _ in range(faults - in_json):
        if random.random() < 0.5:
            random.choice(IN_HEADERS)(headers, random)
        else:
            body = random.choice(IN_BODY)(body, random)
    return on_the_wire(headers, body, random if faults else None)


def _event(id_: str, random: Random) -> dict[str, Any]:
    data: dict[str, Any] = {"text": f"路灯坏了 {id_}"}
    if random.random() < 0.3:
        data |= {"topic": "0101", "location": {"lat": 31.5, "lon": 120.3}, "contact": {"name": "王"}}
    return {"specversion": "1.0", "id": id_, "source": "/fuzz", "type": "opinion.submitted", "data": data}


def _odd_batch(events: list[dict[str, Any]], random: Random) -> Any:
    odd: list[Any] = [{}, [], 17, None, "x", *events]
    random.shuffle(odd)
    return random.choice((odd, {"events": events}, events * 101, [events], None, odd * 100))


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _in_header(value: Any) -> bytes:
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass")


def _drop_member(event: dict[str, Any], random: Random) -> None:
    event.pop(random.choice(list(event)), None) if event else None


def _set_member(event: dict[str, Any], random: Random) -> None:
    event[random.choice(MEMBERS)] = random.choice(VALUES)


def _set_field(event: dict[str, Any], random: Random) -> None:
    if isinstance(event.get("data"), dict):
        event["data"] = event["data"] | {random.choice(FIELDS): random.choice(VALUES)}


def _encode_data(event: dict[str, Any], random: Random) -> None:
    encoded = base64.b64encode(_dumped(event.get("data"))).decode()
    event["data_base64"] = encoded[: random.choice((len(encoded), -1, -3))]
    if random.random() < 0.7:
        event.pop("data", None)


_IN_JSON: tuple[Callable[[dict[str, Any], Random], None], ...] = (
    _drop_member, _set_member, _set_member, _set_field, _set_field, _encode_data,
)  # fmt: skip


def _drop_header(headers: Headers, random: Random) -> None:
    if headers:
        headers.pop(random.randrange(len(headers)))


def _repeat_header(headers: Headers, random: Random) -> None:
    if headers:
        headers.append(random.choice(headers))


def _spoil_header(headers: Headers, random: Random) -> None:
    if headers:
        at = random.randrange(len(headers))
        headers[at] = (headers[at][0], random.choice(HEADER_VALUES))


def _add_header(headers: Headers, random: Random) -> None:
    headers.append((random.choice(HEADER_NAMES), random.choice(HEADER_VALUES)))


def _another_type(headers: Headers, random: Random) -> None:
    headers[:] = [(name, value) for name, value in headers if name != b"Content-Type"]
    headers.append((b"Content-Type", random.choice(MEDIA_TYPES)))


def _another_key(headers: Headers, random: Random) -> None:
    headers[:] = [(name, value) for name, value in headers if name != b"Authorization"]
    headers.append((b"Authorization", random.choice(KEYS)))


IN_HEADERS: tuple[Callable[[Headers, Random], None], ...] = (
    _drop_header, _repeat_header, _spoil_header, _spoil_header, _add_header, _add_header, _another_type,
    _another_key,
)  # fmt: skip


def _cut(body: bytes, random: Random) -> bytes:
    return body[: random.randrange(len(body) + 1)]


def _flip(body: bytes, random: Random) -> bytes:
    spoilt = bytearray(body)
    for _ in range(random.choice((1, 3, 20)) if spoilt else 0):
        spoilt[random.randrange(len(spoilt))] = random.randrange(256)
    return bytes(spoilt)


def _insert(body: bytes, random: Random) -> bytes:
    at = random.randrange(len(body) + 1)
    return (
        body[:at]
        + random.choice((b"\x00", b"\xff", b"\xef\xbb\xbf", b",", b"}", b'"', random.randbytes(9)))
        + body[at:]
    )


def _raw_value(body: bytes, random: Random) -> bytes:
    return body.replace(b'"1.0"', random.choice(RAW_VALUES), 1).replace(
        "路灯坏了".encode(), b'", "title": 1, "x": "', 1
    )


def _other_encoding(body: bytes, random: Random) -> bytes:
    return body.decode("utf-8", "replace").encode(
        random.choice(("utf-16", "gb18030", "utf-32", "latin-1")), "replace"
    )


def _swell(body: bytes, random: Random) -> bytes:
    return body + b" " * random.choice((1, 270_000, 1_000_000))


def _replace(body: bytes, random: Random) -> bytes:
    return random.choice((b"", b"null", b"[]", b"{}", b"[[]]", random.randbytes(200), *RAW_VALUES))


IN_BODY: tuple[Callable[[bytes, Random], bytes], ...] = (
    _cut, _flip, _flip, _insert, _raw_value, _other_encoding, _swell, _replace,
)  # fmt: skip


def on_the_wire(headers: Headers, body: bytes, random: Random | None, path: bytes = b"/v1/events") -> Request:
    """`random` is None where nothing may be wrong."""
    length = len(body)
    if random is not None and random.random() < 0.05:
        length = random.choice((length + 1, 10_000_000, 2**70))
    lines = [b"POST %s HTTP/1.1" % path, b"Connection: close", b"Content-Length: %d" % length]
    lines += [name + b": " + value for name, value in headers]
    return Request(b"\r\n".join(lines) + b"\r\n\r\n" + body, cut=length > len(body), large=len(body) > LARGE)
