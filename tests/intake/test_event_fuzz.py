"""Every way in under requests that went wrong: no answer of 5xx, nothing in the log that was refused, and
everything in the log that was accepted.

    make soak ARGS=tests/intake/test_event_fuzz.py      10,000 events, 10,000 other requests, ten seeds
"""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException, HTTPResponse

import pytest

from lianxin_contracts import ids, topics
from lianxin_intake.tracking import TrackingCodes
from tests.intake import fuzzed_requests
from tests.intake.fuzzed_events import Request, requests
from tests.intake.running import SECRET, Running
from tests.intake.topics import read_all
from tests.support.brokers import Broker

ANSWER_WITHIN_S = 30
CODES = TrackingCodes(SECRET.encode())


def answer_to(request: Request, port: int) -> tuple[int, bytes]:
    """Status and body, or the address that the answer leads to; 0 where the connection was closed without an
    answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_WITHIN_S) as connection:
        try:
            connection.sendall(request.wire)
            if request.cut:
                with suppress(OSError):  # closed by the other side already: what it said is read below
                    connection.shutdown(socket.SHUT_WR)
            with HTTPResponse(connection, method="POST") as response:
                response.begin()
                return response.status, response.read() or response.getheader("Location", "").encode()
        except (HTTPException, ConnectionError):
            return 0, b""


def accepted_somewhere(status: int, body: bytes) -> Iterator[str]:
    """The ids that an answer of any way in says are stored. No result in it is a fault of ours."""
    for line in body.splitlines() if status in (200, 202) else ():
        told = json.loads(line)
        for one in told if isinstance(told, list) else [told]:
            assert one.get("status") not in range(500, 600), one
            assert one.get("code") != "internal", one
            id_ = one.get("service_request_id") or one.get("id")
            if id_ is not None:
                yield id_


def accepted_by(status: int, body: bytes) -> list[str]:
    """The ids of the opinions that an answer says are stored."""
    if status == 202:
        return [json.loads(body)["id"]]
    results = json.loads(body)["results"] if status == 200 else []
    assert all(result["status"] < 500 for result in results), results
    return [result["id"] for result in results if result["status"] == 202]


@pytest.mark.parametrize(
    ("seed", "count"),
    [(1, 400), *(pytest.param(seed, 1_000, marks=pytest.mark.soak) for seed in range(1, 11))],
)
def test_no_event_that_went_wrong_is_answered_with_an_error_of_ours_or_half_stored(
    api: Running, city_broker: Broker, seed: int, count: int
) -> None:
    before = {event.subject for event in read_all(city_broker.bootstrap, topics.INBOUND)}
    statuses: Counter[int] = Counter()
    accepted: set[str] = set()
    for number, request in enumerate(requests(seed, count)):
        status, body = answer_to(request, api.port)
        statuses[status] += 1
        assert status < 500, f"request {number} of seed {seed}: {status} {body[:500]!r}"
        assert status or request.cut or request.large, f"request {number} of seed {seed} was not answered"
        accepted.update(accepted_by(status, body))
    assert api.is_ready()
    logged = {event.subject for event in read_all(city_broker.bootstrap, topics.INBOUND)}
    assert logged - before == accepted - before
    print(f"seed {seed}: {dict(sorted(statuses.items()))}, {len(accepted)} opinions")  # noqa: T201
    # Otherwise the requests were all alike, and nothing was tried.
    assert {200, 202, 400, 401, 413, 415, 422} <= set(statuses)


@pytest.mark.parametrize(
    ("seed", "count"),
    [(1, 400), *(pytest.param(seed, 1_000, marks=pytest.mark.soak) for seed in range(1, 11))],
)
def test_no_request_that_went_wrong_is_answered_with_an_error_of_ours_or_half_stored(
    api: Running, city_broker: Broker, seed: int, count: int
) -> None:
    before = {event.subject for event in read_all(city_broker.bootstrap, topics.INBOUND)}
    statuses: Counter[int] = Counter()
    accepted: set[str] = set()
    codes: set[str] = set()
    # An upload that was cut may have been read in part: nobody is there to be told; a repeat is recognised.
    cut: set[str] = set()
    for number, request in enumerate(fuzzed_requests.requests(seed, count)):
        status, body = answer_to(request, api.port)
        statuses[status] += 1
        assert status < 500, f"request {number} of seed {seed}: {status} {body[:500]!r}"
        assert status or request.cut or request.large, f"request {number} of seed {seed} was not answered"
        accepted.update(accepted_somewhere(status, body))
        if status == 303:
            codes.add(body.decode().rpartition("/t/")[2].partition("?")[0])
        if request.cut:
            name = fuzzed_requests.name_of(seed, number)
            cut |= {ids.opinion_id("app", f"{name}-{part}") for part in range(5)}
    assert api.is_ready()
    logged = {event.subject for event in read_all(city_broker.bootstrap, topics.INBOUND)}
    assert accepted <= logged
    untold = logged - before - accepted - cut
    assert {CODES.of(id_) for id_ in untold} == codes - {CODES.of(id_) for id_ in before}
    print(f"seed {seed}: {dict(sorted(statuses.items()))}, {len(accepted)} opinions")  # noqa: T201
    assert {200, 202, 400, 401, 403, 404, 413, 415, 422} <= set(statuses)
