"""Open311 against a running intake: an outside client reads it, and what it posts is one record."""

from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest
from defusedxml import ElementTree
from georeport import GeoReport
from nacl.encoding import Base64Encoder
from nacl.public import SealedBox
from pymongo import MongoClient

from lianxin_contracts import ids, inbound, lifecycle, topics
from lianxin_contracts.envelope import Event
from tests.intake.lifecycles import ASSIGNED, DEPUTY, RESIDENT, START, SUBMITTED, history, written
from tests.intake.running import PRIVATE_KEY, Running
from tests.intake.small_city import GRID, NO_SCOPE, REVOKED, SUBMIT, load_city
from tests.intake.topics import ensure_topics, said_of, write
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.wait import eventually

SAID = {"service_code": "0101", "lat": "31.568912", "long": "120.298634", "description": "金匮桥下的路灯坏了"}
AROUND = {"start_date": "2026-11-01T00:00:00Z", "end_date": "2026-12-01T00:00:00Z"}


def post(api: Running, key: str | None = SUBMIT, form: str = "json", **more: str) -> httpx.Response:
    headers = {"Idempotency-Key": more.pop("idempotency_key")} if "idempotency_key" in more else {}
    given = {**SAID, **more, **({"api_key": key} if key is not None else {})}
    return api.http.post(f"/open311/v2/requests.{form}", data=given, headers=headers)


def get(api: Running, path: str, **query: str) -> httpx.Response:
    return api.http.get(f"/open311/v2/{path}", params=query)


def codes(answer: httpx.Response) -> list[int]:
    """The codes of the errors, whichever form they are in; nothing else may be in it."""
    if answer.headers["content-type"] == "application/json; charset=utf-8":
        errors = answer.json()
        assert all(set(error) == {"code", "description"} for error in errors)
        return [error["code"] for error in errors]
    assert answer.headers["content-type"] == "text/xml; charset=utf-8"
    root = ElementTree.fromstring(answer.content)
    assert root.tag == "errors"
    return [int(error.findtext("code")) for error in root]


def the_submission(broker: Broker, opinion: str) -> Event:
    (event,) = said_of(broker.bootstrap, topics.INBOUND, opinion)
    return event


def resolved_case(broker: Broker) -> str:
    """A case with words, a contact that was looked at, an answer and a rounded place."""
    opinion = ids.fresh()
    near = lifecycle.RoundedPlace(31.569, 120.299)
    submitted = lifecycle.Submitted(channel="app", digest="d", words="text", topic="0101", near=near)
    write(
        broker.bootstrap,
        [
            written(opinion, "text", "opinion", "秘密的话"),
            written(opinion, "w", "resolve", "秘密的答复", DEPUTY),
            *history(
                opinion,
                submitted,
                ASSIGNED,
                lifecycle.ContactRevealed(actor=DEPUTY),
                lifecycle.Resolved(actor=DEPUTY, outcome="planned", words="w", times=1, rate_until=START),
            ),
        ],
    )
    return opinion


def is_closed(api: Running, opinion: str) -> bool:
    answer = get(api, f"requests/{opinion}.json")
    return answer.status_code == 200 and answer.json()[0]["status"] == "closed"


@pytest.mark.parametrize("form", ["json", "xml"])
def test_an_outside_client_reads_services_and_requests(
    api: Running, worker: Running, city_broker: Broker, form: str
) -> None:
    opinion = resolved_case(city_broker)
    eventually(lambda: is_closed(api, opinion), timeout=120)
    client = GeoReport(f"{api.url}/open311/v2", jurisdiction="wuxi", output_format=form)

    services = {service["service_code"]: service for service in client.get_service_list()}
    assert services["0101"]["service_name"] == "道路"
    assert services["0101"]["group"] == "城市建设"
    definition = client.get_service_definition("0101")
    assert definition["service_code"] == "0101"

    one = client.get_service_request(opinion)
    assert (one["service_request_id"], one["status"], one["service_code"]) == (opinion, "closed", "0101")
    assert (float(one["lat"]), float(one["long"])) == (31.569, 120.299)
    assert one["requested_datetime"] == "2026-11-23T01:00:00Z"
    assert one["updated_datetime"] == "2026-11-23T04:00:00Z"
    listed = client.get_service_requests(service_code="0101", status="closed", **AROUND)
    found = listed if isinstance(listed, list) else [listed]
    assert one in found


