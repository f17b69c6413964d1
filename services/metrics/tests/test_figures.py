from datetime import timedelta

import pytest
from tests.metrics.story import MONDAY, CaseLog, life

from lianxin_metrics.definitions import BASES, FIGURES
from lianxin_metrics.facts import Fact, fold
from lianxin_metrics.figures import RULES, Added, Question, added_by
from lianxin_metrics.view import as_of
from lianxin_metrics.windows import Window

HOUR = 3_600_000
DAY = 24 * HOUR
START = int(MONDAY.timestamp() * 1000)


def fact_of(log: CaseLog) -> Fact:
    fact = Fact(case=log.case)
    for event in log.events:
        fact = fold(fact, event, lambda topic: topic)
    return fact


def asked(log: CaseLog, start: float = 0, end: float = 365, known: float = 365) -> dict[str, list[Added]]:
    """What the case adds to each figure of the window, in days from its start, as of `known` days."""
    window = Window(START + int(start * DAY), START + int(end * DAY))
    question = Question(window, START + int(known * DAY), START + int(known * DAY))
    seen = as_of(fact_of(log), question.as_of)
    found: dict[str, list[Added]] = {}
    for figure, added in added_by(seen, question) if seen else ():
        found.setdefault(figure, []).append(added)
    return found


def test_every_defined_figure_has_a_rule_and_every_rule_is_defined() -> None:
    assert set(RULES) | {"alerts_delivered"} == {definition.id for definition in FIGURES}
    assert all(definition.basis in BASES for definition in FIGURES)


def test_an_event_at_the_end_of_the_window_belongs_to_the_next_one() -> None:
    log = CaseLog("c").submit().assign().accept().resolve(after=24)
    assert "resolved" not in asked(log, 0, 1)
    assert asked(log, 1, 2)["closure"] == [DAY]


def test_what_happens_after_as_of_is_not_known() -> None:
    log = CaseLog("c").submit().assign().accept(after=24).resolve(after=24).close(after=24)
    assert "resolved" not in asked(log, known=1.5)
    assert asked(log, known=1.5)["open"] == [1]
    assert "open" not in asked(log, known=3)
    assert asked(CaseLog("c").submit(after=240), known=9) == {}


def test_the_stock_is_counted_just_before_the_window_s_end() -> None:
    log = CaseLog("c").submit().assign().accept().resolve().close(after=24)
    assert asked(log, 0, 1)["open"] == [1]
    assert "open" not in asked(log, 0, 1.01)


def test_a_case_is_old_when_it_has_been_open_for_longer_than_so_many_days() -> None:
    log = CaseLog("c").submit()
    assert asked(log, 0, 30.5, known=30)["open_over.30d"] == [0]
    assert asked(log, 0, 30.5)["open_over.30d"] == [1]
    assert asked(log, 0, 100)["open_over.90d"] == [1]


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (CaseLog("c").submit().assign().accept(after=24), [1]),
        (CaseLog("c").submit().assign().accept(after=24.001), [0]),
        (CaseLog("c").submit().assign(), [0]),
        (CaseLog("c").submit().assign().close("withdrawn", after=3), None),
        (CaseLog("c").submit().assign().close("withdrawn", after=30), [0]),
        (CaseLog("c").submit().triage(), None),
    ],
)
def test_acknowledged_on_time_is_judged_at_the_due_instant(
    log: CaseLog, expected: list[Added] | None
) -> None:
    assert asked(log).get("on_time.acknowledge") == expected


def test_a_clock_counts_in_the_window_in_which_it_runs_out() -> None:
    log = CaseLog("c").submit().assign().accept().resolve(after=1).close(after=1)
    assert "on_time.resolve" not in asked(log, 0, 7)
    assert asked(log, 7, 8)["on_time.resolve"] == [1]
    assert "on_time.resolve" not in asked(log, 7, 8, known=6.9)


def test_a_pause_moves_the_due_time_and_while_it_lasts_nothing_is_late() -> None:
    paused = CaseLog("c").submit().assign().accept().answer().pause(after=24)
    assert "on_time.resolve" not in asked(paused, known=30)
    resumed = paused.resume(after=48)
    assert "on_time.resolve" not in asked(resumed, known=8.9)
    assert asked(resumed, known=9)["on_time.resolve"] == [0]
    assert asked(resumed.resolve(after=24 * 5), 9, 10)["on_time.resolve"] == [1]


def test_a_pause_after_the_due_time_excuses_nothing() -> None:
    log = CaseLog("c").submit().assign().accept().pause(after=8 * 24)
    assert asked(log, known=30)["on_time.resolve"] == [0]


