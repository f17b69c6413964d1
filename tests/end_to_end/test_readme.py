"""The README's example, run as it is printed."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from tests.support.durable import skip_or_fail
from tests.support.stacks import LocalStack
from tests.support.wait import eventually

ROOT = Path(__file__).parents[2]
# Seven processes and a broker share the machine; the example itself takes seconds.
PATIENCE_S = 300.0


def example() -> str:
    """The block of commands that follows one opinion."""
    (block,) = re.findall(r"^```bash\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)
    return str(block)


def pasted(stack: LocalStack, directory: Path) -> str:
    """What the block prints where this stack is the one of `make run`. The first failing command ends it."""
    (directory / ".venv").symlink_to(ROOT / ".venv")
    (directory / ".lianxin").symlink_to(stack.directory)
    # On an overloaded machine 503 is a rightful answer, after which a person would send the same again.
    (directory / ".curlrc").write_text("retry = 10\n")
    said = directory / "said"
    with said.open("w") as out:
        running = subprocess.Popen(
            ["bash", "-euc", example()],
            cwd=directory,
            env=os.environ | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "CURL_HOME": str(directory)},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        eventually(lambda: running.poll() is not None, PATIENCE_S)
        assert running.returncode == 0
    except AssertionError as error:
        raise AssertionError(f"it got no further than this:\n{said.read_text()}") from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    return said.read_text()


def test_the_readmes_example_works_when_pasted_whole(stack: LocalStack, tmp_path: Path):
    if shutil.which("curl") is None:
        skip_or_fail("needs curl, as the README does")

    said = pasted(stack, tmp_path)

    assert re.search(r'"holder":"[^"]+"', said)
    assert '"rating":"satisfied"' in said
    assert said.count('"command_id"') == 3  # accepted, resolved, rated
    assert '"stage":"closed"' in said
    assert re.search(r"lianxin_closure_seconds_count\{.*\} 1\.0", said)
    assert eventually(lambda: stack.status()["counts"]["closed"] == 1, PATIENCE_S)
