"""The body of an opinion: what is refused, at which field, and that nothing breaks the reading."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lianxin_contracts import registry
from lianxin_intake import opinion
from lianxin_intake.contact import Contact
from lianxin_intake.opinion import OpinionBody, Unreadable

CITY = registry.Snapshot(
    version="1",
    city=registry.City("c", "C"),
    topics={"0101": registry.Topic("0101", "道路", "Roads")},
    stations={"S1": registry.Station("S1", "S", "g")},
    grids={"g": registry.Grid("g", "G", "c", "s", "d")},
)
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def faults(raw: str) -> list[tuple[str, str]]:
    return [(fault.field, fault.code) for fault in opinion.faults(opinion.read(raw.encode()), CITY)]


def test_words_alone_are_enough() -> None:
    assert faults('{"text": "路灯坏了"}') == []


def test_ten_thousand_characters_are_allowed_and_one_more_is_not() -> None:
    assert faults('{"text": "' + "字" * 10_000 + '"}') == []
    assert faults('{"text": "' + "字" * 10_001 + '"}') == [("text", "too_long")]


def test_all_faults_are_named_at_once() -> None:
    found = faults(
        '{"text": "a\\u0000", "topic": "x", "station": "x", "grid": "x", "title": "",'
        ' "location": {"lat": 91, "lon": -181}, "language": "?"}'
    )
    assert found == [
        ("text", "control_character"),
        ("title", "empty"),
        ("topic", "unknown_topic"),
        ("station", "unknown_station"),
        ("grid", "unknown_grid"),
        ("location.lat", "out_of_range"),
        ("location.lon", "out_of_range"),
        ("language", "bad_language"),
    ]


def test_line_breaks_belong_in_the_text_and_not_in_the_title() -> None:
    assert faults('{"text": "a\\n\\tb\\r\\n"}') == []
    assert faults('{"text": "a", "title": "a\\nb"}') == [("title", "control_character")]


@pytest.mark.parametrize(
    ("contact", "field"),
    [
        ('{"phone": "call me"}', "contact.phone"),
        ('{"email": "nobody"}', "contact.email"),
        ('{"name": " "}', "contact.name"),
        ("{}", "contact"),
    ],
)
def test_a_contact_that_reaches_nobody_is_refused_without_repeating_it(contact: str, field: str) -> None:
    body = opinion.read(('{"text": "a", "contact": ' + contact + "}").encode())
    (fault,) = opinion.faults(body, CITY)
    assert fault.field == field
    assert "call me" not in fault.message
    assert "nobody" not in fault.message


@pytest.mark.parametrize("phone", ["110", "+86 510 8765-4321", "0510-12345678 转 12", "(0510) 1234567"])
def test_phone_numbers_as_people_write_them_are_taken(phone: str) -> None:
    assert opinion.faults(OpinionBody(text="a", contact=Contact(phone=phone)), CITY) == []


def test_a_contact_never_shows_itself() -> None:
    assert "110" not in repr(OpinionBody(text="a", contact=Contact(phone="110")))


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        (b"", "malformed", None),
        (b"{", "malformed", None),
        (b'{"text": "\xff"}', "malformed", None),
        (b"[]", "wrong_type", None),
        (b'{"text": 1}', "wrong_type", "text"),
        (b'{"text": "a", "location": {"lat": "1", "lon": 1}}', "wrong_type", "location.lat"),
        (b'{"text": "a", "location": {"lat": 1}}', "wrong_type", "location"),
        (b'{"text": "a", "colour": 1}', "unknown_field", "colour"),
        (b'{"text": "a", "contact": {"fax": 1}}', "unknown_field", "contact.fax"),
        (b'{"text": "a", "occurred_at": "yesterday"}', "wrong_type", "occurred_at"),
        (b"[" * 100_000, "wrong_type", None),
    ],
)
def test_what_is_no_opinion_is_unreadable_and_says_where(raw: bytes, code: str, field: str | None) -> None:
    with pytest.raises(Unreadable) as caught:
        opinion.read(raw)
    assert (caught.value.code, caught.value.field) == (code, field)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading(raw: bytes) -> None:
    with contextlib.suppress(Unreadable):
        opinion.read(raw)


@pytest.mark.parametrize(
    ("ago", "any_age", "code"),
    [
        (timedelta(days=6), False, None),
        (timedelta(days=8), False, "too_long_ago"),
        (timedelta(days=3000), True, None),
        (timedelta(minutes=-4), False, None),
        (timedelta(minutes=-6), True, "in_the_future"),
    ],
)
def test_an_earlier_time_may_be_a_week_old_or_any_age_for_replay(
    ago: timedelta, any_age: bool, code: str | None
) -> None:
    found = opinion.time_faults(NOW - ago, NOW, any_age=any_age)
    assert [fault.code for fault in found] == ([code] if code else [])


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+08:00", "1969-12-31T23:59:59Z"])
def test_a_time_before_computers_kept_any_is_a_fault_and_no_error(text: str) -> None:
    """The first of them does not exist in UTC: writing it raised OverflowError."""
    found = opinion.time_faults(datetime.fromisoformat(text), NOW, any_age=True)
    assert [fault.code for fault in found] == ["out_of_range"]


def test_a_time_needs_its_zone() -> None:
    assert opinion.time_faults(NOW.replace(tzinfo=None), NOW, any_age=True)[0].code == "no_zone"


@pytest.mark.parametrize(
    "link", ["https://x.example/a.jpg", "HTTP://x.example", "https://例子.example/图?a=1#b"]
)
def test_a_media_url_is_a_web_address(link: str) -> None:
    assert opinion.faults(OpinionBody(text="a", media_url=link), CITY) == []


@pytest.mark.parametrize(
    "link",
    [
        "", "javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "https://", "http://[",
        "https://a b", "https://user@x.example", "https://bank.example:443@x.example", "//x.example",
        "https://x.example:port", "https://x.example/\u202egpj.exe", 'https://x.example/"onclick=',
        "https://x.example/" + "a" * 2_000,
    ],
)  # fmt: skip
def test_a_media_url_that_is_no_plain_web_address_is_refused(link: str) -> None:
    found = opinion.faults(OpinionBody(text="a", media_url=link), CITY)
    assert [(fault.field, fault.code) for fault in found] == [("media_url", "no_link")]
