"""The rule of every figure of a report: what one case adds to it. The words are in `definitions.py`.

A rule gets the case as it was at `as_of` and says what it adds: 1 for a count, a numerator (0 for none) for
a rate, milliseconds for a duration, (milliseconds, done?) for an estimate. Rules never see another case.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from lianxin_metrics.aggregate import DAY_MS
from lianxin_metrics.facts import Dues, Fact, Resolution
from lianxin_metrics.windows import Window

Clock = Literal["acknowledge", "first_response", "resolve"]
Added = int | tuple[int, bool]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: about `window`, with what is known at `as_of` (ms). `newest` is the time of the newest
    event that is in the facts: a later `as_of` asks for all of them, and nobody knows yet what else belongs
    to it."""

    window: Window
    as_of: int
    newest: int

    @property
    def begin(self) -> int:
        """The first instant that counts: a stock is counted at `as_of`, also before the window begins."""
        return min(self.window.start, self.end)

    @property
    def end(self) -> int:
        """The last instant that counts for a stock: before the window's end, not after `as_of`."""
        return min(self.window.end - 1, self.as_of)


Rule = Callable[[Fact, Question], Iterator[Added]]


def added_by(fact: Fact, question: Question) -> Iterator[tuple[str, Added]]:
    """Everything that `fact`, already viewed as of `question.as_of`, adds: (figure's id, what)."""
    for figure, rule in RULES.items():
        for added in rule(fact, question):
            yield figure, added


def _submitted(case: Fact, ask: Question) -> Iterator[Added]:
    if case.submitted in ask.window:
        yield 1


def _assigned(case: Fact, ask: Question) -> Iterator[Added]:
    if first_assigned(case) in ask.window:
        yield 1


def _resolved(case: Fact, ask: Question) -> Iterator[Added]:
    if first_resolution(case, ask.window):
        yield 1


def _outcome(code: str, case: Fact, ask: Question) -> Iterator[Added]:
    if (first := first_resolution(case, ask.window)) and first.outcome == code:
        yield 1


def _closed(case: Fact, ask: Question) -> Iterator[Added]:
    if case.closings and case.closings[0].at in ask.window:
        yield 1


def _returned(case: Fact, ask: Question) -> Iterator[Added]:
    yield from (1 for given_back in case.returns if given_back.at in ask.window)


def _reopened(case: Fact, ask: Question) -> Iterator[Added]:
    yield from (1 for at in case.reopens if at in ask.window)


def _breached(clock: str, case: Fact, ask: Question) -> Iterator[Added]:
    yield from (1 for breach in case.breaches if breach.clock == clock and breach.at in ask.window)


def _open(case: Fact, ask: Question) -> Iterator[Added]:
    if open_at(case, ask.end):
        yield 1


def _open_over(days: int, case: Fact, ask: Question) -> Iterator[Added]:
    if open_at(case, ask.end):
        yield int(ask.end - submitted(case) > days * DAY_MS)


def _acknowledge(case: Fact, ask: Question) -> Iterator[Added]:
    if case.accepted in ask.window:
        yield (case.accepted or 0) - submitted(case)


def _first_response(case: Fact, ask: Question) -> Iterator[Added]:
    if case.responded in ask.window:
        yield (case.responded or 0) - submitted(case)


def _closure(case: Fact, ask: Question) -> Iterator[Added]:
    if first := first_resolution(case, ask.window):
        yield first.at - submitted(case)


def _final_closure(case: Fact, ask: Question) -> Iterator[Added]:
    if last := final_resolution(case, ask.window):
        yield last.at - submitted(case)


def _closure_estimate(case: Fact, ask: Question) -> Iterator[Added]:
    if case.submitted not in ask.window:
        return
    if case.resolutions:
        yield case.resolutions[0].at - submitted(case), True
    else:
        censored = case.closings[0].at if case.closings else ask.as_of
        yield censored - submitted(case), False


def _held(part: Literal["unassigned", "earlier", "resolver"], case: Fact, ask: Question) -> Iterator[Added]:
    first = first_resolution(case, ask.window)
    if not first:
        return
    held = 0
    for holding in case.holdings:
        whose = (
            "unassigned" if holding.deputy is None
            else "resolver" if holding.deputy == first.holder
            else "earlier"
        )  # fmt: skip
        if whose == part:
            held += overlap(holding.since, holding.until, first.at)
    yield held


def _paused(case: Fact, ask: Question) -> Iterator[Added]:
    if first := first_resolution(case, ask.window):
        yield sum(overlap(pause.since, pause.until, first.at) for pause in case.pauses)


def _on_time(clock: Clock, case: Fact, ask: Question) -> Iterator[Added]:
    met = {
        "acknowledge": case.accepted,
        "first_response": case.responded,
        "resolve": case.resolutions[0].at if case.resolutions else None,
    }[clock]
    due = _due(clock, case.dues, met)
    if due is None or due not in ask.window or due > ask.as_of:
        return
    if met is None:
        if any(pause.until is None and pause.since < due for pause in case.pauses):
            return
        if case.closings and case.closings[0].at <= due:
            return
    yield int(met is not None and met <= due)


