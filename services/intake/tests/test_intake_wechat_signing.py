"""WeChat's signatures and encryption: the documented sample, and what others' clients make of it."""

import base64
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lianxin_intake.wechat.accounts import WechatAccount, key_of
from lianxin_intake.wechat.signing import Undecipherable, decrypt, encrypt, is_signed, signature

KEY = key_of("kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR")
SAMPLE_KEY = key_of("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C")
# The message of WeChat's own sample code.
SAMPLE = (
    "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvu"
    "JTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwG"
    "c2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9"
    "EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0"
    "lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q=="
)


def test_the_documented_sample_is_signed_and_opens() -> None:
    parts = ("QDG6eK", "1409659813", "1372623149", SAMPLE)
    assert signature(*parts) == "477715d11cdb4164915debcba66cb864d751f3e6"
    assert is_signed("477715d11cdb4164915debcba66cb864d751f3e6", *reversed(parts))
    assert not is_signed("477715d11cdb4164915debcba66cb864d751f3e7", *parts)
    assert b"<MsgType><![CDATA[text]]></MsgType>" in decrypt(SAMPLE, SAMPLE_KEY, "wx5823bf96d3bd56c7")


def test_what_another_client_encrypted_opens() -> None:
    assert decrypt("9s4gMv99m88kKTh/H8IdkNiFGeG9pd7vNWl50fGRWXY=", KEY, "rust") == b"test"


@given(st.binary(max_size=300), st.text(max_size=20))
def test_what_is_encrypted_opens_for_this_account_alone(message: bytes, app_id: str) -> None:
    encrypted = encrypt(message, KEY, app_id)
    assert len(base64.b64decode(encrypted)) % 32 == 0
    assert decrypt(encrypted, KEY, app_id) == message
    with pytest.raises(Undecipherable):
        decrypt(encrypted, KEY, app_id + "x")


@given(st.one_of(st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode()), st.text()))
def test_whatever_was_not_encrypted_for_us_is_refused(garbage: str) -> None:
    with pytest.raises(Undecipherable):
        decrypt(garbage, sha256(b"another").digest(), "app")


def test_no_signature_of_any_form_breaks_the_check() -> None:
    for wrong in ("", "签名", "\udcff".encode("utf-8", "replace").decode()):
        assert not is_signed(wrong, "token", "1", "2")


def test_an_account_is_refused_without_a_proper_key_and_shows_no_secret() -> None:
    with pytest.raises(ValidationError) as caught:
        WechatAccount(token="secret-token", app_id="wx", aes_key="too short")
    assert "43 characters" in str(caught.value)
    account = WechatAccount(token="secret-token", app_id="wx")
    assert account.key is None
    assert "secret-token" not in repr(account)
