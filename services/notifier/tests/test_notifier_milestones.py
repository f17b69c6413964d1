"""What residents are told of their own opinions, and when."""

import base64
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec.structs import replace
from nacl.public import PrivateKey, SealedBox

from lianxin_contracts import inbound, lifecycle
from lianxin_contracts.envelope import Event
from lianxin_notifier.contact import ContactOpener
from lianxin_notifier.inbox import Opinion, apply
from lianxin_notifier.milestones import Milestone, Quiet, milestone_of, needless, quiet_of, quiet_until
from lianxin_notifier.stop_links import StopLinks, stop_record

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
DEPUTY = inbound.Actor("deputy", "D1")
EXPLANATION = lifecycle.Explanation(
    registry_version="v1",
    rules_version="1",
    located=lifecycle.LocatedBy("320213001001001", "grid", 1.0),
    classified=lifecycle.ClassifiedAs("0101", "choice", 1.0),
)
SUBMITTED = lifecycle.Submitted(channel="qr", digest="d", has_contact=True, language="en")
ASSIGNED = lifecycle.Assigned(
    assignee="D1",
    by="router",
    grid="320213001001001",
    street="320213001",
    district="320213",
    topic="0101",
    attempt=1,
    due=lifecycle.DueTimes(AT, AT, AT, "p", "v1"),
    explanation=EXPLANATION,
)
ANSWERED = lifecycle.Answered(DEPUTY, "w")
RESOLVED = lifecycle.Resolved(DEPUTY, "solved", "w", 1, AT)
RATED = lifecycle.Rated("dissatisfied")
REOPENED = lifecycle.Reopened(1, "D1")
WHOLE = (SUBMITTED, ASSIGNED, ANSWERED, RESOLVED, RATED, REOPENED)


def told(*steps: msgspec.Struct) -> tuple[Opinion, list[Milestone]]:
    """The opinion after `steps`, and what its resident was told of them."""
    opinion, found = Opinion(id="o1"), []
    for number, data in enumerate(steps, 1):
        type_ = next(name for name, model in lifecycle.MODELS.items() if model is type(data))
        event = Event(f"e{number}", "/router", type_, "o1", AT, AT, data, sequence=number)
        before, (opinion, _) = opinion, apply(opinion, event)
        if (one := milestone_of(before, opinion, event)) is not None:
            found.append(one)
    return opinion, found


def test_a_resident_hears_of_receipt_assignment_answer_rating_and_reopening() -> None:
    _, found = told(*WHOLE)
    assert [one.kind for one in found] == ["received", "assigned", "answered", "rate", "reopened"]
    assert {one.language for one in found} == {"en"}


def test_each_milestone_is_told_once_however_often_it_is_reached() -> None:
    again = (
        replace(RESOLVED, times=2),
        RATED,
        replace(REOPENED, times=2),
        replace(ASSIGNED, attempt=2),
        ANSWERED,
    )
    _, found = told(*WHOLE, *again)
    assert [one.kind for one in found] == ["received", "assigned", "answered", "rate", "reopened"]


@pytest.mark.parametrize("said", [replace(SUBMITTED, has_contact=False), replace(SUBMITTED, replayed=True)])
def test_who_left_no_contact_and_who_is_replayed_is_told_nothing(said: lifecycle.Submitted) -> None:
    assert told(said, *WHOLE[1:])[1] == []


@pytest.mark.parametrize(
    ("kind", "steps", "needed"),
    [
        ("received", (SUBMITTED,), True),
        ("received", (SUBMITTED, ASSIGNED), False),
        ("assigned", (SUBMITTED, ASSIGNED), True),
        ("assigned", (SUBMITTED, ASSIGNED, ANSWERED), False),
        ("answered", (SUBMITTED, ASSIGNED, ANSWERED), True),
        ("answered", (SUBMITTED, ASSIGNED, ANSWERED, RESOLVED), False),
        ("rate", (SUBMITTED, ASSIGNED, RESOLVED), True),
        ("rate", (SUBMITTED, ASSIGNED, RESOLVED, RATED), False),
        ("reopened", WHOLE, True),
        ("rate", (SUBMITTED, ASSIGNED, RESOLVED, lifecycle.Closed("unrated")), False),
        ("assigned", (SUBMITTED, ASSIGNED, lifecycle.Withdrawn(DEPUTY)), False),
        ("assigned", (SUBMITTED, ASSIGNED, lifecycle.Erased(DEPUTY)), False),
    ],
)
def test_a_message_is_needless_when_the_next_step_or_the_end_has_come(
    kind: str, steps: tuple[msgspec.Struct, ...], needed: bool
) -> None:
    opinion, _ = told(*steps)
    assert (needless(kind, opinion) is None) == needed


@pytest.mark.parametrize(
    ("local", "until"),
    [
        (datetime(2026, 11, 23, 20, 59, tzinfo=ZONE), None),
        (datetime(2026, 11, 23, 21, 0, tzinfo=ZONE), date(2026, 11, 24)),
        (datetime(2026, 11, 24, 3, 0, tzinfo=ZONE), date(2026, 11, 24)),
        (datetime(2026, 11, 24, 8, 0, tzinfo=ZONE), None),
    ],
)
def test_nobody_is_written_to_at_night(local: datetime, until: date | None) -> None:
    quiet = quiet_of("21:00-08:00")
    expected = datetime.combine(until, time(8), ZONE) if until else None
    assert quiet_until(local.astimezone(UTC), ZONE, quiet) == expected


def test_quiet_hours_may_lie_within_a_day_or_be_none() -> None:
    noon = datetime(2026, 11, 23, 12, 30, tzinfo=ZONE)
    assert quiet_until(noon, ZONE, Quiet(time(12), time(14))) == datetime(2026, 11, 23, 14, tzinfo=ZONE)
    assert quiet_until(noon, ZONE, quiet_of("")) is None


def test_a_stop_link_names_its_opinion_and_no_other_link_does() -> None:
    links = StopLinks(b"secret", "https://lianxin.test/")
    opinion = "0197b3c4-0000-7000-8000-000000000001"
    address = links.address(opinion)
    assert address.startswith("https://lianxin.test/stop/")
    token = address.rpartition("/")[2]
    assert links.opinion(token) == opinion
    assert StopLinks(b"other", "https://lianxin.test").opinion(token) is None
    assert links.opinion(token[:-4]) is None
    assert links.opinion("no link at all") is None


def test_what_was_stopped_is_the_same_record_however_often() -> None:
    first, again = stop_record("o1", AT), stop_record("o1", AT)
    assert (first.key, first.headers, first.value) == (again.key, again.headers, again.value)


def test_a_deputy_is_never_shown_the_tracking_code_that_is_sealed_in_with_the_contact() -> None:
    key = PrivateKey.generate()
    inside = msgspec.json.encode({"name": "王", "phone": "110", "code": "7QK2-M4XW-9PZ3H"})
    sealed = base64.b64encode(SealedBox(key.public_key).encrypt(inside)).decode()
    opener = ContactOpener(base64.b64encode(bytes(key)).decode())
    assert msgspec.to_builtins(opener.open(sealed)) == {"name": "王", "phone": "110"}
    assert opener.open_to_write(sealed).code == "7QK2-M4XW-9PZ3H"
    assert "7QK2" not in repr(opener.open_to_write(sealed))
