import random
from datetime import timedelta

import pytest
from tests.metrics.story import MONDAY, CaseLog, life

from lianxin_metrics.facts import Fact, fold, holder_of
from lianxin_metrics.view import as_of

HOUR = 3_600_000
START = int(MONDAY.timestamp() * 1000)


def fact_of(log: CaseLog, upto: int | None = None) -> Fact:
    fact = Fact(case=log.case)
    for event in log.events[:upto]:
        fact = fold(fact, event, lambda topic: topic.split(".")[0])
    return fact


def observed(fact: Fact) -> dict[str, tuple[int, str, str, str]]:
    return {o.metric: (o.ms, o.district, o.topic, o.outcome) for o in fact.observed}


def test_the_clock_starts_when_the_resident_submits_not_when_the_deputy_accepts() -> None:
    fact = fact_of(CaseLog("c").submit().assign(after=5).accept(after=3).resolve(after=2))
    assert observed(fact)["acknowledge"][0] == 8 * HOUR
    assert observed(fact)["closure"][0] == 10 * HOUR


def test_a_submission_that_could_not_be_read_was_sent_at_that_time_all_the_same() -> None:
    fact = fact_of(CaseLog("c").submit(readable=False).submit(after=4).assign().accept(after=1))
    assert fact.submitted == START
    assert observed(fact)["acknowledge"][0] == 5 * HOUR


def test_only_the_first_acceptance_is_an_acknowledgement() -> None:
    log = CaseLog("c").submit().assign().accept(after=1).give_back(after=1).assign("D2").accept(after=9)
    fact = fact_of(log)
    assert [o.ms for o in fact.observed if o.metric == "acknowledge"] == [HOUR]


def test_an_answer_by_the_system_is_no_response_and_the_first_by_a_person_is() -> None:
    fact = fact_of(CaseLog("c").submit().assign().accept().answer(after=1, by="system").answer(after=2))
    assert fact.responded == START + 3 * HOUR


def test_a_resolution_without_an_answer_before_is_the_first_response() -> None:
    fact = fact_of(CaseLog("c").submit().assign().accept().resolve(after=6))
    assert observed(fact)["first_response"][0] == 6 * HOUR
    assert observed(fact)["closure"][0] == 6 * HOUR


def test_reopening_leaves_the_first_closure_as_it_was_and_moves_the_final_one() -> None:
    log = CaseLog("c").submit().assign().accept().resolve("planned", after=10).rate("dissatisfied").reopen()
    fact = fact_of(log.resolve("solved", after=30).rate().close("rated", after=5))
    assert observed(fact)["closure"][::3] == (10 * HOUR, "planned")
    assert observed(fact)["final_closure"][::3] == (40 * HOUR, "solved")


def test_the_final_closure_is_seen_when_the_case_is_closed_not_before() -> None:
    log = CaseLog("c").submit().assign().accept().resolve(after=10)
    assert "final_closure" not in observed(fact_of(log))


def test_a_case_withdrawn_before_it_was_resolved_has_no_closure_at_all() -> None:
    fact = fact_of(CaseLog("c").submit().assign().accept().close("withdrawn"))
    assert set(observed(fact)) == {"acknowledge"}


def test_a_value_keeps_the_labels_of_its_moment_when_the_case_moves_on() -> None:
    log = CaseLog("c", district="320213").submit().assign().accept(after=1)
    log.district = "320205"
    log.topic = "school.place"
    fact = fact_of(log.give_back().assign("D2").accept().resolve(after=1))
    assert observed(fact)["acknowledge"][1:3] == ("320213", "urban")
    assert observed(fact)["closure"][1:3] == ("320205", "school")
    assert fact.district == "320205"


def test_the_first_level_topic_is_asked_for_only_where_the_event_does_not_say_it() -> None:
    told = fact_of(CaseLog("c").submit().assign())
    asked = fact_of(CaseLog("c").submit().assign(say_first_level=False))
    assert told.first_level == asked.first_level == "urban"
    assert asked.placements[-1].topic == "urban.property"


