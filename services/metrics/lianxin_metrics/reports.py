"""Reports: a function of the facts, the window and `as_of`, and of nothing else. No time of making is in
them, so the same question gets the same bytes.

A year's report takes a minute's work for a million cases, so all of it is done in threads: the process goes
on answering health checks and Prometheus meanwhile.
"""

import asyncio
import csv
import io
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from zoneinfo import ZoneInfo

from lianxin_metrics.arithmetic import kaplan_meier, nearest_rank, wilson
from lianxin_metrics.definitions import BY_ID, FIGURES, VERSION, Definition
from lianxin_metrics.facts import Closing, Fact, Resolution
from lianxin_metrics.figures import Added, Question, added_by, final_resolution, first_resolution, submitted
from lianxin_metrics.store import Alert
from lianxin_metrics.view import as_of
from lianxin_metrics.windows import Window, written

By = Literal["district", "topic", "outcome"]
Row = dict[str, Any]

MIN_ESTIMATE = 20
"""Below so many cases no estimate is given."""
ALL = "all"
ROW_COLUMNS = (
    "by", "group", "figure", "version", "kind", "basis", "unit", "from", "to",
    "value", "n", "numerator", "scale", "low", "high", "sum_ms", "median_ms", "p90_ms",
)  # fmt: skip
_SHOWN = tuple(definition for definition in FIGURES if definition.id != "alerts_delivered")
_CLOSURE = (BY_ID["closure"], BY_ID["final_closure"])


