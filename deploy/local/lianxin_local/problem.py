"""What went wrong, in one line that says what to do. Never a traceback."""

import errno
import logging
import shutil
from pathlib import Path
from typing import IO, Any

import click

log = logging.getLogger(__name__)

# What a write fails with where there is no room: on the disk, or for this user.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class Problem(click.ClickException):
    """A failure that the person at the keyboard can do something about."""

    def __init__(self, what: str, *, code: int = 1) -> None:
        super().__init__(what)
        self.exit_code = code

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the one line, on stderr."""
        click.echo(f"lianxin: {self.message}", err=True, file=file)


class Unobtainable(Problem):
    """Something that Apache Kafka needs can't be had on this machine: the stand-in may do instead."""


def in_one_line(error: OSError) -> Problem:
    """What the system refused, as a Problem: which file or address, and what to do."""
    log.debug("the system refused something", exc_info=error)
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in NO_ROOM:
        return Problem(f"the disk is full{where}: make room, then start again")
    what = error.strerror or str(error) or type(error).__name__
    return Problem(f"{what}{where}: lianxin doctor looks for the cause")


def require_room(directory: Path, least: int, otherwise: str) -> None:
    """Refuse to begin where the disk of `directory`, which need not exist yet, has less than `least` bytes
    left; `otherwise` is the other way out."""
    free = shutil.disk_usage(next(one for one in (directory, *directory.parents) if one.exists())).free
    if free < least:
        raise Problem(
            f"the disk of {directory} has only {free // 2**20} MiB left and {least // 2**20} MiB are needed; "
            f"make room, or {otherwise}"
        )


def say(line: str) -> None:
    """Tell how far things are."""
    click.echo(line, err=True)
