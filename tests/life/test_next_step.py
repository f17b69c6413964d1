"""What people do next, from what they see of a case."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lianxin_contracts.lifecycle import Candidate, ClassifiedAs, DueTimes, Explanation, LocatedBy, Reason
from lianxin_local.life.habits import Habits, changed
from lianxin_local.life.lives import Life
from lianxin_local.life.next_step import next_step
from lianxin_local.life.steps import Plan, Seen, Waiting
from lianxin_router.domain.case import Case, Child, Pause
from tests.life.paper_stack import a_life, town, wuxi

MONDAY = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)  # 9:30 in the city
GRID = "320213021001001"
TOPIC = "urban.municipal"
DUE = DueTimes(
    acknowledge=MONDAY + timedelta(days=1),
    first_response=MONDAY + timedelta(days=3),
    resolve=MONDAY + timedelta(days=9),
    policy="opinion",
    policy_version="v",
)
PROMPT, SLOW, ABSENT = (
    Habits(prompt=1.0, slow=0.0),
    Habits(prompt=0.0, slow=1.0),
    Habits(prompt=0.0, slow=0.0),
)


def case(**facts: object) -> Case:
    usual: dict[str, object] = {
        "id": "c1", "sequence": 3, "updated": MONDAY, "stage": "assigned", "opened": MONDAY, "grid": GRID,
        "topic": TOPIC, "assignee": "D0001", "assigned_at": MONDAY, "assignments": 1, "due": DUE,
    }  # fmt: skip
    return Case(**(usual | facts))  # type: ignore[arg-type]


def seen(known: Case, turn: int = 3, **facts: object) -> Seen:
    return replace(Seen(known, turn, MONDAY, TOPIC, GRID), **facts)  # type: ignore[arg-type]


def planned(life: Life, known: Case, turn: int = 3, **facts: object) -> Plan:
    step = next_step(life, seen(known, turn, **facts))
    assert isinstance(step, Plan)
    return step


def all_turns(life: Life, known: Case, turns: int = 300) -> list[Plan]:
    steps = [next_step(life, seen(known, turn)) for turn in range(turns)]
    return [step for step in steps if isinstance(step, Plan)]


def triage(reason: str = "topic_unsure", candidates: tuple[str, ...] = (), **facts: object) -> Case:
    found = Explanation(
        registry_version="v",
        rules_version="1",
        located=LocatedBy(GRID, "station", 1.0),
        classified=ClassifiedAs(None, "none", 0.0),
        candidates=tuple(Candidate(one, "town", 0, 30, 1.0) for one in candidates),
        reasons=(Reason(reason),),
    )
    known = {
        "stage": "triage",
        "assignee": None,
        "explanation": found,
        "triage_due": MONDAY,
        "assignments": 0,
    }
    return case(**(known | facts))


def test_the_same_case_in_the_same_life_has_the_same_plan() -> None:
    assert next_step(a_life(), seen(case())) == next_step(a_life(), seen(case()))


def test_a_plan_does_not_change_by_what_a_clock_or_a_supporter_adds() -> None:
    later = case(sequence=7, updated=MONDAY + timedelta(hours=5), supporters=frozenset({"s"}))
    life = a_life(PROMPT)
    assert next_step(life, seen(case())) == next_step(life, seen(later))


def test_every_plan_has_a_reason_and_lies_after_what_it_follows_from() -> None:
    stages = [
        case(),
        case(stage="accepted"),
        case(stage="in_progress"),
        triage(),
        triage(candidates=("D0002",)),
    ]
    stages.append(case(stage="resolved", rate_until=MONDAY + timedelta(days=14)))
    for known in stages:
        for plan in all_turns(a_life(), known):
            assert plan.why
            assert plan.at > MONDAY


def test_a_prompt_deputy_accepts_sooner_than_a_slow_one_and_an_absent_one_never() -> None:
    prompt = sorted(plan.at for plan in all_turns(a_life(PROMPT), case()))
    slow = sorted(plan.at for plan in all_turns(a_life(SLOW), case()))
    assert prompt[len(prompt) // 2] < slow[len(slow) // 2]
    assert next_step(a_life(ABSENT), seen(case())) == Waiting("absent_deputy")


def test_deputies_work_in_working_hours() -> None:
    for plan in all_turns(a_life(replace(SLOW, returned=0.5)), case()):
        day = town().day(plan.at)
        assert any(opens <= plan.at <= closes for opens, closes in town().calendar.hours(day))


def test_as_many_are_returned_as_habit_says_with_a_reason_of_the_policy() -> None:
    plans = all_turns(a_life(replace(PROMPT, returned=0.3)), case(), 1_000)
    returned = [plan for plan in plans if plan.action == "return"]
    assert abs(len(returned) / len(plans) - 0.3) < 0.06
    policy = wuxi().policies["opinion"]
    assert all(plan.fields["reason"] in policy.return_reasons for plan in returned)


def test_at_work_deputies_note_answer_hand_over_pause_and_mostly_resolve() -> None:
    plans = all_turns(a_life(PROMPT), case(stage="accepted"), 1_000)
    done = {plan.action for plan in plans}
    assert done == {"answer", "progress", "hand_over", "pause", "resolve"}
    assert sum(plan.action == "resolve" for plan in plans) > 300


def test_nothing_is_resolved_while_a_department_owes_its_answer() -> None:
    waits = case(stage="in_progress", children=(Child("k1", "housing", "main", MONDAY),))
    for plan in all_turns(a_life(PROMPT), waits):
        assert (plan.action, plan.fields["child"]) == ("answer", "k1")


def test_a_second_department_is_not_asked_and_a_second_pause_not_taken() -> None:
    answered = Child("k1", "housing", "main", MONDAY, MONDAY)
    plans = all_turns(a_life(PROMPT), case(stage="in_progress", children=(answered,), paused_seconds=60))
    assert {plan.action for plan in plans} == {"answer", "progress", "resolve"}


def test_who_paused_goes_on() -> None:
    paused = case(stage="in_progress", pause=Pause("season", MONDAY, MONDAY + timedelta(days=9)))
    assert {plan.action for plan in all_turns(a_life(PROMPT), paused)} == {"resume"}


def test_where_the_topic_asks_for_evidence_a_resolution_shows_some() -> None:
    plans = all_turns(a_life(PROMPT), case(stage="accepted", topic="safety.fire"))
    assert all(plan.fields["evidence"] for plan in plans if plan.action == "resolve")


def test_a_deputy_on_leave_acts_when_the_leave_is_over() -> None:
    leave = next(one for _, one in sorted(wuxi().leaves.items()))
    begins = town().instant(leave.since, datetime.min.time()) + timedelta(hours=10)
    life = a_life(PROMPT)
    on_leave = seen(case(assignee=leave.deputy), since=begins)
    step = next_step(life, on_leave)
    assert isinstance(step, Plan)
    assert town().day(step.at) >= leave.until


def test_inboxes_are_worked_off_on_contact_day() -> None:
    eve = datetime(2026, 3, 16, 8, 55, tzinfo=UTC)  # Monday, shortly before offices close
    opens, closes = town().contact_hours(town().day(eve) + timedelta(days=1))
    steps = [next_step(a_life(PROMPT), seen(case(), turn, since=eve)) for turn in range(300)]
    plans = [step for step in steps if isinstance(step, Plan)]
    on_the_day = [plan for plan in plans if opens <= plan.at <= closes]
    assert len(on_the_day) > 0.9 * len(plans)


def test_triage_puts_right_what_the_router_was_not_sure_of_and_has_it_decide_again() -> None:
    plan = planned(a_life(), triage(topic=None))
    assert (plan.who, plan.as_, plan.action) == ("staff", f"triage-{GRID[:6]}", "assign")
    assert (plan.fields["topic"], plan.fields["grid"]) == (TOPIC, GRID)


def test_triage_takes_the_first_candidate_that_has_not_had_it() -> None:
    known = triage("returned_too_often", ("D0007", "D0008"), assignments=3, excluded=("D0007",))
    assert planned(a_life(), known).fields["to"] == "D0008"


def test_without_candidates_triage_takes_somebody_with_a_mandate_for_the_place() -> None:
    plan = planned(a_life(), triage("nobody", assignments=2, excluded=("D0001",)))
    mandates = [m for m in wuxi().mandates.values() if m.deputy == plan.fields["to"]]
    assert any(GRID.startswith(area) for mandate in mandates for area in mandate.areas)


def test_a_supervisor_presses_for_about_half_of_what_is_late_and_once_in_a_turn() -> None:
    late = case(stage="assigned", breached=frozenset({"resolve"}))
    life = a_life(ABSENT)
    steps = [next_step(life, seen(late, turn)) for turn in range(400)]
    pressed = [step for step in steps if isinstance(step, Plan)]
    assert abs(len(pressed) / len(steps) - life.habits.supervised) < 0.1
    assert {plan.action for plan in pressed} == {"supervise"}
    assert all(plan.at > DUE.resolve for plan in pressed)
    assert all(isinstance(next_step(life, seen(late, turn, pressed=True)), Waiting) for turn in range(50))


def test_residents_judge_within_the_window_or_say_nothing_in_the_shares_that_are_set() -> None:
    until = MONDAY + timedelta(days=14)
    life = a_life()
    steps = [next_step(life, seen(case(stage="resolved", rate_until=until), turn)) for turn in range(2_000)]
    judged = [step for step in steps if isinstance(step, Plan)]
    assert all(step == Waiting("silent_resident") for step in steps if isinstance(step, Waiting))
    assert abs(len(judged) / len(steps) - life.habits.rated) < 0.05
    assert all(plan.at < until for plan in judged)
    satisfied = sum(plan.fields["score"] == "satisfied" for plan in judged)
    assert abs(satisfied / len(judged) - life.habits.satisfied) < 0.06


def test_in_haste_everything_is_faster_by_that_factor_and_at_any_hour() -> None:
    night = MONDAY.replace(hour=18)  # two in the morning
    usual, hasty = a_life(PROMPT), a_life(replace(PROMPT, haste=120.0))
    soon = [
        p.at - night
        for n in range(200)
        if isinstance(p := next_step(hasty, seen(case(), n, since=night)), Plan)
    ]
    late = [
        p.at - night
        for n in range(200)
        if isinstance(p := next_step(usual, seen(case(), n, since=night)), Plan)
    ]
    assert sorted(soon)[100] < timedelta(minutes=5)
    assert min(late) > timedelta(hours=6)


def test_other_people_can_be_asked_for_by_name() -> None:
    assert changed(Habits(), "prompt=0.2, slow=0.3").slow == 0.3
    assert changed(Habits(), "") == Habits()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("lazy=1", "there is no share 'lazy'"),
        ("prompt=many", "no number"),
        ("prompt=2", "between 0 and 1"),
        ("prompt=0.9", "more than 1"),
        ("answered=0.4,noted=0.45", "more than 0.9"),
        ("rate=5", "there is no share 'rate'"),
    ],
)
def test_shares_that_make_no_sense_are_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        changed(Habits(), text)
