"""Tracking codes: derived, readable, and hard to get wrong."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianxin_intake.tracking import ALPHABET, TrackingCodes, check_digit, fingerprint, normalised

CODES = TrackingCodes(b"secret")
ids = st.uuids().map(str)


@given(ids)
def test_a_code_opens_its_own_opinion(opinion: str) -> None:
    assert CODES.opens(CODES.of(opinion), opinion)


@given(ids, ids)
def test_a_code_opens_no_other_opinion(one: str, other: str) -> None:
    assert CODES.opens(CODES.of(one), other) == (one == other)


def test_a_code_is_the_first_sixty_bits_of_the_mac_in_crockfords_alphabet() -> None:
    mac = int.from_bytes(hmac.new(b"secret", b"id", hashlib.sha256).digest(), "big") >> 196
    plain = CODES.of("id").replace("-", "")
    value = 0
    for character in plain[:12]:
        value = value * 32 + ALPHABET.index(character)
    assert value == mac


def test_a_code_is_grouped_for_reading_aloud() -> None:
    assert [len(group) for group in CODES.of("id").split("-")] == [4, 4, 5]


@given(ids)
def test_case_spaces_and_lookalikes_do_not_matter(opinion: str) -> None:
    code = CODES.of(opinion)
    typed = code.lower().replace("-", "  ").replace("0", "o").replace("1", "i")
    assert CODES.opens(typed, opinion)
    assert CODES.opens(code.replace("1", "L"), opinion)


@given(st.lists(st.integers(0, 31), min_size=12, max_size=12), st.integers(0, 12), st.integers(1, 31))
def test_every_wrong_character_is_found(digits: list[int], place: int, difference: int) -> None:
    word = [*digits, check_digit(digits)]
    word[place] ^= difference
    assert check_digit(word[:-1]) != word[-1]


@given(st.lists(st.integers(0, 31), min_size=12, max_size=12), st.integers(0, 12), st.integers(0, 12))
def test_every_two_characters_that_changed_places_are_found(digits: list[int], a: int, b: int) -> None:
    word = [*digits, check_digit(digits)]
    changed = word.copy()
    changed[a], changed[b] = word[b], word[a]
    assert (check_digit(changed[:-1]) == changed[-1]) == (changed == word)


@pytest.mark.parametrize(
    "text", ["", "x", "0000-0000-0000", "U" * 13, "路" * 13, "0" * 5000, "0000-0000-00001"]
)
def test_what_is_no_code_is_none(text: str) -> None:
    assert normalised(text) is None
    assert not CODES.opens(text, "id")


def test_another_secret_gives_other_codes() -> None:
    assert TrackingCodes(b"other").of("id") != CODES.of("id")


def test_the_database_keeps_no_code_that_could_be_used() -> None:
    plain = normalised(CODES.of("id"))
    assert plain is not None
    assert plain not in fingerprint(plain)
