from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lianxin_router.routing.cluster import (
    PERIOD_DAYS,
    Fingerprints,
    fingerprints,
    keys,
    match,
    new_issue,
    similarity,
)

NOW = datetime(2026, 3, 2, tzinfo=UTC)
GRID = "320001001001001"
LONG = (
    "小区门口的路灯已经坏了三个星期，晚上一片漆黑，老人和孩子出门都很不方便，"
    "希望有关部门尽快派人来修理，谢谢。我们已经打过两次电话，一直没有人来看过。"
)


def of(text: str) -> Fingerprints:
    found = fingerprints(text)
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
    assert fingerprints("！！！ …") is None


def test_a_signature_of_other_rules_is_like_nothing():
    assert similarity((1, 2, 3), of(LONG).signature) == 0.0


@given(st.text(min_size=1, max_size=300))
def test_every_text_is_most_like_itself(text):
    found = fingerprints(text)
    if found is not None:
        assert similarity(found.signature, found.signature) == 1.0
        assert match([new_issue(GRID, found, NOW)], GRID, found, NOW).similarity == 1.0


def test_signatures_stay_the_same_for_ever_since_they_are_stored():
    assert of("路灯坏了").signature[:3] == (1278203553, 2767075033, 151401432)
