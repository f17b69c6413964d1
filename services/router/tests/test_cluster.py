from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianxin_router.routing.cluster import (
    PERIOD_DAYS,
    SAME_MATTER,
    Fingerprinter,
    Fingerprints,
    keys,
    match,
    new_issue,
    root,
    same_matter,
    similarity,
)

SECRET = b"a secret of routers"
ROUTERS = Fingerprinter(SECRET)
NOW = datetime(2026, 3, 2, tzinfo=UTC)
GRID = "320001001001001"
LONG = (
    "小区门口的路灯已经坏了三个星期，晚上一片漆黑，老人和孩子出门都很不方便，"
    "希望有关部门尽快派人来修理，谢谢。我们已经打过两次电话，一直没有人来看过。"
)


def of(text: str) -> Fingerprints:
    found = ROUTERS.of(None, text)
    assert found is not None
    return found


def test_equal_texts_are_the_same_matter_whatever_their_punctuation_width_and_case():
    one, other = of("路灯坏了！请修一下ABC123"), of("路灯坏了，请修一下ａｂｃ１２３ 。")
    assert one == other


def test_twins_seen_by_two_routers_at_once_begin_the_same_issue():
    assert new_issue(GRID, of(LONG), NOW) == new_issue(GRID, of(LONG + "！"), NOW + timedelta(minutes=1))


def test_the_same_words_in_another_grid_are_another_issue():
    assert new_issue(GRID, of(LONG), NOW).id != new_issue("320001001001002", of(LONG), NOW).id


def test_a_text_with_some_words_changed_joins_the_issue():
    first = new_issue(GRID, of(LONG), NOW)
    found = match([first], GRID, of(LONG.replace("三个星期", "快一个月").replace("谢谢。", "")), NOW)
    assert (found.issue, found.new) == (first.id, False)
    assert 0.6 <= found.similarity < 1


def test_a_text_with_some_words_changed_is_found_by_its_keys():
    filing, _ = keys(GRID, of(LONG), NOW)
    _, looking = keys(GRID, of(LONG.replace("谢谢。", "")), NOW + timedelta(days=1))
    assert set(filing) & set(looking)


def test_a_text_about_something_else_begins_an_issue_of_its_own():
    first = new_issue(GRID, of(LONG), NOW)
    found = match([first], GRID, of("楼下烧烤店每天营业到深夜两点，油烟很大，噪音也很大，没法睡觉。"), NOW)
    assert found.new
    assert found.issue != first.id


def test_an_issue_of_another_grid_is_never_joined():
    elsewhere = new_issue("320001001001002", of(LONG), NOW)
    assert match([elsewhere], GRID, of(LONG), NOW).new


def test_the_most_similar_issue_is_joined():
    near = new_issue(GRID, of(LONG.replace("谢谢", "")), NOW)
    far = new_issue(GRID, of(LONG[:55]), NOW)
    assert match([far, near], GRID, of(LONG), NOW).issue == near.id


def test_a_short_text_does_not_join_a_long_one_that_holds_it():
    first = new_issue(GRID, of(LONG * 3), NOW)
    assert match([first], GRID, of(LONG[:20]), NOW).new


def test_an_issue_takes_in_cases_of_the_next_period_and_no_later_ones():
    filing, _ = keys(GRID, of(LONG), NOW)
    _, soon = keys(GRID, of(LONG), NOW + timedelta(days=PERIOD_DAYS))
    _, late = keys(GRID, of(LONG), NOW + timedelta(days=2 * PERIOD_DAYS))
    assert set(filing) & set(soon)
    assert not set(filing) & set(late)


def test_a_text_without_letters_has_no_fingerprint():
    assert ROUTERS.of(None, "！！！ …") is None


def test_a_signature_of_other_rules_is_like_nothing():
    assert similarity((1, 2, 3), of(LONG).signature) == 0.0


@given(st.text(min_size=1, max_size=300))
def test_every_text_is_most_like_itself(text):
    found = ROUTERS.of(None, text)
    if found is not None:
        assert similarity(found.signature, found.signature) == 1.0
        assert match([new_issue(GRID, found, NOW)], GRID, found, NOW).similarity == 1.0


