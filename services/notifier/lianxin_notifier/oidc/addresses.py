"""Which addresses of an identity service are good for secrets. Pure."""

import ipaddress
from urllib.parse import urlsplit


def may_be_asked(address: str, plain_hosts: frozenset[str]) -> bool:
    """Whether secrets may go there: by https, or on this machine, or where the operator allows plain http."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment:
        return False
    if parts.scheme == "https":
        return True
    return parts.scheme == "http" and (host in plain_hosts or _is_loopback(host))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
