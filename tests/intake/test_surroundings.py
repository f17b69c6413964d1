"""Intake when what surrounds it fails: broker or database killed, no registry, a rebuild under load."""

import threading
from collections.abc import Callable
from uuid import uuid4

import pytest

from lianxin_contracts import ids, topics
from lianxin_intake.tracking import TrackingCodes
from tests.intake.lifecycles import ASSIGNED, SUBMITTED, history, written
from tests.intake.running import SECRET, Running
from tests.intake.small_city import SUBMIT, load_city
from tests.intake.topics import ensure_topics, said_of, write
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.wait import eventually

Make = Callable[..., Running]
CODES = TrackingCodes(SECRET.encode())


@pytest.mark.kafka
def test_a_killed_broker_is_503_and_the_same_request_later_is_one_record(
    make_kafka: Callable[[], Broker], database: Database, make_running: Make
) -> None:
    broker = make_kafka()
    ensure_topics(broker.bootstrap)
    load_city(broker.bootstrap)
    api = make_running("api", broker, database.url, "intake_killed", publish_deadline_s="2").start()
    assert api.submit({"text": "before"}, SUBMIT).status_code == 202

    broker.kill()
    keyed_body, unkeyed_body = {"text": "keyed", "contact": {"phone": "110"}}, {"text": "unkeyed"}
    key = str(uuid4())
    keyed, unkeyed = api.submit(keyed_body, SUBMIT, key), api.submit(unkeyed_body, SUBMIT)
    for answer in (keyed, unkeyed):
        assert (answer.status_code, answer.json()["code"]) == (503, "not_confirmed")
        assert int(answer.headers["retry-after"]) > 0
    assert keyed.headers["idempotency-key"] == key
    handed_back = unkeyed.headers["idempotency-key"]
    assert unkeyed.json()["idempotency_key"] == handed_back
    eventually(lambda: api.http.get("/readyz").status_code == 503)

    broker.start()
    eventually(api.is_ready, timeout=120)
    for body, again in ((keyed_body, key), (unkeyed_body, handed_back)):
        first = eventually(lambda b=body, k=again: accepted(api, b, k), timeout=120)
        said = said_of(broker.bootstrap, topics.INBOUND, first["id"])
        assert len({event.id for event in said}) == 1
        assert api.submit(body, SUBMIT, again).json() == first


def accepted(api: Running, body: dict[str, object], key: str) -> dict[str, str] | None:
    answer = api.submit(body, SUBMIT, key)
    return answer.json() if answer.status_code == 202 else None


def test_with_the_database_down_opinions_are_accepted_and_views_are_503(
    city_broker: Broker, make_database: Callable[[], Database], make_running: Make
) -> None:
    database = make_database()
    database.kill()
    api = make_running("api", city_broker, database.url, "intake_down").start()
    key = str(uuid4())
    receipt = api.submit({"text": "x"}, SUBMIT, key)
    assert receipt.status_code == 202
    assert api.submit({"text": "y"}, SUBMIT, key).status_code == 409
    view = api.http.get(receipt.json()["status_url"], params={"code": receipt.json()["tracking_code"]})
    assert (view.status_code, view.json()["code"]) == (503, "projection_unavailable")
    assert int(view.headers["retry-after"]) > 0
    assert api.http.get("/v1/stations").status_code == 200
    assert api.http.get("/qr/S1.pdf").status_code == 200

    database.start()
    url, code = receipt.json()["status_url"], receipt.json()["tracking_code"]
    eventually(lambda: api.http.get(url, params={"code": code}).status_code == 200, timeout=120)


def test_without_a_registry_the_process_is_alive_and_not_ready(
    make_kafka: Callable[[], Broker], database: Database, make_running: Make
) -> None:
    broker = make_kafka()
    ensure_topics(broker.bootstrap)
    api = make_running("api", broker, database.url, "intake_no_city").start(ready=False)
    ready = api.http.get("/readyz")
    assert ready.status_code == 503
    assert "registry" in ready.json()["waiting_for"]
    refused = api.submit({"text": "x"}, SUBMIT)
    assert (refused.status_code, refused.json()["code"]) == (503, "registry_not_loaded")
    assert refused.headers["retry-after"]
    assert refused.headers["idempotency-key"] == refused.json()["idempotency_key"]
    assert api.submit({"text": "x"}, SUBMIT, "mine").headers["idempotency-key"] == "mine"
    load_city(broker.bootstrap)
    eventually(api.is_ready, timeout=120)
    assert api.submit({"text": "x"}, SUBMIT).status_code == 202


def test_a_key_that_sends_too_fast_is_told_to_wait(
    city_broker: Broker, database: Database, make_running: Make
) -> None:
    api = make_running(
        "api", city_broker, database.url, "intake_rates", rate_per_second="0.5", rate_burst="2"
    ).start()
    statuses = [api.submit({"text": "x"}, SUBMIT) for _ in range(3)]
    assert [answer.status_code for answer in statuses] == [202, 202, 429]
    assert int(statuses[2].headers["retry-after"]) >= 1


