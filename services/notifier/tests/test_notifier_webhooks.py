"""Where a webhook may go and how it is signed."""

import hashlib
import hmac
import ipaddress

import pytest

from lianxin_notifier.channel_webhook import signature
from lianxin_notifier.posting import Allowed, public

NOBODY = Allowed("")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "::1", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::",
        "::127.0.0.1", "::8.8.8.8", "fec0::1", "feff::1", "64:ff9b:1::7f00:1", "64:ff9b:1:ffff::808:808",
    ],
)  # fmt: skip
def test_nothing_inside_is_posted_to_however_it_is_written(address: str) -> None:
    assert not NOBODY.permits("hook.example", ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808"])
def test_a_public_address_is_posted_to(address: str) -> None:
    assert public(ipaddress.ip_address(address))


def test_the_operator_can_allow_a_host_an_address_or_a_network() -> None:
    allowed = Allowed("hook.internal, 10.0.0.0/24,127.0.0.1")
    assert allowed.permits("hook.internal", ipaddress.ip_address("192.168.7.7"))
    assert allowed.permits("other", ipaddress.ip_address("10.0.0.9"))
    assert allowed.permits("other", ipaddress.ip_address("127.0.0.1"))
    assert not allowed.permits("other", ipaddress.ip_address("10.0.1.9"))


def test_the_signature_covers_the_moment_and_the_body() -> None:
    value = signature(b"secret", 1_795_000_000, b'{"a":1}')
    expected = hmac.new(b"secret", b'1795000000.{"a":1}', hashlib.sha256).hexdigest()
    assert value == f"t=1795000000,v1={expected}"
