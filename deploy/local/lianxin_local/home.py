"""Where a stack keeps its things: one directory, `.lianxin` unless told otherwise."""

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lianxin_local.problem import Problem, require_room

# Linux allows 108 bytes for the path of a unix socket, macOS 104 (sys/un.h); one is the final zero.
LONGEST_SOCKET_PATH = 103
# Kafka stops by itself when it can't write; say so before. 300 MiB hold the empty stack and its logs.
LEAST_FREE_BYTES = 300 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Home:
    """The files of one stack."""

    root: Path

    @classmethod
    def at(cls, directory: str | Path) -> "Home":
        """The home at this directory, which need not exist yet."""
        return cls(Path(directory).absolute())

    @property
    def stack(self) -> Path:
        """What runs where: written by `up`, read by every other command."""
        return self.root / "stack.json"

    @property
    def secrets(self) -> Path:
        """The secrets of the services."""
        return self.root / "secrets.json"

    @property
    def keys(self) -> Path:
        """The demo keys."""
        return self.root / "keys.json"

    @property
    def logs(self) -> Path:
        """One log file for each process."""
        return self.root / "logs"

    @property
    def broker(self) -> Path:
        """The broker's records."""
        return self.root / "broker"

    @property
    def database(self) -> Path:
        """The database's files."""
        return self.root / "database"

    @property
    def supervisor_config(self) -> Path:
        """What the supervisor is told to run."""
        return self.root / "supervisord.conf"

    @property
    def supervisor_pid(self) -> Path:
        """The supervisor's process id."""
        return self.root / "supervisord.pid"

    @property
    def socket(self) -> Path:
        """Where the supervisor listens; in the temporary directory if the path here would be too long."""
        here = self.root / "supervisord.sock"
        if len(os.fsencode(here)) <= LONGEST_SOCKET_PATH:
            return here
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"lianxin-{os.getuid()}" / f"{name}.sock"

    def prepare(self) -> None:
        """Make the directories, readable by their owner only, or say why that can't be done."""
        try:
            for directory in (self.root, self.logs, self.socket.parent):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            require_room(self.root, LEAST_FREE_BYTES, "choose another --data DIR")
            probe = self.root / ".writable"
            probe.write_text("yes")
            probe.unlink()
        except OSError as error:
            raise Problem(
                f"can't write to {self.root}: {error.strerror}; choose another place with --data DIR"
            ) from None
        if self.socket.parent.stat().st_uid != os.getuid():
            raise Problem(f"{self.socket.parent} belongs to someone else; choose a shorter --data DIR")


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in a file, or None if there is no such file."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Problem(f"can't read {path}: {error}; remove it if it is damaged") from None
    if not isinstance(found, dict):
        raise Problem(f"{path} does not hold an object; remove it if it is damaged")
    return found


def write_private(path: Path, text: str) -> None:
    """Put text into a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        draft.replace(path)
    except OSError as error:
        raise Problem(f"can't write {path}: {error.strerror}") from None


def write_json(path: Path, what: dict[str, Any]) -> None:
    """Put an object into a file that only its owner can read, whole or not at all."""
    write_private(path, json.dumps(what, indent=2, sort_keys=True) + "\n")
