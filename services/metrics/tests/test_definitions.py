from pathlib import Path

from lianxin_metrics.definitions import BY_ID, FIGURES
from lianxin_metrics.documentation import document
from lianxin_metrics.exported import METRICS, metric_name


def test_the_published_page_says_what_the_code_says() -> None:
    page = Path(__file__).parents[3] / "docs" / "metrics.md"
    written = page.read_text(encoding="utf-8")
    assert written == document(), "python -m lianxin_metrics.documentation > docs/metrics.md"


def test_every_figure_is_defined_once_in_both_languages() -> None:
    assert len(BY_ID) == len(FIGURES)
    for definition in (*FIGURES, *METRICS):
        assert definition.zh
        assert definition.en
        assert definition.formula_zh.endswith("。")
        assert definition.formula_en.endswith(".")


def test_the_exported_names_are_those_of_the_public_surface() -> None:
    assert [metric_name(metric) for metric in METRICS] == [
        "lianxin_cases",
        "lianxin_opinion_events_total",
        "lianxin_ratings_total",
        "lianxin_acknowledge_seconds",
        "lianxin_first_response_seconds",
        "lianxin_closure_seconds",
        "lianxin_final_closure_seconds",
    ]