def test_a_later_pause_does_not_move_what_was_done_in_time() -> None:
    log = CaseLog("c").submit().assign().accept().answer(after=71).pause(after=24).resume(after=480)
    assert asked(log, 3, 4)["on_time.first_response"] == [1]


def test_silence_is_never_satisfaction() -> None:
    found = asked(CaseLog("c").submit().assign().accept().resolve().close("unrated", after=400))
    assert found["answered"] == [0]
    assert not any(figure.startswith("satisfaction") for figure in found)


def test_each_resolution_invites_and_is_judged_for_itself() -> None:
    log = CaseLog("c").submit().assign().accept().resolve(after=1).rate("dissatisfied", after=1).reopen()
    found = asked(log.resolve(after=1).rate("basically", after=1).close("rated"))
    assert found["answered"] == [1, 1]
    assert found["satisfaction.strict"] == [0, 0]
    assert found["satisfaction.broad"] == [0, 1]
    assert found["satisfaction.weighted"] == [0, 9]


def test_the_outcome_counted_is_the_first_resolution_s() -> None:
    log = CaseLog("c").submit().assign().accept().resolve("planned").rate("dissatisfied").reopen()
    found = asked(log.resolve("solved", after=1))
    assert found["outcome.planned"] == [1]
    assert "outcome.solved" not in found
    assert found["achievement.strict"] == [0]
    assert found["achievement.broad"] == [1]


@pytest.mark.parametrize(("days", "expected"), [(30, [1]), (31, [0])])
def test_a_case_is_reopened_within_thirty_days_or_it_is_not(days: int, expected: list[Added]) -> None:
    log = CaseLog("c").submit().assign().accept().resolve().rate("dissatisfied", after=24 * days).reopen()
    assert asked(log)["reopened_30d"] == expected


def test_returns_and_breaches_are_counted_when_they_happen() -> None:
    log = CaseLog("c").submit().assign().give_back(after=30).assign().give_back(after=1).assign()
    found = asked(log.breach("acknowledge", after=1))
    assert found["returned"] == [1, 1]
    assert found["returned_share"] == [1]
    assert found["breached.acknowledge"] == [1]
    assert "returned" not in asked(log, 0, 1)


def test_an_unresolved_case_is_censored_when_it_closes_or_at_as_of() -> None:
    assert asked(CaseLog("c").submit(), known=9)["closure_estimate"] == [(9 * DAY, False)]
    withdrawn = CaseLog("c").submit().close("withdrawn", after=24)
    assert asked(withdrawn, known=9)["closure_estimate"] == [(DAY, False)]
    resolved = CaseLog("c").submit().assign().accept().resolve(after=48)
    assert asked(resolved, known=9)["closure_estimate"] == [(2 * DAY, True)]


@pytest.mark.parametrize("seed", range(100))
def test_the_time_to_closure_is_wholly_attributed_to_who_held_the_case(seed: int) -> None:
    found = asked(life(seed), 0, 3000, known=3000)
    if "closure" in found:
        parts = [found[f"held.{part}"][0] for part in ("unassigned", "earlier", "resolver")]
        assert sum(int(part) for part in parts if not isinstance(part, tuple)) == found["closure"][0]


def test_the_holder_who_had_the_case_before_is_charged_with_that_time_and_no_more() -> None:
    log = CaseLog("c").submit().assign("D1", after=1).give_back(after=2).assign("D2", after=4).accept()
    found = asked(log.pause(after=1).resume(after=8).resolve(after=16))
    assert found["held.unassigned"] == [5 * HOUR]
    assert found["held.earlier"] == [2 * HOUR]
    assert found["held.resolver"] == [25 * HOUR]
    assert found["held.paused"] == [8 * HOUR]


def test_the_final_closure_ends_with_the_last_resolution_before_the_closing() -> None:
    log = CaseLog("c").submit().assign().accept().resolve(after=24).rate("dissatisfied").reopen()
    log.resolve("explained", after=24).close("unrated", after=24 * 14)
    assert asked(log, 16, 17)["final_closure"] == [2 * DAY]
    assert "final_closure" not in asked(log, 0, 16)


def test_times_are_exact_to_the_millisecond() -> None:
    log = CaseLog("c", MONDAY + timedelta(microseconds=1999)).submit().assign()
    log.add(
        "opinion.accepted", log.accept().events.pop().data, at=MONDAY + timedelta(seconds=1, microseconds=1)
    )
    assert asked(log)["acknowledge"] == [999]
