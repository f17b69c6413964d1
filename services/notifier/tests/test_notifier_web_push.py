"""What a web push looks like on its way, and what an attempt at several browsers comes to."""

from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.push_service import PushService

from lianxin_notifier.alerts import addresses, with_browsers
from lianxin_notifier.channel_push import PARTLY_ATTEMPTS, summary
from lianxin_notifier.retrying import SENT, Outcome
from lianxin_notifier.routes_push import label_of
from lianxin_notifier.web_push import MOST_PLAIN, Vapid, browser_of, encrypted, padless, unpadded

AT = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)
PRIVATE = padless(b"\x01" * 32)
POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
GONE = Outcome("skipped", "http 410")
AWAY = Outcome("retry", "ConnectError")


def test_the_example_of_the_standard_comes_out_to_the_letter() -> None:
    own = int.from_bytes(unpadded("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw", "own"), "big")
    body = encrypted(
        b"When I grow up, I want to be a watermelon",
        browser_of("https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV", POINT, AUTH),
        salt=unpadded("DGv6ra1nlYgDCS1FRnbzlw", "salt"),
        own=ec.derive_private_key(own, ec.SECP256R1()),
    )
    # RFC 8291, section 5.
    assert padless(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8w"
        "EqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_the_browser_that_it_is_for_can_open_it_and_no_other() -> None:
    service = PushService()
    try:
        screen, other = service.screen(), service.screen()
    finally:
        service.close()
    keys = screen.subscription()["keys"]
    body = encrypted("道路".encode(), browser_of(screen.endpoint, **keys))
    assert screen.open(body).decode() == "道路"
    assert encrypted("道路".encode(), browser_of(screen.endpoint, **keys)) != body
    with pytest.raises(InvalidTag):
        other.open(body)


def test_what_does_not_fit_one_push_is_refused() -> None:
    browser = browser_of("https://push.example/x", POINT, AUTH)
    assert len(encrypted(b"x" * MOST_PLAIN, browser)) == 4096
    with pytest.raises(ValueError, match="too long"):
        encrypted(b"x" * (MOST_PLAIN + 1), browser)


@pytest.mark.parametrize(
    ("endpoint", "key", "auth", "field"),
    [
        ("ftp://push.example/x", POINT, AUTH, "endpoint"),
        ("https://u:p@push.example/x", POINT, AUTH, "endpoint"),
        ("https://push.example/\nx", POINT, AUTH, "endpoint"),
        ("https://[::1", POINT, AUTH, "endpoint"),
        ("https://push.example/" + "x" * 2048, POINT, AUTH, "endpoint"),
        ("https://push.example/x", POINT[:-4], AUTH, "p256dh"),
        ("https://push.example/x", padless(b"\x04" + b"\x01" * 64), AUTH, "p256dh"),
        ("https://push.example/x", POINT, "AA", "auth"),
        ("https://push.example/x", POINT, "!!!!", "auth"),
    ],
)
def test_what_is_no_subscription_of_a_browser_is_refused_without_repeating_it(
    endpoint: str, key: str, auth: str, field: str
) -> None:
    with pytest.raises(ValueError, match=field) as raised:
        browser_of(endpoint, key, auth)
    assert "push.example" not in str(raised.value)


@pytest.mark.parametrize("key", ["", "AAAA", padless(bytes(32)), "not base64 at all"])
def test_a_key_that_is_none_stops_the_start_by_its_name(key: str) -> None:
    with pytest.raises(ValueError, match="LIANXIN_PUSH_PRIVATE_KEY"):
        Vapid(key, "mailto:a@b.example")


def test_a_push_service_believes_us_for_itself_alone() -> None:
    service = PushService()
    try:
        name = Vapid(PRIVATE, "mailto:a@b.example")
        own = {"authorization": name.authorization(f"{service.origin}/push/x", datetime.now(UTC))}
        others = {"authorization": name.authorization("http://other.example/push/x", datetime.now(UTC))}
        old = {"authorization": name.authorization(f"{service.origin}/push/x", AT.replace(year=2025))}
        rest = {"ttl": "1", "content-encoding": "aes128gcm", "host": f"127.0.0.1:{service.port}"}
        assert service.judge("/push/unknown", {**rest, **own})[0] == 404
        assert service.judge("/push/unknown", {**rest, **others})[0] == 403
        assert service.judge("/push/unknown", {**rest, **old})[0] == 403
        assert service.refused == ["vapid audience", "vapid expiry"]
    finally:
        service.close()


def test_an_attempt_is_sent_when_every_browser_has_it_or_is_gone() -> None:
    assert summary([SENT, SENT], 1) == SENT
    assert summary([SENT, GONE], 1) == SENT


def test_a_browser_that_could_not_be_reached_is_tried_again_though_another_has_it() -> None:
    assert summary([SENT, AWAY], 1) == AWAY
    assert summary([SENT, AWAY], PARTLY_ATTEMPTS) == SENT
    assert summary([AWAY], PARTLY_ATTEMPTS) == AWAY


def test_a_wait_that_was_asked_for_holds_only_where_every_browser_left_has_to_wait() -> None:
    busy = Outcome("retry", "http 429", wait_s=60.0)
    assert summary([busy], 1) == busy
    assert summary([busy, AWAY], 1).wait_s is None


def test_with_no_browser_left_nothing_went_wrong_and_another_channel_has_to_do() -> None:
    assert summary([], 1) == Outcome("skipped", "no browser takes alerts")
    assert summary([GONE, GONE], 1) == Outcome("skipped", "the browsers are gone")
    assert summary([GONE, Outcome("dead", "http 403")], 1) == Outcome("dead", "http 403")


def test_whoever_takes_alerts_in_a_browser_gets_them_there_first_unless_push_has_its_place() -> None:
    assert with_browsers(("mail:a@b.example",)) == ("push", "mail:a@b.example")
    assert with_browsers(("mail:a@b.example", "push")) == ("mail:a@b.example", "push")
    assert [one.name for one in addresses(["push", "sms:12345", "push:", "push:x"])] == ["push", "sms"]


@pytest.mark.parametrize(
    ("agent", "label"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge · Windows"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome · Android"),
        ("Mozilla/5.0 (iPhone; CPU OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari · iPhone"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox · Linux"),
        ("curl/8", "?"),
    ],
)  # fmt: skip
def test_a_browser_is_called_as_its_user_knows_it(agent: str, label: str) -> None:
    assert label_of(agent) == label
