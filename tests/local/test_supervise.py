"""The supervisor for real, with processes that are made up."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from xmlrpc.client import Fault

import pytest

from lianxin_local.home import Home
from lianxin_local.problem import Problem
from lianxin_local.stack import Process
from lianxin_local.supervise import State, Supervisor
from tests.support.wait import eventually

ENDS_AT_ONCE = ["sh", "-c", "exit 3"]
ENDS_SOON = ["sh", "-c", "sleep 2; exit 3"]  # so that it counts as running, for moments
LASTS = ["sleep", "600"]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    home = Home.at(tmp_path / "home")
    home.prepare()
    one = Supervisor(home)
    yield one
    if (pid := one.pid()) is not None:
        one.stop_processes([state.name for state in one.states()])
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: one.pid() is None)


def the_one(supervisor: Supervisor) -> State:
    (state,) = supervisor.states()
    return state


@pytest.mark.parametrize("command", [ENDS_AT_ONCE, ENDS_SOON])
def test_a_process_that_ends_again_and_again_is_started_with_mended_settings(
    supervisor: Supervisor, command: list[str]
) -> None:
    supervisor.start([Process("it", command)])
    supervisor.start_processes(["it"])
    awaited = ("BACKOFF",) if command is ENDS_AT_ONCE else ("STARTING", "RUNNING")
    eventually(lambda: the_one(supervisor).state in awaited)

    supervisor.start([Process("it", LASTS)], lambda _: False)
    supervisor.start_processes(["it"])

    eventually(lambda: the_one(supervisor).state == "RUNNING")
    assert supervisor.home.supervisor_config.read_text().count("sleep") == 1


def test_a_process_that_does_its_work_keeps_its_settings_and_that_is_told(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor.start([Process("it", LASTS)])
    supervisor.start_processes(["it"])
    eventually(lambda: the_one(supervisor).state == "RUNNING")
    before = the_one(supervisor).pid

    supervisor.start([Process("it", LASTS, {"NEW": "setting"})])

    assert the_one(supervisor).pid == before
    assert "it keeps the settings that it runs with" in capsys.readouterr().err


def test_what_the_supervisor_refuses_is_one_line(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor.start([Process("it", LASTS)])

    def refuse(_well: object) -> None:
        raise Fault(91, "STILL_RUNNING: it")

    monkeypatch.setattr(supervisor, "_adopt", refuse)
    with pytest.raises(Problem, match=r"STILL_RUNNING.*lianxin down, then up"):
        supervisor.start([Process("it", ENDS_AT_ONCE)])
