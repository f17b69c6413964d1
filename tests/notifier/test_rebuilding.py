"""Rebuilding from the log: the same state, the same numbers, and not one message sent outside."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pymongo import MongoClient

from lianxin_contracts import lifecycle
from tests.notifier.conftest import DATABASE, QUICK
from tests.notifier.lifecycles import REPLAYED, SUBMITTED, History, assigned, deputy, triaged
from tests.notifier.mails import assign, ended, mails_of
from tests.notifier.running import Running
from tests.notifier.supervised import Supervised
from tests.notifier.topics import deliveries, write
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.ports import free_port
from tests.support.smtp import SmtpServer

pytestmark = pytest.mark.usefixtures("alone")

MakeWorker = Callable[..., Running]
DEPUTIES = ("D1", "D2", "D3", "D4", "D5", "D6", "M1", "M2", "T1", "S1")
BASES = ("opinions", "entries", "alerted", "words", "contacts", "commands")


@pytest.fixture
def mongo(database: Database) -> Iterator[Any]:
    client: MongoClient[dict[str, Any]] = MongoClient(database.url, tz_aware=True)
    yield client[DATABASE]
    client.close()


def mailing(make_worker: MakeWorker, smtp: SmtpServer) -> Running:
    return make_worker(smtp_host=smtp.host, smtp_port=str(smtp.port), **QUICK, rebuild_handover_s="1")


def live(mongo: Any) -> int:
    return int(mongo["projections"].find_one({"_id": "notifier"})["live"])


def begun(mongo: Any) -> bool:
    """Whether a rebuild has begun a generation that can be gone on with: every collection has its mark."""
    building = mongo["projections"].find_one({"_id": "notifier"})["building"]
    return bool(building) and all(
        mongo[f"{base}.g{building}"].find_one({"_id": "~mark"}) for base in (*BASES, "pending")
    )


def state(mongo: Any) -> dict[str, dict[str, Any]]:
    """Everything in the live generation and the numbers of every inbox."""
    generation = live(mongo)
    found = {
        base: {d["_id"]: d for d in mongo[f"{base}.g{generation}"].find() if not d["_id"].startswith("~")}
        for base in BASES
    }
    numbers = {d["_id"]: d["alert"] for d in mongo["inbox_log"].find() if not d["_id"].startswith("~")}
    return found | {"numbers": numbers}


def lives(broker: Broker) -> list[History]:
    """Cases of every kind of life, with words and contacts, written and ready to be handled."""
    away, waiting, closed, erased, replayed = (History() for _ in range(5))
    write(
        broker.bootstrap,
        [
            *(case.words("文字") for case in (away, waiting, closed, erased)),
            *(case.contact("13800000000") for case in (away, waiting)),
            *away.steps(
                SUBMITTED,
                assigned("M1"),
                lifecycle.Transferred(deputy("M1"), "M2"),
                assigned("M2", "transfer"),
            ),
            *waiting.steps(SUBMITTED, triaged("T1")),
            *closed.steps(SUBMITTED, assigned("M1"), lifecycle.Closed("withdrawn")),
            *erased.steps(SUBMITTED, assigned("D1"), lifecycle.Erased(deputy("D1"))),
            erased.deleted("opinions.words"),
            *replayed.steps(REPLAYED, assigned("M2")),
        ],
    )
    return [away, waiting, closed, erased, replayed]


def at_rest(broker: Broker, mongo: Any, cases: list[History]) -> bool:
    """Everything that the cases say is applied, told and mailed."""
    opinions = state(mongo)["opinions"]
    applied = all(opinions.get(c.opinion, {}).get("sequence") == c.sequence for c in cases)
    # In the order in which an alert goes through them, so that none slips past from one to the next. What has
    # a repeat before it is not looked at for hours; anything else is about to be sent.
    soon = datetime.now(UTC) + timedelta(minutes=5)
    queued = mongo["reaching"].count_documents({"due_at": {"$lte": soon}})
    queued += mongo["deliveries"].count_documents({"due_at": {"$exists": True}})
    last = {d.alert: d.status for d in deliveries(broker.bootstrap)}
    return applied and not queued and not set(last.values()) & {"attempting", "failed"}


def differences(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> list[object]:
    """What was there before and is not, or not the same, now; a few of them."""
    return [
        (base, key, value, after[base].get(key))
        for base in before
        for key, value in before[base].items()
        if after[base].get(key) != value
    ][:3]


def test_a_rebuild_beside_the_live_worker_gives_the_same_state_and_sends_nothing(
    city_broker: Broker, make_worker: MakeWorker, smtp_server: SmtpServer, api: Running, mongo: Any
) -> None:
    with Supervised(mailing(make_worker, smtp_server)) as worker:
        cases = lives(city_broker)
        eventually(lambda: at_rest(city_broker, mongo, cases))
        before, generation = state(mongo), live(mongo)
        sent, told = len(smtp_server.messages()), len(deliveries(city_broker.bootstrap))
        blank, done = [], threading.Event()

        def look() -> None:
            while not done.wait(0.05):
                if not api.inbox("M2"):
                    blank.append("blank")

        looking = threading.Thread(target=look)
        looking.start()
        said = mailing(make_worker, smtp_server).run("--rebuild")
        eventually(lambda: worker.starts == 2)
        worker.ready()
        done.set()
        looking.join()
        assert live(mongo) > generation
        assert f"generation {live(mongo)} of the inboxes is live" in said
        assert differences(before, state(mongo)) == differences(state(mongo), before) == []
        assert blank == []
        assert len(smtp_server.messages()) == sent
        assert len(deliveries(city_broker.bootstrap)) == told


def test_a_rebuild_does_not_send_singly_what_was_left_to_a_digest_though_the_wish_has_changed(
    city_broker: Broker, make_worker: MakeWorker, smtp_server: SmtpServer, mongo: Any
) -> None:
    far_from_now = datetime.now(timezone(timedelta(hours=8))) + timedelta(hours=12)
    mongo["preferences"].insert_one({"_id": "M5", "digest": {"at": f"{far_from_now:%H:%M}"}})
    try:
        with Supervised(mailing(make_worker, smtp_server)) as worker:
            (left,) = assign(city_broker, 1, "M5")
            eventually(lambda: at_rest(city_broker, mongo, [left]))
            mongo["preferences"].delete_one({"_id": "M5"})
            mailing(make_worker, smtp_server).run("--rebuild")
            eventually(lambda: worker.starts == 2)
            worker.ready()
            (later,) = assign(city_broker, 1, "M5")  # by its mail everything before it has been looked at
            eventually(lambda: ended(city_broker, [later]))
            pending = mongo[f"pending.g{live(mongo)}"]
            eventually(lambda: pending.count_documents({"recorded": {"$exists": True}}) == 0)
            eventually(lambda: at_rest(city_broker, mongo, [left, later]))
        assert mails_of(city_broker, [left]) == []
    finally:
        mongo["preferences"].delete_one({"_id": "M5"})


def test_a_database_dropped_while_the_system_runs_comes_back_the_same_and_sends_nothing_twice(
    city_broker: Broker, make_worker: MakeWorker, smtp_server: SmtpServer, mongo: Any
) -> None:
    with Supervised(mailing(make_worker, smtp_server)) as worker:
        cases = lives(city_broker)
        eventually(lambda: at_rest(city_broker, mongo, cases))
        before = state(mongo)
        mongo.client.drop_database(DATABASE)
        fresh = assign(city_broker, 5, "M1")  # while nothing is there to keep them in
        eventually(lambda: worker.starts >= 3)
        worker.ready()
        eventually(lambda: ended(city_broker, fresh))
        eventually(lambda: at_rest(city_broker, mongo, [*cases, *fresh]))
        after = state(mongo)
        assert differences(before, after) == []
        new = sorted(after["numbers"].keys() - before["numbers"].keys())
        highest = max(key for key in before["numbers"] if key.startswith("M1/"))
        assert len(new) == 5
        assert all(key > highest for key in new)
        mailed = [m["message_id"] for m in smtp_server.messages()]
        assert len(mailed) == len(set(mailed))


def test_a_delivery_that_waited_for_its_next_attempt_when_the_database_was_dropped_has_its_end_on_the_log(
    city_broker: Broker, make_worker: MakeWorker, mongo: Any
) -> None:
    slow = QUICK | {"retry_first_s": "600", "retry_longest_s": "600"}
    nowhere = {"smtp_host": "127.0.0.1", "smtp_port": str(free_port())}
    with Supervised(make_worker(**nowhere, **slow)):
        cases = assign(city_broker, 2, "M4")
        eventually(lambda: ended(city_broker, cases, "failed"))
        mongo.client.drop_database(DATABASE)
        eventually(lambda: ended(city_broker, cases, "dead"))
        eventually(lambda: at_rest(city_broker, mongo, cases))
    last = {d.alert: d for d in mails_of(city_broker, cases)}.values()
    assert {d.status for d in last} == {"dead"}
    assert all("the database was dropped: no further attempt" in (d.error or "") for d in last)


@pytest.mark.soak
@pytest.mark.parametrize("collection", ["entries.g{}", "words.g{}", "inbox_log", "deliveries"])
def test_a_single_dropped_collection_is_noticed_and_restored(
    city_broker: Broker, make_worker: MakeWorker, smtp_server: SmtpServer, mongo: Any, collection: str
) -> None:
    with Supervised(mailing(make_worker, smtp_server)) as worker:
        cases = lives(city_broker)
        eventually(lambda: at_rest(city_broker, mongo, cases))
        before, sent = state(mongo), len(smtp_server.messages())
        mongo.drop_collection(collection.format(live(mongo)))
        eventually(lambda: worker.starts >= 3)
        worker.ready()
        assert differences(before, state(mongo)) == differences(state(mongo), before) == []
        assert len(smtp_server.messages()) == sent


def test_after_a_rebuild_only_what_has_no_record_and_still_waits_is_sent(
    city_broker: Broker, make_worker: MakeWorker, smtp_server: SmtpServer, mongo: Any
) -> None:
    with Supervised(mailing(make_worker, smtp_server)):
        before = assign(city_broker, 2, "M3")
        eventually(lambda: ended(city_broker, before))
    mongo.client.drop_database(DATABASE)
    waits, gone = History(), History()
    write(
        city_broker.bootstrap,
        [
            *waits.steps(SUBMITTED, assigned("M3")),
            *gone.steps(SUBMITTED, assigned("M3"), lifecycle.TakenBack("M3", "silence"), assigned("D1")),
        ],
    )
    with Supervised(mailing(make_worker, smtp_server)):
        eventually(lambda: ended(city_broker, [waits]))
        eventually(lambda: at_rest(city_broker, mongo, [waits, gone]))
        assert mails_of(city_broker, [gone]) == []
        assert {d.channel for d in deliveries(city_broker.bootstrap, gone.opinion)} == {"inbox"}
        mailed = [m["message_id"] for m in smtp_server.messages()]
        assert len(mailed) == len(set(mailed)) == 3


def test_a_stream_is_not_opened_while_the_numbers_are_being_restored(api: Running, mongo: Any) -> None:
    def mark(state: str) -> None:
        mongo["inbox_log"].update_one({"_id": "~mark"}, {"$set": {"state": state}}, upsert=True)

    mark("building")
    try:
        answer = api.http.get("/v1/alerts/stream", params={"deputy": "D1"}, headers={"Last-Event-ID": "500"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    finally:
        mark("built")


@pytest.mark.soak
def test_a_rebuild_that_was_killed_is_gone_on_with(
    city_broker: Broker, make_worker: MakeWorker, smtp_server: SmtpServer, mongo: Any
) -> None:
    with Supervised(mailing(make_worker, smtp_server)) as worker:
        cases = lives(city_broker)
        eventually(lambda: at_rest(city_broker, mongo, cases))
        before, generation = state(mongo), live(mongo)
        rebuilding = make_worker()
        spawned = rebuilding.command("--rebuild")
        eventually(lambda: begun(mongo))
        spawned.kill()
        building = mongo["projections"].find_one({"_id": "notifier"})["building"]
        rebuilding.run("--rebuild", timeout=120)
        eventually(lambda: worker.starts == 2)
        worker.ready()
        assert live(mongo) == building > generation
        assert differences(before, state(mongo)) == differences(state(mongo), before) == []