def _due(clock: Clock, dues: tuple[Dues, ...], met: int | None) -> int | None:
    """When `clock` ran out, as known when it was met, or as known last: a later pause moves nothing that is
    done."""
    known = [due for due in dues if met is None or due.at <= met]
    if not known:
        return None
    last = known[-1]
    return {
        "acknowledge": last.acknowledge,
        "first_response": last.first_response,
        "resolve": last.resolve,
    }[clock]


def _answered(case: Fact, ask: Question) -> Iterator[Added]:
    yield from (int(score is not None) for score in scores(case, ask.window))


def _satisfaction(worth: dict[str, int], case: Fact, ask: Question) -> Iterator[Added]:
    yield from (worth.get(score, 0) for score in scores(case, ask.window) if score is not None)


def _achievement(outcomes: frozenset[str], case: Fact, ask: Question) -> Iterator[Added]:
    if first := first_resolution(case, ask.window):
        yield int(first.outcome in outcomes)


def _reopened_30d(case: Fact, ask: Question) -> Iterator[Added]:
    if first := first_resolution(case, ask.window):
        yield int(any(first.at <= at <= first.at + 30 * DAY_MS for at in case.reopens))


def _returned_share(case: Fact, ask: Question) -> Iterator[Added]:
    if first_assigned(case) in ask.window:
        yield int(bool(case.returns))


def submitted(case: Fact) -> int:
    """When the resident submitted it; a case that is viewed has been."""
    assert case.submitted is not None
    return case.submitted


def open_at(case: Fact, moment: int) -> bool:
    """Whether the case was submitted and not closed at `moment` (ms)."""
    stage = next((staged.stage for staged in reversed(case.stages) if staged.at <= moment), None)
    return stage is not None and stage != "closed"


def first_assigned(case: Fact) -> int | None:
    """When a deputy first got the case."""
    return next((holding.since for holding in case.holdings if holding.deputy is not None), None)


def first_resolution(case: Fact, window: Window) -> Resolution | None:
    """The case's first resolution, where it lies in `window`."""
    if case.resolutions and case.resolutions[0].at in window:
        return case.resolutions[0]
    return None


def final_resolution(case: Fact, window: Window) -> Resolution | None:
    """The last resolution before the case was first closed, where that closing lies in `window`."""
    if not case.closings or case.closings[0].at not in window:
        return None
    done = case.closings[0].resolutions
    return case.resolutions[done - 1] if done else None


def scores(case: Fact, window: Window) -> Iterator[str | None]:
    """For each resolution in `window` the resident's judgement of it, the last one given; None for
    silence."""
    for number, done in enumerate(case.resolutions, start=1):
        if done.at in window:
            yield next((rating.score for rating in reversed(case.ratings) if rating.of == number), None)


def overlap(since: int, until: int | None, end: int) -> int:
    """How much of [since, until) lies before `end`, ms."""
    return max(0, min(end if until is None else until, end) - since)


RULES: dict[str, Rule] = {
    "submitted": _submitted,
    "assigned": _assigned,
    "resolved": _resolved,
    "closed": _closed,
    "returned": _returned,
    "reopened": _reopened,
    **{
        f"breached.{c}": partial(_breached, c) for c in ("acknowledge", "first_response", "resolve", "triage")
    },
    **{
        f"outcome.{code}": partial(_outcome, code)
        for code in ("solved", "planned", "explained", "referred", "duplicate", "invalid")
    },
    "open": _open,
    **{f"open_over.{days}d": partial(_open_over, days) for days in (30, 60, 90)},
    "acknowledge": _acknowledge,
    "first_response": _first_response,
    "closure": _closure,
    "final_closure": _final_closure,
    "closure_estimate": _closure_estimate,
    "held.unassigned": partial(_held, "unassigned"),
    "held.earlier": partial(_held, "earlier"),
    "held.resolver": partial(_held, "resolver"),
    "held.paused": _paused,
    "on_time.acknowledge": partial(_on_time, "acknowledge"),
    "on_time.first_response": partial(_on_time, "first_response"),
    "on_time.resolve": partial(_on_time, "resolve"),
    "answered": _answered,
    "satisfaction.strict": partial(_satisfaction, {"satisfied": 1}),
    "satisfaction.broad": partial(_satisfaction, {"satisfied": 1, "basically": 1}),
    "satisfaction.weighted": partial(_satisfaction, {"satisfied": 10, "basically": 9}),
    "achievement.strict": partial(_achievement, frozenset({"solved"})),
    "achievement.broad": partial(_achievement, frozenset({"solved", "planned"})),
    "reopened_30d": _reopened_30d,
    "returned_share": _returned_share,
}
