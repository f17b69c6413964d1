"""Looking at a running stack without touching it: what runs, what answers, what a log says last."""

import re
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from lianxin_local.home import Home
from lianxin_local.supervise import Supervisor, orphans

# Never through a proxy: everything asked here is on this machine.
_direct = build_opener(ProxyHandler({}))


def fetch(url: str, timeout: float) -> str | None:
    """What a process answers there, or None unless it answers 200 in time."""
    try:
        with _direct.open(url, timeout=timeout) as answer:
            return str(answer.read().decode()) if answer.status == 200 else None
    except (URLError, OSError, ValueError):
        return None


def is_ready(url: str) -> bool:
    """Whether the process there says that it can do its work."""
    return fetch(f"{url}/readyz", timeout=2.0) is not None


def waits_for(url: str) -> str:
    """What the process there says it is waiting for, in its own words."""
    try:
        with _direct.open(f"{url}/readyz", timeout=2.0):
            return "nothing any more"
    except HTTPError as error:
        return " ".join(error.read(500).decode(errors="replace").split()) or str(error)
    except (URLError, OSError):
        return "it does not answer"


def pids(home: Home) -> dict[str, int]:
    """The process id of everything that runs, by name."""
    states = Supervisor(home).states()
    if states:
        return {state.name: state.pid for state in states if state.alive}
    return {name: process.pid for name, process in orphans(home).items()}


def last_error(log: Path) -> str:
    """The last line of a log that tells of an error, else its last line."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 64 * 1024))
            text = file.read().decode(errors="replace")
    except OSError:
        return "it has written nothing"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    bad = [line for line in lines if re.search(r"error|exception|critical|fatal", line, re.IGNORECASE)]
    return (bad or lines or ["it has written nothing"])[-1][:300]