@dataclass(slots=True)
class Tally:
    """What the cases of one group have added up to, by figure."""

    counts: Counter[str] = field(default_factory=Counter)
    numerators: Counter[str] = field(default_factory=Counter)
    values: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    lives: defaultdict[str, list[tuple[int, bool]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, figure: str, added: Added) -> None:
        """One case's contribution to one figure."""
        kind = BY_ID[figure].kind
        if isinstance(added, tuple):
            self.lives[figure].append(added)
        elif kind == "duration":
            self.values[figure].append(added)
        else:
            self.counts[figure] += 1
            self.numerators[figure] += added

    def row(self, definition: Definition) -> Row:
        """The published figure. An empty denominator makes null, never 0."""
        figure = definition.id
        if definition.kind == "count":
            return {"value": self.counts[figure]}
        if definition.kind == "rate":
            return _rate(self.numerators[figure], self.counts[figure], definition.scale)
        if definition.kind == "duration":
            ordered = sorted(self.values[figure])
            return {
                "n": len(ordered),
                "sum_ms": sum(ordered),
                "median_ms": nearest_rank(ordered, 50),
                "p90_ms": nearest_rank(ordered, 90),
            }
        lives = self.lives[figure]
        enough = len(lives) >= MIN_ESTIMATE
        return {
            "n": len(lives),
            "median_ms": kaplan_meier(lives, 50) if enough else None,
            "p90_ms": kaplan_meier(lives, 90) if enough else None,
        }


Groups = dict[tuple[str, str], Tally]


async def period_report(
    cases: AsyncIterator[Sequence[Fact]],
    alerts: AsyncIterator[Sequence[Alert]],
    heading: Row,
    question: Question,
    zone: ZoneInfo,
) -> Row:
    """Every figure for a window: over all, and by district and first-level topic (where the case was placed
    at `as_of`), and the alerts by channel. `heading` names the report."""
    groups: Groups = {(ALL, ALL): Tally()}
    async for facts in cases:
        await asyncio.to_thread(_add_to_period, groups, facts, question)
    reached: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    async for begun in alerts:
        await asyncio.to_thread(_add_alerts, reached, tried, begun, question)

    def rows() -> list[Row]:
        figures = _rows(groups, _SHOWN, question.window, zone)
        return [*figures, *_alert_rows(reached, tried, question, zone)]

    return _report(heading, question, zone, await asyncio.to_thread(rows))


async def closure_report(
    cases: AsyncIterator[Sequence[Fact]], by: By | None, heading: Row, question: Question, zone: ZoneInfo
) -> Row:
    """How long cases took that were first resolved (closure) or closed (final closure) in the window. A case
    counts where the panels count it: in the district and topic in which it was then, under that resolution's
    outcome."""
    groups: Groups = {(ALL, ALL): Tally()}
    async for facts in cases:
        await asyncio.to_thread(_add_to_closure, groups, facts, by, question)
    rows = await asyncio.to_thread(lambda: list(_rows(groups, _CLOSURE, question.window, zone)))
    return _report(heading, question, zone, rows)


def _add_to_period(groups: Groups, facts: Iterable[Fact], question: Question) -> None:
    for fact in facts:
        if (case := as_of(fact, question.as_of)) is None:
            continue
        tallies = [groups.setdefault(key, Tally()) for key in _groups_of(case)]
        for figure, added in added_by(case, question):
            for tally in tallies:
                tally.add(figure, added)


def _add_to_closure(groups: Groups, facts: Iterable[Fact], by: By | None, question: Question) -> None:
    for fact in facts:
        if (case := as_of(fact, question.as_of)) is None:
            continue
        if first := first_resolution(case, question.window):
            took = first.at - submitted(case)
            for key in _closure_groups(by, first, first.outcome):
                groups.setdefault(key, Tally()).add("closure", took)
        if last := final_resolution(case, question.window):
            took = last.at - submitted(case)
            for key in _closure_groups(by, case.closings[0], last.outcome):
                groups.setdefault(key, Tally()).add("final_closure", took)


def to_csv(rows: Sequence[Row], columns: Sequence[str], leading: Row) -> str:
    """`rows` as CSV (RFC 4180), each with what `leading` says; null is an empty field."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*leading, *columns])
    for row in rows:
        cells = [*leading.values(), *(row.get(column) for column in columns)]
        writer.writerow(["" if cell is None else _cell(cell) for cell in cells])
    return out.getvalue()


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _report(heading: Row, question: Question, zone: ZoneInfo, rows: list[Row]) -> Row:
    return {
        **heading,
        "zone": zone.key,
        "from": written(question.window.start, zone),
        "to": written(question.window.end, zone),
        "as_of": written(question.as_of, zone) if question.as_of else None,
        "complete": min(question.as_of, question.newest) >= question.window.end,
        "definitions": VERSION,
        "figures": rows,
    }


def _rows(groups: Groups, definitions: Iterable[Definition], window: Window, zone: ZoneInfo) -> Iterator[Row]:
    for by, group in sorted(groups, key=lambda key: (key[0] != ALL, key)):
        for definition in definitions:
            values = groups[by, group].row(definition)
            yield _row(by, group, definition, window, zone) | values


def _row(by: str, group: str, definition: Definition, window: Window, zone: ZoneInfo) -> Row:
    return {
        "by": by,
        "group": group,
        "figure": definition.id,
        "version": definition.version,
        "kind": definition.kind,
        "basis": definition.basis,
        "unit": definition.unit,
        "from": written(window.start, zone),
        "to": written(window.end, zone),
    }


def _rate(numerator: int, n: int, scale: int = 1) -> Row:
    interval = wilson(numerator, n) if scale == 1 else None
    return {
        "value": round(numerator / (n * scale), 6) if n else None,
        "n": n,
        "numerator": numerator,
        "scale": scale,
        "low": round(interval[0], 6) if interval else None,
        "high": round(interval[1], 6) if interval else None,
    }


def _groups_of(case: Fact) -> list[tuple[str, str]]:
    return [(ALL, ALL), ("district", case.district), ("topic", case.first_level)]


def _closure_groups(by: By | None, event: Resolution | Closing, outcome: str) -> list[tuple[str, str]]:
    if by is None:
        return [(ALL, ALL)]
    group = {"district": event.district, "topic": event.first_level, "outcome": outcome}[by]
    return [(ALL, ALL), (by, group)]


def _add_alerts(
    reached: Counter[str], tried: Counter[str], alerts: Iterable[Alert], question: Question
) -> None:
    """By channel. Within an instant an attempt's result follows its beginning."""
    for channel, steps in alerts:
        known = [
            (at, attempt, status != "attempting", status)
            for at, attempt, status in steps
            if at <= question.as_of
        ]
        if not known or (last := max(known)[-1]) == "skipped":
            continue
        tried[channel] += 1
        reached[channel] += last == "sent"


def _alert_rows(reached: Counter[str], tried: Counter[str], question: Question, zone: ZoneInfo) -> list[Row]:
    """Per channel how many alerts arrived."""
    definition = BY_ID["alerts_delivered"]
    return [
        _row("channel", channel, definition, question.window, zone) | _rate(reached[channel], tried[channel])
        for channel in sorted(tried)
    ]
