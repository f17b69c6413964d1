"""The OpenAPI document against the notifier itself: requests made from it alone, and every example in it.

make soak ARGS=tests/notifier/test_documented.py      a hundred times as many requests
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from lianxin_contracts import ids
from lianxin_contracts.inbound import Actor
from lianxin_contracts.lifecycle import ContactRevealed
from tests.notifier.lifecycles import SUBMITTED, History, assigned
from tests.notifier.running import Running
from tests.notifier.small_city import ACT, ADMIN, READ
from tests.notifier.topics import write
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.documented import (
    body_examples,
    parameter_examples,
    require_as_shown,
    told,
    try_everything,
)

# Examples name the sample city, and these tests run on a small one.
IN_SMALL_CITY = {"D-0042": "D3", "D-0043": "D2", "T-0001": "T1", "A-0001": "A1"}
KEYS = [{"Authorization": f"Bearer {key}"} for key in (ACT, ACT, ADMIN, READ, "lx_unknown")]
STREAM = "GET /v1/alerts/stream"


@pytest.fixture(scope="module")
def case(city_broker: Broker, api: Running, worker: Running) -> History:
    """A case of D3 with words and a contact."""
    case = History()
    steps = case.steps(SUBMITTED, assigned("D3"))
    write(city_broker.bootstrap, [case.words("路灯坏了"), case.contact("13800000000"), *steps])
    eventually(lambda: any(item["id"] == case.opinion for item in api.inbox("D3", limit=500)))
    return case


def head_of_stream(case: Any, headers: Mapping[str, str]) -> httpx.Response:
    """The answer without the events: a stream that was let in has no end."""
    asked = case.as_transport_kwargs(headers=dict(headers))
    with httpx.stream(
        asked["method"], asked["url"], params=asked["params"], headers=dict(asked["headers"]), timeout=30
    ) as stream:
        if not stream.is_success:
            stream.read()
            return stream
        head = httpx.Response(stream.status_code, headers=stream.headers, request=stream.request)
        head.elapsed = timedelta()  # as every answer that was read has it
        return head


@pytest.mark.parametrize(
    ("start", "count"),
    [(1, 12), *(pytest.param(start, 200, marks=pytest.mark.soak) for start in range(2, 8))],
)
def test_no_request_that_the_document_allows_or_forbids_gets_an_answer_that_it_does_not_name(
    api: Running, case: History, start: int, count: int
) -> None:
    known = {
        "deputy": ["D3", "T1"],
        "person": ["D3", "D4"],
        "as": ["D3", "D4", "T1", "S1"],
        "case": [case.opinion, ids.fresh()],
        "command": [ids.fresh()],
        "command_id": [ids.fresh()],
    }
    tried, wrong = try_everything(
        api.url, start=start, count=count, headers=KEYS, known=known, send={STREAM: head_of_stream}
    )
    assert not wrong, told(wrong)
    assert tried > 10 * count / 2
    assert api.is_ready()


def placed(value: Any) -> Any:
    """`value` with what it names of the sample city put in the small one's terms."""
    if isinstance(value, dict):
        return {name: placed(one) for name, one in value.items()}
    return IN_SMALL_CITY.get(value, value) if isinstance(value, str) else value


def test_every_example_of_an_action_is_answered_as_the_document_says(api: Running, case: History) -> None:
    document = api.http.get("/openapi.json").json()
    found = [one for one in body_examples(document) if one[0].endswith("/actions")]
    schema = document["components"]["schemas"]["ActionRequest"]
    assert {value["action"] for *_, value in found} == set(schema["properties"]["action"]["enum"])
    for path, operation, _, value in found:
        require_as_shown(operation, api.http.post(path.replace("{case}", case.opinion), json=placed(value)))


def test_every_other_example_is_answered_as_the_document_says(
    city_broker: Broker, api: Running, case: History
) -> None:
    command = ids.fresh()
    revealed = ContactRevealed(Actor("deputy", "D3"))
    write(city_broker.bootstrap, [case.next(revealed, cause=command)])
    eventually(lambda: api.http.get(f"/v1/commands/{command}").json()["status"] == "applied")
    session = ids.fresh()
    in_path = {"case": case.opinion, "command_id": command, "session": session}
    tried = []
    for method, path, operation, shown in parameter_examples(api.http.get("/openapi.json").json()):
        if path.startswith("/v1/push/"):  # of whoever is signed in: test_pushing.py
            continue
        label = f"{method.upper()} {path}"
        tried.append(label)
        query = placed(shown) | ({"command": command} if path.endswith("/contact") else {})
        key = ADMIN if "signins" in path else ACT
        asked = httpx.Request(
            method,
            api.url + path.format_map(in_path),
            params=query,
            headers={"Authorization": f"Bearer {key}"},
        )
        answer = api.http.send(asked, stream=label == STREAM)
        if label == STREAM:
            assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
            assert next(answer.iter_lines()) == "event: ready"
            answer.close()
        elif "{session}" in path:
            assert answer.json()["code"] == "session_unknown"  # nobody's: the example is a made-up id
        else:
            require_as_shown(operation, answer)
    assert len(tried) == 10, tried
