"""`--data DIR`, which every command takes, before or after its name."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from lianxin_local.home import Home

DEFAULT = ".lianxin"


def takes_data(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a click command the option `--data` and, as its first argument, the Home that it names."""

    @click.option("--data", "data_here", metavar="DIR", help=f"Which stack (default {DEFAULT}).")
    @click.pass_context
    @wraps(command)
    def with_home(context: click.Context, /, data_here: str | None, **rest: Any) -> Any:
        before = context.find_root().params.get("data")
        return command(Home.at(data_here or before or DEFAULT), **rest)

    return with_home
