"""Where a webhook may go and how it is signed."""

import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from lianxin_contracts.deliveries import InboxEntry
from lianxin_notifier.alerts import Due
from lianxin_notifier.channel_webhook import body_of, signature
from lianxin_notifier.posting import Allowed, public

NOBODY = Allowed("")
DUE = Due(
    alert="a-1",
    name="webhook",
    kind="webhook",
    target="https://hook.example/x",
    receiver="D1",
    opinion="o-1",
    cause="e",
    raised=datetime(2026, 11, 23, 1, 0, tzinfo=UTC),
    entry=InboxEntry("opinion.assigned", "assigned", "open", topic="0101"),
)


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


DOCUMENT = Path(__file__).parents[3] / "docs" / "alerts.md"


def documented() -> Callable[..., dict[str, Any] | None]:
    """The receiver's check as `docs/alerts.md` has it, to be copied."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    given: dict[str, Any] = {}
    exec(code, given)
    found: Callable[..., dict[str, Any] | None] = given["verified"]
    return found


def test_the_documented_check_takes_what_we_post_and_nothing_else() -> None:
    verified, body = documented(), body_of(DUE)
    header = signature(b"a secret", 1_795_000_000, body)
    event = verified(b"a secret", header, body, 1_795_000_010)
    assert event is not None
    assert (event["id"], event["type"], event["data"]["opinion"]) == ("a-1", "alert.raised", "o-1")
    assert verified(b"another", header, body, 1_795_000_010) is None
    assert verified(b"a secret", header, body + b" ", 1_795_000_010) is None
    moved = header.replace("t=1795000000", "t=1795000009")
    assert verified(b"a secret", moved, body, 1_795_000_010) is None
    for broken in ("", "t=,v1=", "v1=x", "t=x,v1=y", "t=1795000000,v1=ä"):
        assert verified(b"a secret", broken, body, 1_795_000_010) is None


@pytest.mark.parametrize("later", [301, -301])
def test_the_documented_check_refuses_a_replay(later: int) -> None:
    header = signature(b"a secret", 1_795_000_000, body_of(DUE))
    assert documented()(b"a secret", header, body_of(DUE), 1_795_000_000 + later) is None


def test_every_attempt_is_the_same_event_signed_anew() -> None:
    again = replace(DUE, attempt=3, repeated=True)
    assert body_of(again) == body_of(DUE)
    moments = (1_795_000_000, 1_795_000_060)
    assert len({signature(b"a secret", moment, body_of(DUE)) for moment in moments}) == 2


def test_what_is_posted_is_a_cloud_event() -> None:
    event = json.loads(body_of(DUE))
    assert {"specversion", "id", "source", "type"} <= event.keys()  # REQUIRED by CloudEvents 1.0
    assert event["specversion"] == "1.0"
    assert event["time"] == "2026-11-23T01:00:00.000000Z"  # RFC 3339
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in event)
    assert all(isinstance(event[name], str) and event[name] for name in event if name != "data")