def test_nothing_of_a_fingerprint_can_be_tried_out_without_the_secret():
    mine, theirs = of(LONG), Fingerprinter(b"guessed by somebody").of(None, LONG)
    assert theirs is not None
    assert mine.exact != theirs.exact
    assert similarity(mine.signature, theirs.signature) == 0.0
    assert not set(keys(GRID, mine, NOW)[0]) & set(keys(GRID, theirs, NOW)[0])
    assert new_issue(GRID, mine, NOW).id != new_issue(GRID, theirs, NOW).id


def test_a_secret_that_can_be_guessed_is_no_secret():
    with pytest.raises(ValueError, match="short"):
        Fingerprinter(b"short")


def variants() -> st.SearchStrategy[list[str]]:
    """Texts with some words of one left out: some are the same matter to each other, some are not."""
    parts = LONG.split("，")
    kept = st.lists(st.booleans(), min_size=len(parts), max_size=len(parts))
    texts = kept.map(lambda keep: "，".join(p for p, k in zip(parts, keep, strict=True) if k) or "路灯")
    return st.lists(texts, min_size=2)


@given(variants(), st.randoms())
def test_routers_that_find_the_same_issues_in_any_order_join_the_same_ones(texts, chance):
    filed = list({issue.id: issue for issue in (new_issue(GRID, of(t), NOW) for t in texts[:-1])}.values())
    shuffled = list(filed)
    chance.shuffle(shuffled)
    found = match(filed, GRID, of(texts[-1]), NOW)
    assert match(shuffled, GRID, of(texts[-1]), NOW) == found
    known = {issue.id: issue for issue in filed}
    for ends, goes_on in found.same:
        assert goes_on < ends
        assert same_matter(known[ends], known[goes_on])
    assert found.new or root(found.issue, dict(found.same)) == found.issue


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef"))), st.randoms())
def test_pointers_between_issues_come_to_the_same_end_in_whatever_order_they_are_told(pairs, chance):
    told = [(max(pair), min(pair)) for pair in pairs if pair[0] != pair[1]]

    def folded(pairs):
        pointers = {}
        for left, into in pairs:
            pointers[left] = min(into, pointers.get(left, into))
        return pointers

    shuffled = list(told)
    chance.shuffle(shuffled)
    assert [root(i, folded(told)) for i in "abcdef"] == [root(i, folded(shuffled)) for i in "abcdef"]


def test_two_issues_that_an_opinion_is_near_are_one_where_they_are_near_each_other():
    one, other = (new_issue(GRID, of(t), NOW) for t in (LONG, LONG.replace("谢谢。", "")))
    found = match([one, other], GRID, of(LONG.replace("三个星期", "快一个月")), NOW)
    assert found.same == ((max(one.id, other.id), min(one.id, other.id)),)
    assert found.issue == min(one.id, other.id)


def test_a_text_in_the_middle_makes_no_chain_of_what_is_not_alike():
    parts = LONG.split("，")
    ends = [new_issue(GRID, of("，".join(some)), NOW) for some in (parts[:-2], parts[2:])]
    middle = of(LONG)
    assert all(similarity(end.signature, middle.signature) >= SAME_MATTER for end in ends)
    assert not same_matter(*ends)
    assert match(ends, GRID, middle, NOW).same == ()


def test_what_was_joined_to_another_issue_takes_in_nothing_more():
    one, other = sorted((new_issue(GRID, of(t), NOW) for t in (LONG, LONG[:70])), key=lambda i: i.id)
    moved = Moved(other.id, GRID, other.signature, other.length, one.id)
    assert match([one, moved], GRID, of(LONG[:70]), NOW).issue == one.id


def test_an_issue_whose_first_text_is_erased_begins_again_with_the_same_words():
    was = new_issue(GRID, of(LONG), NOW)
    erased = Moved(was.id, GRID, (), 0, None)
    found = match([erased], GRID, of(LONG), NOW)
    assert (found.issue, found.new) == (was.id, True)
    assert match([erased], GRID, of(LONG.replace("谢谢。", "")), NOW).issue != was.id


class Moved(NamedTuple):
    id: str
    grid: str
    signature: tuple[int, ...]
    length: int
    into: str | None


def test_signatures_stay_the_same_for_ever_since_they_are_stored():
    assert of("路灯坏了").signature[:3] == (3700025198, 3754366703, 2262784703)
