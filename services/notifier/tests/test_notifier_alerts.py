"""Ids, addresses and records of alerts."""

from datetime import UTC, datetime

from lianxin_contracts import codec, topics
from lianxin_contracts.deliveries import Delivery, InboxEntry
from lianxin_notifier.alerts import (
    Address,
    Due,
    addresses,
    alert_id,
    attempt_record,
    due_for,
    inbox_record,
    message_id,
    numbered,
)
from lianxin_notifier.inbox import Alert

AT = datetime(2026, 11, 23, 1, 0, 0, 500_000, tzinfo=UTC)
ENTRY = InboxEntry("opinion.assigned", "assigned", "open", topic="0101", grid="g1")
ALERT = Alert(
    cause="e1",
    opinion="o1",
    receiver="D1",
    recorded=AT,
    entry=ENTRY,
    outside=True,
    first=True,
    submitted=datetime(2026, 11, 23, 1, 0, tzinfo=UTC),
)
MAIL = Address("mail", "mail", "d1@deputies.test")


def delivery(record: object) -> Delivery:
    told = codec.decode(topics.DELIVERIES, record.value, record.headers)  # type: ignore[attr-defined]
    assert isinstance(told.data, Delivery)
    return told.data


def test_an_alert_has_one_id_for_each_event_receiver_and_channel() -> None:
    given = {alert_id(e, r, c) for e in ("e1", "e2") for r in ("D1", "D2") for c in ("inbox", "mail")}
    assert len(given) == 8
    assert alert_id("e1", "D1", "mail") in given


def test_two_addresses_of_one_kind_are_two_channels_and_unknown_kinds_are_left_out() -> None:
    found = addresses(("mail:a@x.test", "pigeon:17", "webhook:https://x.test/h", "mail:b@x.test", "mail:"))
    assert [(a.name, a.target) for a in found] == [
        ("mail", "a@x.test"),
        ("webhook", "https://x.test/h"),
        ("mail.2", "b@x.test"),
    ]


def test_the_first_address_keeps_its_alerts_id_when_the_address_changes() -> None:
    moved = Address("mail", "mail", "new@deputies.test")
    assert due_for(ALERT, MAIL).alert == due_for(ALERT, moved).alert


def test_every_attempt_of_a_mail_has_the_same_message_id() -> None:
    due = due_for(ALERT, MAIL)
    told = [delivery(attempt_record(due, "attempting", attempt, AT)) for attempt in (1, 2)]
    assert {one.message_id for one in told} == {message_id(due.alert)} == {f"<{due.alert}@lianxin>"}


def test_the_record_of_an_inbox_alert_is_the_same_however_often_it_is_made() -> None:
    entry = numbered(ALERT, 7, AT)
    assert inbox_record(entry) == inbox_record(entry)
    told = delivery(inbox_record(entry))
    assert (told.number, told.channel, told.status, told.latency_ms) == (7, "inbox", "sent", 500)
    assert told.entry == ENTRY


def test_a_repeat_is_marked_in_the_record() -> None:
    due = due_for(ALERT, MAIL)
    again = Due(**{name: getattr(due, name) for name in due.__struct_fields__} | {"repeated": True})
    assert delivery(attempt_record(again, "attempting", 2, AT)).repeated_after_crash


def test_no_address_is_written_to_the_log() -> None:
    record = attempt_record(due_for(ALERT, MAIL), "sent", 1, AT)
    assert b"deputies.test" not in (record.value or b"")
