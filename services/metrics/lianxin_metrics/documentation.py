"""docs/metrics.md, written from the definitions: `python -m lianxin_metrics.documentation >
docs/metrics.md`."""

import sys

from lianxin_metrics.definitions import BASES, FIGURES, VERSION, Definition
from lianxin_metrics.exported import METRICS, metric_name


def document() -> str:
    """docs/metrics.md."""
    lines = [
        "# What the figures mean",
        "",
        f"Written from `lianxin_metrics/definitions.py` and `exported.py` (version {VERSION}); served by "
        "`GET /v1/definitions`. Every figure is a function of `opinions.lifecycle` (alerts: "
        "`alerts.deliveries`) and can be computed again from it. Times are the events' own `time`, in whole "
        "milliseconds.",
        "",
        "## Exported to Prometheus",
        "",
        "Equal on every instance of metrics: take `max by`, never `sum`. Counters count each event once and "
        "never fall, also over restarts and rebuilds. Buckets are inclusive: 1 h, 4 h, 8 h, 1 d, 2 d, 3 d, "
        "5 d, 7 d, 15 d, 30 d, 60 d, 90 d, 180 d, 365 d. Reports are exact; a quantile of a histogram is "
        "only as exact as its buckets.",
        "",
    ]
    for metric in METRICS:
        lines += _entry(f"`{metric_name(metric)}`", metric)
    lines += [
        "## In reports",
        "",
        "Windows are half-open, on civil dates of the city's zone. A report knows what happened up to "
        "`as_of` (by default the newest event) and nothing later, so asked again it gives the same "
        "bytes; every figure can be had as of any moment. An `as_of` after the newest event asks for all "
        "that is known, so its answer changes when more is. `complete` says that both `as_of` and the newest "
        "event have reached the window's end. A case is grouped by the district and first-level "
        "topic in which it is at `as_of`; `/v1/reports/closure` groups as the panels do, by where it was "
        "when it was resolved or closed. Rates give n and Wilson's 95% interval, and null where n is 0. "
        "Percentiles are by nearest rank; sums are integer milliseconds.",
        "",
        "| basis | 时间口径 | what puts a case into the window |",
        "|---|---|---|",
        *(f"| {basis} | {zh} | {en} |" for basis, (zh, en) in BASES.items()),
        "",
    ]
    for figure in FIGURES:
        lines += _entry(f"`{figure.id}`", figure)
    return "\n".join(lines[:-1]) + "\n"


def _entry(title: str, definition: Definition) -> list[str]:
    facts = [definition.kind, definition.unit, f"version {definition.version}"]
    if definition.basis is not None:
        facts.insert(1, f"basis {definition.basis}")
    return [
        f"### {title} · {definition.zh} · {definition.en}",
        "",
        f"{', '.join(facts)}; after: {definition.source}.",
        "",
        f"- {definition.formula_zh}",
        f"- {definition.formula_en}",
        "",
    ]


if __name__ == "__main__":
    sys.stdout.write(document())
