"""`lianxin rebuild`: what it says where it can't do its work. What it does is in tests/end_to_end."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lianxin_local.cli import main
from lianxin_local.home import Home
from lianxin_local.problem import Problem
from lianxin_local.rebuild_command import build, failed, only_one_rebuild
from lianxin_local.stack import Stack, own_database_url


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    home = Home.at(tmp_path / "home")
    home.prepare()
    return Stack(home, 9000, "kafka", "127.0.0.1:1", own_database_url(9000))


def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["--data", str(tmp_path), "rebuild", "intake"])
    assert told.exit_code == 1
    assert "start one with lianxin up" in told.stderr


def test_a_stack_that_does_not_run_is_told_in_one_line(stack: Stack) -> None:
    stack.save()
    told = CliRunner().invoke(main, ["--data", str(stack.home.root), "rebuild", "router"])
    assert told.exit_code == 1
    assert told.stderr.startswith("lianxin: the stack in")
    assert told.stderr.count("\n") == 1


def test_an_unknown_service_is_refused_with_the_names_of_the_four(stack: Stack) -> None:
    told = CliRunner().invoke(main, ["rebuild", "mailer"])
    assert told.exit_code == 2
    assert "intake" in told.stderr


def test_a_second_rebuild_of_the_same_service_is_kept_away(stack: Stack) -> None:
    with only_one_rebuild(stack.home, "intake"):
        with pytest.raises(Problem, match="running already"), only_one_rebuild(stack.home, "intake"):
            pass
        with only_one_rebuild(stack.home, "router"):
            pass


def test_a_rebuild_that_fails_is_told_in_one_line_with_its_last_error(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    child = stack.home.root / "child.sh"
    child.write_text("#!/bin/sh\necho 5 of 9 records\necho 'error: the broker is gone' >&2\nexit 3\n")
    child.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(child))
    with pytest.raises(
        Problem, match=r"rebuild of intake failed .* the broker is gone \(see .*the same command"
    ):
        build(stack, "intake", {})
    assert "5 of 9 records" in capsys.readouterr().err


def test_a_rebuild_that_was_killed_is_told_with_the_signal(stack: Stack) -> None:
    assert "was ended by signal 9" in failed("metrics", -9, stack.home.logs / "none.log")
