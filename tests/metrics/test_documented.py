"""The OpenAPI document against metrics itself: requests made from it alone, and every example in it.

make soak ARGS=tests/metrics/test_documented.py      fifty times as many requests
"""

from collections.abc import Iterator

import httpx
import pytest

from tests.metrics.serving import listening
from tests.metrics.story import lives, mixed
from tests.support.databases import Database
from tests.support.documented import parameter_examples, require_as_shown, told, try_everything

ACCEPTS = ({}, {"Accept": "text/csv"}, {"Accept": "application/json"})


@pytest.fixture(scope="module")
def api(database: Database) -> Iterator[httpx.Client]:
    with listening(database.url, mixed(lives(range(20)), 9)) as client:
        yield client


@pytest.mark.parametrize(
    ("start", "count"),
    [(1, 15), *(pytest.param(start, 150, marks=pytest.mark.soak) for start in range(2, 7))],
)
def test_no_request_that_the_document_allows_or_forbids_gets_an_answer_that_it_does_not_name(
    api: httpx.Client, start: int, count: int
) -> None:
    known = {
        "date": ["2024-11-12", "2024-02-30", "0001-01-01", "9999-12-31"],
        "month": ["2024-11", "2024-13"],
        "quarter": ["2024-Q4", "2024-Q5"],
        "year": ["2024", "0000"],
        "from": ["2024-11-01"],
        "to": ["2025-06-01", "2024-11-01"],
        "as_of": ["2024-12-20", "2024-11-06T12:34:56.789+08:00"],
        "format": ["csv", "json"],
    }
    tried, wrong = try_everything(
        str(api.base_url).rstrip("/"), start=start, count=count, headers=ACCEPTS, known=known
    )
    assert not wrong, told(wrong)
    assert tried > 6 * count / 2


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
def test_every_example_is_answered_as_the_document_says(api: httpx.Client, accept: str) -> None:
    tried = []
    for method, path, operation, shown in parameter_examples(api.get("/openapi.json").json()):
        if path != "/v1/reports/day":
            shown.pop("date", None)  # either the period's own name or a date in it
        answer = api.request(method, path, params=shown, headers={"Accept": accept})
        require_as_shown(operation, answer)
        assert answer.headers["content-type"].startswith(accept)
        tried.append(path)
    assert len(tried) == 6, tried
