"""What the station's page asks for beside itself, over the wire: nearby, "me too", map, slip, worker."""

import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from lianxin_contracts import ids, inbound, lifecycle, topics
from lianxin_contracts.envelope import OutRecord, to_record
from lianxin_intake.pages.beside import BEGINNING
from lianxin_intake.pages.rendering import STATIC
from lianxin_intake.tracking import TrackingCodes
from tests.intake.lifecycles import ASSIGNED, SUBMITTED, decided, written
from tests.intake.running import SECRET, Running
from tests.intake.small_city import EAST, GRID
from tests.intake.topics import read_all, said_of, write
from tests.support.brokers import Broker
from tests.support.wait import eventually

CODES = TrackingCodes(SECRET.encode())
WORDS = "秘密的路灯话"


def lately(opinion: str) -> list[OutRecord]:
    """An opinion of yesterday, assigned in the station's street, with its words."""
    at = datetime.now(UTC) - timedelta(days=1)
    steps = (SUBMITTED, ASSIGNED)
    events = [decided(opinion, n, data, at + timedelta(minutes=n)) for n, data in enumerate(steps, 1)]
    return [
        written(opinion, "text", "opinion", WORDS),
        *(to_record(event, topics.LIFECYCLE, opinion) for event in events),
    ]


def nearby(api: Running, **query: str) -> httpx.Response:
    return api.http.get("/s/S1/nearby", params={"topic": "0101"} | query)


@pytest.fixture(scope="module")
def shown(api: Running, worker: Running, city_broker: Broker) -> dict[str, str]:
    """An opinion as it is shown nearby."""
    opinion = ids.fresh()
    write(city_broker.bootstrap, lately(opinion))

    def found() -> dict[str, str] | None:
        items: list[dict[str, str]] = nearby(api).json()["items"]
        return next((item for item in items if item["opinion"] == opinion), None)

    item = eventually(found, timeout=120)
    assert item is not None
    return item


def test_what_is_alike_is_told_in_one_line(shown: dict[str, str]) -> None:
    assert set(shown) == {"opinion", "token", "line", "words"}
    assert shown["words"] == ""
    assert shown["line"].startswith("道路 · 梁溪区金匮街道 · 已交给代表")


def test_what_is_of_another_topic_or_street_is_not_nearby(api: Running, shown: dict[str, str]) -> None:
    for query in ({"topic": "02"}, {"topic": "x"}, {"topic": ""}, {"lat": "31.575", "lon": "120.325"}):
        assert nearby(api, **query).json() == {"items": []}
    assert nearby(api, grid=EAST).json()["items"], "another grid of the same street"


def test_nothing_that_was_said_reaches_an_anonymous_reader(api: Running, shown: dict[str, str]) -> None:
    code = CODES.of(shown["opinion"])
    known = eventually(lambda: WORDS in (page := api.http.get(f"/t/{code}").text) and page, 120)
    assert "王芳" in known, "its author reads it"
    addresses = (
        "/s/S1", "/s/S1?kiosk=1", "/s/S1/map", "/s/S1/topics", "/s/S1/nearby?topic=0101", "/sw.js",
        "/s/S1/nearby?topic=0101&lat=31.575&lon=120.305&lang=en", "/v1/stations", "/v1/topics",
        "/open311/v2/requests.json?extensions=true", f"/open311/v2/requests/{shown['opinion']}.json",
        "/open311/v2/servicerequestupdates.json",
    )  # fmt: skip
    for address in addresses:
        answer = api.http.get(address)
        assert answer.status_code == 200, address
        for secret in (WORDS, "王芳", "D1", code):
            assert secret not in answer.text, address
    for public in (nearby(api).text,):
        assert GRID not in public
    assert WORDS not in api.http.get(f"/t/{code}/slip").text, "slips are lost"


