import asyncio
import csv
import io
import json
import threading
from collections.abc import AsyncIterator, Iterable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.metrics.story import MONDAY, CaseLog, lives

from lianxin_metrics import reports
from lianxin_metrics.aggregate import DAY_MS
from lianxin_metrics.facts import Fact, fold
from lianxin_metrics.figures import Question
from lianxin_metrics.reports import ROW_COLUMNS, By, closure_report, period_report, to_csv
from lianxin_metrics.windows import Window

CITY = ZoneInfo("Asia/Shanghai")
START = int(MONDAY.timestamp() * 1000)
Steps = tuple[str, list[tuple[int, int, str]]]


async def each(items: Iterable[Any]) -> AsyncIterator[list[Any]]:
    """As the store gives them: in pieces."""
    left = list(items)
    while left:
        yield left[:7]
        del left[:7]


def facts(logs: Iterable[CaseLog]) -> list[Fact]:
    found = []
    for log in logs:
        fact = Fact(case=log.case)
        for event in log.events:
            fact = fold(fact, event, lambda topic: topic)
        found.append(fact)
    return found


def question(days: int = 200, known: int = 400, newest: int = 400) -> Question:
    return Question(Window(START, START + days * DAY_MS), START + known * DAY_MS, START + newest * DAY_MS)


async def report(logs: Iterable[CaseLog], ask: Question, alerts: Iterable[Steps] = ()) -> dict[str, Any]:
    heading = {"report": "year", "name": "2026"}
    return await period_report(each(facts(logs)), each(alerts), heading, ask, CITY)


async def closure(logs: Iterable[CaseLog], by: By | None = None) -> dict[str, Any]:
    return await closure_report(each(facts(logs)), by, {"report": "closure", "name": "x"}, question(), CITY)


def figure(found: dict[str, Any], name: str, by: str = "all", group: str = "all") -> dict[str, Any]:
    rows = [r for r in found["figures"] if (r["figure"], r["by"], r["group"]) == (name, by, group)]
    assert len(rows) == 1
    return dict(rows[0])


async def test_the_same_question_gets_the_same_bytes_whatever_the_order_of_the_facts() -> None:
    logs = lives(range(120))
    first = json.dumps(await report(logs, question()))
    assert first == json.dumps(await report(list(reversed(logs)), question()))


async def test_nothing_happened_gives_zero_counts_and_null_rates() -> None:
    found = await report([], question())
    for row in found["figures"]:
        if row["kind"] == "count":
            assert row["value"] == 0
        else:
            assert row["n"] == 0
            assert row.get("value") is None
            assert row.get("median_ms") is None


async def test_every_rate_says_its_denominator_its_window_and_its_basis() -> None:
    found = await report(lives(range(60)), question())
    rates = [row for row in found["figures"] if row["kind"] == "rate"]
    assert rates
    for row in rates:
        assert isinstance(row["n"], int)
        assert row["basis"]
        assert (row["from"], row["to"]) == (found["from"], found["to"])
        if row["n"] and row["scale"] == 1:
            assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1


async def test_districts_and_topics_each_add_up_to_the_whole() -> None:
    found = await report(lives(range(150)), question())
    for name in ("submitted", "resolved", "closed", "returned"):
        whole = figure(found, name)["value"]
        for by in ("district", "topic"):
            assert sum(r["value"] for r in found["figures"] if r["by"] == by and r["figure"] == name) == whole


async def test_an_estimate_needs_twenty_cases() -> None:
    few = await report([CaseLog(str(n)).submit().assign().accept().resolve() for n in range(19)], question())
    enough = await report(
        [CaseLog(str(n)).submit().assign().accept().resolve() for n in range(20)], question()
    )
    assert figure(few, "closure_estimate")["median_ms"] is None
    assert figure(enough, "closure_estimate")["median_ms"] == 0


