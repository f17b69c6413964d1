"""What reaches whoever has neither code nor key: nothing of a resident's words, contact or exact place, until
a person has released a redacted version; then that version alone."""

import re
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest

from lianxin_contracts import ids, inbound, lifecycle, topics, words
from lianxin_contracts.envelope import deletion, to_record
from lianxin_intake.tracking import TrackingCodes
from tests.intake.lifecycles import ASSIGNED, DEPUTY, RESIDENT, START, decided, history, written
from tests.intake.running import SECRET, Running
from tests.intake.small_city import OTHER, SUBMIT
from tests.intake.topics import write
from tests.support.brokers import Broker
from tests.support.wait import eventually

CODES = TrackingCodes(SECRET.encode())
# In letters and digits that no form escapes, so that one search finds them in JSON, XML, HTML and headers.
SAID = {
    "text": "marktext", "title": "marktitle", "address": "markaddress", "external_id": "markexternal",
    "topic": "0101", "station": "S1",
    "contact": {"name": "markname", "phone": "13900001234", "email": "markmail@example.org"},
    "location": {"lat": 31.571234, "lon": 120.301234},
}  # fmt: skip
KINDS = ("answer", "progress", "resolve", "rating", "supervise", "return", "assign", "transfer")
MARKS = (
    "marktext", "marktitle", "markaddress", "markexternal", "markname", "13900001234", "markmail", "31.5712",
    "120.3012", *(f"mark{kind}" for kind in KINDS),
)  # fmt: skip
RELEASED = "released-and-redacted"
OFFICE = inbound.Actor("staff", "office")
AROUND = "start_date=2026-11-01T00:00:00Z&end_date=2026-12-01T00:00:00Z&extensions=true"

STEPS = (
    lifecycle.Submitted(
        channel="app", digest="d", topic="0101", near=lifecycle.RoundedPlace(31.571, 120.301),
        has_contact=True, words="text",
    ),
    ASSIGNED,
    lifecycle.Accepted(actor=DEPUTY),
    lifecycle.ContactRevealed(actor=DEPUTY),
    lifecycle.Answered(actor=DEPUTY, words="answer"),
    lifecycle.Progressed(actor=DEPUTY, words="progress"),
    lifecycle.Supervised(actor=OFFICE, words="supervise"),
    lifecycle.Resolved(actor=DEPUTY, outcome="solved", words="resolve", times=1, rate_until=START),
    lifecycle.Rated(score="dissatisfied", words="rating"),
    lifecycle.Reopened(times=1, assignee="D1"),
)  # fmt: skip
# Beside what the API's own document lists.
PAGES = (
    "/s/S1", "/s/S1?lang=en&size=large", "/s/S1?mode=kiosk", "/s/nowhere", "/s/S1/map", "/s/S1/topics",
    "/s/S1/nearby?topic=0101&lat=31.571&lon=120.301", "/t", "/t?code=x", "/t/x", "/qr/S1.svg", "/sw.js",
    "/static/pages.css", "/docs", "/openapi.json", "/metrics", "/livez", "/readyz", "/desk", "/wechat/app",
    "/open311/discovery.xml", "/open311/v2/nothing.json", "/nowhere",
)  # fmt: skip
# Counted against the address that asks, so they are tried once.
GUESSES = ("/t/{wrong}", "/t/{wrong}?id={id}", "/t/{wrong}/slip", "/v1/opinions/{id}?code={wrong}")
LISTS = (
    "/open311/v2/requests.{form}?" + AROUND,
    "/open311/v2/requests.{form}?service_request_id={id}&extensions=true",
    "/open311/v2/requests/{id}.{form}?extensions=true",
    "/open311/v2/servicerequestupdates.{form}?" + AROUND,
)
NAMED = {"station": "S1", "region": "320213", "form": "json", "service_code": "0101"}


@dataclass(frozen=True)
class Case:
    """A case full of marks that the projection holds whole; `key` is the one under which it was sent."""

    id: str
    key: str
    view: str


@pytest.fixture(scope="module")
def case(api: Running, worker: Running, city_broker: Broker) -> Case:
    key = str(uuid4())
    sent = api.submit(SAID, SUBMIT, key)
    assert sent.status_code == 202, sent.text
    opinion = sent.json()["id"]
    said = [written(opinion, "text", "opinion", "marktext marktitle markaddress")]
    said += [written(opinion, kind, kind, f"mark{kind}", DEPUTY) for kind in KINDS]
    write(city_broker.bootstrap, [*said, *history(opinion, *STEPS)])

    def owners() -> str | None:
        shown = api.http.get(f"/v1/opinions/{opinion}", params={"code": CODES.of(opinion)}).text
        whole = all(mark in shown for mark in ("marktext", "markanswer", "markresolve", "markrating"))
        return shown if whole and "reopened" in shown else None

    return Case(opinion, key, eventually(owners, timeout=120) or "")


def documented(api: Running, case: Case) -> list[str]:
    """Every address that the API's document lists for GET, filled in: also one that is added tomorrow."""
    paths = [path for path, found in api.http.get("/openapi.json").json()["paths"].items() if "get" in found]
    assert {"/v1/stations", "/v1/topics", "/v1/opinions/{opinion_id}"} <= set(paths)
    return [
        re.sub(r"{(\w+)(?::\w+)?}", lambda name: NAMED.get(name[1], case.id), path)
        + "?lat=31.57&lon=120.3&long=120.3&q=&limit=100"
        for path in paths
    ]


