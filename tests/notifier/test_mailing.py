"""Mail to deputies, over a real mail server that fails and hangs, by workers that are killed."""

from collections import Counter
from collections.abc import Iterator

import pytest

from lianxin_contracts import lifecycle
from tests.notifier.event_stream import EventStream
from tests.notifier.lifecycles import REPLAYED, SUBMITTED, History, assigned
from tests.notifier.mails import assign, ended, mails_of
from tests.notifier.running import Running
from tests.notifier.topics import deliveries, write
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.smtp import SmtpServer


@pytest.fixture
def mail_server(post: SmtpServer, worker: Running) -> Iterator[SmtpServer]:
    """The shared mail server with the shared worker behind it; behaves well again after each test."""
    yield post
    post.behave()


def test_an_assignment_is_mailed_once_without_personal_data_and_recorded_before_it_is_sent(
    city_broker: Broker, mail_server: SmtpServer
) -> None:
    (case,) = assign(city_broker, 1)
    eventually(lambda: ended(city_broker, [case]))
    (mail,) = [
        m for m in mail_server.messages() if m["to"] == ["m1@deputies.test"] and case.opinion in m["body"]
    ]
    records = mails_of(city_broker, [case])
    assert [(r.status, r.attempt) for r in records] == [("attempting", 1), ("sent", 1)]
    assert {r.message_id for r in records} == {mail["message_id"]} == {f"<{records[0].alert}@lianxin>"}
    assert "金匮街道" in mail["body"]
    # The link signs its receiver in and then opens the case.
    assert "https://lianxin.test/signin/" in mail["body"]
    assert f"?to=/inbox/{case.opinion}" in mail["body"]


def test_a_deputy_who_reads_english_is_written_to_in_english(
    city_broker: Broker, mail_server: SmtpServer
) -> None:
    assign(city_broker, 1, "E1")
    (mail,) = eventually(lambda: [m for m in mail_server.messages() if m["to"] == ["e1@deputies.test"]])
    assert mail["subject"].startswith("[Lianxin] A resident's opinion was given to you")


def test_a_replayed_case_is_not_mailed(city_broker: Broker, mail_server: SmtpServer) -> None:
    replayed = History()
    write(city_broker.bootstrap, replayed.steps(REPLAYED, assigned("M2")))
    (live,) = assign(city_broker, 1, "M2")
    eventually(lambda: ended(city_broker, [live]))
    eventually(lambda: deliveries(city_broker.bootstrap, replayed.opinion))
    assert [d.channel for d in deliveries(city_broker.bootstrap, replayed.opinion)] == ["inbox"]


def test_passing_errors_are_tried_again_until_every_mail_is_out_once(
    city_broker: Broker, mail_server: SmtpServer
) -> None:
    mail_server.behave(fail=0.5)
    cases = assign(city_broker, 20)
    eventually(lambda: ended(city_broker, cases))
    accepted = Counter(m["message_id"] for m in mail_server.messages())
    assert set(accepted.values()) == {1}
    records = mails_of(city_broker, cases)
    assert any(r.status == "failed" and r.error == "smtp 451 4.3.0" for r in records)
    assert not any(r.repeated_after_crash for r in records)


def test_a_hanging_mail_server_does_not_hold_up_the_inbox(
    city_broker: Broker, mail_server: SmtpServer, api: Running
) -> None:
    mail_server.behave(hang=True)
    stuck = assign(city_broker, 10)
    eventually(lambda: len([r for r in mails_of(city_broker, stuck) if r.status == "attempting"]) >= 4)
    with EventStream(api, "M3") as stream:
        cases = assign(city_broker, 10, "M3")
        eventually(lambda: all(stream.alerts_of(case.opinion) for case in cases))
    assert not any(r.status in ("failed", "sent") for r in mails_of(city_broker, stuck))
    mail_server.behave()
    eventually(lambda: ended(city_broker, stuck))


def test_every_receiver_that_an_event_names_gets_its_own_mail(
    city_broker: Broker, mail_server: SmtpServer
) -> None:
    case = History()
    breach = lifecycle.Breached(
        "acknowledge", assigned("M4").due.acknowledge, "M4", receivers=("M4", "M5", "S1")
    )
    write(city_broker.bootstrap, case.steps(SUBMITTED, assigned("M4"), breach))
    eventually(lambda: len([r for r in mails_of(city_broker, [case]) if r.status == "sent"]) == 3)
    to = [m["to"] for m in mail_server.messages() if case.opinion in m["body"]]
    assert sorted(to) == [["m4@deputies.test"], ["m4@deputies.test"], ["m5@deputies.test"]]
