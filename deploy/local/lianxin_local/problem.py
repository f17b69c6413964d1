"""What went wrong, in one line that says what to do. Never a traceback."""

from typing import IO, Any

import click


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


def say(line: str) -> None:
    """Tell how far things are."""
    click.echo(line, err=True)