def addresses(api: Running, case: Case) -> list[str]:
    lists = [path.format(id=case.id, form=form) for path in LISTS for form in ("json", "xml")]
    return [*PAGES, *lists, *documented(api, case)]


def found_in(answer: httpx.Response) -> list[str]:
    """The marks in an answer, its headers and where it leads."""
    whole = answer.text + repr(answer.headers.raw)
    return [mark for mark in MARKS if mark in whole]


def test_nothing_of_a_resident_reaches_a_reader_without_code_or_key(api: Running, case: Case) -> None:
    guesses = [path.format(id=case.id, wrong=CODES.of(ids.fresh())) for path in GUESSES]
    for address in [*addresses(api, case), *guesses]:
        answer = api.http.get(address)
        assert found_in(answer) == [], address
        assert answer.status_code < 500, address
    for path in LISTS:
        assert case.id in api.http.get(path.format(id=case.id, form="xml")).text, "it was looked for in vain"


def test_the_notes_between_deputies_and_staff_reach_not_even_the_resident(case: Case) -> None:
    for kind in ("progress", "supervise", "return", "assign", "transfer"):
        assert f"mark{kind}" not in case.view
    for mark in ("markname", "13900001234", "markmail", "31.5712", "120.3012"):
        assert mark not in case.view


@pytest.mark.parametrize("path", ["rating", "withdrawal", "erasure"])
def test_a_wrong_code_is_told_nothing(api: Running, case: Case, path: str) -> None:
    body = {"score": "satisfied", "tracking_code": CODES.of(ids.fresh())}
    for answer in (
        api.post(f"/v1/opinions/{case.id}/{path}", body),
        api.http.post(f"/t/{CODES.of(ids.fresh())}/{path}?id={case.id}", data={"key": str(uuid4())}),
        api.http.get(f"/v1/opinions/{case.id}", headers={"Authorization": f"Bearer {OTHER}"}),
        api.http.get(f"/v1/opinions/{case.id}", headers={"Authorization": "Bearer wrong"}),
    ):
        assert 400 <= answer.status_code < 500
        assert found_in(answer) == []


def test_who_sends_something_else_under_the_same_key_is_not_told_what_was_sent_first(
    api: Running, case: Case
) -> None:
    other = api.submit({"text": "something else"}, SUBMIT, case.key)
    by_open311 = api.http.post(
        "/open311/v2/requests.json",
        data={"service_code": "0101", "address_string": "elsewhere", "api_key": SUBMIT},
        headers={"Idempotency-Key": case.key},
    )
    assert (other.status_code, by_open311.status_code) == (409, 400)
    assert found_in(other) == found_in(by_open311) == []


def test_logs_and_metrics_know_no_words(api: Running, worker: Running, case: Case) -> None:
    told = api.log() + worker.log() + worker.http.get("/metrics").text
    assert [mark for mark in MARKS if mark in told] == []
    assert CODES.of(case.id) not in told


def description(api: Running, opinion: str) -> str | None:
    """What is shown as the words of `opinion`, the same in JSON and XML, single and in lists."""
    shown: set[str | None] = set()
    for path in LISTS[:3]:
        found = api.http.get(path.format(id=opinion, form="json")).json()
        shown |= {one["description"] for one in found if one["service_request_id"] == opinion}
        shown.add(RELEASED if RELEASED in api.http.get(path.format(id=opinion, form="xml")).text else None)
    (words,) = shown
    return words


def becomes(api: Running, opinion: str, words: str | None) -> None:
    """Wait until `opinion` is shown with `words`."""
    path = f"/open311/v2/requests/{opinion}.json"
    eventually(lambda: [one["description"] for one in api.http.get(path).json()] == [words], 120, every=0.3)
    assert description(api, opinion) == words


def test_released_words_are_public_then_and_only_then(
    api: Running, worker: Running, city_broker: Broker, case: Case
) -> None:
    assert description(api, case.id) is None
    number = len(STEPS)

    def happens(data: object, *beside: object) -> None:
        nonlocal number
        number += 1
        record = to_record(decided(case.id, number, data), topics.LIFECYCLE, case.id)  # type: ignore[arg-type]
        write(city_broker.bootstrap, [*beside, record])  # type: ignore[list-item]

    def release(part: str) -> None:
        happens(lifecycle.Published(OFFICE, part), written(case.id, part, "published", RELEASED, OFFICE))
        becomes(api, case.id, RELEASED)

    release("release-1")
    for address in addresses(api, case):
        assert found_in(api.http.get(address)) == [], address
    page = api.http.get(f"/t/{CODES.of(case.id)}").text
    assert RELEASED in page
    assert "公开如下" in page

    happens(lifecycle.Unpublished(OFFICE), deletion(topics.WORDS, words.key(case.id, "release-1"), START))
    becomes(api, case.id, None)
    assert RELEASED not in api.http.get(f"/t/{CODES.of(case.id)}").text

    release("release-2")
    happens(lifecycle.Erased(actor=RESIDENT))
    gone = f"/open311/v2/requests/{case.id}.json"
    eventually(lambda: api.http.get(gone).status_code == 404, timeout=120, every=0.3)
    for address in [*addresses(api, case), f"/t/{CODES.of(case.id)}"]:
        answer = api.http.get(address)
        assert found_in(answer) == [], address
        assert RELEASED not in answer.text, address
