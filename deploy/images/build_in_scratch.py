"""Build an image without an engine: `python -m deploy.images.build_in_scratch services/intake --out FOLDER`.

Runs the very steps of the Dockerfile, on a context that .dockerignore has been applied to, each stage in a
folder of its own with this machine's Python in place of the base image. So a file that is missing, ignored or
not installed is found, and so is what the final stage can't import. Not tried are the base image itself, the
user, and isolation: paths are rewritten into the folder, nothing is confined to it.
"""

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.images.dockerfile import Ignored, NotUnderstood, Stage, Step, read

ROOT = Path(__file__).parents[2]
# Absolute paths that mean this machine's own, also in a step.
OWN = ("/bin/", "/usr/bin/", "/dev/")
_ABSOLUTE = re.compile(r"""(?<![\w./$}-])(/[A-Za-z0-9_][\w./-]*)""")


@dataclass(frozen=True, slots=True)
class Built:
    """The final stage: where its files are, its variables, its working folder and its commands."""

    root: Path
    environment: dict[str, str]
    workdir: Path
    command: list[str]
    healthcheck: list[str] | None
    user: str | None

    def run(self, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a command as the image would, with `more` variables; waits two minutes at most."""
        return subprocess.run(
            words,
            cwd=self.workdir,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


class StepFailed(Exception):
    """A step of the Dockerfile did not work; `str()` has the step and what it said."""


def build(place: str, out: Path) -> Built:
    """Run every step of `place`/Dockerfile below `out`, which is to be empty.

    Raises StepFailed, and NotUnderstood for what our reader of Dockerfiles does not know.
    """
    context = out / "context"
    _copy_context(context)
    stages: dict[str, _Running] = {}
    for number, stage in enumerate(read(ROOT / place / "Dockerfile")):
        running = _Running(stage, out / f"stage-{number}", context, stages)
        running.all()
        stages[stage.name] = running
    return running.built()


def _copy_context(context: Path) -> None:
    """What Docker would be sent: the files that git knows or would take, less .dockerignore's."""
    ignored = Ignored((ROOT / ".dockerignore").read_text("utf-8"))
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    for name in names:
        source = ROOT / name
        if name and source.is_file() and not ignored.leaves_out(name):
            target = context / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


class _Running:
    """One stage while its steps are run."""

    def __init__(self, stage: Stage, root: Path, context: Path, before: "dict[str, _Running]") -> None:
        self.stage, self.root, self._context, self._before = stage, root, context, before
        self._workdir = root
        # The base image's Python, and what it brings: a venv of this machine's, so that a step that removes
        # pip removes it there.
        subprocess.run([sys.executable, "-m", "venv", str(root / "base")], check=True)
        self._environment = {
            "PATH": f"{root / 'base' / 'bin'}:/usr/bin:/bin",
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            **{name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))},
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def all(self) -> None:
        """Run them in order."""
        doing = {"WORKDIR": self._enter, "COPY": self._copy, "RUN": self._run, "ENV": self._set}
        for step in self.stage.steps:
            if step.word in doing:
                doing[step.word](step)

    def built(self) -> Built:
        """What stands now."""
        words = [step.exec_form() for kind in ("ENTRYPOINT", "CMD") if (step := self.stage.last(kind))]
        health, user = self.stage.last("HEALTHCHECK"), self.stage.last("USER")
        return Built(
            self.root,
            self._environment,
            self._workdir,
            [word for some in words for word in some],
            health.exec_form() if health else None,
            user.rest if user else None,
        )

    def _here(self, path: str) -> Path:
        """Where a path of the image is in the scratch folder."""
        return self.root / path.lstrip("/") if path.startswith("/") else self._workdir / path

    def _rewritten(self, text: str) -> str:
        def inside(found: re.Match[str]) -> str:
            path = found.group(1)
            return path if path.startswith((*OWN, str(self.root))) else str(self._here(path))

        return _ABSOLUTE.sub(inside, text)

    def _enter(self, step: Step) -> None:
        self._workdir = self._here(step.rest)
        self._workdir.mkdir(parents=True, exist_ok=True)

    def _set(self, step: Step) -> None:
        for name, value in step.assignments().items():
            known = re.sub(
                r"\$(\w+)", lambda found: self._environment.get(found[1], ""), self._rewritten(value)
            )
            self._environment[name] = known

    def _copy(self, step: Step) -> None:
        options, rest = step.without_options()
        *sources, target = rest.split()
        origin = self._before[options["from"]] if "from" in options else None
        for source in sources:
            place = origin._here(source) if origin else self._context / source
            found = [Path(name) for name in glob.glob(str(place))]
            if not found:
                raise StepFailed(f"COPY {step.rest}: {source} is not there, or .dockerignore leaves it out")
            for one in found:
                self._copy_one(one, self._here(target), into=target.endswith("/"))

    def _copy_one(self, source: Path, target: Path, *, into: bool) -> None:
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            return
        to = target / source.name if into or target.is_dir() else target
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, to)

    def _run(self, step: Step) -> None:
        _, command = step.without_options()  # a cache mount is the engine's business; pip has its own here
        done = subprocess.run(
            ["/bin/sh", "-ec", self._rewritten(command)],
            cwd=self._workdir,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode:
            raise StepFailed(f"RUN {command}\n{(done.stderr or done.stdout)[-2000:]}")


def main() -> None:
    """Build one image and say what came of it."""
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("place", help="the folder of the Dockerfile, such as services/intake")
    arguments.add_argument("--out", type=Path, required=True, help="an empty folder")
    asked = arguments.parse_args()
    try:
        built = build(asked.place, asked.out)
    except (StepFailed, NotUnderstood) as error:
        sys.exit(str(error))
    sys.stdout.write(f"{asked.place}: every step worked; in {built.root}; would run {built.command}\n")


if __name__ == "__main__":
    main()
