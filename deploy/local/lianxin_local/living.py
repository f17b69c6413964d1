"""The city that lives on a stack in the foreground: `lianxin simulate --living`, as a child of `lianxin up`.

It is marked as one of the stack's processes, so that `down` ends it as well, and the next `up` where this one
was killed. The stack does not need it: when it ends, that is told, and nothing else happens.
"""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lianxin_local.home import Home

NAME = "life"
# It only puts down its pen: what it has said is with the broker.
TO_END_S = 10.0


@contextlib.contextmanager
def living(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    """A city lives on the stack at `home` until the block is left."""
    command = [sys.executable, "-m", "lianxin_local.cli", "--data", str(home.root), "simulate", "--living"]
    marks = {"LIANXIN_STACK": str(home.root), "LIANXIN_PROCESS": NAME}
    with log_of(home).open("ab") as log:
        # In a session of its own: Ctrl-C is the foreground's, which then ends it in order.
        child = subprocess.Popen(
            command,
            env=os.environ | marks,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(TO_END_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def log_of(home: Home) -> Path:
    """Where it tells how far it is."""
    return home.logs / f"{NAME}.log"