def test_what_the_office_released_is_shown_and_nothing_else(
    api: Running, worker: Running, city_broker: Broker
) -> None:
    opinion, office = ids.fresh(), inbound.Actor("staff", "office")
    released = to_record(decided(opinion, 3, lifecycle.Published(office, "p")), topics.LIFECYCLE, opinion)
    redacted = written(opinion, "p", "published", "改过的话" * 40, office)
    write(city_broker.bootstrap, [*lately(opinion), redacted, released])

    def words() -> str:
        items = nearby(api).json()["items"]
        return next((str(item["words"]) for item in items if item["opinion"] == opinion), "")

    told = eventually(words, timeout=120)
    assert told.startswith("改过的话")
    assert len(told) == BEGINNING
    assert WORDS not in told


def test_me_too_is_one_record_however_often_it_is_pressed(
    api: Running, city_broker: Broker, shown: dict[str, str]
) -> None:
    fields = {"opinion": shown["opinion"], "token": shown["token"], "supporter": str(uuid4())}
    for _ in range(3):
        answer = api.http.post("/s/S1/support", data=fields)
        assert answer.status_code == 202
        assert "已替您记上" in answer.json()["shown"]
    other = api.http.post("/s/S1/support", data=fields | {"supporter": str(uuid4())})
    assert other.status_code == 202
    said = said_of(city_broker.bootstrap, topics.INBOUND, shown["opinion"])
    assert len({event.id for event in said}) == 2
    for event in said:
        assert isinstance(event.data, inbound.Supported)
        assert (event.source, event.data.channel) == ("/intake/qr", "qr")
        assert event.data.supporter != fields["supporter"], "opaque"


def test_the_same_phone_has_another_name_on_every_opinion(api: Running, city_broker: Broker) -> None:
    phone = str(uuid4())
    names = set()
    opinions = [ids.fresh(), ids.fresh()]
    write(city_broker.bootstrap, [record for opinion in opinions for record in lately(opinion)])
    items = eventually(
        lambda: (
            {i["opinion"]: i for i in nearby(api).json()["items"]}.keys() >= set(opinions)
            and nearby(api).json()["items"]
        ),
        120,
    )
    for item in items:
        if item["opinion"] in opinions:
            fields = {"opinion": item["opinion"], "token": item["token"], "supporter": phone}
            assert api.http.post("/s/S1/support", data=fields).status_code == 202
            names |= {
                e.data.supporter for e in said_of(city_broker.bootstrap, topics.INBOUND, item["opinion"])
            }  # type: ignore[attr-defined]
    assert len(names) == 2


def test_what_no_page_showed_can_not_be_supported(
    api: Running, city_broker: Broker, shown: dict[str, str]
) -> None:
    right = {"opinion": shown["opinion"], "token": shown["token"], "supporter": str(uuid4())}
    unknown = ids.fresh()
    for wrong in ({"opinion": unknown}, {"token": "1.2"}, {"supporter": "me"}, {"opinion": "x"}):
        assert api.http.post("/s/S1/support", data=right | wrong).status_code == 422
    elsewhere = api.http.post("/s/S1/support", data=right, headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403
    assert [e for e in read_all(city_broker.bootstrap, topics.INBOUND) if e.subject == unknown] == []


def test_the_page_knows_the_grids_and_the_map_comes_apart(api: Running) -> None:
    page = api.http.get("/s/S1").text
    assert f'<option value="{GRID}">崇安社区第一网格</option>' in page
    drawn = api.http.get("/s/S1/map").json()
    assert [grid["id"] for grid in drawn["grids"]][:2] == [GRID, EAST]
    assert api.http.get("/s/nowhere/map").status_code == 404


def test_a_grid_that_was_chosen_goes_with_the_opinion(api: Running, city_broker: Broker) -> None:
    hidden = dict(
        re.findall(r'<input type="hidden" name="(token|key)" value="([^"]*)"', api.http.get("/s/S1").text)
    )
    answer = api.http.post("/s/S1", data=hidden | {"text": "灯坏了", "grid": EAST})
    (event,) = said_of(
        city_broker.bootstrap, topics.INBOUND, httpx.URL(answer.headers["location"]).params["id"]
    )
    assert isinstance(event.data, inbound.Submitted)
    assert event.data.grid == EAST
    wrong = api.http.post("/s/S1", data=hidden | {"key": str(uuid4()), "text": "灯坏了", "grid": "x"})
    assert (wrong.status_code, "没有这一片" in wrong.text) == (422, True)


def test_a_page_with_all_that_it_asks_for_is_small(api: Running) -> None:
    page = api.http.get("/s/S1?kiosk=1").text
    addresses = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page)) | {"/static/topic_words.js"}
    addresses |= {"/s/S1/map", "/s/S1/topics", "/sw.js"}
    assert len(addresses) > 8
    whole = len(page.encode()) + sum(len(api.http.get(address).content) for address in addresses)
    # A city's own topics have up to some 22 kB of words, its map some 6.
    assert whole + 28_000 < 100_000


