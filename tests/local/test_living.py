"""`lianxin up --living`: the stack does not need the city that lives on it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.local.test_foreground import OPTIONS, Foreground, foreground
from tests.support.stacks import LocalStack
from tests.support.wait import eventually


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    one = LocalStack(tmp_path / "stack", *OPTIONS)
    yield one
    one.lianxin("down", check=False)
    one.remove()


def life_of(one: Foreground) -> list[psutil.Process]:
    children = psutil.Process(one.process.pid).children()
    return [child for child in children if "simulate" in child.cmdline()]


def test_a_city_that_can_not_live_is_told_of_and_the_stack_goes_on(stack: LocalStack) -> None:
    with foreground(stack, "--port-base", str(stack.port_base), "--living") as up:
        up.until_it_runs()
        eventually(lambda: "the city has stopped living, the stack goes on" in up.said)  # no city is in force
        assert set(stack.status()["pids"]) == {"broker", "database"}
        up.process.send_signal(signal.SIGINT)
        assert up.ended() == 0
    assert "Traceback" not in up.said
    assert "no city is in force" in up.said


def test_ctrl_c_ends_the_city_before_the_stack(stack: LocalStack) -> None:
    with foreground(stack, "--port-base", str(stack.port_base), "--living") as up:
        up.until_it_runs()
        life = life_of(up)
        up.process.send_signal(signal.SIGINT)
        assert up.ended() == 0
    assert "Traceback" not in up.said
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in life)


def test_a_city_can_not_live_in_the_background(stack: LocalStack) -> None:
    done = stack.lianxin("up", "--detach", "--living", check=False)
    assert done.returncode == 1
    assert "--living lasts as long as the foreground" in done.stderr
