"""Opening an opinion by its code: limits by address and by opinion."""

import pytest
from pydantic import ValidationError
from starlette.requests import Request

from lianxin_chassis.problems import ProblemError
from lianxin_chassis.settings import Settings
from lianxin_contracts import ids
from lianxin_intake.opening import Opening, Use, address_of
from lianxin_intake.rates import Buckets
from lianxin_intake.tracking import TrackingCodes

CODES = TrackingCodes(b"secret")
SLOWLY = 1e-6  # tokens a second: none comes back while a test runs


def request(host: str | None = "203.0.113.7") -> Request:
    return Request({"type": "http", "headers": [], "client": (host, 1) if host is not None else None})


def opening(*, wrong: float = 100, reads: float = 100, commands: float = 100) -> Opening:
    return Opening(CODES, *(Buckets(SLOWLY, burst) for burst in (wrong, reads, commands)))


def answer(at: Opening, opinion: str, code: str, *, host: str = "203.0.113.7", use: Use = "read") -> int:
    try:
        at.require(request(host), opinion, code, use)
    except ProblemError as error:
        # Every 429 says when to come back.
        return error.status if error.status != 429 or "Retry-After" in (error.headers or {}) else 0
    return 200


def test_wrong_codes_end_for_their_address_alone() -> None:
    at, opinion = opening(wrong=2), ids.fresh()
    assert [answer(at, opinion, "wrong") for _ in range(3)] == [403, 403, 429]
    assert answer(at, opinion, CODES.of(opinion)) == 429
    assert answer(at, opinion, CODES.of(opinion), host="203.0.113.8") == 200


def test_right_codes_take_nothing_from_the_limit_of_wrong_ones() -> None:
    at, opinion = opening(wrong=1), ids.fresh()
    assert {answer(at, opinion, CODES.of(opinion)) for _ in range(9)} == {200}


@pytest.mark.parametrize("use", ["read", "command"])
def test_a_right_code_is_limited_by_opinion_whatever_the_address(use: Use) -> None:
    at, opinion, other = opening(reads=2, commands=2), ids.fresh(), ids.fresh()
    hosts = ("203.0.113.7", "203.0.113.8", "203.0.113.9")
    assert [answer(at, opinion, CODES.of(opinion), host=h, use=use) for h in hosts] == [200, 200, 429]
    assert answer(at, other, CODES.of(other), use=use) == 200


def test_reading_leaves_what_may_be_said() -> None:
    at, opinion = opening(reads=1, commands=1), ids.fresh()
    assert [answer(at, opinion, CODES.of(opinion)) for _ in range(2)] == [200, 429]
    assert answer(at, opinion, CODES.of(opinion), use="command") == 200


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("unix:", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_address_is_what_one_subscriber_has(host: str | None, address: str) -> None:
    assert address_of(request(host)) == address


@pytest.mark.parametrize("proxies", ["ingress", "*", "10.0.0.0/8 192.168.0.0/16", "10.0.0.1/8"])
def test_proxies_that_are_no_networks_are_refused_at_the_start(proxies: str) -> None:
    """They would be taken for a name, and nobody or everybody trusted."""
    with pytest.raises(ValidationError):
        Settings(service="intake", trusted_proxies=proxies)
