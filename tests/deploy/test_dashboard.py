"""The dashboard: what is committed is what its code makes, and every panel shows something where
opinions live."""

import asyncio
import json
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from deploy.grafana.draw import Prometheus as Reader
from deploy.grafana.draw import draw, shown
from deploy.grafana.flow import OUT, SAMPLE_CITY, made, rows
from deploy.grafana.panels import WIDTH, Panel, Query, Row, layout
from lianxin_metrics.exported import METRICS, metric_name
from tests.deploy.compose import ROOT
from tests.deploy.prometheus import Prometheus
from tests.docs.test_documents import metrics_in_code
from tests.end_to_end.drive import Drive
from tests.end_to_end.journey import Shares
from tests.end_to_end.surface import Addresses, Surface
from tests.support.stacks import LocalStack
from tests.support.wait import eventually

OPINIONS = 40
PANELS = [panel for row in rows(SAMPLE_CITY) for panel in row.panels]
# What Prometheus and its client library export by themselves.
OTHERS = {"up", "process_resident_memory_bytes", "process_start_time_seconds", "ALERTS"}


def test_the_committed_dashboard_is_what_its_code_makes():
    assert OUT.read_text("utf-8") == made(), "python -m deploy.grafana.flow"


def test_no_two_panels_lie_over_each_other_and_every_line_is_full():
    taken: set[tuple[int, int]] = set()
    for at in layout(rows(SAMPLE_CITY)):
        here = {(x, y) for x in range(at.x, at.x + at.width) for y in range(at.y, at.y + at.height)}
        assert not here & taken, at.title
        assert at.x + at.width <= WIDTH
        taken |= here


def test_a_row_that_leaves_a_gap_is_refused():
    narrow = Panel("一", "stat", (Query("up", "up"),), 5, 4, "")

    with pytest.raises(ValueError, match="5 of 24"):
        layout([Row("行", (narrow,))])


def test_every_title_is_chinese_with_english_beside():
    for at in layout(rows(SAMPLE_CITY)):
        assert re.match(r"^[\u4e00-\u9fff].* · [A-Z]", at.title), at.title


def test_the_rows_follow_an_opinion_on_its_way():
    order = [row.title.split(" · ")[0] for row in rows(SAMPLE_CITY)]

    assert order == ["一览", "提出", "交办", "提醒", "办理", "办结", "满意", "运行"]


@cache
def exported() -> frozenset[str]:
    """Every metric that a process of Lianxin exports, by the names of its series."""
    names = metrics_in_code() | {metric_name(metric) for metric in METRICS}
    return frozenset(names | {f"{name}_{part}" for name in names for part in ("bucket", "sum", "count")})


@cache
def recorded() -> frozenset[str]:
    """What the recording rules make of it."""
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text("utf-8"))["groups"]
    return frozenset(rule["record"] for group in groups for rule in group["rules"])


def metrics_of(expression: str) -> set[str]:
    """The names of series in an expression: what is no function, label or keyword."""
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", expression)
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\[[^\]]*\]", " ", bare)
    words = set(re.findall(r"[A-Za-z_:][\w:]*(?!\w*\s*\()", bare))
    return words - {"or", "and", "unless", "offset", "by", "bool", "inf", "d", "h", "m", "s"} - {"$district"}


def test_the_names_of_metrics_are_found_in_an_expression():
    found = metrics_of(
        'sum by (job) (rate(lianxin_a_total{x="up"}[5m])) or vector(0) > 0.5 * max(lianxin_b offset 1m)'
    )

    assert found == {"lianxin_a_total", "lianxin_b"}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_a_panel_asks_for_metrics_that_are_exported(panel: Panel):
    for query in panel.queries:
        assert metrics_of(query.expression) - exported() - recorded() - OTHERS == set()


@pytest.mark.parametrize("file", ["rules.yml", "alerts.yml"])
def test_a_rule_asks_for_metrics_that_are_exported(file: str):
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / file).read_text("utf-8"))["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert metrics_of(rule["expr"]) - exported() - OTHERS == set(), rule


def test_figures_that_every_instance_tells_are_never_added_up():
    own = {name for metric in METRICS for name in (metric_name(metric),)}
    for panel in PANELS:
        for query in panel.queries:
            for name in own:
                for place in re.finditer(rf"{name}(_bucket|_count|_sum)?\b", query.expression):
                    before = query.expression[: place.start()]
                    assert re.search(r"max by \([\w, ]+\) \($", before), query.expression


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "words"),
    [
        (0.034, "s", None, "34 ms"),
        (277.4 * 3600, "s", 1, "11.6 d"),
        (0.256, "percentunit", 0, "26%"),
        (123456, "short", 0, "123,456"),
        (math.nan, "s", None, "–"),
    ],
)
def test_values_are_written_with_their_units(value: float, unit: str, decimals: int | None, words: str):
    assert shown(value, unit, decimals) == words


@pytest.fixture(scope="module")
def living(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus on a stack where some dozens of opinions are on their way: some closed, some waiting."""
    prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), stack.port_base)

    async def live() -> None:
        async with Surface(Addresses.of_status(stack.status()), patience_s=300) as surface:
            drive = Drive(surface, seed=8, concurrency=8, patience_s=300)
            await drive.learn()
            for part in range(2):  # twice, so that every counter is seen to rise
                await drive.see_through(drive.drafts(OPINIONS // 2, run=f"life{part}"), Shares())

    try:
        asyncio.run(live())
        yield prometheus
    finally:
        prometheus.kill()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.title)
def test_every_panel_shows_something_on_a_stack_that_lives(living: Prometheus, panel: Panel):
    def all_there() -> bool:
        reader = Reader(living.url, minutes=10)
        for query in panel.queries:
            series = reader.series(query, panel)
            assert any(not math.isnan(value) for one in series for _, value in one.points), query.expression
        return True

    eventually(all_there, timeout=60, every=1)


def test_the_whole_dashboard_can_be_drawn(living: Prometheus, tmp_path: Path):
    out = tmp_path / "flow.png"

    draw(living.url, out, minutes=5)

    assert out.read_bytes().startswith(b"\x89PNG")


def test_no_alert_but_the_watchdog_fires_where_all_is_well(living: Prometheus):
    def firing() -> set[str]:
        return {one["metric"]["alertname"] for one in living.query('ALERTS{alertstate="firing"}')}

    assert eventually(firing, timeout=60) == {"Watchdog"}


def test_the_committed_dashboard_names_its_data_source_by_choice():
    told = json.loads(OUT.read_text("utf-8"))

    sources = {json.dumps(panel["datasource"]) for panel in told["panels"] if panel["type"] != "row"}
    assert sources == {json.dumps({"type": "prometheus", "uid": "${datasource}"})}
