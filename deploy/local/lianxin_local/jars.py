"""The broker's jars: fetched once by Maven or by jgo, checked against the committed manifest."""

import contextlib
import errno
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lianxin_local.problem import NO_ROOM, Problem, Unobtainable, in_one_line, require_room, say

KAFKA_VERSION = "4.4.0"
MANIFEST = Path(__file__).with_name("kafka-jars.txt")
# What the system says where Maven finds no room.
FULL_DISK = os.strerror(errno.ENOSPC)
# Unpinned, Maven takes the version it was built with.
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
# 43 MB in 45 files; a line this slow is no line.
FETCH_SECONDS = 900
# While they are fetched they are there twice: as the resolver keeps them, and as they are to lie.
FETCH_ROOM_BYTES = 120 * 1024 * 1024
OTHER_CACHE = "choose another place with LIANXIN_CACHE_DIR"


@dataclass(frozen=True, slots=True)
class Jar:
    """One file of the manifest."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """Its file name."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def coordinate(self) -> str:
        """Its name in a Maven repository."""
        return f"{self.group}:{self.artifact}:{self.version}"


Fetch = Callable[[Sequence[Jar], Path], None]


def manifest(path: Path = MANIFEST) -> list[Jar]:
    """Every jar that the broker runs on."""
    jars = []
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            sha256, coordinate = line.split()
            group, artifact, version = coordinate.split(":")
            jars.append(Jar(group, artifact, version, sha256))
    return jars


def cache() -> Path:
    """Where the jars are kept for every stack of this user."""
    if chosen := os.environ.get("LIANXIN_CACHE_DIR"):
        return Path(chosen) / f"kafka-{KAFKA_VERSION}"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lianxin" / f"kafka-{KAFKA_VERSION}"


def ensure_jars() -> Path:
    """The directory with every jar of the manifest, each as its checksum says. Fetches what is not there."""
    jars, directory = manifest(), cache()
    if not directory.exists():
        fetch(jars, directory)
    check(jars, directory)
    return directory


def check(jars: Sequence[Jar], directory: Path) -> None:
    """Refuse a jar that is missing or not the one that was committed to."""
    for jar in jars:
        try:
            with (directory / jar.file).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            raise Problem(f"{directory / jar.file} is missing: remove {directory} and start again") from None
        if found != jar.sha256:
            raise Problem(
                f"{directory / jar.file} is not the file that was pinned (SHA-256 {found[:12]}…, "
                f"expected {jar.sha256[:12]}…): remove {directory} and start again"
            )


def fetch(jars: Sequence[Jar], directory: Path) -> None:
    """Bring the jars, by the first resolver that can, into a directory that appears only when complete."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".fetching-", dir=directory.parent))
    except OSError as error:
        if error.errno in NO_ROOM:
            raise in_one_line(error) from None
        raise Problem(f"can't write to {directory.parent}: {error.strerror}; {OTHER_CACHE}") from None
    try:
        require_room(directory.parent, FETCH_ROOM_BYTES, OTHER_CACHE)
        say(f"fetching Apache Kafka {KAFKA_VERSION} ({len(jars)} jars, 43 MB), once for this user")
        why = []
        for name, by in resolvers():
            try:
                by(jars, draft)
            except Unavailable as error:
                why.append(f"{name}: {error}")
                continue
            check_fetched(jars, draft)
            with contextlib.suppress(OSError):  # someone else was quicker: theirs is checked next
                draft.rename(directory)
            return
        raise Unobtainable(
            f"can't fetch Apache Kafka's jars ({'; '.join(why)}): check the network, "
            "or start with --broker tansu, which needs none"
        )
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def check_fetched(jars: Sequence[Jar], draft: Path) -> None:
    """As `check`, for what has just come: the fault is then the repository's or the local copy's."""
    try:
        check(jars, draft)
    except Problem as problem:
        raise Problem(
            f"{problem.message.split(':')[0]}; what was fetched is damaged or not what was pinned, "
            "so nothing was installed: remove it from your local Maven repository and start again"
        ) from None


class Unavailable(Exception):
    """This resolver can't bring the jars here and now."""


def resolvers() -> list[tuple[str, Fetch]]:
    """What can fetch jars on this machine, best first; `LIANXIN_JAR_RESOLVER` picks one."""
    known: dict[str, Fetch] = {"mvn": by_maven, "jgo": by_jgo}
    if wanted := os.environ.get("LIANXIN_JAR_RESOLVER"):
        if wanted not in known:
            raise Problem(f"LIANXIN_JAR_RESOLVER must be mvn or jgo, not {wanted}", code=2)
        return [(wanted, known[wanted])]
    return list(known.items())


def by_maven(jars: Sequence[Jar], into: Path) -> None:
    """Fetch with `mvn`, which honours the user's mirrors and proxies."""
    if not shutil.which("mvn"):
        raise Unavailable("not installed")
    wanted = {jar.file for jar in jars}
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "pom.xml").write_text(pom(jars))
        command = ["mvn", "-B", COPY, f"-DoutputDirectory={into}", "-DincludeScope=runtime"]
        try:
            run = subprocess.Popen(
                command, cwd=scratch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        except OSError as error:
            raise Unavailable(str(error)) from None
        assert run.stdout is not None
        came, last_error, full = 0, "", False
        for line in run.stdout:
            if re.search(r"Downloaded from .*/([^/ ]+\.jar)", line) and any(name in line for name in wanted):
                came += 1
                progress(came, len(jars))
            elif FULL_DISK in line:
                full = True
            elif "ERROR" in line and not last_error:
                last_error = line.strip().split(": ")[-1]  # the innermost cause
        if run.wait(FETCH_SECONDS):
            if full:
                raise Problem(
                    f"the disk is full ({into}, or Maven's own repository): make room, then start again"
                )
            raise Unavailable(last_error[:120] or f"exit code {run.returncode}")


def pom(jars: Sequence[Jar]) -> str:
    """A project that wants exactly these jars and nothing that they in turn would like."""
    each = "".join(
        f"<dependency><groupId>{jar.group}</groupId><artifactId>{jar.artifact}</artifactId>"
        f"<version>{jar.version}</version><scope>runtime</scope><exclusions><exclusion><groupId>*</groupId>"
        "<artifactId>*</artifactId></exclusion></exclusions></dependency>\n"
        for jar in jars
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>org.lianxin</groupId>"
        f"<artifactId>broker</artifactId><version>1</version><dependencies>\n{each}</dependencies></project>\n"
    )


def by_jgo(jars: Sequence[Jar], into: Path) -> None:
    """Fetch with jgo, which needs only Python. Not into ~/.m2: interrupted, it leaves half a file."""
    try:
        from jgo.maven import MavenContext
    except ImportError:
        raise Unavailable("not installed") from None
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=".fetching-") as scratch:
        maven = MavenContext(repo_cache=Path(scratch), timeout=60)
        for number, jar in enumerate(jars, 1):
            try:
                found = maven.create_dependency(jar.coordinate).artifact.resolve()
            except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
                if isinstance(error, OSError) and error.errno in NO_ROOM:
                    raise in_one_line(error) from None
                raise Unavailable(type(error).__name__) from None
            shutil.copyfile(found, into / jar.file)
            progress(number, len(jars))


def progress(done: int, of: int) -> None:
    """Every fifth jar: enough to see that it moves."""
    if done % 5 == 0 or done == of:
        say(f"  {done} of {of} jars")