def test_time_is_attributed_to_who_held_the_case() -> None:
    log = CaseLog("c").submit().triage(after=1).assign("D1", after=2).give_back(after=4)
    fact = fact_of(log.assign("D2", after=8).accept().resolve(after=16))
    held = [(h.deputy, h.since - START, h.until and h.until - START) for h in fact.holdings]
    assert held == [
        (None, 0, 3 * HOUR),
        ("D1", 3 * HOUR, 7 * HOUR),
        (None, 7 * HOUR, 15 * HOUR),
        ("D2", 15 * HOUR, 31 * HOUR),
        (None, 31 * HOUR, None),
    ]
    assert fact.resolutions[0].holder == "D2"
    assert fact.returns[0].holder == "D1"


def test_while_the_resident_is_asked_no_deputy_holds_the_case() -> None:
    assert holder_of(fact_of(CaseLog("c").submit().assign().accept().resolve())) is None


@pytest.mark.parametrize(
    ("log", "stage"),
    [
        (CaseLog("c").submit(), "submitted"),
        (CaseLog("c").submit().triage(), "triage"),
        (CaseLog("c").submit().assign(), "assigned"),
        (CaseLog("c").submit().assign().accept(), "accepted"),
        (CaseLog("c").submit().assign().accept().answer(), "accepted"),
        (CaseLog("c").submit().assign().accept().progress(), "in_progress"),
        (CaseLog("c").submit().assign().accept().pause(), "in_progress"),
        (CaseLog("c").submit().assign().accept().resolve(), "resolved"),
        (CaseLog("c").submit().assign().accept().resolve().rate(), "rated"),
        (CaseLog("c").submit().assign().accept().resolve().rate("dissatisfied").reopen(), "in_progress"),
        (CaseLog("c").submit().assign().accept().give_back(), "submitted"),
        (CaseLog("c").submit().assign().accept().resolve().close(), "closed"),
        (CaseLog("c").submit().assign().accept().resolve().close().refuse(), "closed"),
    ],
)
def test_the_stage_follows_the_last_event_that_moves_it(log: CaseLog, stage: str) -> None:
    assert fact_of(log).stage == stage


def test_an_id_of_which_only_refusals_are_known_is_no_case() -> None:
    fact = fact_of(CaseLog("c").refuse())
    assert fact.stage is None
    assert fact.submitted is None
    assert fact.events == {"command.refused": 1}


def test_a_pause_ends_when_it_is_resumed_or_when_the_case_is_resolved() -> None:
    resumed = fact_of(CaseLog("c").submit().assign().accept().pause().resume(after=5))
    resolved = fact_of(CaseLog("c").submit().assign().accept().pause().resolve(after=7))
    assert [(p.until or 0) - p.since for p in (*resumed.pauses, *resolved.pauses)] == [5 * HOUR, 7 * HOUR]


REPORTED = (
    "submitted", "channel", "stages", "placements", "holdings", "accepted", "responded", "resolutions",
    "ratings", "reopens", "closings", "returns", "pauses", "dues", "breaches",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(200))
def test_a_fact_as_of_a_moment_is_the_fact_of_the_events_up_to_then(seed: int) -> None:
    log = life(seed)
    whole = fact_of(log)
    moments = [event.time for event in log.events]
    moments += [random.Random(seed).choice(moments) + timedelta(minutes=1), MONDAY - timedelta(days=1)]
    for moment in moments:
        known = [event for event in log.events if event.time <= moment]
        seen = as_of(whole, (moment - MONDAY) // timedelta(milliseconds=1) + START)
        if not known:
            assert seen is None
            continue
        then = fact_of(log, len(known))
        assert seen is not None
        assert {f: getattr(seen, f) for f in REPORTED} == {f: getattr(then, f) for f in REPORTED}
