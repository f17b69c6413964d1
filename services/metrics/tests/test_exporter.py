import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.metrics.story import CaseLog

from lianxin_contracts.lifecycle import STAGES
from lianxin_metrics.aggregate import DAY_MS, HOUR_MS, Aggregate
from lianxin_metrics.exporter import Exporter, furthest
from lianxin_metrics.facts import Fact, fold
from lianxin_metrics.store import Part


def aggregate_of(*logs: CaseLog) -> Aggregate:
    aggregate = Aggregate()
    for log in logs:
        fact = Fact(case=log.case)
        for event in log.events:
            fact = fold(fact, event, lambda topic: topic)
        aggregate.advance(None, fact)
    return aggregate


def scraped(exporter: Exporter) -> dict[tuple[str, str], float]:
    registry = CollectorRegistry()
    registry.register(exporter)
    return {
        (sample.name, ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


def test_a_scrape_before_the_first_reading_shows_nothing_rather_than_zero() -> None:
    assert scraped(Exporter()) == {}
    assert Exporter().check() == "reading the aggregates"


def test_a_histogram_is_cumulative_and_its_sum_is_in_seconds() -> None:
    exporter = Exporter()
    logs = [CaseLog(str(h)).submit().assign().accept().resolve(after=h) for h in (0.5, 3, 3, 24 * 400)]
    exporter.show(aggregate_of(*logs))
    found = scraped(exporter)
    labels = "district=320213,{}outcome=solved,topic=urban"
    bucket = "lianxin_closure_seconds_bucket"
    assert found[bucket, labels.format("le=3600.0,")] == 1
    assert found[bucket, labels.format("le=14400.0,")] == 3
    assert found[bucket, labels.format("le=+Inf,")] == 4
    assert found["lianxin_closure_seconds_count", labels.format("")] == 4
    total_ms = HOUR_MS // 2 + 6 * HOUR_MS + 400 * DAY_MS
    assert found["lianxin_closure_seconds_sum", labels.format("")] == total_ms / 1000


def test_a_metric_without_outcome_has_no_such_label() -> None:
    exporter = Exporter()
    exporter.show(aggregate_of(CaseLog("c").submit().assign().accept(after=1)))
    assert scraped(exporter)["lianxin_acknowledge_seconds_count", "district=320213,topic=urban"] == 1


def test_every_stage_of_a_known_district_is_shown_also_when_it_is_empty() -> None:
    exporter = Exporter()
    exporter.show(aggregate_of(CaseLog("c").submit().assign()))
    found = scraped(exporter)
    shown = {stage: found["lianxin_cases", f"district=320213,stage={stage}"] for stage in STAGES}
    assert shown == {stage: float(stage == "assigned") for stage in STAGES}


def test_events_are_counted_by_type() -> None:
    exporter = Exporter()
    exporter.show(aggregate_of(CaseLog("a").submit().refuse(), CaseLog("b").submit()))
    found = scraped(exporter)
    assert found["lianxin_opinion_events_total", "type=opinion.submitted"] == 2
    assert found["lianxin_opinion_events_total", "type=command.refused"] == 1


@pytest.mark.parametrize(("new", "old", "chosen", "ahead"), [(5, 9, "old", False), (9, 9, "new", True),
                                                            (12, 9, "new", True)])  # fmt: skip
def test_a_partition_is_read_from_the_generation_that_contains_more_of_the_log(
    new: int, old: int, chosen: str, ahead: bool
) -> None:
    parts = {"new": Part(0, new, Aggregate()), "old": Part(0, old, Aggregate())}
    found, all_ahead = furthest([parts["new"]], [parts["old"]])
    assert found[0] is parts[chosen]
    assert all_ahead is ahead


def test_a_partition_that_the_new_generation_has_not_begun_is_still_shown() -> None:
    old = Part(3, 7, Aggregate())
    assert furthest([], [old]) == ([old], False)
