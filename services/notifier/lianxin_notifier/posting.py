"""Posting over HTTP to where may be posted to: public addresses, checked at connect, and what is listed."""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx

from lianxin_notifier.retrying import Outcome

RETRY_STATUS = frozenset({408, 429})  # the only client errors that pass by themselves
MOST_ANSWER = 65_536  # bytes of an answer that are read; providers' answers are a line long
LONGEST_ASKED_WAIT_S = 3600.0  # a `Retry-After` beyond this is not heeded in full

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
class Answer:
    """What the other side answered. `wait_s`: its `Retry-After`, seconds; `body` is cut at `MOST_ANSWER`."""

    status: int
    body: bytes = b""
    wait_s: float | None = None


class Poster:
    """Asks over HTTP. `deadline_s` bounds each request, name look-up included."""

    def __init__(self, allowed: Allowed, deadline_s: float) -> None:
        self._allowed = allowed
        self._deadline_s = deadline_s
        self._client = httpx.AsyncClient(
            timeout=deadline_s,
            follow_redirects=False,
            trust_env=False,
            # A connection is kept by address; another host at the same address must not be handed it.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def post(
        self, url: str, content: bytes, headers: Mapping[str, str], *, read: bool = True
    ) -> Answer | Outcome:
        """Post `content` to `url`; the outcome where it could not be or was not answered. Never raises for
        what the other side does. Without `read` the answer's body is left alone: it may be endless."""
        return await self._ask("POST", url, content, headers, read=read)

    async def get(self, url: str) -> Answer | Outcome:
        """What `url` answers, by the same rules."""
        return await self._ask("GET", url, b"", {}, read=True)

    async def _ask(
        self, method: str, url: str, content: bytes, headers: Mapping[str, str], *, read: bool
    ) -> Answer | Outcome:
        unknown = False
        try:
            async with asyncio.timeout(self._deadline_s):
                request = await self._request(method, url, content, headers)
                if isinstance(request, Outcome):
                    return request
                unknown = True
                response = await self._client.send(request, stream=True)
                try:
                    body = await _beginning(response) if read else b""
                finally:
                    await response.aclose()
                return Answer(response.status_code, body, _asked_wait(response.headers.get("retry-after")))
        except (httpx.ConnectError, httpx.ConnectTimeout, socket.gaierror) as error:
            return Outcome("retry", type(error).__name__)
        except (httpx.HTTPError, OSError, TimeoutError) as error:
            return Outcome("retry", type(error).__name__, unknown=unknown)

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.aclose()

    async def _request(
        self, method: str, target: str, content: bytes, headers: Mapping[str, str]
    ) -> httpx.Request | Outcome:
        try:
            url = httpx.URL(target)
        except httpx.InvalidURL:
            return Outcome("dead", "not a URL")
        host = url.host
        if url.scheme not in ("http", "https") or not host or url.userinfo:
            return Outcome("dead", "not a plain http or https URL")
        try:
            addresses = await _resolve(host, url.port or (443 if url.scheme == "https" else 80))
        except UnicodeError:  # "hooks..example.com": no name at all, says the look-up's encoding
            return Outcome("dead", "not a host name")
        allowed = self._allowed
        # All of them: a name that also points inside is a trap. Then the very address that was checked is
        # connected to, so that a second look-up can't answer differently.
        if not addresses or not all(allowed.permits(host, address) for address in addresses):
            return Outcome("dead", "address not allowed")
        if url.scheme == "http" and not all(allowed.listed(host, address) for address in addresses):
            return Outcome("dead", "plain http not allowed")
        return self._client.build_request(
            method,
            url.copy_with(host=str(addresses[0])),
            content=content,
            headers={"Host": url.netloc.decode("ascii"), "User-Agent": "lianxin-notifier", **headers},
            extensions={"sni_hostname": host},
        )


def status_outcome(answer: Answer) -> Outcome:
    """What an answer's status alone says: sent, passing or final."""
    if 200 <= answer.status < 300:
        return Outcome("sent")
    if answer.status >= 500 or answer.status in RETRY_STATUS:
        return Outcome("retry", f"http {answer.status}", wait_s=answer.wait_s)
    return Outcome("dead", f"http {answer.status}")


async def _beginning(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) >= MOST_ANSWER:
            break
    return body[:MOST_ANSWER]


def _asked_wait(header: str | None) -> float | None:
    """`Retry-After` in seconds; its form as a date is not heeded, our own backoff is long enough."""
    if header is None or not header.isascii() or not header.isdigit():
        return None
    return min(float(header), LONGEST_ASKED_WAIT_S)


async def _resolve(host: str, port: int) -> Sequence[IPAddress]:
    """Every address of `host`. Raises socket.gaierror where it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # Without the zone of a link-local address ("fe80::1%eth0"), which ipaddress would take as part of it.
    return [ipaddress.ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]
