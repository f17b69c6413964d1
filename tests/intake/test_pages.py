"""The residents' pages over the wire: what a browser without scripts does, and what nobody should."""

import base64
import re
from uuid import uuid4

import httpx
import pytest
from nacl.public import SealedBox

from lianxin_contracts import ids, inbound, lifecycle, topics
from lianxin_intake.tracking import TrackingCodes
from tests.intake.lifecycles import ASSIGNED, DEPUTY, START, SUBMITTED, history, written
from tests.intake.running import PRIVATE_KEY, SECRET, Running
from tests.intake.topics import said_of, write
from tests.support.brokers import Broker
from tests.support.wait import eventually

CODES = TrackingCodes(SECRET.encode())


def hidden(html: str) -> dict[str, str]:
    """The values that the page's form carries."""
    return dict(re.findall(r'<input type="hidden" name="(token|key|answers)" value="([^"]*)"', html))


def opened(api: Running, station: str = "S1") -> dict[str, str]:
    answer = api.http.get(f"/s/{station}")
    assert answer.status_code == 200
    return hidden(answer.text)


def send(api: Running, fields: dict[str, str], station: str = "S1", **headers: str) -> httpx.Response:
    return api.http.post(f"/s/{station}", data=fields, headers=headers)


def test_the_page_asks_in_chinese_and_on_switching_in_english(api: Running) -> None:
    answer = api.http.get("/s/S1")
    assert "您想反映什么？" in answer.text
    assert "金匮街道代表之家" in answer.text
    assert "What would you like to say?" in api.http.get("/s/S1?lang=en").text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert len(answer.content) < 100_000


def test_what_a_page_sends_is_one_record_of_its_channel(api: Running, city_broker: Broker) -> None:
    fields = opened(api) | {
        "text": "路灯坏了\r\n三天",
        "address": "金匮桥",
        "topic": "0101",
        "phone": "13800000000",
    }
    answers = [send(api, fields), send(api, fields)]
    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    opinion = httpx.URL(answers[0].headers["location"]).params["id"]
    events = said_of(city_broker.bootstrap, topics.INBOUND, opinion)
    assert {event.id for event in events} == {events[0].id}
    data = events[0].data
    assert isinstance(data, inbound.Submitted)
    assert (data.channel, data.station, data.text) == ("qr", "S1", "路灯坏了\n三天")
    assert data.contact is not None
    assert b"13800000000" in SealedBox(PRIVATE_KEY).decrypt(base64.b64decode(data.contact))


def test_the_receipt_leads_to_its_page_before_the_case_is_there(api: Running) -> None:
    answer = send(api, opened(api) | {"text": "x"})
    page = api.http.get(answer.headers["location"])
    assert page.status_code == 200
    code = answer.headers["location"].split("/t/")[1].split("?")[0]
    assert code in page.text
    assert "已收到" in page.text
    assert "/static/tracking.js" in page.text, "it says that it updates by itself"
    assert page.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "请先写下您想反映的事"),
        ({"text": "x" * 10_001}, "太长了"),
        ({"text": "x", "email": "nobody"}, "邮箱地址不对"),
        ({"text": "x", "topic": "9999"}, "没有这个类别"),
    ],
)
def test_a_mistake_is_told_and_nothing_typed_is_lost(
    api: Running, fields: dict[str, str], words: str
) -> None:
    answer = send(api, opened(api) | {"address": "金匮桥北堍"} | fields)
    assert answer.status_code == 422
    assert words in answer.text
    assert "金匮桥北堍" in answer.text


def test_what_people_type_is_shown_as_text_and_never_as_markup(api: Running) -> None:
    answer = send(api, opened(api) | {"text": "<script>alert(1)</script>", "email": '"><b>'})
    assert "<script>alert" not in answer.text
    assert '"><b>' not in answer.text


def test_an_old_page_is_shown_again_with_what_was_typed(api: Running) -> None:
    stale = {"token": "1000000." + "0" * 32, "key": str(uuid4()), "text": "灯坏了"}
    answer = send(api, stale)
    assert answer.status_code == 403
    assert "灯坏了" in answer.text
    assert send(api, hidden(answer.text) | {"text": "灯坏了"}).status_code == 303
    for_script = send(api, stale, Accept="application/json")
    assert send(api, stale | {"token": for_script.json()["page_token"]}).status_code == 303


def test_a_page_sends_one_opinion_and_then_a_new_one(api: Running) -> None:
    fields = opened(api)
    assert send(api, fields | {"text": "first"}).status_code == 303
    again = send(api, fields | {"text": "second"})
    assert again.status_code == 409
    assert send(api, hidden(again.text) | {"text": "second"}).status_code == 303


