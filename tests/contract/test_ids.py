"""Ids: a retry anywhere yields the same, and nothing else does."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from lianxin_contracts import ids

parts = st.lists(st.text(max_size=10), min_size=1, max_size=4)


@given(parts)
def test_the_same_parts_always_make_the_same_id(given_parts: list[str]):
    assert ids.derived(*given_parts) == ids.derived(*given_parts)


@given(parts, parts)
def test_other_parts_make_another_id_however_they_are_cut(one: list[str], other: list[str]):
    assert (ids.derived(*one) == ids.derived(*other)) == (one == other)


def test_ids_stay_what_they_were_when_records_were_written():
    """Fixed values: a change here would make every retry of an older record look new."""
    assert ids.opinion_id("wechat", "k1") == "38bb8fbd-85ae-57aa-8c82-d2b8afb8264b"
    assert ids.following("cause", "opinion.assigned", 0) == "952cd857-609e-5d51-8107-b5a32736a6fe"
    assert ids.knock("case", "resolve", 1_795_392_000_000) == "2ebce764-d5b1-5201-a16c-d5e1e11aea6c"


@given(st.text(max_size=20), st.text(max_size=20))
def test_one_key_names_different_opinions_in_different_channels(channel: str, key: str):
    assert ids.opinion_id(channel, key) != ids.opinion_id(channel + "x", key)


@given(st.text(), st.sampled_from(["opinion.assigned", "opinion.triaged"]), st.integers(0, 20))
def test_each_event_that_follows_from_a_cause_has_its_own_id(cause: str, type_: str, ordinal: int):
    assert ids.following(cause, type_, ordinal) != ids.following(cause, type_, ordinal + 1)


@given(parts)
def test_derived_ids_are_uuids_of_version_5(given_parts: list[str]):
    assert uuid.UUID(ids.derived(*given_parts)).version == 5


def test_fresh_ids_are_uuids_of_version_7_that_sort_by_time_and_never_repeat():
    made = [ids.fresh() for _ in range(1000)]

    assert len(set(made)) == len(made)
    assert {uuid.UUID(one).version for one in made} == {7}
    assert {uuid.UUID(one).variant for one in made} == {uuid.RFC_4122}
    milliseconds = [uuid.UUID(one).int >> 80 for one in made]
    assert milliseconds == sorted(milliseconds)
