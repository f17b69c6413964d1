"""The verdict on a storm sees what it is there to see, and the strikes follow from the seed."""

from collections import Counter
from typing import Any

import pytest

from lianxin_contracts.deliveries import Delivery
from tests.faults.storm import draw
from tests.faults.storm_verdict import (
    Accepted,
    Told,
    everything_wrong,
    no_more_was_repeated_than_was_in_flight,
)

EXPECTED = {"m1": "D1"}
ADDRESSES = {"D1": "d1@deputies.test"}
ARRIVED = Accepted("<m1>", "d1@deputies.test", repeated=False)
AGAIN = Accepted("<m1>", "d1@deputies.test", repeated=True)


def mail(status: Any, attempt: int = 1, **fields: Any) -> Delivery:
    return Delivery("m1", "e", "o", "D1", "mail", status, attempt, message_id="<m1>", **fields)


def numbered(number: int, alert: str = "i1") -> Delivery:
    return Delivery(alert, "e", "o", "D1", "inbox", "sent", 1, number=number)


def told(*records: Delivery) -> Told:
    folded = Told()
    for record in records:
        folded.take(record)
    return folded


RIGHT = (numbered(1), mail("attempting"), mail("sent"))


def wrong(*records: Delivery, accepted: tuple[Accepted, ...] = (ARRIVED,)) -> set[str]:
    found = everything_wrong(EXPECTED, told(*records), accepted, ADDRESSES)
    return {what for what, problems in found.items() if problems}


def test_what_is_right_is_found_right_also_where_a_record_was_written_twice():
    assert wrong(*RIGHT, *RIGHT) == set()
    assert wrong(numbered(1), mail("attempting"), mail("dead", error="smtp 550"), accepted=()) == set()


@pytest.mark.parametrize(
    "records",
    [
        (numbered(1),),
        (numbered(1), mail("attempting")),
        (*RIGHT, mail("dead", 2, error="smtp 451")),
        (*RIGHT, mail("sent", 2)),
        (numbered(1), mail("attempting"), mail("dead")),
        (numbered(1), mail("attempting"), mail("skipped", error="channel not set up")),
        (*RIGHT, Delivery("m2", "e", "o", "D1", "mail", "sent", 1, message_id="<m2>")),
    ],
)
def test_an_alert_without_exactly_one_end_and_its_reason_is_seen(records: tuple[Delivery, ...]):
    assert "an alert has not one end" in wrong(*records)


def test_a_mail_that_did_not_arrive_or_that_nobody_recorded_or_that_went_elsewhere_is_seen():
    for accepted in (
        (),
        (ARRIVED, Accepted("<m9>", "d1@deputies.test", repeated=False)),
        (Accepted("<m1>", "d2@deputies.test", repeated=False),),
    ):
        assert wrong(*RIGHT, accepted=accepted) == {"log and mail server disagree"}


def test_a_message_accepted_twice_is_wrong_unless_it_is_marked_in_the_mail_and_on_the_log():
    marked = (numbered(1), mail("attempting"), mail("attempting", 2, repeated_after_crash=True),
              mail("sent", 2, repeated_after_crash=True))  # fmt: skip
    assert wrong(*marked, accepted=(ARRIVED, AGAIN)) == set()
    assert wrong(*marked, accepted=(ARRIVED, ARRIVED)) == {"a mail went out twice unmarked"}
    assert wrong(*RIGHT, accepted=(ARRIVED, AGAIN)) == {"a mail went out twice unmarked"}


def test_more_repeats_than_answers_that_can_have_been_lost_are_seen():
    repeated = told(mail("attempting", 2, repeated_after_crash=True))
    assert no_more_was_repeated_than_was_in_flight(repeated, 1) == []
    assert len(no_more_was_repeated_than_was_in_flight(repeated, 0)) == 1


@pytest.mark.parametrize(
    "inbox", [(), (numbered(2),), (numbered(1), numbered(2)), (numbered(1), numbered(1, "i2"))]
)
def test_a_gap_or_a_number_too_many_in_an_inbox_is_seen(inbox: tuple[Delivery, ...]):
    assert wrong(*inbox, mail("attempting"), mail("sent")) == {"an inbox is numbered wrongly"}


def test_the_same_seed_strikes_the_same_at_the_same_moments_and_as_often_as_asked():
    assert draw(50, 10, 10, 2, 7) == draw(50, 10, 10, 2, 7) != draw(50, 10, 10, 2, 8)
    struck = Counter(strike.what.rstrip("01 ") for strike in draw(50, 10, 10, 2, 7))
    assert struck == {
        "worker": 50, "mail server killed": 10, "mail server hangs": 10, "database dropped": 2
    }  # fmt: skip
