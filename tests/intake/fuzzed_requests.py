"""Requests to every other way in that went wrong somewhere, made from a seed: single opinions, batches,
files, Open311 and the station's page. What spoils them is that of `fuzzed_events`."""

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from urllib.parse import urlencode

from lianxin_intake.pages.tokens import PageTokens
from tests.intake.fuzzed_events import FIELDS, IN_BODY, IN_HEADERS, VALUES, Headers, Request, on_the_wire
from tests.intake.running import SECRET
from tests.intake.small_city import SUBMIT
from tests.support.workbooks import workbook

XLSX = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CELLS = (
    "",
    "\x00",
    '"',
    '""',
    "x" * 20_000,
    "9999",
    "0101",
    "31.5",
    "NaN",
    "1e999",
    "2026-13-45",
    "=1+1",
    "路",
)
QUERIES = (b"", b"", b"", b"?map=", b"?map=text=%00", b"?map=text%3D%E5%86%85", b"?sheet=%ff")
_TOKENS = PageTokens(SECRET.encode())

# What a request is before it is spoiled: path, media type, body.
Plain = tuple[bytes, bytes, bytes]


def _opinion(id_: str, random: Random, *, faulty: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"text": f"路灯坏了 {id_}", "external_id": id_, "topic": "0101"}
    if faulty:
        body[random.choice(FIELDS)] = random.choice(VALUES)
    return body


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _single(id_: str, random: Random, faulty: bool) -> Plain:
    return b"/v1/opinions", b"application/json", _dumped(_opinion(id_, random, faulty=faulty))


def _lines(id_: str, random: Random, faulty: bool) -> bytes:
    count = random.choice((1, 2, 5))
    return b"\n".join(
        _dumped(_opinion(f"{id_}-{n}", random, faulty=faulty and random.random() < 0.5)) for n in range(count)
    )


def _batch(id_: str, random: Random, faulty: bool) -> Plain:
    return b"/v1/opinions:batch", b"application/x-ndjson", _lines(id_, random, faulty)


def _objects(id_: str, random: Random, faulty: bool) -> Plain:
    return b"/v1/files", b"application/x-ndjson", _lines(id_, random, faulty)


def _table(id_: str, random: Random, faulty: bool) -> list[list[str]]:
    rows = [["编号", "内容", "类别代码", "纬度", "经度"]]
    rows += [[f"{id_}-{n}", f"路灯坏了 {id_}", "0101", "31.5", "120.3"] for n in range(random.choice((1, 3)))]
    if faulty:
        random.choice(rows)[random.randrange(5)] = random.choice(CELLS)
        if random.random() < 0.2:
            random.choice(rows).pop()
    return rows


def _csv(id_: str, random: Random, faulty: bool) -> Plain:
    text = "\r\n".join(",".join(row) for row in _table(id_, random, faulty))
    encoding = random.choice(("utf-8", "utf-8-sig", "gb18030"))
    path = b"/v1/files" + (random.choice(QUERIES) if faulty else b"")
    return path, b"text/csv", text.encode(encoding)


def _workbook(id_: str, random: Random, faulty: bool) -> Plain:
    rows = [[cell.replace("\x00", "") for cell in row] for row in _table(id_, random, faulty)]
    return b"/v1/files", XLSX, workbook(*rows)


def _open311(id_: str, random: Random, faulty: bool) -> Plain:
    form: dict[str, str] = {
        "api_key": SUBMIT, "service_code": "0101", "lat": "31.5", "long": "120.3",
        "description": f"路灯坏了 {id_}", "attribute[external_id]": id_,
    }  # fmt: skip
    if faulty:
        form[random.choice((*form, "media_url", "address_string", "attribute[", "email"))] = random.choice(
            CELLS
        )
    return b"/open311/v2/requests.json", b"application/x-www-form-urlencoded", urlencode(form).encode()


def _page(id_: str, random: Random, faulty: bool) -> Plain:
    form = {"token": _TOKENS.of("S1"), "key": id_, "text": f"路灯坏了 {id_}"}
    if faulty:
        form[random.choice((*form, "lat", "lon", "topic", "phone", "website"))] = random.choice(CELLS)
    station = random.choice((b"S1", b"S1", b"S9", b"%00")) if faulty else b"S1"
    return b"/s/" + station, b"application/x-www-form-urlencoded", urlencode(form).encode()


CHANNELS: tuple[Callable[[str, Random, bool], Plain], ...] = (
    _single, _single, _batch, _csv, _csv, _objects, _open311, _open311, _page, _page,
)  # fmt: skip
# Each starts a process: seldom.
_SLOW_SHARE = 0.02


def name_of(seed: int, number: int) -> str:
    """What the external ids of one request begin with."""
    return f"fuzz-all-{seed}-{number}"


def requests(seed: int, count: int) -> Iterator[Request]:
    """`count` requests, about one in eight of them without a fault."""
    random = Random(seed)
    for number in range(count):
        id_ = name_of(seed, number)
        faults = random.choice((0, 1, 1, 1, 2, 2, 3, 4))
        make = _workbook if random.random() < _SLOW_SHARE else random.choice(CHANNELS)
        path, type_, body = make(id_, random, faults > 0)
        headers: Headers = [
            (b"Host", b"intake"), (b"Authorization", f"Bearer {SUBMIT}".encode()), (b"Content-Type", type_),
            (b"Accept", b"application/json"),
        ]  # fmt: skip
        for _ in range(faults - 1):
            if random.random() < 0.5:
                random.choice(IN_HEADERS)(headers, random)
            else:
                body = random.choice(IN_BODY)(body, random)
        yield on_the_wire(headers, body, random if faults else None, path)
