"""The checks after the kills see what they are there to see."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lianxin_contracts import inbound, lifecycle, topics
from lianxin_contracts.deliveries import Delivery
from lianxin_contracts.envelope import Event
from tests.end_to_end.drafts import Draft
from tests.end_to_end.ledger import Ledger
from tests.end_to_end.log import Logged
from tests.end_to_end.surface import Alert
from tests.end_to_end.test_checks import (
    MARKER,
    MORNING,
    RESIDENT,
    RIGHT,
    SUBMITTED,
    decided,
    log,
    record,
    said,
)
from tests.faults import afterwards

STRANGER = decided(4, lifecycle.Supported("s1", 1))
RATED = decided(4, lifecycle.Rated("satisfied"))
RATING = said("c9", "opinion.rated", inbound.Rated(RESIDENT, "satisfied"))


@pytest.fixture
def ledger() -> Ledger:
    kept = Ledger()
    kept.accepted(Draft("k1", {}, MARKER), {"id": "o1", "tracking_code": "AAAA"}, tries=1)
    return kept


def delivered(**fields: Any) -> Logged:
    """One record of `alerts.deliveries`: an inbox alert of the assignment, unless told otherwise."""
    told = {"alert": "a1", "cause": "e2", "opinion": "o1", "receiver": "D1", "channel": "inbox",
            "status": "sent", "attempt": 1, "number": 1} | fields  # fmt: skip
    at = MORNING + timedelta(minutes=5)
    id_ = "-".join(str(told[name]) for name in ("alert", "status", "attempt"))  # as the notifier derives it
    event = Event(id_, "/notifier", "delivery.recorded", "o1", at, at, Delivery(**told))
    return record(topics.DELIVERIES, event, key=told["alert"])


def mailed(status: str = "sent", **fields: Any) -> Logged:
    return delivered(alert="m1", channel="mail", number=None, message_id="<m1>", status=status, **fields)


def test_a_case_that_nobody_was_told_of_is_seen(ledger: Ledger):
    assert afterwards.nothing_else_was_opened(log(*RIGHT), ledger) == []
    assert afterwards.nothing_else_was_opened(log(*RIGHT), Ledger()) == ["nobody was told of o1"]


def test_a_record_that_was_put_aside_is_seen():
    aside = Logged(topics.dead_letter(topics.INBOUND), 0, 0, "o1", SUBMITTED.value, SUBMITTED.headers)

    assert afterwards.nothing_was_put_aside(log(*RIGHT)) == []
    assert len(afterwards.nothing_was_put_aside(log(*RIGHT, aside))) == 1


def test_a_support_that_is_lost_or_counted_twice_is_seen(ledger: Ledger):
    ledger.supports["o1"] = ["resident-1"]

    assert afterwards.every_support_counts_once(log(*RIGHT, STRANGER), ledger) == []
    assert len(afterwards.every_support_counts_once(log(*RIGHT), ledger)) == 1
    twice = log(*RIGHT, STRANGER, decided(5, lifecycle.Supported("s1", 2)))
    assert len(afterwards.every_support_counts_once(twice, ledger)) == 1
    refused = decided(4, lifecycle.CommandRefused("opinion.supported", "closed", {}))
    assert len(afterwards.every_support_counts_once(log(*RIGHT, refused), ledger)) == 1


def test_a_rating_that_is_lost_or_counted_twice_is_seen(ledger: Ledger):
    ledger.ratings["o1"] = "satisfied"
    twice = log(*RIGHT, RATED, decided(5, lifecycle.Rated("satisfied")), more=(SUBMITTED, RATING))

    assert afterwards.every_rating_is_there(log(*RIGHT, RATED, more=(SUBMITTED, RATING)), ledger) == []
    assert len(afterwards.every_rating_is_there(log(*RIGHT), ledger)) == 1
    assert afterwards.every_rating_is_there(twice, ledger) == ["case o1: rated 2 times, said 1 times"]


@pytest.mark.parametrize(
    ("second", "said_of_it"),
    [
        ({"alert": "a2", "cause": "e3"}, "number 1 is a1 and a2"),
        ({"number": 2}, "e2 is number 1 and 2"),
        ({"alert": "a2", "cause": "e3", "number": 3}, "no alert has the numbers [2]"),
    ],
)
def test_an_inbox_whose_numbers_are_wrong_is_seen(second: dict[str, Any], said_of_it: str):
    assert afterwards.every_alert_has_one_number(log(delivered(), delivered(alert="a1"))) == []
    found = afterwards.every_alert_has_one_number(log(delivered(), delivered(**second)))
    assert any(said_of_it in one for one in found)


@pytest.mark.parametrize(
    ("alerts", "whole", "faults"),
    [
        ([Alert(1, "o1", "opinion.assigned")], True, 0),
        ([], False, 0),
        ([], True, 1),
        ([Alert(1, "o1", "opinion.assigned")] * 2, False, 1),
        ([Alert(1, "o2", "opinion.assigned")], True, 1),
        ([Alert(2, "o1", "opinion.assigned")], False, 2),
    ],
)
def test_a_stream_that_repeats_skips_or_renames_an_alert_is_seen(
    alerts: list[Alert], whole: bool, faults: int
):
    found = afterwards.open_inboxes_were_told_each_alert_once(log(delivered()), {"D1": alerts}, whole=whole)

    assert len(found) == faults


@pytest.mark.parametrize("written", [MARKER, MARKER.encode("unicode_escape").decode(), "code AAAA-BBBB-CCCC"])
def test_words_or_a_tracking_code_in_a_log_file_are_seen(tmp_path: Path, written: str):
    kept = Ledger()
    marker = Draft("k1", {}, f"{MARKER}")
    kept.accepted(marker, {"id": "o1", "tracking_code": "AAAA-BBBB-CCCC"}, tries=1)
    file = tmp_path / "intake.api.log"

    file.write_text("an opinion came in opinion=o1 key=k1\n")
    assert afterwards.no_log_file_holds_words(tmp_path, kept) == []
    file.write_text(f"refused: {written}\n")
    assert len(afterwards.no_log_file_holds_words(tmp_path, kept)) >= 1


def test_an_assignment_without_an_alert_is_seen():
    assert afterwards.every_assignment_was_alerted(log(*RIGHT, delivered())) == []
    assert afterwards.every_assignment_was_alerted(log(*RIGHT)) == ["D1 has no alert of e2, assignment of o1"]


def test_a_mail_without_an_end_is_seen():
    attempted = mailed("attempting")

    assert afterwards.mails_under_way(log(attempted)) == ["m1"]
    assert afterwards.mails_under_way(log(attempted, mailed())) == []


def test_a_mail_that_is_recorded_as_sent_and_did_not_arrive_is_seen():
    sent = log(mailed("attempting"), mailed())

    assert afterwards.every_mail_arrived(sent, [{"message_id": "<m1>"}]) == []
    assert len(afterwards.every_mail_arrived(sent, [])) == 1


def test_a_mail_that_was_given_up_or_went_out_unrecorded_is_seen():
    assert len(afterwards.every_mail_arrived(log(mailed("dead", error="smtp 550")), [])) == 1
    assert len(afterwards.every_mail_arrived(log(), [{"message_id": "<m2>"}])) == 1


def test_repeats_are_counted_once_however_often_they_are_published():
    again = mailed("attempting", attempt=2, repeated_after_crash=True)

    assert afterwards.repeats_after_crash(log(mailed("attempting"), again, again)) == 1


def test_a_page_an_inbox_or_a_panel_that_stayed_behind_is_seen():
    accepted = log(*RIGHT)
    item = {"id": "o1", "state": "open"}

    assert afterwards.every_resident_sees_the_stage(accepted, {"o1": {"stage": "accepted"}}) == []
    assert len(afterwards.every_resident_sees_the_stage(accepted, {"o1": {"stage": "assigned"}})) == 1
    assert afterwards.every_inbox_shows_the_stage(accepted, {"D1": [item | {"stage": "accepted"}]}) == []
    assert len(afterwards.every_inbox_shows_the_stage(accepted, {"D1": [item | {"stage": "assigned"}]})) == 1
    assert afterwards.panels_show_the_stages(accepted, {"accepted": 1.0}) == []
    assert len(afterwards.panels_show_the_stages(accepted, {"accepted": 1.0, "closed": 1.0})) == 1
