"""The documents name what is there: tests, files, metrics, topics, packages."""

import re
from functools import cache
from pathlib import Path

import pytest

from lianxin_contracts import topics

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *DOCS.glob("decisions/*.md")])
CODE = ("contracts", "chassis", "services", "deploy", "tests", "benchmarks", "registry")
# Where a document may mean a file by its bare name.
BARE_NAMES = {path.name for part in CODE for path in (ROOT / part).rglob("*.py")}


def text_of(document: Path) -> str:
    return document.read_text("utf-8")


@cache
def names_of_tests() -> frozenset[str]:
    files = [path for part in CODE for path in (ROOT / part).rglob("test_*.py")]
    return frozenset(name for file in files for name in re.findall(r"def (test_\w+)", text_of(file)))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_a_document_names_is_there(document: Path):
    named = set(re.findall(r"`(test_\w+)`", text_of(document)))

    assert named - names_of_tests() == set()


def test_every_invariant_has_a_test():
    rows = re.findall(r"^\| (\d+) \|.*\| (.*) \|$", text_of(DOCS / "architecture.md"), re.MULTILINE)

    assert [int(number) for number, _ in rows] == list(range(1, 12))
    assert all("`test_" in tests for _, tests in rows)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_is_there(document: Path):
    named = re.findall(r"`([\w./-]+\.(?:py|md|json|in|lock|toml|ndjson))`", text_of(document))
    missing = [
        name
        for name in named
        if not any((base / name).exists() for base in (ROOT, document.parent, DOCS)) and not is_part(name)
    ]

    assert missing == []


def is_part(name: str) -> bool:
    """Whether `name` is the end of some module's path, as `domain/decide.py` is."""
    if "/" not in name:
        return name in BARE_NAMES
    return any(path.as_posix().endswith(f"/{name}") for part in CODE for path in (ROOT / part).rglob("*.py"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_within_the_repository_leads_somewhere(document: Path):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text_of(document))

    assert [link for link in links if not (document.parent / link).exists()] == []


def metrics_in_code() -> set[str]:
    """Names as Prometheus shows them: a counter's with `_total`."""
    found: set[str] = set()
    for part in ("chassis", "services"):
        for path in (ROOT / part).rglob("*.py"):
            if "tests" in path.parts:
                continue
            source = text_of(path)
            found |= {
                name if kind != "Counter" or name.endswith("_total") else f"{name}_total"
                for kind, name in re.findall(r'\b(Counter|Gauge|Histogram)\(\s*"(lianxin_\w+)"', source)
            }
    return found


def test_the_operators_page_explains_every_metric():
    explained = set(re.findall(r"`(lianxin_\w+?)(?:\{[\w,]+\})?`", text_of(DOCS / "operations.md")))

    assert metrics_in_code() - explained == set()


def test_the_table_of_topics_is_that_of_the_contracts():
    page = text_of(DOCS / "architecture.md")
    named = set(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE))

    assert named == {spec.name for spec in topics.ALL if not spec.name.endswith(".dlq")}


def test_every_dependency_is_explained_and_nothing_else():
    wanted = set(re.findall(r"^([a-z0-9-]+)==", text_of(ROOT / "requirements.in"), re.MULTILINE))
    rows = re.findall(r"^\| ([a-z0-9, -]+) \|", text_of(DOCS / "dependencies.md"), re.MULTILINE)
    explained = {name.strip() for row in rows for name in row.split(",")} - {"package"}

    assert explained == wanted


def test_decisions_are_numbered_without_a_gap():
    numbers = [int(path.name[:4]) for path in sorted((DOCS / "decisions").glob("*.md"))]

    assert numbers == list(range(1, len(numbers) + 1))
