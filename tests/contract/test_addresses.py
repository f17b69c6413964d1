"""Which addresses a deputy may be given."""

import pytest

from lianxin_contracts.addresses import complaint


@pytest.mark.parametrize(
    "channel",
    [
        "mail:d0001@deputies.example", "mail:a.b+c@localhost", "webhook:https://hooks.example.com/x?y=1",
        "webhook:http://127.0.0.1:8080/hook", "webhook:https://[2001:db8::1]/", "webhook:https://例子.中国/x",
        "wecom:room-7", "dingtalk:street", "feishu:a.b_c", "push", "push:",
        "wecom_app:zhang.san@x", "sms:13800000000", "sms:+8613800000000",
    ],
)  # fmt: skip
def test_an_address_that_can_be_tried_is_taken(channel: str) -> None:
    assert complaint(channel) is None


@pytest.mark.parametrize(
    "channel",
    [
        "", "mail", "mail:", ":a@b.c", "mail:a@", "mail:a@[", "mail:@b.c", "mail:a b@c.d", "mail:a@b..c",
        "mail:A <a@b.c>", "mail:a@b.c\nBcc: x@y.z", "mail:a@b.c\n", "mail:用户@例子.中国",
        f"mail:{'a' * 65}@b.c", "webhook:hooks.example.com", "webhook:ftp://hooks.example.com/x",
        "webhook:https:///x", "webhook:https://hooks..example.com/x", f"webhook:https://{'a' * 64}.com/",
        "wecom:https://qyapi.weixin.qq.com/?key=x", "feishu:a b", "push:x", "wecom_app:",
        "wecom_app:a|b", "wecom_app:@all", "sms:138-0000", "sms:1", "sms:+86 138",
        "webhook:https://[::1", "webhook:https://x:99999/", "webhook:https://u:p@x/", "webhook:https://x/a b",
    ],
)  # fmt: skip
def test_an_address_that_can_never_be_reached_is_complained_of(channel: str) -> None:
    assert complaint(channel)