def test_a_kiosk_is_led_to_a_slip_that_leads_back(api: Running) -> None:
    page = api.http.get("/s/S1?kiosk=1").text
    hidden = dict(re.findall(r'<input type="hidden" name="(token|key)" value="([^"]*)"', page))
    answer = api.http.post("/s/S1?kiosk=1&lang=en", data=hidden | {"text": "The lamp is broken"})
    slip = api.http.get(answer.headers["location"])
    assert slip.status_code == 200
    assert 'data-home="/s/S1?kiosk=1"' in slip.text
    assert "data:image/svg+xml" in slip.text
    assert 'href="/t"' not in page, "what others looked up is nobody's business here"


def test_a_slip_belongs_to_a_code_and_the_tracking_page_leads_to_it(api: Running) -> None:
    assert api.http.get(f"/t/{CODES.of(ids.fresh())}/slip").status_code == 404
    assert api.http.get("/t/123/slip").status_code == 404
    opinion = ids.fresh()
    code = CODES.of(opinion)
    page = api.http.get(f"/t/{code}", params={"id": opinion}).text
    assert f"/t/{code}/slip" in page
    slip = api.http.get(f"/t/{code}/slip", params={"id": opinion, "station": "S1"})
    assert code in slip.text
    assert "data-home" not in slip.text
    assert slip.headers["cache-control"] == "no-store"


def test_the_worker_knows_every_script_and_nothing_that_follows_an_opinion(api: Running) -> None:
    answer = api.http.get("/sw.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-cache"
    assert "VERSION'" not in answer.text
    for path in STATIC.iterdir():
        assert (f"/static/{path.name}" in answer.text) == (path.name != "tracking.js")
    assert "/t/" not in answer.text.replace("text/", "")


def test_with_the_database_away_nothing_is_nearby_and_the_page_is_there(
    make_running, city_broker: Broker
) -> None:
    running = make_running("api", city_broker, "mongodb://127.0.0.1:1", "intake_nearby_away").start()
    assert running.http.get("/s/S1").status_code == 200
    assert running.http.get("/s/S1/map").status_code == 200
    answer = nearby(running)
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


def test_a_kiosks_codes_are_those_of_what_is_sent_under_their_keys(api: Running, city_broker: Broker) -> None:
    page = api.http.get("/s/S1?kiosk=1").text
    token = dict(re.findall(r'<input type="hidden" name="(token|key)" value="([^"]*)"', page))["token"]
    pairs = api.http.post("/s/S1/codes", data={"token": token}).json()["codes"]
    assert len({key for key, _ in pairs}) == len({code for _, code in pairs}) == len(pairs) > 1
    key, code = pairs[0]
    sent = api.http.post("/s/S1", data={"token": token, "key": key, "text": "灯坏了"})
    opinion = httpx.URL(sent.headers["location"]).params["id"]
    assert CODES.opens(code, opinion)
    assert f"/t/{code}" in sent.headers["location"]


@pytest.mark.parametrize("given", [{"text": "x"}, {"token": "1.0"}])
def test_codes_are_given_to_a_page_of_ours_alone(api: Running, given: dict[str, str]) -> None:
    answer = api.http.post("/s/S1/codes", data=given, headers={"Accept": "application/json"})
    assert answer.status_code == 403
    assert "codes" not in answer.json()
    token = answer.json()["page_token"]
    foreign = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert api.http.post("/s/S1/codes", data={"token": token}, headers=foreign).status_code == 403
