"""A made-up city lives on the whole stack: `lianxin simulate`."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.log import opened
from tests.support.stacks import LIANXIN, LocalStack
from tests.support.wait import eventually

# Two weeks and a contact day (17 March) of a city of an eighth of the size, about 110 opinions.
STRETCH = ("--seed", "7", "--rate", "7", "--from", "2026-03-09", "--days", "14")
PATIENCE_S = 300.0


def simulate(stack: LocalStack, *options: str) -> dict[str, Any]:
    told = json.loads(stack.lianxin("simulate", "--json", *options, timeout=600).stdout)
    assert isinstance(told, dict)
    return told


def counts(stack: LocalStack) -> dict[str, int]:
    return dict(stack.status()["counts"])


def at_rest(stack: LocalStack) -> bool:
    now = counts(stack)
    if None in now.values():
        return False
    return now["submitted"] == now["assigned"] + now["triage"] and now["alerted"] == now["assigned"]


@pytest.fixture(scope="module")
def lived(stack: LocalStack) -> dict[str, Any]:
    """Two weeks of the past, lived through as fast as it goes."""
    return simulate(stack, *STRETCH)


def test_the_equations_of_a_simulated_fortnight_hold_and_every_case_is_explained(
    stack: LocalStack, lived: dict[str, Any]
) -> None:
    assert all(lived["holds"].values())
    assert lived["unexplained"] == []
    assert lived["refused_by_router"] == {}
    assert lived["turned_away"] == {}
    assert sum(lived["stages"].values()) == lived["handed_in"] > 100
    assert sum(lived["explained"].values()) == lived["handed_in"] - lived["stages"]["closed"]
    assert lived["visits"] > 0
    assert {"accept", "resolve", "rate"} <= lived["actions"].keys()
    eventually(lambda: at_rest(stack), PATIENCE_S)
    eventually(lambda: counts(stack)["closed"] == lived["stages"]["closed"], PATIENCE_S)
    assert counts(stack)["submitted"] == lived["handed_in"]


def test_the_same_fortnight_a_second_time_doubles_nothing(stack: LocalStack, lived: dict[str, Any]) -> None:
    before = counts(stack)
    again = simulate(stack, *STRETCH)
    assert all(again["holds"].values())
    assert (again["handed_in"], again["known_before"]) == (0, lived["handed_in"])
    assert again["stages"] == lived["stages"]
    assert again["actions"] == {}
    assert again["knocks"] == 0
    assert counts(stack) == before


def test_the_days_after_go_on_with_the_cases_that_are_open(stack: LocalStack, lived: dict[str, Any]) -> None:
    still_open = lived["handed_in"] - lived["stages"]["closed"]
    after = simulate(stack, "--seed", "7", "--rate", "7", "--from", "2026-03-23", "--days", "2")
    assert all(after["holds"].values())
    assert after["known_before"] == still_open
    assert after["actions"]


@contextlib.contextmanager
def living(stack: LocalStack, said: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(LIANXIN), "--data", str(stack.directory), "simulate", "--living", "--json"]
    with said.open("w") as out, said.with_suffix(".err").open("w") as err:
        process = subprocess.Popen(
            [*command, "--rate", "40000"], stdout=out, stderr=err, env=os.environ | stack.env
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_living_city_goes_on_after_a_stop_and_a_dead_service_and_doubles_nothing(
    stack: LocalStack, lived: dict[str, Any], tmp_path: Path
) -> None:
    begun = opened(stack.bootstrap)  # by the log: who counts may still be behind it
    told: list[dict[str, Any]] = []
    for run in range(2):
        before, said = opened(stack.bootstrap), tmp_path / f"said-{run}"
        with living(stack, said) as process:
            eventually(lambda at=before: counts(stack)["submitted"] >= at + 5, PATIENCE_S)  # type: ignore[misc]
            stack.kill("intake.api")
            stack.up()
            eventually(lambda at=before: counts(stack)["submitted"] >= at + 10, PATIENCE_S)  # type: ignore[misc]
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)
        told.append(json.loads(said.read_text()))
        assert all(told[-1]["holds"].values()), told[-1]
        assert process.returncode == 0
    assert told[1]["known_before"] == told[0]["handed_in"] - told[0]["stages"]["closed"]
    handed_in = sum(one["handed_in"] for one in told)
    assert opened(stack.bootstrap) == begun + handed_in
    eventually(lambda: counts(stack)["submitted"] == begun + handed_in, PATIENCE_S)
