"""The residents' pages: tokens, whose form it is, where an opinion stands. No I/O."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from starlette.requests import Request

from lianxin_chassis.problems import ProblemError
from lianxin_contracts import registry
from lianxin_contracts.registry import Snapshot
from lianxin_intake.opinion import OpinionBody, faults
from lianxin_intake.pages.forms import key_of, require_own_page
from lianxin_intake.pages.rendering import HERE, TEXTS, Look, day, days_until
from lianxin_intake.pages.standing import standing
from lianxin_intake.pages.station import body_of, page_caller, topic_groups
from lianxin_intake.pages.tokens import VALID_S, PageTokens
from lianxin_intake.projection import Step, Tracked

NOW = datetime(2026, 11, 25, 1, 0, tzinfo=UTC)
CITY = Snapshot(
    "v1",
    registry.City("wuxi", "无锡"),
    topics={
        "01": registry.Topic("01", "城市建设", "City"),
        "0101": registry.Topic("0101", "道路", "Roads", parent="01"),
    },
    deputies={"D1": registry.Deputy("D1", "王芳", "street")},
    channels={"qr": registry.Channel("qr", "二维码", "page"), "app": registry.Channel("app", "App")},
)


def request(**headers: str) -> Request:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": named})


def test_a_token_is_good_for_its_station_and_a_week() -> None:
    now = 1_000_000.0
    tokens = PageTokens(b"secret", lambda: now)
    token = tokens.of("S1")
    assert tokens.accepts(token, "S1")
    assert not tokens.accepts(token, "S2")
    now += VALID_S
    assert tokens.accepts(token, "S1")
    now += 1
    assert not tokens.accepts(token, "S1")


@pytest.mark.parametrize("token", ["", "x", "1.2", "99999999999." + "0" * 32, "1000000." + "0" * 32])
def test_a_token_that_we_did_not_make_opens_nothing(token: str) -> None:
    assert not PageTokens(b"secret", lambda: 1_000_000.0).accepts(token, "S1")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec_fetch_site": "same-origin"},
        {"origin": "https://say.example.org"},
        {"origin": "http://inside:8000", "host": "inside:8000"},
    ],
)
def test_our_own_page_may_send(headers: dict[str, str]) -> None:
    require_own_page(request(**headers), "https://say.example.org")


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.example.org", "host": "say.example.org"},
        {"origin": "null", "host": "say.example.org"},
    ],
)
def test_another_sites_page_may_not(headers: dict[str, str]) -> None:
    with pytest.raises(ProblemError, match="another_site"):
        require_own_page(request(**headers), "https://say.example.org")


def test_a_key_is_a_uuid() -> None:
    key = "0192f0c1-7a5e-7c3d-9b1f-3f2a1c0d4e5f"
    assert key_of({"key": key.upper()}) == key
    assert key_of({"key": "1"}) is None
    assert key_of({}) is None


def test_a_form_becomes_the_body_that_channels_send() -> None:
    fields = {"text": "灯坏了", "phone": "0510 12345678", "lat": "31.5", "lon": "120.3", "token": "t"}
    assert body_of(fields, "S1", "zh") == {
        "text": "灯坏了",
        "station": "S1",
        "language": "zh",
        "contact": {"phone": "0510 12345678"},
        "location": {"lat": 31.5, "lon": 120.3},
    }
    assert "location" not in body_of({"lat": "nan", "lon": "120"}, "S1", "zh")


def test_pages_speak_through_the_channel_of_their_kind() -> None:
    assert page_caller(CITY).channel.id == "qr"
    with pytest.raises(ProblemError, match="no_page_channel"):
        page_caller(Snapshot("v1", CITY.city))


def test_topics_are_offered_by_first_level_in_the_pages_language() -> None:
    assert topic_groups(CITY, Look()) == [("城市建设", [("0101", "道路")])]
    assert topic_groups(CITY, Look("en")) == [("City", [("0101", "Roads")])]


def test_a_look_is_carried_in_the_address() -> None:
    assert Look().address("/t") == "/t"
    assert Look("en", large=True).address("/t", id="1") == "/t?id=1&lang=en&size=large"


def test_every_date_has_its_weekday_in_the_citys_time() -> None:
    evening = datetime(2026, 11, 25, 16, 30, tzinfo=UTC)  # half past midnight in Shanghai
    assert day(evening, "zh", CITY) == "2026年11月26日（星期四）"
    assert day(evening, "en", CITY) == "Thu 26 Nov 2026"
    assert days_until(evening, NOW, CITY) == 1


def tracked(**more: object) -> Tracked:
    steps = (
        Step(NOW - timedelta(days=2), "opinion.submitted", "text"),
        Step(NOW - timedelta(days=1), "opinion.assigned", values={"deputy": "D1"}),
    )
    fields = {"stage": "assigned", "holder": "D1", "due": NOW + timedelta(days=3), "timeline": steps} | more
    return Tracked(id="o", sequence=2, opened=True, **fields)  # type: ignore[arg-type]


def test_the_page_tells_who_holds_it_since_when_and_until_when() -> None:
    shown = standing(tracked(), {"text": "灯坏了"}, "zh", CITY, NOW)
    assert shown.headline == "已交给代表"
    assert shown.holder == "王芳代表在办，2026年11月24日（星期二）起"
    assert shown.due == "最晚 2026年11月28日（星期六） 答复您，还有 3 天"
    assert [(line.text, line.quoted) for line in shown.lines] == [
        ("已交办给王芳代表。", False),
        ("灯坏了", True),
    ]
    assert (shown.late, shown.ratable, shown.open) == (False, False, True)


def test_what_is_late_says_by_how_much() -> None:
    shown = standing(tracked(due=NOW - timedelta(days=2)), {}, "en", CITY, NOW)
    assert shown.late
    assert shown.due == "An answer was due by Mon 23 Nov 2026: 2 days late"


def test_what_is_resolved_can_be_rated_and_waits_for_nobody() -> None:
    shown = standing(tracked(stage="resolved"), {}, "zh", CITY, NOW)
    assert (shown.ratable, shown.due, shown.open) == (True, None, True)
    assert not standing(tracked(stage="closed"), {}, "zh", CITY, NOW).open


def test_erased_words_are_not_shown() -> None:
    shown = standing(tracked(erased=True), {"text": "灯坏了"}, "zh", CITY, NOW)
    assert all("灯" not in line.text for line in shown.lines)


def test_every_text_that_a_template_asks_for_is_there_in_both_languages() -> None:
    asked = {
        name
        for template in (HERE / "templates").glob("*.html")
        for name in re.findall(r"\bt\('([a-z_]+)'[,)]", template.read_text("utf-8"))
    }
    assert len(asked) > 30
    assert asked - TEXTS.keys() == set()
    assert all(set(both) == {"zh", "en"} and all(both.values()) for both in TEXTS.values())


def test_a_flood_of_invisible_characters_is_refused_and_an_emoji_is_not() -> None:
    def codes(text: str) -> list[str]:
        return [fault.code for fault in faults(OpinionBody(text=text), CITY)]

    assert codes("\u200b" * 60 + "灯") == ["invisible_characters"]
    assert codes("\u200b\u2060") == ["missing"]
    assert codes("一家人👨\u200d👩\u200d👧在等") == []
