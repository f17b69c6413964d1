"""Limits by rate: one bucket of tokens for each key or address, on this instance, in memory."""

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from starlette.requests import Request

# Buckets that nobody used for longest are forgotten (and so are full again) beyond this many.
MOST_BUCKETS = 20_000
# What one subscriber usually gets of IPv6 (RFC 6177): a limit for each address would be none.
IPV6_PREFIX = 64


class Buckets:
    """Token buckets by name: `rate` tokens a second up to `burst`."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._level: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take a token; 0.0 where there was one, else the seconds until there is one (and none is taken)."""
        now = self._clock()
        left = self._filled(name, now)
        taken = left >= 1.0
        self._keep(name, left - 1.0 if taken else left, now)
        return 0.0 if taken else (1.0 - left) / self._allowed(name)[0]

    @property
    def per_minute(self) -> int:
        """How many tokens each name gets in a minute, whole and at least one."""
        return max(1, math.floor(self._rate * 60))

    def empty_for(self, name: str) -> float:
        """The seconds until there is a token, without taking one."""
        left = self._filled(name, self._clock())
        return 0.0 if left >= 1.0 else (1.0 - left) / self._allowed(name)[0]

    def _allowed(self, name: str) -> tuple[float, float]:  # noqa: ARG002 - for kinds that tell names apart
        """Tokens a second and at once for `name`."""
        return self._rate, self._burst

    def _filled(self, name: str, now: float) -> float:
        rate, burst = self._allowed(name)
        left, at = self._level.get(name, (burst, now))
        return min(burst, left + (now - at) * rate)

    def _keep(self, name: str, left: float, now: float) -> None:
        self._level[name] = (left, now)
        self._level.move_to_end(name)
        if len(self._level) > MOST_BUCKETS:
            self._level.popitem(last=False)


def retry_after(seconds: float) -> dict[str, str]:
    """The header that says to come back after `seconds`, whole and at least one."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def address_of(request: Request) -> str:
    """What a limit for the sender goes by: an IPv4 address, or the /64 of an IPv6 one. Behind a proxy of
    `trusted_proxies` the address that it names."""
    host = request.client.host if request.client is not None else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "unknown"  # a socket without addresses, or a proxy that names none: one bucket for all
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