@pytest.mark.parametrize(
    ("headers", "extra", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, {}, 403),
        ({"Origin": "https://evil.example.org"}, {}, 403),
        ({}, {"website": "https://evil.example.org"}, 422),
        ({}, {"key": "1"}, 422),
        ({"Content-Type": "text/plain"}, {}, 415),
    ],
)
def test_what_no_page_of_ours_sends_is_refused(
    api: Running, headers: dict[str, str], extra: dict[str, str], status: int
) -> None:
    assert send(api, opened(api) | {"text": "x"} | extra, **headers).status_code == status


def test_a_form_that_is_no_utf_8_or_too_long_is_refused(api: Running) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert api.http.post("/s/S1", content=b"text=%ff", headers=form).status_code == 400
    assert api.http.post("/s/S1", content=b"text=" + b"x" * 300_000, headers=form).status_code == 413
    assert api.http.post("/s/S1", content=b"a=1&" * 50, headers=form).status_code == 400


def test_an_address_that_sends_too_much_waits(make_running, city_broker: Broker, database) -> None:
    running = make_running(
        "api",
        city_broker,
        database.url,
        "intake_page_rate",
        page_posts_burst="2",
        page_posts_per_minute="0.01",
    ).start()
    answers = [send(running, opened(running) | {"text": str(number)}) for number in range(3)]
    assert [answer.status_code for answer in answers] == [303, 303, 429]
    assert "Retry-After" in answers[2].headers


def test_what_is_not_there_is_a_page_too(api: Running) -> None:
    for address, status in (("/s/nowhere", 404), ("/t/123", 404), (f"/t/{CODES.of(ids.fresh())}", 404)):
        answer = api.http.get(address)
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/html")
    assert api.http.get("/t").status_code == 200
    assert api.http.get("/t", params={"code": "x"}).status_code == 422
    assert api.http.get("/static/pages.css").status_code == 200
    assert api.http.get("/static/../rendering.py").status_code == 404


def test_guessing_codes_ends_for_the_address(make_running, city_broker: Broker, database) -> None:
    running = make_running(
        "api",
        city_broker,
        database.url,
        "intake_shared",
        wrong_codes_burst="3",
        wrong_codes_per_minute="0.01",
    ).start()
    statuses = [running.http.get(f"/t/{CODES.of(ids.fresh())}").status_code for _ in range(4)]
    assert statuses == [404, 404, 404, 429]


def test_an_answer_is_read_and_rated_on_the_page_of_its_code(
    api: Running, worker: Running, city_broker: Broker
) -> None:
    opinion, answer = ids.fresh(), str(uuid4())
    resolved = lifecycle.Resolved(actor=DEPUTY, outcome="solved", words=answer, times=1, rate_until=START)
    steps = [
        SUBMITTED,
        ASSIGNED,
        lifecycle.Accepted(actor=DEPUTY),
        lifecycle.ContactRevealed(actor=DEPUTY),
        resolved,
    ]
    write(
        city_broker.bootstrap,
        [
            written(opinion, "text", "opinion", "路灯坏了三天"),
            written(opinion, answer, "resolve", "已修好", DEPUTY),
            *history(opinion, *steps),
        ],
    )
    address = f"/t/{CODES.of(opinion)}"
    page = eventually(lambda: (found := api.http.get(address)).text.count("已修好") and found.text, 120)
    for words in ("路灯坏了三天", "王芳代表查看了您的联系方式", "请您评价"):
        assert words in page
    assert page.index("已修好") < page.index('name="score"'), "the answer is read before it is judged"
    fields = {**hidden(page), "score": "dissatisfied", "comment": "还是不亮"}
    for _ in range(2):  # pressed twice
        answered = api.http.post(f"{address}/rating", data=fields)
        assert answered.status_code == 303
    thanked = api.http.get(answered.headers["location"]).text
    assert "已收到您的评价" in thanked
    assert 'name="score"' not in thanked, "it is not asked twice"
    steps += [lifecycle.Rated("dissatisfied"), lifecycle.Reopened(1, DEPUTY.id, (DEPUTY.id,)), resolved]
    write(city_broker.bootstrap, history(opinion, *steps))
    again = eventually(
        lambda: 'name="score"' in (found := api.http.get(answered.headers["location"]).text) and found
    )
    assert "已收到您的评价" not in again, "that was said of the answer before"
    said = said_of(city_broker.bootstrap, topics.INBOUND, opinion)
    rated = [event for event in said if event.type == "opinion.rated"]
    assert {event.id for event in rated} == {rated[0].id}
    assert isinstance(rated[0].data, inbound.Rated)
    assert (rated[0].data.score, rated[0].data.comment) == ("dissatisfied", "还是不亮")
    assert api.http.post(f"{address}/erasure", data={"key": str(uuid4())}).status_code == 422
    for what in ("erasure", "withdrawal"):
        sure = {"key": str(uuid4()), "sure": "yes"}
        assert api.http.post(f"{address}/{what}", data=sure).status_code == 303
    types = {event.type for event in said_of(city_broker.bootstrap, topics.INBOUND, opinion)}
    assert types == {"opinion.rated", "opinion.erasure_requested", "opinion.withdrawn"}
