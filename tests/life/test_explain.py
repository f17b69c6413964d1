"""Why a case stands where it does."""

from datetime import timedelta

import pytest

from lianxin_local.life.explain import explain
from lianxin_router.domain.case import Case, Child, Pause
from tests.life.paper_stack import a_life
from tests.life.test_next_step import ABSENT, DUE, MONDAY, PROMPT, case, triage

LATER = MONDAY + timedelta(days=2)
AT_WORK = {"stage": "in_progress", "accepted": MONDAY, "first_response": MONDAY}


@pytest.mark.parametrize(
    ("known", "code", "words"),
    [
        (triage("topic_unsure", triage_due=LATER), "triage", "topic_unsure"),
        (case(take_back=LATER, assigned_by="ladder"), "assigned", "by ladder"),
        (case(**AT_WORK), "in_hand", "due at"),
        (case(**AT_WORK, breached=frozenset({"resolve"})), "late", "breach told"),
        (case(**AT_WORK, pause=Pause("season", MONDAY, LATER)), "paused", "season"),
        (case(**AT_WORK, children=(Child("k", "housing", "main", MONDAY),)), "with_department", "housing"),
        (case(stage="resolved", rate_until=LATER), "waiting_for_rating", LATER.isoformat()),
    ],
)
def test_each_stage_has_its_explanation(known: Case, code: str, words: str) -> None:
    found = explain(known, MONDAY, a_life(PROMPT))
    assert found.sound
    assert found.code == code
    assert words in found.words


def test_a_case_with_an_absent_deputy_says_so_and_when_it_is_taken_back() -> None:
    found = explain(case(take_back=LATER, assigned_by="router"), MONDAY, a_life(ABSENT))
    assert found.code == "assigned_absent"
    assert LATER.isoformat() in found.words


@pytest.mark.parametrize(
    "known",
    [
        case(take_back=MONDAY),
        case(stage="resolved", rate_until=MONDAY),
        case(**(AT_WORK | {"pause": Pause("season", MONDAY, MONDAY)})),
        triage(triage_due=MONDAY),
    ],
)
def test_a_clock_that_ran_out_without_effect_is_not_explained(known: Case) -> None:
    assert not explain(known, MONDAY, a_life()).sound


@pytest.mark.parametrize(
    "known",
    [
        case(assignee=None, take_back=LATER),
        case(stage="submitted", due=None),
        case(stage="in_progress", accepted=None, due=DUE),
        triage(triage_due=None),
    ],
)
def test_a_stage_without_what_it_needs_is_not_explained(known: Case) -> None:
    assert not explain(known, MONDAY, a_life()).sound