@pytest.mark.parametrize("work", ["added_by", "nearest_rank", "first_resolution"])
async def test_while_a_report_is_computed_the_process_goes_on_with_other_requests(
    work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    computing, others_went_on = threading.Event(), threading.Event()
    whole = getattr(reports, work)

    def held(*arguments: Any) -> Any:
        computing.set()
        assert others_went_on.wait(10), "nothing else was done until the report was ready"
        return whole(*arguments)

    monkeypatch.setattr(reports, work, held)
    asked = closure(lives(range(9))) if work == "first_resolution" else report(lives(range(9)), question())
    answer = asyncio.create_task(asked)
    assert await asyncio.to_thread(computing.wait, 10)
    others_went_on.set()
    assert (await answer)["figures"]


async def test_a_report_of_a_window_that_is_not_over_says_so() -> None:
    assert (await report([], question(known=400)))["complete"]
    assert not (await report([], question(known=100)))["complete"]


async def test_a_report_whose_log_does_not_reach_the_window_s_end_is_not_complete_whatever_as_of() -> None:
    assert not (await report([], question(known=400, newest=199)))["complete"]
    assert (await report([], question(known=400, newest=200)))["complete"]


async def test_closures_are_grouped_by_where_the_case_was_when_it_was_resolved() -> None:
    log = CaseLog("c", district="320213").submit().assign().accept().resolve("planned", after=24)
    log.rate("dissatisfied").reopen()
    log.district = "320205"
    log.give_back().assign("D2").accept().resolve("solved", after=24).close("unrated", after=1)
    by_district = await closure([log], "district")
    assert figure(by_district, "closure", "district", "320213")["sum_ms"] == DAY_MS
    assert figure(by_district, "closure", "district", "320205")["n"] == 0
    assert figure(by_district, "final_closure", "district", "320205")["sum_ms"] == 2 * DAY_MS
    by_outcome = await closure([log], "outcome")
    assert figure(by_outcome, "closure", "outcome", "planned")["n"] == 1
    assert figure(by_outcome, "final_closure", "outcome", "solved")["n"] == 1


async def test_closures_have_exact_sums_and_percentiles_that_occurred() -> None:
    hours = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    logs = [CaseLog(str(h)).submit().assign().accept().resolve(after=h) for h in hours]
    row = figure(await closure(logs), "closure")
    assert (row["n"], row["sum_ms"], row["median_ms"], row["p90_ms"]) == (
        10, 55 * 3_600_000, 5 * 3_600_000, 9 * 3_600_000
    )  # fmt: skip


async def test_an_alert_counts_as_delivered_by_its_last_step_known() -> None:
    alerts: list[Steps] = [
        ("mail", [(START, 1, "attempting"), (START, 1, "sent")]),
        ("mail", [(START, 1, "attempting"), (START + 5, 1, "failed"), (START + 9, 2, "sent")]),
        ("mail", [(START, 1, "skipped")]),
        ("push", [(START, 1, "attempting"), (START + 5, 1, "dead")]),
    ]
    whole = await report([], question(), alerts)
    assert figure(whole, "alerts_delivered", "channel", "mail")["numerator"] == 2
    assert figure(whole, "alerts_delivered", "channel", "mail")["n"] == 2
    assert figure(whole, "alerts_delivered", "channel", "push")["value"] == 0
    early = await report([], Question(question().window, START + 7, START + 7), alerts)
    assert figure(early, "alerts_delivered", "channel", "mail")["numerator"] == 1


async def test_csv_says_the_same_as_json_with_empty_fields_for_null() -> None:
    found = await report(lives(range(30)), question())
    text = to_csv(found["figures"], ROW_COLUMNS, {"report": "year"})
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(found["figures"])
    for read, row in zip(rows, found["figures"], strict=True):
        assert read["report"] == "year"
        for column in ROW_COLUMNS:
            assert read[column] == ("" if row.get(column) is None else str(row[column]))
