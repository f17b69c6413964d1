"""Messages to residents: over a real mail server, by addresses that nobody but the sender ever sees."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from lianxin_contracts import lifecycle, topics
from lianxin_contracts.deliveries import Delivery
from tests.notifier.conftest import DATABASE, QUICK
from tests.notifier.lifecycles import REPLAYED, RESIDENT, SUBMITTED, History, assigned, deputy, now
from tests.notifier.running import Running
from tests.notifier.supervised import Supervised
from tests.notifier.topics import deliveries, read_all, write
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.smtp import SmtpServer

CODE = "7QK2-M4XW-9PZ3H"
MAIL = "wang@residents.test"
INTAKE = "https://opinions.test"


@pytest.fixture
def mongo(database: Database) -> Iterator[Any]:
    with MongoClient[dict[str, Any]](database.url, tz_aware=True) as client:
        yield client[DATABASE]


@pytest.fixture(scope="module")
def post_office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmtpServer]:
    server = SmtpServer(tmp_path_factory.mktemp("residents-smtp"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def writer(
    alone: None,
    city_broker: Broker,
    database: Database,
    post_office: SmtpServer,
    api: Running,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    """A worker that writes to residents, at any hour, half a minute's patience cut to a second."""
    running = make(tmp_path_factory.mktemp("residents"), city_broker, database, post_office, api)
    yield running.start()
    running.stop()


def make(
    directory: Path, broker: Broker, database: Database, post: SmtpServer, api: Running, **more: str
) -> Running:
    env = {
        "smtp_host": post.host,
        "smtp_port": str(post.port),
        "intake_url": INTAKE,
        "public_url": api.url,
        "resident_linger_minutes": "0.02",
        "resident_quiet": "",
        **QUICK,
        **more,
    }
    return Running("worker", directory, broker, database.url, DATABASE, **env)


def letters(post: SmtpServer, case: History) -> list[dict[str, Any]]:
    return [m for m in post.messages() if m["to"] == [MAIL] and case.opinion in m["body"]]


def of_resident(broker: Broker, case: History) -> list[Delivery]:
    return [d for d in deliveries(broker.bootstrap, case.opinion) if d.receiver == "resident"]


def begin(broker: Broker, *steps: Any, **contact: str) -> History:
    """A case whose resident left a mail address. The contact comes first, as far as a test can see to it."""
    case = History()
    write(broker.bootstrap, [case.contact("13800000000", **({"email": MAIL, "code": CODE} | contact))])
    write(broker.bootstrap, case.steps(SUBMITTED, *steps))
    return case