def test_what_is_posted_is_one_record_as_from_the_other_door(api: Running, city_broker: Broker) -> None:
    answer = post(
        api,
        first_name="芳",
        last_name="王",
        phone="110",
        media_url="https://photos.example.org/1.jpg",
        **{"attribute[station]": "S1", "attribute[grid]": GRID},
    )
    assert answer.status_code == 200
    (receipt,) = answer.json()
    said = the_submission(city_broker, receipt["service_request_id"])
    assert isinstance(said.data, inbound.Submitted)
    assert said.type == "opinion.submitted"
    assert said.source == "/intake/app"
    assert said.data.text == "金匮桥下的路灯坏了"
    assert said.data.media_url == "https://photos.example.org/1.jpg"
    assert (said.data.topic, said.data.station, said.data.grid) == ("0101", "S1", GRID)
    assert said.data.place == inbound.Place(31.568912, 120.298634)
    assert said.data.contact is not None
    opened = SealedBox(PRIVATE_KEY).decrypt(said.data.contact.encode(), encoder=Base64Encoder)
    assert "王芳".encode() in opened
    code = receipt["service_notice"].rpartition(" ")[2]
    view = api.http.get(f"/v1/opinions/{receipt['service_request_id']}", params={"code": code})
    assert view.status_code == 200


def test_a_request_is_shown_as_soon_as_it_is_accepted(api: Running) -> None:
    answer = post(api, form="xml")
    id_ = ElementTree.fromstring(answer.content).findtext("request/service_request_id")
    (shown,) = get(api, f"requests/{id_}.json").json()
    assert (shown["service_request_id"], shown["status"]) == (id_, "open")
    assert shown["description"] is None


@pytest.mark.parametrize("named", [{"idempotency_key": "k"}, {"attribute[external_id]": "e"}])
def test_the_same_request_twice_is_counted_once_and_another_under_its_name_is_refused(
    api: Running, city_broker: Broker, named: dict[str, str]
) -> None:
    named = {name: value + str(uuid4()) for name, value in named.items()}
    first, again = post(api, **named), post(api, **named)
    assert first.json() == again.json()
    said = said_of(city_broker.bootstrap, topics.INBOUND, first.json()[0]["service_request_id"])
    assert len({event.id for event in said}) == 1
    other = post(api, **named, address_string="elsewhere")
    assert (other.status_code, codes(other)) == (400, [409])


@pytest.mark.parametrize("form", ["json", "xml"])
def test_every_refusal_of_a_post_is_a_list_in_the_form_that_was_asked_for(api: Running, form: str) -> None:
    for key in (None, "wrong", REVOKED, NO_SCOPE):
        answer = post(api, key, form)
        assert (answer.status_code, codes(answer)) == (403, [403])
    for status, wrong in (
        (404, {"service_code": "9"}),
        (404, {"jurisdiction_id": "elsewhere"}),
        (400, {"service_code": ""}),
        (400, {"lat": "91"}),
        (400, {"lat": ""}),
        (400, {"attribute[station]": "S99"}),
        (400, {"email": "nobody"}),
        (400, {"description": "a\x00"}),
    ):
        answer = post(api, SUBMIT, form, **wrong)
        assert (answer.status_code, codes(answer)) == (status, [status]), wrong
    path = f"/open311/v2/requests.{form}"
    earlier = post(api, SUBMIT, form, **{"attribute[occurred_at]": "2026-11-20T00:00:00Z"})
    assert (earlier.status_code, codes(earlier)) == (403, [403])
    as_json = api.http.post(path, json=SAID)
    assert (as_json.status_code, codes(as_json)) == (415, [415])
    long = api.http.post(path, data={"description": "x" * 300_000})
    assert (long.status_code, codes(long)) == (413, [413])
    put = api.http.put(path, data=SAID)
    assert (put.status_code, codes(put), put.headers["allow"]) == (405, [405], "GET, POST")


