"""The OpenAPI document against intake itself: requests made from it alone, and every example in it.

make soak ARGS=tests/intake/test_documented.py      a hundred times as many requests
"""

import tomllib
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import schemathesis

from tests.intake.fuzzed_requests import XLSX
from tests.intake.running import Running
from tests.intake.small_city import FIELD, REPLAY, SUBMIT
from tests.support.documented import body_examples, require_as_shown, told, try_everything

ROOT = Path(__file__).parents[2]
# Examples name the sample city, and these tests run on a small one.
IN_SMALL_CITY = {"S0100": "S1", "transport.road": "0101", "lx_…": SUBMIT}


@schemathesis.serializer("application/x-ndjson", "text/csv", XLSX.decode())
def as_it_is(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.mark.parametrize(
    ("start", "count"),
    [(1, 5), *(pytest.param(start, 100, marks=pytest.mark.soak) for start in range(2, 7))],
)
def test_no_request_that_the_document_allows_or_forbids_gets_an_answer_that_it_does_not_name(
    api: Running, start: int, count: int
) -> None:
    headers = [{"Authorization": f"Bearer {SUBMIT}"}]
    tried, wrong = try_everything(api.url, start=start, count=count, headers=headers)
    assert not wrong, told(wrong)
    assert tried > 20 * count / 2
    assert api.is_ready()


def placed(value: Any) -> Any:
    """`value` with what it names of the sample city put in the small one's terms."""
    if isinstance(value, dict):
        return {name: placed(one) for name, one in value.items()}
    if isinstance(value, list):
        return [placed(one) for one in value]
    return IN_SMALL_CITY.get(value, value) if isinstance(value, str) else value


def sent(api: Running, path: str, operation: dict[str, Any], media: str, value: Any) -> httpx.Response:
    value = placed(value)
    headers = {"Content-Type": media, "Authorization": f"Bearer {SUBMIT}"}
    headers |= {
        one["name"]: one["example"]
        for one in operation.get("parameters", ())
        if one["in"] == "header" and "example" in one and media == "application/json"
    }
    if isinstance(value, dict) and "occurred_at" in value:
        headers["Authorization"] = f"Bearer {REPLAY}"  # an example's time grows older than a desk may give
    if isinstance(value, dict) and value.get("type") == "visit.recorded":
        headers["Authorization"] = f"Bearer {FIELD}"
    if "servicerequestupdates" in path:
        receipt = api.submit({"text": f"路灯坏了 {uuid4()}"}, SUBMIT).json()
        value |= {"api_key": FIELD, "service_request_id": receipt["id"]}
    if "{opinion_id}" in path:
        receipt = api.submit({"text": f"路灯坏了 {uuid4()}"}, SUBMIT).json()
        path = path.replace("{opinion_id}", receipt["id"])
        if "tracking_code" in value:
            value["tracking_code"] = receipt["tracking_code"]
    path = path.replace("{form}", "json")
    if isinstance(value, str):
        return api.http.post(path, content=value.encode(), headers=headers)
    if media == "application/x-www-form-urlencoded":
        return api.http.post(path, data=value, headers=headers)
    return api.http.post(path, content=httpx.Request("POST", "http://x", json=value).content, headers=headers)


def test_every_example_in_the_document_is_answered_as_the_document_says(api: Running) -> None:
    document = api.http.get("/openapi.json").json()
    found = list(body_examples(document))
    assert len(found) >= 15
    for path, operation, media, value in found:
        answer = sent(api, path, operation, media, value)
        require_as_shown(operation, answer)


def test_examples_name_what_the_sample_city_has() -> None:
    topics = tomllib.loads((ROOT / "registry/topics.toml").read_text("utf-8"))
    assert "road" in topics["transport"]
    assert '"S0100"' in (ROOT / "registry/wuxi-sample/stations.ndjson").read_text("utf-8")
