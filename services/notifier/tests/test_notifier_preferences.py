"""What somebody may wish about being reached, and how that reads."""

from datetime import UTC, date, datetime

import msgspec
import pytest

from lianxin_chassis.problems import ProblemError
from lianxin_contracts.registry import Calendar, City, Deputy, Leave, Snapshot
from lianxin_notifier.alert_states import state_of
from lianxin_notifier.alerts import reachable
from lianxin_notifier.delivery_documents import Made
from lianxin_notifier.inbox import Seat
from lianxin_notifier.pages.preferences_page import from_form, in_words, label
from lianxin_notifier.preferences import DEFAULT, Digest, Preferences, Quiet, channels_of, foreign
from lianxin_notifier.reached import moved, offered, reached, registered

MAIL, SECOND, SMS = "mail:d1@x.test", "mail:other@x.test", "sms:13800000000"
KNOWN = (MAIL, SECOND, SMS)
AT = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
CITY = Snapshot(
    version="v1",
    city=City("wuxi", "无锡"),
    calendars={"2026": Calendar("2026", 2026)},
    deputies={"D1": Deputy("D1", "代表", "street", channels=KNOWN), "D2": Deputy("D2", "乙", "street")},
)


def test_without_wishes_the_registry_s_channels_go_in_its_order() -> None:
    assert channels_of(DEFAULT, KNOWN) == KNOWN


def test_a_person_s_own_order_counts_and_what_they_left_out_is_off() -> None:
    assert channels_of(Preferences(channels=(SMS, MAIL)), KNOWN) == (SMS, MAIL)


def test_nothing_chosen_means_the_inbox_alone() -> None:
    assert channels_of(Preferences(channels=()), KNOWN) == ()


def test_an_address_that_the_registry_has_dropped_counts_no_more() -> None:
    assert channels_of(Preferences(channels=(SMS, MAIL)), (MAIL,)) == (MAIL,)


def test_somebody_none_of_whose_choices_is_left_is_reached_as_the_registry_says() -> None:
    assert channels_of(Preferences(channels=(SMS,)), (MAIL,)) == (MAIL,)


@pytest.mark.parametrize("channel", ["mail:thief@x.test", "sms:110", "webhook:https://x.test", "push:x", ""])
def test_an_address_that_is_not_the_registry_s_may_not_be_put_in(channel: str) -> None:
    assert foreign(Preferences(channels=(MAIL, channel)), KNOWN) == [channel]


def test_one_s_own_browsers_may_be() -> None:
    assert foreign(Preferences(channels=("push", MAIL)), KNOWN) == []


@pytest.mark.parametrize(
    "body",
    [
        '{"quiet":{"start":"25:00","end":"07:00"}}',
        '{"quiet":{"start":"22:00"}}',
        '{"digest":{"at":"8:30"}}',
        '{"digest":{"or_when":-1}}',
        '{"language":"fr"}',
        '{"paused_until":"tomorrow"}',
        '{"address":"mail:thief@x.test"}',
    ],
)
def test_wishes_that_make_no_sense_are_refused(body: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=Preferences)


def test_names_follow_the_registry_s_order_whatever_the_person_s() -> None:
    found = reachable(KNOWN, (SECOND, SMS, MAIL))
    assert [(one.name, one.target) for one in found] == [
        ("mail.2", "other@x.test"),
        ("sms", "13800000000"),
        ("mail", "d1@x.test"),
    ]


def test_a_channel_moves_one_place_and_not_beyond_the_end() -> None:
    assert moved(["a", "b", "c"], "c", -1) == ["a", "c", "b"]
    assert moved(["a", "b", "c"], "a", -1) == ["a", "b", "c"]
    assert moved(["a", "b", "c"], "c", 1) == ["a", "b", "c"]
    assert moved(["a", "b", "c"], "x", 1) == ["a", "b", "c"]


def form(*channels: str, on: str = "012", **more: str) -> dict[str, str]:
    return {
        **{f"channel{n}": channel for n, channel in enumerate(channels)},
        **{f"on{n}": "1" for n in on},
        **more,
    }


def test_a_form_left_as_it_is_follows_the_registry_whatever_that_will_say() -> None:
    assert from_form(form(*KNOWN), KNOWN) == DEFAULT


def test_a_form_s_order_and_switches_are_what_is_wished() -> None:
    assert from_form(form(SMS, MAIL, SECOND, on="01"), KNOWN).channels == (SMS, MAIL)
    assert from_form(form(*KNOWN, on=""), KNOWN).channels == ()
    assert from_form(form(*KNOWN, move="up:2"), KNOWN).channels == (MAIL, SMS, SECOND)
    assert from_form(form(*KNOWN, move="down:0"), KNOWN).channels == (SECOND, MAIL, SMS)