@pytest.mark.parametrize(
    "path",
    [
        "requests/{id}.{form}",
        "requests.{form}?service_request_id={id}",
        "requests.{form}?service_code=9",
        "services/9.{form}",
        "services.{form}?jurisdiction_id=elsewhere",
        "tokens/{id}.{form}",
        "nothing.{form}",
    ],
)
@pytest.mark.parametrize("form", ["json", "xml"])
def test_what_is_not_there_is_404(api: Running, worker: Running, path: str, form: str) -> None:
    answer = api.http.get("/open311/v2/" + path.format(id=ids.fresh(), form=form))
    assert (answer.status_code, codes(answer)) == (404, [404])


@pytest.mark.parametrize(
    "path", ["/open311/v2/services", "/open311/v2/services.csv", "/open311/v3/x", "/open311/"]
)
def test_a_path_of_nobody_is_404_as_xml(api: Running, path: str) -> None:
    answer = api.http.get(path)
    assert (answer.status_code, codes(answer)) == (404, [404])


@pytest.mark.parametrize(
    "query", [{"start_date": "x"}, {"status": "new"}, {"page_size": "0"}, {"extensions": "2"}]
)
def test_a_wrong_argument_is_400(api: Running, query: dict[str, str]) -> None:
    answer = get(api, "requests.json", **query)
    assert (answer.status_code, codes(answer)) == (400, [400])


def test_nobody_reads_words_deputy_outcome_or_grid(
    api: Running, worker: Running, city_broker: Broker
) -> None:
    opinion = resolved_case(city_broker)
    eventually(lambda: is_closed(api, opinion), timeout=120)
    for path in (f"requests/{opinion}", "requests", "servicerequestupdates"):
        for form in ("json", "xml"):
            answer = get(api, f"{path}.{form}", extensions="true", **AROUND)
            assert opinion in answer.text
            for secret in ("秘密", "王芳", "D1", "planned", GRID):
                assert secret not in answer.text, (path, form, secret)


def test_filters_pages_and_updates(api: Running, worker: Running, city_broker: Broker) -> None:
    waiting, resolved = ids.fresh(), resolved_case(city_broker)
    write(city_broker.bootstrap, history(waiting, SUBMITTED, ASSIGNED))
    eventually(lambda: is_closed(api, resolved), timeout=120)
    eventually(
        lambda: get(api, f"requests/{waiting}.json").json()[0].get("service_code") == "0101", timeout=120
    )

    def found(**query: str) -> list[str]:
        return [one["service_request_id"] for one in get(api, "requests.json", **{**AROUND, **query}).json()]

    assert waiting in found(status="open")
    assert resolved not in found(status="open")
    assert {waiting, resolved} <= set(found(service_code="0101", status="open,closed"))
    assert resolved not in found(service_code="01")
    assert found(end_date="2026-11-02T00:00:00Z") == []
    assert found(service_request_id=f"{resolved},{waiting},{ids.fresh()}", status="open") == [
        resolved,
        waiting,
    ]
    everything = found()
    assert [*found(page="1", page_size="1"), *found(page="2", page_size="1")] == everything[:2]

    updates = [
        (one["status"], one["updated_datetime"])
        for one in get(api, "servicerequestupdates.json", **AROUND).json()
        if one["service_request_id"] == resolved
    ]
    assert updates == [
        ("OPEN", "2026-11-23T01:00:00Z"),
        ("INVESTIGATING", "2026-11-23T02:00:00Z"),
        ("CLOSED", "2026-11-23T04:00:00Z"),
    ]


