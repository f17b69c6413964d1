"""Webhooks: a signed CloudEvent, posted to public addresses only.

Body: a CloudEvent 1.0 in structured JSON mode whose `id` is the alert's (the same for every attempt). Header
`Lianxin-Signature: t={seconds since the epoch},v1={hex}`, where v1 is HMAC-SHA256 with the shared secret over
`{t}.{body}`; a receiver refuses an old `t`. A repeat whose predecessor may have arrived carries
`Lianxin-Repeated-After-Crash: true`.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import msgspec

from lianxin_contracts.envelope import rfc3339
from lianxin_notifier.alerts import Due
from lianxin_notifier.retrying import SENT, Outcome

SIGNATURE = "Lianxin-Signature"
REPEATED = "Lianxin-Repeated-After-Crash"
RETRY_STATUS = frozenset({408, 429})  # the only client errors that pass by themselves

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
_NEVER = (
    ipaddress.ip_network("::/96"),  # RFC 4291 2.5.5.1: IPv4-compatible, deprecated
    ipaddress.ip_network("fec0::/10"),  # RFC 3879: site-local, deprecated
    ipaddress.ip_network("64:ff9b:1::/48"),  # RFC 8215: NAT64 for local use
)


class Allowed:
    """Where may be posted to: every public address, and what is listed (hosts, addresses, networks)."""

    def __init__(self, listed: str) -> None:
        self._hosts: set[str] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for entry in filter(None, (part.strip().lower() for part in listed.split(","))):
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                self._hosts.add(entry)

    def listed(self, host: str, address: IPAddress) -> bool:
        """Whether the operator has named this host or address."""
        return host.lower() in self._hosts or any(address in network for network in self._networks)

    def permits(self, host: str, address: IPAddress) -> bool:
        """Whether `address`, which `host` resolved to, may be posted to."""
        return self.listed(host, address) or public(address)


def public(address: IPAddress) -> bool:
    """Whether `address` is one of the open internet, also where it is wrapped in another."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return public(inner)
        if any(address in network for network in _NEVER):
            return False
    return address.is_global and not address.is_multicast


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """How webhooks are posted. `deadline_s` bounds one attempt, name look-up included."""

    secret: bytes
    allowed: Allowed
    deadline_s: float


def signature(secret: bytes, moment: int, body: bytes) -> str:
    """The signature header's value for `body` at `moment` (seconds since the epoch)."""
    digest = hmac.new(secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def body_of(due: Due) -> bytes:
    """The CloudEvent for `due`: codes, times and ids only; byte for byte the same for every attempt."""
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": due.alert,
            "source": "/notifier",
            "type": "alert.raised",
            "subject": due.opinion,
            "time": rfc3339(due.raised),
            "datacontenttype": "application/json",
            "data": {
                "event": due.entry.event,
                "opinion": due.opinion,
                "receiver": due.receiver,
                "stage": due.entry.stage,
                "topic": due.entry.topic,
                "grid": due.entry.grid,
                "street": due.street,
                "assigned_at": due.entry.assigned_at,
                "due": due.entry.due,
            },
        }
    )


class WebhookSlot:
    """One poster. `deliver` never raises for what the other side does."""

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._client = httpx.AsyncClient(
            timeout=settings.deadline_s,
            follow_redirects=False,
            trust_env=False,
            # A connection is kept by address; another host at the same address must not be handed it.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def deliver(self, due: Due) -> Outcome:
        """Post one alert."""
        unknown = False
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                request = await self._request(due)
                if isinstance(request, Outcome):
                    return request
                unknown = True
                response = await self._client.send(request, stream=True)
                await response.aclose()  # its body is not read: it may be endless
                return _outcome(response.status_code)
        except (httpx.ConnectError, httpx.ConnectTimeout, socket.gaierror) as error:
            return Outcome("retry", type(error).__name__)
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            return Outcome("retry", type(error).__name__, unknown=unknown)

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.aclose()

    async def _request(self, due: Due) -> httpx.Request | Outcome:
        try:
            url = httpx.URL(due.target)
        except httpx.InvalidURL:
            return Outcome("dead", "not a URL")
        host = url.host
        if url.scheme not in ("http", "https") or not host or url.userinfo:
            return Outcome("dead", "not a plain http or https URL")
        try:
            addresses = await _resolve(host, url.port or (443 if url.scheme == "https" else 80))
        except UnicodeError:  # "hooks..example.com": no name at all, says the look-up's encoding
            return Outcome("dead", "not a host name")
        allowed = self._settings.allowed
        # All of them: a name that also points inside is a trap. Then the very address that was checked is
        # connected to, so that a second look-up can't answer differently.
        if not addresses or not all(allowed.permits(host, address) for address in addresses):
            return Outcome("dead", "address not allowed")
        if url.scheme == "http" and not all(allowed.listed(host, address) for address in addresses):
            return Outcome("dead", "plain http not allowed")
        body = body_of(due)
        headers = {
            "Host": url.netloc.decode("ascii"),
            "Content-Type": "application/cloudevents+json",
            "User-Agent": "lianxin-notifier",
            SIGNATURE: signature(self._settings.secret, int(time.time()), body),
        }
        if due.repeated:
            headers[REPEATED] = "true"
        return self._client.build_request(
            "POST",
            url.copy_with(host=str(addresses[0])),
            content=body,
            headers=headers,
            extensions={"sni_hostname": host},
        )


def _outcome(status: int) -> Outcome:
    if 200 <= status < 300:
        return SENT
    passing = status >= 500 or status in RETRY_STATUS
    return Outcome("retry" if passing else "dead", f"http {status}")


async def _resolve(host: str, port: int) -> Sequence[IPAddress]:
    """Every address of `host`. Raises socket.gaierror where it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # Without the zone of a link-local address ("fe80::1%eth0"), which ipaddress would take as part of it.
    return [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
