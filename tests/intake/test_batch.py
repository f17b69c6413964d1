"""Many opinions in one request: one result line for each line, whatever is wrong with its neighbours."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

from lianxin_contracts import ids, topics
from tests.intake.running import Running
from tests.intake.small_city import SUBMIT
from tests.intake.topics import read_all
from tests.support.brokers import Broker

NDJSON = "application/x-ndjson"


def upload(api: Running, content: bytes | Iterator[bytes], key: str | None = None) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {SUBMIT}", "Content-Type": NDJSON}
    if key is not None:
        headers["Idempotency-Key"] = key
    answer = api.http.post("/v1/opinions:batch", content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == NDJSON
    return [json.loads(line) for line in answer.text.splitlines()]


def test_each_line_is_judged_on_its_own(api: Running, city_broker: Broker) -> None:
    name = str(uuid4())
    lines = [
        json.dumps({"text": "one", "external_id": name}).encode(),
        b"{",
        b'{"text": ""}',
        b"",
        b'{"text": "' + b"x" * 300_000 + b'"}',
        json.dumps({"text": "two", "external_id": name}).encode(),
        b'{"text": "three"}',
    ]
    results = upload(api, b"\n".join(lines))
    assert [result["line"] for result in results] == [1, 2, 3, 4, 5, 6, 7]
    assert [result["status"] for result in results] == [202, 400, 422, 400, 413, 409, 202]
    assert set(results[0]) == {"line", "status", "id", "tracking_code", "status_url"}
    assert results[2]["problem"]["errors"][0]["field"] == "text"
    written = {event.subject for event in read_all(city_broker.bootstrap, topics.INBOUND)}
    assert {results[0]["id"], results[6]["id"]} <= written


def test_the_same_upload_again_is_the_same_opinions(api: Running) -> None:
    key, content = str(uuid4()), b'{"text": "a"}\n{"text": "b"}\n{"text": "c", "external_id": "c-7"}\n'
    first, second = upload(api, content, key), upload(api, content, key)
    assert first == second
    assert len({result["id"] for result in first}) == 3
    assert first[2]["id"] == ids.opinion_id("app", "c-7")


def test_without_names_each_upload_is_new(api: Running) -> None:
    content = b'{"text": "a"}\n'
    assert upload(api, content)[0]["id"] != upload(api, content)[0]["id"]


def test_ten_thousand_lines_that_come_in_pieces_are_all_answered_in_order(api: Running) -> None:
    prefix = str(uuid4())

    def pieces() -> Iterator[bytes]:
        whole = b"".join(
            json.dumps({"text": f"第{n}条", "external_id": f"{prefix}-{n}"}).encode() + b"\n"
            for n in range(10_000)
        )
        for start in range(0, len(whole), 7_001):
            yield whole[start : start + 7_001]

    results = upload(api, pieces())
    assert [result["line"] for result in results] == list(range(1, 10_001))
    assert {result["status"] for result in results} == {202}


def test_results_come_while_the_upload_is_still_open(api: Running) -> None:
    head = (
        f"POST /v1/opinions:batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SUBMIT}\r\n"
        f"Content-Type: {NDJSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    line = b'{"text": "a"}\n'
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        connection.sendall(head.encode() + b"%x\r\n%s\r\n" % (len(line), line))
        received = b""
        while b'"status":202' not in received:
            received += connection.recv(4096)
        connection.sendall(b"0\r\n\r\n")
        while not received.endswith(b"0\r\n\r\n"):
            received += connection.recv(4096)
    assert received.startswith(b"HTTP/1.1 200")


def test_a_batch_needs_its_media_type(api: Running) -> None:
    answer = api.post("/v1/opinions:batch", [], SUBMIT)
    assert answer.status_code == 415