def test_an_erased_request_is_gone(api: Running, worker: Running, city_broker: Broker) -> None:
    opinion = ids.fresh()
    write(city_broker.bootstrap, history(opinion, SUBMITTED, ASSIGNED))
    eventually(lambda: get(api, f"requests/{opinion}.json").status_code == 200, timeout=120)
    erased = history(opinion, SUBMITTED, ASSIGNED, lifecycle.Erased(actor=RESIDENT))[-1]
    write(city_broker.bootstrap, [erased])
    eventually(lambda: get(api, f"requests/{opinion}.json").status_code == 404, timeout=120)
    assert opinion not in get(api, "requests.json", **AROUND).text


@pytest.mark.parametrize("path", ["/open311/v2/discovery", "/open311/discovery"])
def test_discovery_is_in_both_forms(api: Running, path: str) -> None:
    read = ElementTree.fromstring(api.http.get(f"{path}.xml").content)
    (endpoint,) = api.http.get(f"{path}.json").json()["endpoints"]
    assert endpoint["url"] == read.findtext("endpoints/endpoint/url")
    assert api.http.get(f"{path}.json").json()["changeset"] == read.findtext("changeset")
    assert [one.text for one in read.findall("endpoints/endpoint/formats/format")] == endpoint["formats"]


def test_the_document_lists_every_call(api: Running) -> None:
    paths = {path for path in api.http.get("/openapi.json").json()["paths"] if path.startswith("/open311")}
    assert paths == {
        f"/open311/v2/{call}.{{form}}"
        for call in (
            "discovery",
            "services",
            "services/{service_code}",
            "requests",
            "requests/{service_request_id}",
            "tokens/{token}",
            "servicerequestupdates",
        )
    }


def test_an_address_that_asks_too_much_is_told_when_to_come_back(
    city_broker: Broker, database: Database, make_running: Callable[..., Running]
) -> None:
    api = make_running("api", city_broker, database.url, "intake_open311_rates").start()
    answers = (get(api, "requests.json", page_size="1") for _ in range(1000))
    refused = next(answer for answer in answers if answer.status_code != 200)
    assert (refused.status_code, codes(refused)) == (429, [429])
    assert int(refused.headers["retry-after"]) > 0


def test_without_a_database_requests_are_accepted_and_reading_is_503(
    city_broker: Broker, make_database: Callable[[], Database], make_running: Callable[..., Running]
) -> None:
    database = make_database()
    api = make_running("api", city_broker, database.url, "intake_open311").start()
    database.kill()
    assert post(api).status_code == 200
    read = get(api, "requests.xml")
    assert (read.status_code, codes(read)) == (503, [503])
    assert int(read.headers["retry-after"]) > 0


def test_a_projection_of_an_older_shape_is_rebuilt_when_the_worker_starts(
    make_kafka: Callable[[], Broker], database: Database, make_running: Callable[..., Running]
) -> None:
    broker = make_kafka()  # its own: workers of one service share a group, whatever their database
    ensure_topics(broker.bootstrap)
    load_city(broker.bootstrap)
    opinion = resolved_case(broker)
    name = "intake_shape"
    worker = make_running("worker", broker, database.url, name).start()
    with MongoClient(database.url) as client:
        db = client[name]

        def live() -> int:
            state = db["projections"].find_one({"_id": "tracking"})
            return state["live"] if state else 0

        def placed() -> bool:
            return db[f"tracking.g{live()}"].count_documents({"_id": opinion, "near.lat": 31.569}) == 1

        eventually(placed, timeout=120)
        worker.stop()
        before = live()
        older = db[f"tracking.g{before}"]
        older.update_one({"_id": "~mark"}, {"$unset": {"shape": ""}})
        older.update_one({"_id": opinion}, {"$unset": {"near": ""}})
        worker.start()
        eventually(lambda: live() > before and placed(), timeout=120)
