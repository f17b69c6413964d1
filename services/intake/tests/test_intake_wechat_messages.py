"""WeChat's XML: what is read of it, what is refused, and how replies are written."""

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from lianxin_intake.wechat.conversation import (
    Arrived,
    Ignored,
    Left,
    Pointed,
    Scanned,
    Showed,
    Tapped,
    Unsupported,
    Wrote,
)
from lianxin_intake.wechat.messages import MAX_REPLY_BYTES, Malformed, fields_of, message_of, reply_xml


def post(kind: str, **fields: str) -> bytes:
    every = {"ToUserName": "gh_1", "FromUserName": "o1", "CreateTime": "1348831860", "MsgType": kind} | fields
    return ("<xml>" + "".join(f"<{k}><![CDATA[{v}]]></{k}>" for k, v in every.items()) + "</xml>").encode()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (post("text", Content="路灯坏了", MsgId="7"), Wrote("路灯坏了")),
        (post("voice", MediaId="m", Recognition="路灯坏了", MsgId="7"), Wrote("路灯坏了", heard=True)),
        (post("voice", MediaId="m", MsgId="7"), Unsupported("voice")),
        (post("image", MediaId="m", PicUrl="http://p", MsgId="7"), Showed("m", "http://p")),
        (
            post(
                "location", Location_X="31.5", Location_Y="120.3", Scale="15", Label="人民路\n1号", MsgId="7"
            ),
            Pointed(31.5, 120.3, "人民路 1号"),
        ),
        (post("link", Url="http://x", MsgId="7"), Unsupported("link")),
        (post("event", Event="subscribe"), Arrived()),
        (post("event", Event="subscribe", EventKey="qrscene_S1"), Scanned("S1", first=True)),
        (post("event", Event="SCAN", EventKey="S1"), Scanned("S1")),
        (post("event", Event="unsubscribe"), Left()),
        (post("event", Event="CLICK", EventKey="submit"), Tapped("submit")),
        (post("event", Event="LOCATION", Latitude="1", Longitude="2"), Ignored()),
    ],
)
def test_each_kind_of_message_is_read(raw: bytes, said: object) -> None:
    assert message_of(fields_of(raw)).said == said


def test_a_message_is_named_by_its_msgid_and_an_event_by_its_moment() -> None:
    assert message_of(fields_of(post("text", Content="x", MsgId="7"))).name == "message:7"
    scan, again = (message_of(fields_of(post("event", Event="SCAN", EventKey="S1"))) for _ in range(2))
    other = message_of(fields_of(post("event", Event="SCAN", EventKey="S2")))
    assert scan.name == again.name != other.name


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<xml>",
        b"\xff\xfe<xml/>",
        b"<html/>",
        post("text", Content="x"),
        post("location", Location_X="nan", Location_Y="1", MsgId="7"),
        post("text", CreateTime="yesterday", MsgId="7"),
        b'<?xml version="1.0" encoding="no-such"?><xml/>',
        b'<!DOCTYPE xml [<!ENTITY a "aa">]><xml><Content>&a;</Content></xml>',
        b'<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml/>',
    ],
)
def test_what_is_no_message_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        message_of(fields_of(raw))


@given(st.text())
def test_a_reply_is_whole_xml_within_wechats_limit(text: str) -> None:
    message = message_of(fields_of(post("text", Content="x", MsgId="7")))
    reply = ElementTree.fromstring(reply_xml(message, text * 50, 1))
    assert len((reply.findtext("Content") or "").encode()) <= MAX_REPLY_BYTES
    assert (reply.findtext("ToUserName"), reply.findtext("FromUserName")) == ("o1", "gh_1")