def test_wrong_codes_from_one_address_come_to_an_end(
    city_broker: Broker, database: Database, make_running: Make
) -> None:
    api = make_running(
        "api", city_broker, database.url, "intake_codes", wrong_codes_per_minute="1", wrong_codes_burst="2"
    ).start()
    opinion = ids.fresh()
    wrong = [
        api.http.get(f"/v1/opinions/{opinion}", params={"code": CODES.of(str(uuid4()))}).status_code
        for _ in range(3)
    ]
    assert wrong == [403, 403, 429]


@pytest.mark.parametrize(
    ("proxies", "of_another"), [("127.0.0.1", 403), ("10.0.0.0/8, 127.0.0.0/8", 403), ("10.0.0.0/8", 429)]
)
def test_behind_a_trusted_proxy_each_resident_has_a_limit_and_nobody_else_can_choose_one(
    city_broker: Broker, database: Database, make_running: Make, proxies: str, of_another: int
) -> None:
    api = make_running(
        "api",
        city_broker,
        database.url,
        "intake_codes",
        wrong_codes_per_minute="1",
        wrong_codes_burst="1",
        trusted_proxies=proxies,
    ).start()

    def wrong(address: str) -> int:
        return api.http.get(
            f"/v1/opinions/{ids.fresh()}", params={"code": "wrong"}, headers={"X-Forwarded-For": address}
        ).status_code

    assert [wrong("203.0.113.7"), wrong("203.0.113.7")] == [403, 429]
    assert wrong("203.0.113.8") == of_another


def test_who_holds_a_code_may_not_fill_the_log(
    city_broker: Broker, database: Database, make_running: Make
) -> None:
    api = make_running("api", city_broker, database.url, "intake_codes", code_commands_burst="2").start()
    opinion = ids.fresh()
    body = {"score": "satisfied", "tracking_code": CODES.of(opinion)}
    answers = [api.post(f"/v1/opinions/{opinion}/rating", body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert int(answers[2].headers["retry-after"]) >= 1


def test_what_an_instance_has_forgotten_is_left_to_the_router(
    city_broker: Broker, database: Database, make_running: Make
) -> None:
    """Another judgement under an old key is another command: it was dropped there without a trace."""
    api = make_running("api", city_broker, database.url, "intake_codes", remembered_opinions="1").start()
    opinion, other, key = ids.fresh(), ids.fresh(), str(uuid4())

    def rate(of: str, score: str) -> str:
        body = {"score": score, "tracking_code": CODES.of(of)}
        answer = api.post(f"/v1/opinions/{of}/rating", body, None, key)
        assert answer.status_code == 202, answer.text
        command: str = answer.json()["command_id"]
        return command

    first = rate(opinion, "dissatisfied")
    rate(other, "satisfied")
    second = rate(opinion, "satisfied")
    assert first != second
    said = said_of(city_broker.bootstrap, topics.INBOUND, opinion)
    assert [event.id for event in said] == [first, second]


def test_a_rebuild_under_load_never_shows_a_blank(
    make_kafka: Callable[[], Broker], database: Database, make_running: Make
) -> None:
    broker = make_kafka()  # its own: workers of one service share a group, whatever their database
    ensure_topics(broker.bootstrap)
    load_city(broker.bootstrap)
    name = "intake_rebuilt"
    api = make_running("api", broker, database.url, name).start()
    worker = make_running("worker", broker, database.url, name, rebuild_handover_s="10").start()
    opinion = ids.fresh()
    write(
        broker.bootstrap,
        [written(opinion, "text", "opinion", "原话"), *history(opinion, SUBMITTED, ASSIGNED)],
    )
    path, code = f"/v1/opinions/{opinion}", {"code": CODES.of(opinion)}

    def view() -> dict[str, object]:
        seen: dict[str, object] = api.http.get(path, params=code).json()
        return seen

    def complete(seen: dict[str, object]) -> bool:
        return seen["stage"] == "assigned" and "原话" in str(seen["timeline"])

    eventually(lambda: complete(view()), timeout=120)
    before, seen, done = view(), [], threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.append(view())

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        rebuild = worker.command("--rebuild")
        for _ in range(5):
            write(broker.bootstrap, history(ids.fresh(), SUBMITTED, ASSIGNED))
        assert rebuild.process.wait(60) == 0, rebuild.tail()
        assert worker.spawned is not None
        # The worker notices that its generation was replaced, and ends cleanly; a supervisor starts it again.
        assert worker.spawned.process.wait(60) == 0, worker.spawned.tail()
        worker.start()
        late = ids.fresh()
        write(broker.bootstrap, history(late, SUBMITTED, ASSIGNED))
        late_path, late_code = f"/v1/opinions/{late}", {"code": CODES.of(late)}
        eventually(
            lambda: api.http.get(late_path, params=late_code).json()["stage"] == "assigned", timeout=120
        )
    finally:
        done.set()
        watching.join()
    assert seen
    assert [one for one in seen if one != before] == []