def test_what_is_not_switched_on_is_not_wished_though_its_times_are_sent() -> None:
    times = {"quiet_start": "21:00", "quiet_end": "06:30", "digest_at": "09:00", "digest_when": "3"}
    assert from_form(form(*KNOWN, **times), KNOWN) == DEFAULT
    wished = from_form(form(*KNOWN, **times, quiet="1", digest="1", quiet_days_off="1"), KNOWN)
    assert wished.quiet == Quiet("21:00", "06:30", days_off=True)
    assert wished.digest == Digest("09:00", 3)


@pytest.mark.parametrize(
    "wrong", [{"quiet": "1", "quiet_start": "late"}, {"digest": "1", "digest_when": "many"}]
)
def test_a_wrong_field_of_the_form_is_said_to_be_wrong(wrong: dict[str, str]) -> None:
    with pytest.raises(ProblemError) as caught:
        from_form(form(*KNOWN, **wrong), KNOWN)
    assert (caught.value.status, caught.value.code) == (422, "preferences_invalid")


@pytest.mark.parametrize(
    ("wished", "said"),
    [
        (DEFAULT, "有新提醒马上发。先用邮件 d1@x.test，不行再用邮件 other@x.test、短信 13800000000。"),
        (Preferences(channels=()), "只在收件箱里，请自己来看。"),
        (Preferences(digest=Digest()), "不紧急的每天汇总一次，紧急的马上发。"),
    ],
)
def test_the_page_says_in_words_how_somebody_would_be_reached(wished: Preferences, said: str) -> None:
    assert in_words(reached("D1", wished, KNOWN, CITY, AT), "zh", CITY) == said


def test_the_page_says_until_when_alerts_are_held_back() -> None:
    quiet = reached("D1", Preferences(quiet=Quiet("08:00", "12:00")), KNOWN, CITY, AT)
    assert (quiet.why, quiet.until) == ("quiet", datetime(2026, 11, 23, 4, 0, tzinfo=UTC))
    away = msgspec.structs.replace(DEFAULT, paused_until=date(2026, 12, 1))
    assert "12:00" in in_words(quiet, "en", CITY)
    assert reached("D1", away, KNOWN, CITY, AT).why == "paused"


def test_a_registered_leave_shows_too() -> None:
    leave = Leave("L1", "D1", date(2026, 11, 20), date(2026, 11, 25))
    city = Snapshot(version="v2", city=CITY.city, deputies=CITY.deputies, leaves={"L1": leave})
    assert reached("D1", DEFAULT, KNOWN, city, AT).why == "paused"


def test_a_person_chooses_among_the_registry_s_addresses_and_the_own_browsers_which_come_first() -> None:
    assert offered(registered("D1", CITY)) == KNOWN
    assert offered(registered("D1", CITY, browser=True)) == ("push", *KNOWN)
    assert offered(registered("D2", CITY, browser=True)) == ("push",)
    assert offered(("pigeon:17",)) == ()


def test_a_webhook_s_path_which_may_be_a_secret_is_not_shown() -> None:
    assert label("webhook:https://hooks.example/secret?token=1", "en") == "Webhook hooks.example"


def made(*statuses: str) -> list[Made]:
    return [
        Made(
            alert=f"a{n}",
            cause="e",
            receiver="D1",
            kind="mail",
            name="mail",
            again=0,
            status=status,  # type: ignore[arg-type]
            raised=AT,
            at=AT,
        )
        for n, status in enumerate(statuses)
    ]


@pytest.mark.parametrize(
    ("seat", "statuses", "state"),
    [
        (Seat("holder", told=2), (), "inbox"),
        (Seat("holder", told=2), ("attempting",), "queued"),
        (Seat("holder", told=2), ("failed",), "failed"),
        (Seat("holder", told=2), ("dead", "sent"), "sent"),
        (Seat("holder", told=2), ("dead", "skipped"), "dead"),
        (Seat("holder", told=2, seen=3), ("sent",), "read"),
        (Seat("holder", told=2, seen=3, acted=4), ("sent",), "acknowledged"),
        (Seat("holder", told=5, seen=3, acted=4), ("sent",), "sent"),
    ],
)
def test_an_alert_s_state_is_what_its_receiver_did_or_else_how_far_it_came(
    seat: Seat, statuses: tuple[str, ...], state: str
) -> None:
    assert state_of(seat, made(*statuses)) == state
