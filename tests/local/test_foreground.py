"""`lianxin up` that stays in the foreground stops what it started, and nothing else.

On the stand-in broker and mostly without the services: whose the stack is does not depend on either.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lianxin_local.bring_up import only_one
from lianxin_local.home import Home
from tests.support.ports import free_base
from tests.support.stacks import LIANXIN, LocalStack
from tests.support.wait import eventually

OPTIONS = ("--without-services", "--broker", "tansu")
TO_END_S = 90.0


class Foreground:
    """`lianxin up` as a person runs it, with what it says on a file."""

    def __init__(self, stack: LocalStack, *options: str) -> None:
        self.said_to = stack.directory.with_name(f"{stack.directory.name}.said")
        command = [str(LIANXIN), "--data", str(stack.directory), "up", *OPTIONS, *options]
        with self.said_to.open("w") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)

    @property
    def said(self) -> str:
        return self.said_to.read_text()

    def until_it_runs(self) -> None:
        eventually(lambda: "Ctrl-C stops everything" in self.said)

    def ended(self) -> int:
        return self.process.wait(TO_END_S)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    one = LocalStack(tmp_path / "stack", *OPTIONS)
    yield one
    one.lianxin("down", check=False)
    one.remove()


@pytest.fixture
def running(stack: LocalStack) -> LocalStack:
    stack.up()
    return stack


@contextlib.contextmanager
def foreground(stack: LocalStack, *options: str) -> Iterator[Foreground]:
    one = Foreground(stack, *options)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()


def pids(stack: LocalStack) -> dict[str, int]:
    told: dict[str, int] = stack.status()["pids"]
    assert set(told) == {"broker", "database"}
    return told


def gone(those: dict[str, int]) -> bool:
    return not any(
        psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in those.values()
    )


def test_one_that_is_refused_for_other_ports_leaves_the_running_stack_alone(running: LocalStack) -> None:
    before = pids(running)
    with foreground(running, "--port-base", str(free_base())) as refused:
        assert refused.ended() == 1
    assert "lianxin down first" in refused.said
    assert pids(running) == before


def test_one_that_comes_while_another_is_at_it_leaves_the_running_stack_alone(running: LocalStack) -> None:
    before = pids(running)
    with only_one(Home.at(running.directory)), foreground(running) as refused:
        assert refused.ended() == 1
    assert "another lianxin is starting or stopping" in refused.said
    assert pids(running) == before


def test_one_that_can_not_heal_leaves_what_runs_alone(running: LocalStack) -> None:
    before = pids(running)
    settings = running.directory / "supervisord.conf"
    settings.unlink()
    settings.mkdir()  # so that no new ones can be written
    with foreground(running) as failed:
        assert failed.ended() == 1
    assert "can't write" in failed.said
    assert "Traceback" not in failed.said
    assert pids(running) == before


def test_one_that_was_replaced_lets_the_new_stack_go_on(stack: LocalStack) -> None:
    with foreground(stack, "--port-base", str(stack.port_base)) as first:
        first.until_it_runs()
        stack.down()
        stack.up()
        new = pids(stack)
        if first.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it may see by itself that its stack has gone
                first.process.send_signal(signal.SIGINT)
        first.ended()
    assert pids(stack) == new


def test_one_whose_stack_is_taken_down_ends(stack: LocalStack) -> None:
    with foreground(stack, "--port-base", str(stack.port_base)) as first:
        first.until_it_runs()
        stack.down()
        assert first.ended() == 0
    assert "Traceback" not in first.said


def test_one_whose_supervisor_is_killed_stops_what_that_left_and_says_so(stack: LocalStack) -> None:
    with foreground(stack, "--port-base", str(stack.port_base)) as first:
        first.until_it_runs()
        before = pids(stack)
        os.kill(int((stack.directory / "supervisord.pid").read_text()), signal.SIGKILL)
        assert first.ended() == 1
    assert "the supervisor was gone" in first.said
    assert gone(before)


def test_one_that_joined_a_running_stack_stops_it_on_ctrl_c(running: LocalStack) -> None:
    before = pids(running)
    with foreground(running) as joined:
        joined.until_it_runs()
        joined.process.send_signal(signal.SIGINT)
        assert joined.ended() == 0
    assert gone(before)


def test_one_whose_services_do_not_come_up_stops_what_it_started(stack: LocalStack) -> None:
    everything = [str(LIANXIN), "--data", str(stack.directory), "up", "--broker", "tansu"]
    everything += ["--port-base", str(stack.port_base)]
    hopeless = {"LIANXIN_START_SECONDS": "0.1"}
    done = subprocess.run(
        everything, env=os.environ | hopeless, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    assert "is not ready after" in done.stderr
    assert "Traceback" not in done.stderr
    assert stack.status()["pids"] == {}