def test_a_resident_gets_the_tracking_link_and_a_way_to_stop(
    city_broker: Broker, post_office: SmtpServer, writer: Running
) -> None:
    case = begin(city_broker)
    (mail,) = eventually(lambda: letters(post_office, case))
    assert mail["subject"] == "【连心】您的意见已收到"
    assert f"{INTAKE}/t/{CODE}?id={case.opinion}" in mail["body"]
    assert f"{writer.env['LIANXIN_PUBLIC_URL']}/stop/" in mail["body"]
    assert "/signin/" not in mail["body"]
    assert mail["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["headers"]["List-Unsubscribe"].strip(" <>") in mail["body"]


def test_steps_that_follow_at_once_are_one_message(
    city_broker: Broker, post_office: SmtpServer, writer: Running
) -> None:
    case = begin(city_broker, assigned("D1"))
    eventually(
        lambda: {d.status for d in of_resident(city_broker, case)} == {"attempting", "sent", "skipped"}
    )
    assert [m["subject"] for m in letters(post_office, case)] == ["【连心】您的意见已交给人大代表办理"]
    (skipped,) = [d for d in of_resident(city_broker, case) if d.status == "skipped"]
    assert (skipped.about, skipped.error) == ("resident.received", "overtaken by the next step")


def test_the_whole_life_of_an_opinion_is_five_messages(
    city_broker: Broker, post_office: SmtpServer, writer: Running
) -> None:
    case = begin(city_broker)
    d1 = deputy("D1")
    later = [
        assigned("D1"),
        lifecycle.Answered(d1, "w1"),
        lifecycle.Resolved(d1, "solved", "w2", 1, now()),
        [lifecycle.Rated("dissatisfied"), lifecycle.Reopened(1, "D1")],
        [lifecycle.Resolved(d1, "solved", "w3", 2, now())],
    ]
    for number, steps in enumerate(later, 1):
        eventually(lambda wanted=number: len(letters(post_office, case)) == wanted)  # type: ignore[misc]
        write(city_broker.bootstrap, case.steps(*(steps if isinstance(steps, list) else [steps])))
    follower = begin(city_broker)  # what comes later on the log is done, so what came before is, too
    eventually(lambda: letters(post_office, follower))
    assert [m["subject"].removeprefix("【连心】")[:9] for m in letters(post_office, case)] == [
        "您的意见已收到",
        "您的意见已交给人大",
        "您的意见有了答复",
        "您的意见已办结，请",
        "您的意见已重新办理",
    ]


def test_nobody_hears_of_replayed_withdrawn_or_erased_opinions(
    city_broker: Broker, post_office: SmtpServer, writer: Running
) -> None:
    replayed = History()
    write(city_broker.bootstrap, [replayed.contact("110", email=MAIL, code=CODE)])
    write(city_broker.bootstrap, replayed.steps(REPLAYED, assigned("D1")))
    withdrawn = begin(city_broker, lifecycle.Withdrawn(RESIDENT), lifecycle.Closed("withdrawn"))
    erased = begin(city_broker, lifecycle.Erased(RESIDENT))
    write(city_broker.bootstrap, [erased.deleted(topics.CONTACTS)])
    eventually(lambda: [d.error for d in of_resident(city_broker, withdrawn)] == ["withdrawn"])
    eventually(lambda: [d.error for d in of_resident(city_broker, erased)] == ["erased"])
    assert of_resident(city_broker, replayed) == []
    assert not any(letters(post_office, case) for case in (replayed, withdrawn, erased))


def test_opening_the_stop_page_stops_nothing_and_its_button_does(
    city_broker: Broker, post_office: SmtpServer, writer: Running
) -> None:
    case = begin(city_broker)
    (mail,) = eventually(lambda: letters(post_office, case))
    stop = re.search(r"http://\S+/stop/\S+", mail["body"])
    assert stop is not None
    for _ in range(2):  # as a mail scanner does
        assert "停止通知" in httpx.get(stop[0]).text
    write(city_broker.bootstrap, case.steps(assigned("D1")))
    eventually(lambda: len(letters(post_office, case)) == 2)
    assert "已停止" in httpx.post(stop[0]).text
    write(city_broker.bootstrap, case.steps(lifecycle.Answered(deputy("D1"), "w")))
    eventually(lambda: [d for d in of_resident(city_broker, case) if d.about == "resident.answered"])
    (answered,) = [d for d in of_resident(city_broker, case) if d.about == "resident.answered"]
    assert (answered.status, answered.error) == ("skipped", "stopped by the resident")
    assert len(letters(post_office, case)) == 2


def test_a_mail_program_stops_them_by_one_post_and_a_forged_link_stops_nothing(
    city_broker: Broker, post_office: SmtpServer, writer: Running
) -> None:
    case = begin(city_broker)
    (mail,) = eventually(lambda: letters(post_office, case))
    address = mail["headers"]["List-Unsubscribe"].strip(" <>")
    assert httpx.post(address[:-3] + "AAA", data={"List-Unsubscribe": "One-Click"}).status_code == 404
    answer = httpx.post(address, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    eventually(lambda: [d for d in of_resident(city_broker, case) if d.about == "resident.stop"])


def test_the_contact_is_in_no_record_no_log_and_no_collection(
    city_broker: Broker, post_office: SmtpServer, writer: Running, mongo: Any, api: Running
) -> None:
    case = begin(city_broker)
    eventually(lambda: letters(post_office, case))
    told = [repr(event) for event in read_all(city_broker.bootstrap, topics.DELIVERIES)]
    kept = [repr(d) for name in mongo.list_collection_names() for d in mongo[name].find()]
    assert any(case.opinion in text for text in told)
    assert any(case.opinion in text for text in kept)
    for secret in (MAIL, "13800000000", CODE):
        assert not [text for text in [*told, *kept, writer.log(), api.log()] if secret in text]


def test_a_dropped_database_writes_nothing_again_and_remembers_who_stopped(
    city_broker: Broker,
    database: Database,
    post_office: SmtpServer,
    writer: Running,
    mongo: Any,
    tmp_path: Path,
    api: Running,
) -> None:
    case, silenced = begin(city_broker), begin(city_broker)
    eventually(lambda: letters(post_office, case))
    (mail,) = eventually(lambda: letters(post_office, silenced))
    httpx.post(mail["headers"]["List-Unsubscribe"].strip(" <>"))
    before = len(post_office.messages())
    writer.stop()
    mongo.client.drop_database(DATABASE)
    with Supervised(make(tmp_path, city_broker, database, post_office, api)) as again:
        again.ready()
        write(city_broker.bootstrap, [*case.steps(assigned("D1")), *silenced.steps(assigned("D1"))])
        eventually(lambda: len(letters(post_office, case)) == 2)
        eventually(lambda: [d for d in of_resident(city_broker, silenced) if d.about == "resident.assigned"])
    after = post_office.messages()
    assert [(m["to"], m["subject"]) for m in after[before:]] == [
        ([MAIL], "【连心】您的意见已交给人大代表办理")
    ]
    mailed = [m["message_id"] for m in after]
    assert sorted(mailed) == sorted(set(mailed))
    writer.start()
