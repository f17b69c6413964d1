"""The reports' door: windows, formats, `as_of`, problems; on a real database, without a broker."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from lianxin_chassis import exits
from lianxin_contracts.envelope import to_record
from lianxin_metrics import api
from lianxin_metrics.api import create_app
from lianxin_metrics.exporter import Refresher
from lianxin_metrics.settings import MetricsSettings
from tests.metrics.published import EPOCH, said
from tests.metrics.published_report import expected_report
from tests.metrics.serving import serving
from tests.metrics.story import lives, mixed
from tests.support.databases import Database
from tests.support.wait import eventually

EVENTS = mixed(lives(range(200)), 9)
LOG = [said(r.key, r.value or b"", r.headers) for r in (to_record(e, "x", e.subject) for e in EVENTS)]
Answers = Callable[..., Any]


@pytest.fixture(scope="module")
def city(database: Database) -> Iterator[TestClient]:
    with serving(database.url, EVENTS) as client:
        yield client


@pytest.fixture(scope="module")
def empty(database: Database) -> Iterator[TestClient]:
    with serving(database.url, []) as client:
        yield client


def ms(text: str) -> int:
    return int((datetime.fromisoformat(text) - EPOCH).total_seconds() * 1000)


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("year", {"year": "2024"}),
        ("year", {"year": "2025"}),
        ("quarter", {"quarter": "2024-Q4"}),
        ("month", {"month": "2024-11"}),
        ("month", {"month": "2024-12"}),
        ("month", {"month": "2024-12", "as_of": "2024-12-20"}),
        ("day", {"date": "2024-11-12"}),
        ("day", {"date": "2024-11-06", "as_of": "2024-11-06T12:34:56.789+08:00"}),
        ("month", {"month": "2025-03", "as_of": "2024-11-20"}),
    ],
)
def test_every_figure_of_a_period_s_report_follows_from_the_log(
    city: TestClient, path: str, params: dict[str, str]
) -> None:
    report = city.get(f"/v1/reports/{path}", params=params).json()
    expected = expected_report(LOG, ms(report["from"]), ms(report["to"]), ms(report["as_of"]))
    rows = {r["figure"]: r for r in report["figures"] if r["by"] == "all"}
    assert set(rows) == {*expected, "closure_estimate"}
    for figure, value in expected.items():
        row = rows[figure]
        if row["kind"] == "count":
            assert row["value"] == value, figure
        elif row["kind"] == "rate":
            assert (row["numerator"], row["n"]) == value, figure
        else:
            assert (row["n"], row["sum_ms"]) == (len(value), sum(value)), figure
            assert row["median_ms"] == (value[-(-len(value) // 2) - 1] if value else None), figure


def test_a_report_as_of_a_moment_is_the_report_of_the_log_up_to_then(
    city: TestClient, database: Database
) -> None:
    moment = "2024-12-24T10:00:00+08:00"
    known = [event for event in EVENTS if event.time <= datetime.fromisoformat(moment)]
    with serving(database.url, known) as then:
        for path in (
            "year?year=2024",
            "quarter?date=2024-11-30",
            "closure?from=2024-11-01&to=2025-06-01&by=topic",
            "month?month=2025-06",  # as known before it begins: the stock is that of `as_of`
        ):
            query = f"/v1/reports/{path}&as_of=2024-12-24T02:00:00Z"
            assert city.get(query).content == then.get(query).content


@pytest.mark.parametrize("kind", ["day", "month", "quarter", "year"])
def test_by_default_a_report_is_of_the_period_of_the_newest_event_and_as_of_it(
    city: TestClient, kind: str
) -> None:
    report = city.get(f"/v1/reports/{kind}").json()
    newest = max(record.at for record in LOG)
    assert ms(report["as_of"]) == newest
    assert ms(report["from"]) <= newest < ms(report["to"])
    assert not report["complete"]


def test_a_report_says_nothing_of_when_it_was_made(city: TestClient) -> None:
    query = "/v1/reports/month?month=2024-12"
    assert city.get(query).content == city.get(query).content
    assert "generated" not in city.get(query).text


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("day?date=2026-02-30", "wrong_window"),
        ("day?date=2026-02", "wrong_window"),
        ("month?month=2026-13", "wrong_window"),
        ("month?month=2026-11&date=2026-11-01", "wrong_window"),
        ("quarter?quarter=2026-4", "wrong_window"),
        ("year?year=MMXXVI", "wrong_window"),
        ("month?month=2026-11&as_of=yesterday", "wrong_window"),
        ("month?month=2026-11&as_of=2026-11-01T00:00:00", "wrong_window"),
        ("year?year=0001", "wrong_window"),
        ("day?as_of=9999-12-31T23:00:00Z", "wrong_window"),
        ("closure?from=2026-11-02&to=2026-11-01", "wrong_window"),
        ("closure?from=2026-11-02&to=2026-11-02", "wrong_window"),
        ("closure?from=2026-11-02", "invalid"),
        ("closure?from=2026-11-01&to=2026-11-02&by=deputy", "invalid"),
        ("month?month=2026-11&format=xml", "invalid"),
    ],
)
def test_a_question_without_sense_is_answered_with_a_problem(city: TestClient, query: str, code: str) -> None:
    answer = city.get(f"/v1/reports/{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code


def test_an_unknown_report_is_a_problem_too(city: TestClient) -> None:
    answer = city.get("/v1/reports/week")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("params", "headers"),
    [({"format": "csv"}, {}), ({}, {"Accept": "text/csv"}), ({}, {"Accept": "text/csv;q=0.9"})],
)
def test_csv_comes_by_format_or_by_accept(
    city: TestClient, params: dict[str, str], headers: dict[str, str]
) -> None:
    answer = city.get("/v1/reports/month", params={"month": "2024-12", **params}, headers=headers)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    report = city.get("/v1/reports/month", params={"month": "2024-12"}).json()
    assert len(rows) == len(report["figures"])
    assert {row["as_of"] for row in rows} == {report["as_of"]}
    assert {row["name"] for row in rows} == {"2024-12"}


def test_format_wins_over_accept(city: TestClient) -> None:
    query = "/v1/reports/month?month=2024-12&format=json"
    assert city.get(query, headers={"Accept": "text/csv"}).json()["report"] == "month"


def test_before_anything_happened_a_report_has_zeros_and_nulls_and_no_as_of(empty: TestClient) -> None:
    report = empty.get("/v1/reports/year?year=2026").json()
    assert report["as_of"] is None
    assert {row["value"] for row in report["figures"] if row["kind"] == "count"} == {0}
    assert {row["value"] for row in report["figures"] if row["kind"] == "rate"} == {None}


def test_definitions_say_what_every_figure_of_a_report_means(city: TestClient) -> None:
    told = city.get("/v1/definitions").json()
    defined = {figure["id"]: figure for figure in told["figures"]}
    report = city.get("/v1/reports/month?month=2024-12").json()
    assert report["definitions"] == told["version"]
    for row in report["figures"]:
        assert defined[row["figure"]]["version"] == row["version"]
        assert row["basis"] in told["bases"]
    assert {m["metric"] for m in told["metrics"]} >= {"lianxin_cases", "lianxin_closure_seconds"}
    rows = list(csv.DictReader(io.StringIO(city.get("/v1/definitions?format=csv").text)))
    assert len(rows) == len(told["figures"]) + len(told["metrics"])


def test_the_process_ends_where_its_figures_can_t_be_read_for_another_reason_than_an_outage(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths: list[str] = []

    class Broken(Refresher):
        async def refresh(self) -> None:
            raise KeyError("batch")

    # In this application alone: those of other tests refresh in this process, and would die as well.
    monkeypatch.setattr(api, "Refresher", Broken)
    monkeypatch.setattr(exits, "die", lambda _, part, error: deaths.append(f"{part}: {error}"))
    with TestClient(create_app(MetricsSettings(mongo_url=database.url))):
        eventually(lambda: deaths == ["refresher: KeyError('batch')"], timeout=120)


def test_with_the_database_away_reports_say_so_and_come_back(
    make_database: Callable[[], Database],
) -> None:
    server = make_database()
    held: AbstractContextManager[TestClient] = serving(server.url, EVENTS[:50])
    with held as client:
        before = client.get("/v1/reports/year?year=2024").content
        shown = [
            line for line in client.get("/metrics").text.splitlines() if "lianxin_opinion_events" in line
        ]
        server.kill()
        answer = client.get("/v1/reports/year?year=2024")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.headers["content-type"] == "application/problem+json"
        still = client.get("/metrics").text.splitlines()
        assert [line for line in still if "lianxin_opinion_events" in line] == shown
        server.start()
        eventually(lambda: client.get("/v1/reports/year?year=2024").content == before, timeout=30)
