"""`lianxin secrets`: the secrets of a deployment, made at random."""

import base64
import os
import re
import secrets as randomness
import uuid
from collections.abc import Callable
from pathlib import Path

import click

from lianxin_local.keys import push_key
from lianxin_local.problem import Problem, say

_EMPTY = re.compile(r"^([A-Z][A-Z0-9_]*)=$")


@click.group()
def secrets() -> None:
    """Passwords and keys of a deployment."""


@secrets.command()
@click.argument("template", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where to write; never over a file. Else printed."
)
def fill(template: Path, out: Path | None) -> None:
    """Fill every empty NAME= of TEMPLATE (such as .env.example) with a new secret of the kind that its name
    tells."""
    filled = filled_in(template.read_text("utf-8"))
    if out is None:
        click.echo(filled, nl=False)
        return
    try:
        # Readable by its owner alone from the first moment on.
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Problem(f"{out} is there already: its secrets may be in use; move it away first") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(filled)
    say(f"{out} is written; keep it as you keep the data: docs/operations.md, Backing up")


def filled_in(template: str) -> str:
    """`template` with a value after every empty `NAME=`. Raises Problem for a name whose kind is unknown."""
    contact = _contact_pair()
    lines = []
    for line in template.splitlines():
        found = _EMPTY.match(line)
        lines.append(f"{line}{_value(found[1], contact)}" if found else line)
    return "\n".join(lines) + "\n"


def _value(name: str, contact: dict[str, str]) -> str:
    if name in contact:
        return contact[name]
    for ending, make in _KINDS.items():
        if name.endswith(ending):
            return make()
    raise Problem(f"no value can be made for {name}: give it one in the template")


def _contact_pair() -> dict[str, str]:
    from nacl.public import PrivateKey

    key = PrivateKey.generate()
    return {
        "LIANXIN_CONTACT_PRIVATE_KEY": base64.b64encode(bytes(key)).decode(),
        "LIANXIN_CONTACT_PUBLIC_KEY": base64.b64encode(bytes(key.public_key)).decode(),
    }


def _token() -> str:
    # Letters and digits only: it stands in URLs, JAAS lines and shells without quoting.
    return randomness.token_hex(24)


def _cluster() -> str:
    """An id as Kafka's own `random-uuid` makes them; one in 64 begins with "-", as an option does."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith("-"):
        continue
    return made


_KINDS: dict[str, Callable[[], str]] = {
    "_PASSWORD": _token,
    "_SECRET": _token,
    "_CLUSTER_ID": _cluster,
    "_PUSH_PRIVATE_KEY": push_key,
}
