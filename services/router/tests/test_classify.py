import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.router.tests.small_city import a_city

from lianxin_contracts import registry
from lianxin_router.domain.ports import Clues
from lianxin_router.routing.classify import Classified, classify

CITY = a_city()


def about(text: str, **clues) -> Classified:
    return classify(Clues(text=text, **clues), CITY)


def codes(found: Classified) -> set[str]:
    return {reason.code for reason in found.evidence}


def test_the_residents_own_choice_comes_first():
    found = about("噪音", topic="roads")
    assert (found.topic, found.by, found.certain) == ("roads", "choice", True)


def test_a_choice_that_the_text_speaks_against_is_noted():
    found = about("深夜噪音噪音", title="噪音", topic="roads")
    assert "text_suggests" in codes(found)
    assert found.certain


def test_the_text_makes_a_first_level_choice_finer():
    assert about("路灯坏了", topic="roads").topic == "roads.lamps"


def test_a_chosen_code_that_nobody_knows_is_left_out_and_noted():
    found = about("深夜噪音", topic="nonsense")
    assert (found.topic, found.by) == ("noise", "rules")
    assert "chosen_topic_unknown" in codes(found)


def test_the_words_of_a_second_level_topic_speak_for_the_first_level_too():
    found = about("路灯和路面都坏了")
    assert found.candidates[0].topic == "roads"


def test_the_longest_term_counts_where_terms_overlap():
    assert about("教师工资").topic == "schools"


def test_the_title_counts_more_than_the_text():
    assert about("道路", title="噪音").topic == "noise"


def test_a_text_without_known_words_has_no_topic_and_a_person_decides():
    found = about("您好")
    assert (found.topic, found.certain) == (None, False)


def test_a_single_hint_is_not_enough_to_be_certain():
    city = a_city(topics=[registry.Topic("urban", "城乡建设", "Urban", words={"小区": 1})])
    assert not classify(Clues(text="我们小区"), city).certain


def test_two_topics_that_are_equally_spoken_for_are_not_certain():
    assert not about("道路噪音").certain


def test_more_evidence_makes_more_certain():
    assert about("路灯，路面，道路").confidence > about("路灯").confidence


def test_the_runners_up_are_listed():
    assert {c.topic for c in about("路灯，噪音，工资").candidates} == {"roads", "noise", "wages"}


def test_a_city_without_terms_sends_everything_to_a_person():
    city = a_city(topics=[registry.Topic("roads", "道路", "Roads")])
    assert not classify(Clues(text="道路"), city).certain


@given(st.text(max_size=200), st.none() | st.text(max_size=30), st.none() | st.text(max_size=8))
def test_any_text_gets_an_answer_whose_probabilities_are_no_more_than_one(text, title, topic):
    found = classify(Clues(text=text, title=title, topic=topic), CITY)
    assert 0 <= found.confidence <= 1
    assert sum(c.score for c in found.candidates) <= 1.001


@pytest.mark.parametrize("text", ["路灯" * 5000, "噪音" * 5000])
def test_a_text_of_the_greatest_length_overflows_nothing(text):
    assert about(text).certain
