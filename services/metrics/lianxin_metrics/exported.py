"""What the metrics that Prometheus scrapes mean; see `definitions.py`."""

from lianxin_metrics.definitions import Definition

_LABELS_ZH = "区县与一级主题为该事件时案件所在者。"
_LABELS_EN = "District and topic are the case's own and first-level ones at that event."


def _histogram(
    id_: str, zh: str, en: str, formula_zh: str, formula_en: str, source: str = "Lianxin"
) -> Definition:
    return Definition(
        id_,
        "histogram",
        "seconds",
        zh,
        f"{en}, seconds",
        f"{formula_zh}{_LABELS_ZH}",
        f"{formula_en} {_LABELS_EN}",
        None,
        source,
    )


METRICS: tuple[Definition, ...] = (
    Definition(
        "cases",
        "gauge",
        "cases",
        "各环节案件数",
        "Cases by stage and district now",
        "按当前环节与当前区县计数。",
        "Cases by their present stage and district.",
    ),
    Definition(
        "opinion_events",
        "counter",
        "events",
        "事件数",
        "Lifecycle events by type",
        "opinions.lifecycle 上每一事件只计一次（按案件内序号）。",
        "Every event on opinions.lifecycle once, by its number within the case.",
    ),
    Definition(
        "ratings",
        "counter",
        "ratings",
        "评价数",
        "Residents' ratings by score",
        "每一 `opinion.rated` 计一次；重办后再次评价另计。",
        "Every `opinion.rated` once; the rating after a reopening counts for itself.",
    ),
    _histogram(
        "acknowledge",
        "接办用时",
        "Submission to first acceptance",
        "提出至首个 `opinion.accepted`，在该事件时计入。",
        "First `opinion.submitted` to first `opinion.accepted`, observed then.",
    ),
    _histogram(
        "first_response",
        "首次答复用时",
        "Submission to first answer or resolution by a person",
        "提出至首个由代表或工作人员作出的 `opinion.answered` 或 `opinion.resolved`，在该事件时计入。",
        "First `opinion.submitted` to the first `opinion.answered` or `opinion.resolved` by a deputy or "
        "staff, observed then.",
    ),
    _histogram(
        "closure",
        "首次办结用时",
        "Submission to first resolution",
        "提出至首个 `opinion.resolved`，在该事件时计入；outcome 为其结果。",
        "First `opinion.submitted` to first `opinion.resolved`, observed then; `outcome` is that "
        "resolution's.",
    ),
    _histogram(
        "final_closure",
        "最终办结用时",
        "Submission to last resolution, observed at closing",
        "提出至最后一个 `opinion.resolved`，在首个 `opinion.closed` 时计入；从未办结者不计；"
        "outcome 为最后一次的结果。",
        "First `opinion.submitted` to the last `opinion.resolved`, observed at the first `opinion.closed`; "
        "cases never resolved are left out; `outcome` is the last one's.",
    ),
)

HELP: dict[str, str] = {metric.id: metric.en for metric in METRICS}


def metric_name(metric: Definition) -> str:
    """The name that Prometheus knows: `lianxin_closure_seconds`."""
    suffix = {"histogram": "_seconds", "counter": "_total"}.get(metric.kind, "")
    return f"lianxin_{metric.id}{suffix}"
