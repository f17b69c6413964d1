"""Which port is whose, counted from one base, and who sits on a port that is taken."""

import socket
from collections.abc import Iterable

import psutil

from lianxin_local.problem import Problem

DEFAULT_BASE = 8000
# From the base. Public first; then what only Prometheus and the stack itself talk to.
OFFSETS = {
    "intake.api": 0,
    "router.worker": 1,
    "notifier.api": 2,
    "metrics.api": 3,
    "intake.worker": 10,
    "intake.mail": 14,
    "notifier.worker": 12,
    "metrics.worker": 13,
    # Where mail comes in: SMTP, as 25 is everywhere.
    "smtp": 25,
    "database": 17,
    "broker": 92,
    "broker.controller": 93,
}
HIGHEST = max(OFFSETS.values())


def ports_from(base: int) -> dict[str, int]:
    """The port of every process."""
    if not 1024 <= base <= 65535 - HIGHEST:
        raise Problem(f"--port-base must be from 1024 to {65535 - HIGHEST}, not {base}", code=2)
    return {name: base + offset for name, offset in OFFSETS.items()}


def is_free(port: int) -> bool:
    """Whether a server can listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def holder(port: int) -> str:
    """Who listens there, as far as this user may know."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        pass  # macOS tells only root: then the port's number has to do
    return "another process"


def require_free(wanted: Iterable[tuple[str, int]]) -> None:
    """Refuse to start on a port that someone else uses."""
    for name, port in wanted:
        if not is_free(port):
            raise Problem(
                f"port {port} ({name}) is taken by {holder(port)}: stop that, "
                "or choose other ports with --port-base N"
            )
