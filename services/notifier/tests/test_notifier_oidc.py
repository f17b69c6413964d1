"""The parts of signing in by an identity service that need nobody else: attempts, addresses, people, keys."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianxin_contracts import registry
from lianxin_notifier.oidc.addresses import may_be_asked
from lianxin_notifier.oidc.attempts import ATTEMPT_HOLDS, Attempts
from lianxin_notifier.oidc.endpoints import KEYS_AGAIN_S, REST_S, AwayError, Fresh
from lianxin_notifier.oidc.people_of_claims import ClaimMapping, person_meant, value_of
from lianxin_notifier.oidc.tokens import usable_keys

NOW = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


def test_an_attempt_is_found_again_by_its_cookie_until_its_time_is_over() -> None:
    attempts = Attempts(b"secret")
    attempt = attempts.begin("/inbox?lang=en", NOW)
    cookie = attempts.cookie(attempt)
    assert attempts.of_cookie(cookie, NOW + ATTEMPT_HOLDS - timedelta(seconds=1)) == attempt
    assert attempts.of_cookie(cookie, NOW + ATTEMPT_HOLDS) is None
    assert Attempts(b"another").of_cookie(cookie, NOW) is None


def test_state_nonce_and_verifier_are_different_and_long_enough() -> None:
    attempt = Attempts(b"secret").begin("/inbox", NOW)
    made = {attempt.state, attempt.nonce, attempt.verifier, attempt.challenge, attempt.id}
    assert len(made) == 5
    assert all(43 <= len(one) <= 128 for one in made)  # RFC 7636, 4.1


@given(st.text(max_size=200))
def test_no_text_is_an_attempt_that_was_not_made_here(cookie: str) -> None:
    assert Attempts(b"secret").of_cookie(cookie, NOW) is None


@given(st.integers(0, 300), st.characters(categories=["Lu", "Ll", "Nd"], max_codepoint=127))
def test_no_changed_cookie_is_one(at: int, to: str) -> None:
    attempts = Attempts(b"secret")
    attempt = attempts.begin("/inbox", NOW)
    cookie = attempts.cookie(attempt)
    at %= len(cookie)
    changed = cookie[:at] + to + cookie[at + 1 :]
    # The last sign of base64 may hold bits that are not read: the same attempt then, never another.
    assert attempts.of_cookie(changed, NOW) in (None, attempt)


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("https://id.example.org/realms/wuxi", True),
        ("http://127.0.0.1:9000", True),
        ("http://[::1]:9000", True),
        ("http://localhost:9000", True),
        ("http://id.inner/x", True),
        ("http://id.example.org", False),
        ("http://localhost.evil.test", False),
        ("http://127.0.0.1.evil.test", False),
        ("https://user:word@id.example.org", False),
        ("https://id.example.org/#x", False),
        ("https://", False),
        ("ftp://127.0.0.1", False),
        ("file:///etc/passwd", False),
        ("javascript:alert(1)", False),
        ("//id.example.org", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_secrets_go_by_tls_or_to_this_machine_or_where_the_operator_says(address: str, may: bool) -> None:
    assert may_be_asked(address, frozenset({"id.inner"})) is may


def a_city() -> registry.Snapshot:
    deputies = (
        registry.Deputy("D1", "一", "street", channels=("mail:One@deputies.test",)),
        registry.Deputy("D2", "二", "street", channels=("mail:both@deputies.test",)),
        registry.Deputy("D3", "三", "street", channels=("mail:both@deputies.test",)),
    )
    return registry.Snapshot(
        version="v1", city=registry.City("wuxi", "无锡"), deputies={one.id: one for one in deputies}
    )


BY_ID, BY_MAIL = ClaimMapping("number", "id"), ClaimMapping("email", "mail")


def test_an_address_that_two_deputies_have_means_neither() -> None:
    assert person_meant("both@deputies.test", BY_MAIL, a_city()) is None
    found = person_meant("one@DEPUTIES.test", BY_MAIL, a_city())
    assert found is not None
    assert found.id == "D1"


def test_a_number_is_no_address_and_an_address_no_number() -> None:
    assert person_meant("D1", BY_MAIL, a_city()) is None
    assert person_meant("one@deputies.test", BY_ID, a_city()) is None


def test_only_a_claim_of_text_says_anything() -> None:
    for value in (None, 1, True, ["D1"], {"$ne": ""}, "", " ", "x" * 255):
        assert value_of({"number": value}, BY_ID) is None
    assert value_of({"number": " D1 "}, BY_ID) == "D1"


def test_keys_that_are_not_for_checking_signatures_are_left_out() -> None:
    documents = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"},
        {"kty": "unheard-of"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"kty": "EC", "crv": "P-256"},
        "text",
        None,
    ]
    assert usable_keys(documents) == ()


def test_what_was_fetched_serves_while_it_can_not_be_fetched_anew_and_nobody_waits() -> None:
    clock, asked, away = [0.0], [0], [False]

    async def fetch() -> int:
        asked[0] += 1
        if away[0]:
            raise AwayError("x")
        return asked[0]

    async def play() -> None:
        fresh = Fresh(fetch, 100.0, lambda: clock[0])
        assert [await fresh.get(), await fresh.get()] == [1, 1]
        away[0], clock[0] = True, 100.0
        assert [await fresh.get(), await fresh.get()] == [1, 1]
        assert asked[0] == 2, "one question in a while, however many need it"
        away[0], clock[0] = False, 100.0 + REST_S
        assert await fresh.get() == 3
        # Asked for anew by names that nobody knows: not at will.
        assert [await fresh.get(again_after_s=KEYS_AGAIN_S) for _ in range(3)] == [4, 4, 4]
        clock[0] += KEYS_AGAIN_S
        assert await fresh.get(again_after_s=KEYS_AGAIN_S) == 5

    asyncio.run(play())
