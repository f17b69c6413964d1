"""A file is played through the whole stack at its own times: `lianxin replay --event-time`."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.log import opened
from tests.support.stacks import LIANXIN, LocalStack
from tests.support.wait import eventually

ROWS, TOO_LONG, PATIENCE_S = 60, 17, 300.0
FIRST = datetime(2026, 3, 2, 8)  # noqa: DTZ001  civil times, as files have them
OPTIONS = ("--event-time", "--assign", "--station-seed", "7", "--prefix", "made", "--until-rest", "--json")
TEXTS = ("小区门口的路灯坏了三天", "学校门口早高峰占道经营", "河道里垃圾没人清理", "公交车晚上收班太早")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty opinions of a month; most were answered and some of those rated, and one is too long."""
    chance = random.Random(7)
    path = tmp_path_factory.mktemp("replay") / "made.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["title", "text", "time", "reply", "replied_at", "score"])
        for row in range(1, ROWS + 1):
            at = FIRST + timedelta(minutes=chance.randrange(40_000))
            text = f"{chance.choice(TEXTS)}，第{row}件"
            replied = at + timedelta(minutes=chance.randrange(30, 20_000))
            answered = row % 6 != 0
            out.writerow(
                [
                    f"反映{row}",
                    "长" * 10_001 if row == TOO_LONG else text,
                    at.isoformat(sep=" "),
                    "已安排处理。" if answered else "",
                    replied.isoformat(sep=" ") if answered else "",
                    "满意" if answered and row % 2 else "",
                ]
            )
    return path


@pytest.fixture(scope="module")
def played(stack: LocalStack, table: Path) -> dict[str, Any]:
    """The file, played by a command that is killed half-way and one that goes on."""
    command = [LIANXIN, "--data", str(stack.directory), "replay", str(table), *OPTIONS]
    before = opened(stack.bootstrap)
    bookmarks = stack.directory / "replays"
    first = subprocess.Popen([*command, "--rate", "40"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def half_way() -> bool:
        return any(json.loads(p.read_text())["done"] > ROWS // 2 for p in bookmarks.glob("*.json"))

    eventually(half_way, PATIENCE_S)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    done = stack.lianxin("replay", str(table), *OPTIONS, "--resume", timeout=600)
    told = json.loads(done.stdout)
    assert isinstance(told, dict)
    return told | {"submitted_before": before}


def test_every_row_is_played_once_although_the_play_was_killed(played: dict[str, Any]) -> None:
    assert (played["sent"], played["accepted"]) == (ROWS, ROWS - 1)
    (refused,) = played["refused"].values()
    assert refused == {"count": 1, "rows": [TOO_LONG]}
    assert played["not_done"] == {}
    assert all(played["holds"].values())
    assert played["counts"]["submitted"] - played["submitted_before"] == ROWS - 1


def test_who_checks_without_the_router_s_code_finds_the_file_s_own_times(
    stack: LocalStack, table: Path, played: dict[str, Any]
) -> None:
    assert played["accepted"]
    checking = subprocess.run(
        [
            sys.executable, "-m", "tests.end_to_end.replayed", str(table), "--data", str(stack.directory),
            "--prefix", "made", "--refused", "1", "--opened", "time", "--resolved", "replied_at",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checking.returncode == 0, checking.stdout + checking.stderr


def test_playing_it_again_changes_nothing(stack: LocalStack, table: Path, played: dict[str, Any]) -> None:
    again = json.loads(stack.lianxin("replay", str(table), *OPTIONS, timeout=600).stdout)
    assert again["counts"] == played["counts"]
    assert again["accepted"] == played["accepted"]
    assert again["not_done"] == {}


def test_a_file_with_another_heading_is_refused_with_what_it_has(stack: LocalStack, tmp_path: Path) -> None:
    strange = tmp_path / "strange.csv"
    strange.write_text("words,when\na,b\n")
    done = stack.lianxin("replay", str(strange), check=False)
    assert done.returncode != 0
    assert "which column is the text?" in done.stderr
    assert "Traceback" not in done.stderr
