"""Alerts in an open inbox: as they come, on any instance, each number once."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lianxin_contracts import lifecycle
from lianxin_contracts.envelope import OutRecord
from tests.notifier.conftest import DATABASE
from tests.notifier.event_stream import EventStream
from tests.notifier.lifecycles import SUBMITTED, History, assigned, deputy
from tests.notifier.running import Running
from tests.notifier.small_city import READ
from tests.notifier.topics import write
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.databases import Database


@pytest.fixture(scope="module")
def second_api(
    city_broker: Broker, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("notifier-second-api")
    running = Running("api", directory, city_broker, database.url, DATABASE, heartbeat_s="0.2")
    yield running.start()
    running.stop()


def opinions_for(assignee: str, count: int) -> list[OutRecord]:
    return [record for _ in range(count) for record in History().steps(SUBMITTED, assigned(assignee))]


def test_an_alert_reaches_an_open_stream_with_what_the_inbox_shows(
    city_broker: Broker, worker: Running, api: Running
) -> None:
    case = History()
    with EventStream(api, "D4") as stream:
        write(city_broker.bootstrap, case.steps(SUBMITTED, assigned("D4")))
        (alert,) = eventually(lambda: stream.alerts_of(case.opinion))
    (item,) = [i for i in api.inbox("D4") if i["id"] == case.opinion]
    assert {name: alert[name] for name in ("id", "stage", "topic", "grid", "number", "due")} == {
        name: item[name] for name in ("id", "stage", "topic", "grid", "number", "due")
    }


def test_a_stream_resumes_on_another_instance_without_missing_or_repeating_a_number(
    city_broker: Broker, worker: Running, api: Running, second_api: Running
) -> None:
    seeded = random.Random(20261123)
    instances = [api, second_api]
    seen: list[int] = []
    with EventStream(api, "D5") as first:
        start = first.received[0].data["number"]
    last, assigned_in_all = start, 0
    for _ in range(6):
        unheard, heard, wanted = (seeded.randrange(1, 20) for _ in range(3))
        write(city_broker.bootstrap, opinions_for("D5", unheard))  # while nobody listens
        with EventStream(seeded.choice(instances), "D5", last) as stream:
            write(city_broker.bootstrap, opinions_for("D5", heard))
            enough = min(wanted, unheard + heard)
            eventually(lambda stream=stream, enough=enough: len(stream.numbers()) >= enough)  # type: ignore[misc]
        assigned_in_all += unheard + heard
        seen += stream.numbers()
        last = seen[-1]
    highest = start + assigned_in_all
    with EventStream(second_api, "D5", last) as stream:
        eventually(lambda: highest == last or stream.numbers()[-1:] == [highest])
    assert seen + stream.numbers() == list(range(start + 1, highest + 1))


def test_an_open_inbox_is_told_when_a_case_leaves_it(
    city_broker: Broker, worker: Running, api: Running
) -> None:
    case = History()
    with EventStream(api, "D6") as stream:
        write(city_broker.bootstrap, case.steps(SUBMITTED, assigned("D6"), lifecycle.Accepted(deputy("D6"))))
        eventually(lambda: stream.alerts_of(case.opinion))
        write(
            city_broker.bootstrap,
            case.steps(lifecycle.Returned(deputy("D6"), "other", 1), assigned("D1", by="return")),
        )
        eventually(lambda: [a for a in stream.alerts_of(case.opinion) if a["state"] == "left"])


def test_a_stream_from_a_number_that_was_never_given_begins_with_what_comes_next(
    city_broker: Broker, worker: Running, api: Running
) -> None:
    case = History()
    with EventStream(api, "D4", last=10**9) as stream:
        write(city_broker.bootstrap, case.steps(SUBMITTED, assigned("D4")))
        eventually(lambda: stream.alerts_of(case.opinion))


def test_a_quiet_stream_is_kept_open_by_comments(worker: Running, second_api: Running) -> None:
    with EventStream(second_api, "E1") as stream:
        eventually(lambda: stream.comments >= 2)


def test_streams_and_inboxes_want_a_key_and_a_known_deputy(api: Running) -> None:
    for path in ("/v1/inbox", "/v1/alerts/stream"):
        assert api.http.get(path, params={"deputy": "D1"}, headers={"Authorization": ""}).status_code == 401
        assert api.http.get(path, params={"deputy": "NOBODY"}).status_code == 404
        assert api.http.get(path).status_code == 422
    read_only = {"Authorization": f"Bearer {READ}"}
    assert api.http.get("/v1/inbox", params={"deputy": "D1"}, headers=read_only).status_code == 200


def test_the_api_stops_though_streams_are_open(
    city_broker: Broker, database: Database, worker: Running, tmp_path: Path
) -> None:
    running = Running("api", tmp_path, city_broker, database.url, DATABASE).start()
    with EventStream(running, "D1"):
        running.stop()
        assert running.spawned is not None
        assert running.spawned.process.returncode != -signal.SIGKILL
