"""What a real Prometheus has scraped is what the log says by the published definitions (invariant 11)."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from tests.metrics.published import Said, by_case, published
from tests.metrics.running import OF_THE_FACTS, Running, Samples, differences, labels_of, publish, read_log
from tests.metrics.story import MONDAY, life, mixed
from tests.support.brokers import Broker
from tests.support.ports import free_port
from tests.support.processes import Spawned
from tests.support.wait import eventually

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yml"
START_MS = int(MONDAY.timestamp() * 1000)
Make = Callable[..., Running]


class Prometheus:
    """The Debian package's server, scraping `targets` every half second."""

    def __init__(self, directory: Path, targets: list[Running]) -> None:
        binary = shutil.which("prometheus")
        if binary is None:
            if os.environ.get("CI") == "true":
                pytest.fail("no prometheus on CI")
            pytest.skip("no prometheus: apt-get install prometheus")
        self.url = f"http://127.0.0.1:{free_port()}"
        config = directory / "prometheus.yml"
        listed = ", ".join(f"'127.0.0.1:{target.port}'" for target in targets)
        config.write_text(
            f"global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n"
            f"rule_files: ['{RULES}']\n"
            f"scrape_configs:\n- job_name: metrics\n  static_configs:\n  - targets: [{listed}]\n"
        )
        command = [
            binary,
            f"--config.file={config}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        ]
        self.spawned = Spawned(command, directory / "prometheus.log")

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=10).json()
        assert answer["status"] == "success", answer
        return list(answer["data"]["result"])

    def samples(self) -> Samples:
        """Every figure of the facts, as panels read it: the highest of the instances."""
        found: Samples = {}
        for name in self.names():
            for series in self.query(f"max without (instance, job) ({name})"):
                labels = {k: v for k, v in series["metric"].items() if k != "__name__"}
                if name != "lianxin_cases" or float(series["value"][1]):
                    found[name, labels_of(labels)] = float(series["value"][1])
        return found

    def names(self) -> list[str]:
        suffixes = {
            "lianxin_cases": [""],
            "lianxin_opinion_events": ["_total"],
            "lianxin_ratings": ["_total"],
        }
        return [
            name + suffix
            for name in OF_THE_FACTS
            for suffix in suffixes.get(name, ["_bucket", "_sum", "_count"])
        ]


@pytest.fixture
def scraped(tmp_path: Path, city_log: Broker, make_running: Make) -> Iterator[tuple[Prometheus, Running]]:
    """Prometheus on a worker and an API that have read the log, and that API."""
    publish(city_log, mixed([life(seed) for seed in range(6_000, 6_100)], 7))
    worker, api = make_running("worker", "scraped"), make_running("api", "scraped")
    prometheus = Prometheus(tmp_path, [worker, api])
    worker.start(ready=False)
    api.start()
    yield prometheus, api
    prometheus.spawned.kill()


def test_every_figure_that_prometheus_holds_and_every_report_agrees_with_the_log(
    scraped: tuple[Prometheus, Running], city_log: Broker
) -> None:
    prometheus, api = scraped
    log = read_log(city_log)
    expected = published(log)

    def agrees() -> bool:
        found = differences(prometheus.samples(), expected.samples)
        assert not found, found[:5]
        return True

    eventually(agrees, timeout=90, every=1)
    for metric in ("closure", "final_closure"):
        values = {k[1]: v for k, v in expected.values.items() if k[0] == f"lianxin_{metric}_seconds"}
        for by in ("district", "topic", "outcome"):
            groups: dict[str, list[int]] = {}
            for labels, found in values.items():
                groups.setdefault(dict(labels)[by], []).extend(found)
            report = api.http.get(
                "/v1/reports/closure", params={"from": "2024-01-01", "to": "2027-01-01", "by": by}
            ).json()
            rows = {
                r["group"]: r for r in report["figures"] if r["figure"] == metric and r["by"] == by and r["n"]
            }
            assert {group: (row["n"], row["sum_ms"]) for group, row in rows.items()} == {
                group: (len(found), sum(found)) for group, found in groups.items()
            }
            for group, found in groups.items():
                ordered = sorted(found)
                assert rows[group]["median_ms"] == ordered[-(-len(ordered) // 2) - 1]
                assert rows[group]["p90_ms"] == ordered[-(-len(ordered) * 9 // 10) - 1]
    eventually(lambda: recorded_rules_agree(prometheus, log), timeout=60, every=1)
    assert report["as_of"] == _in_the_city(max(record.at for record in log))


def recorded_rules_agree(prometheus: Prometheus, log: list[Said]) -> bool:
    """Open cases are those not closed; a quantile is there at all."""
    cases = by_case(log).values()
    opened = sum(1 for events in cases if not any(e.type == "opinion.closed" for e in events))
    recorded = sum(float(series["value"][1]) for series in prometheus.query("lianxin:open_cases"))
    assert recorded == opened
    return bool(prometheus.query("lianxin:closure_seconds:median"))


def _in_the_city(at: int) -> str:
    seconds, ms = divmod(at, 1000)
    moment = datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=ms * 1000)
    return moment.astimezone(ZoneInfo("Asia/Shanghai")).isoformat(timespec="milliseconds")
