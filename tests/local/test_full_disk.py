"""A disk that is full, for real: a file system of a few pages."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from lianxin_local import home, jars
from lianxin_local.cli import main
from lianxin_local.jars import Jar, by_jgo, by_maven, fetch
from lianxin_local.problem import Problem, Unobtainable
from tests.support.ports import free_base

SIZE = 64 * 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB, which fills up for real."""
    if sys.platform != "linux":
        pytest.skip("a small disk can be made on Linux only")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "lianxin-test", str(disk)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path, leave: int = 0) -> None:
    """Write to the disk until no more than `leave` bytes go there."""
    with (disk / "filling").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
        file.truncate(max(0, file.tell() - leave))


def up(data: Path) -> Result:
    command = ["up", "--detach", "--without-services", "--broker", "tansu", "--data", str(data)]
    return CliRunner().invoke(main, [*command, "--port-base", str(free_base())])


def one_line(done: Result) -> str:
    assert done.exit_code == 1
    (line,) = [
        line for line in done.stderr.splitlines() if line.startswith("lianxin:") and "Tansu" not in line
    ]
    assert "Traceback" not in done.stderr
    return line


def test_a_data_disk_without_room_is_refused_beforehand(small_disk: Path) -> None:
    assert "make room, or choose another --data DIR" in one_line(up(small_disk / "data"))


def test_a_data_disk_that_fills_up_while_the_stack_is_prepared_is_one_line(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "LEAST_FREE_BYTES", 0)
    (small_disk / "data").mkdir()
    fill(small_disk, leave=8192)  # the directories still find room
    line = one_line(up(small_disk / "data"))
    assert "No space left" in line or "the disk is full" in line


def test_a_cache_disk_without_room_is_told_before_anything_is_fetched_and_is_no_reason_for_the_stand_in(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never() -> list[object]:
        raise AssertionError("nothing is to be fetched")

    monkeypatch.setenv("LIANXIN_CACHE_DIR", str(small_disk / "cache"))
    monkeypatch.setattr(jars, "resolvers", never)
    done = CliRunner().invoke(main, ["up", "--detach", "--data", str(tmp_path / "data")])
    assert "LIANXIN_CACHE_DIR" in one_line(done)
    assert str(small_disk) in one_line(done)


def test_a_cache_disk_that_fills_up_during_the_download_is_told_as_such(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Context:
        """jgo's, with a repository that sends a megabyte for every jar."""

        def __init__(self, repo_cache: Path, timeout: int) -> None:
            self.cache = repo_cache

        def create_dependency(self, coordinate: str) -> SimpleNamespace:
            return SimpleNamespace(artifact=SimpleNamespace(resolve=self.resolve))

        def resolve(self) -> Path:
            kept = self.cache / "it.jar"
            kept.write_bytes(b"x" * 1024 * 1024)
            return kept

    monkeypatch.setattr("jgo.maven.MavenContext", Context)
    monkeypatch.setattr(jars, "FETCH_ROOM_BYTES", 0)
    monkeypatch.setattr(jars, "resolvers", lambda: [("jgo", by_jgo)])
    with pytest.raises(Problem, match="the disk is full") as told:
        fetch([Jar("g", "a", "1", "0" * 64)], small_disk / "kafka")
    assert not isinstance(told.value, Unobtainable)
    assert list(small_disk.iterdir()) == []


def test_a_maven_that_finds_no_room_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] it.jar: No space left on device -> [Help 1]'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(Problem, match="the disk is full") as told:
        by_maven([Jar("g", "a", "1", "0" * 64)], tmp_path)
    assert not isinstance(told.value, Unobtainable)
