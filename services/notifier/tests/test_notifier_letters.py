"""The words of an alert by mail."""

from datetime import UTC, datetime

from msgspec.structs import replace

from lianxin_contracts import registry
from lianxin_contracts.deliveries import InboxEntry
from lianxin_contracts.registry import Snapshot
from lianxin_notifier.alerts import Due
from lianxin_notifier.letters import letter, mail

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
CITY = Snapshot(
    version="v1",
    city=registry.City("wuxi", "无锡"),
    regions={"s1": registry.Region("s1", "street", "金匮街道")},
    topics={"0101": registry.Topic("0101", "道路", "Roads")},
    deputies={
        "D1": registry.Deputy("D1", "王芳", "street"),
        "E1": registry.Deputy("E1", "Eve", "street", language="en"),
    },
)


def due(receiver: str = "D1", event: str = "opinion.assigned", repeated: bool = False) -> Due:
    entry = InboxEntry(event, "assigned", "open", topic="0101", due=datetime(2026, 2, 3, 9, 0, tzinfo=UTC))
    return Due(
        alert="a1",
        name="mail",
        kind="mail",
        target="d1@deputies.test",
        receiver=receiver,
        opinion="o1",
        cause="e1",
        raised=AT,
        entry=entry,
        street="s1",
        repeated=repeated,
    )


def test_a_letter_names_topic_street_due_date_with_its_weekday_and_the_inbox() -> None:
    words = letter(due(), CITY, "https://lianxin.test")
    assert words.subject == "【连心】有一件居民意见交给您（道路，金匮街道）"
    assert "2026年2月3日 星期二 17:00" in words.text  # 09:00 UTC in the city's time
    assert "https://lianxin.test/inbox/o1" in words.text


def test_a_deputy_who_reads_english_gets_english() -> None:
    words = letter(due("E1"), CITY, "https://lianxin.test")
    assert words.subject == "[Lianxin] A resident's opinion was given to you (Roads, 金匮街道)"
    assert "Tuesday, 3 February 2026, 17:00" in words.text


def test_every_attempt_carries_the_same_message_id_and_a_repeat_says_so() -> None:
    first = mail(due(), CITY, "", "lianxin@city.test", AT)
    again = mail(due(repeated=True), CITY, "", "lianxin@city.test", AT)
    assert first["Message-ID"] == again["Message-ID"] == "<a1@lianxin>"
    assert first["Lianxin-Repeated-After-Crash"] is None
    assert again["Lianxin-Repeated-After-Crash"] == "true"


def test_an_event_without_words_of_its_own_still_makes_a_letter() -> None:
    assert "新情况" in letter(due(event="opinion.new_kind"), CITY, "").subject


def test_a_city_that_no_longer_knows_topic_or_street_still_makes_a_letter() -> None:
    bare = Snapshot(version="v2", city=CITY.city)
    assert letter(due(), bare, "").subject == "【连心】有一件居民意见交给您"


def test_a_reminder_of_a_contact_day_names_day_and_station_and_opens_the_inbox() -> None:
    about = replace(
        due(), opinion="", cause="", street=None, entry=InboxEntry("notice.contact_day", "submitted", "open")
    )
    words = letter(replace(about, day="2026-12-15"), CITY, "https://lianxin.test")
    assert words.subject == "【连心】接待日提醒：2026年12月15日 星期二"
    assert "https://lianxin.test/inbox\n" in words.text


def test_a_mail_to_a_resident_says_in_its_header_how_to_stop_them_and_no_other_mail_does() -> None:
    about = replace(due("resident"), entry=InboxEntry("resident.rate", "submitted", "open"), language="en")
    to_resident = mail(replace(about, link="https://t", stop="https://s"), CITY, "", "a@b.test", AT)
    assert to_resident["List-Unsubscribe"] == "<https://s>"
    assert to_resident["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert to_resident["Subject"] == "[Lianxin] Your opinion is settled; please rate the answer"
    assert mail(due(), CITY, "", "a@b.test", AT)["List-Unsubscribe"] is None
