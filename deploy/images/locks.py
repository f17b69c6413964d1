"""What each image installs: `python -m deploy.images.locks` writes one lock per image, as `make lock` does.

A lock holds the third-party packages that the image's own packages ask for in their pyproject.toml, in the
versions of the root's requirements.lock and with its hashes.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOT_LOCK = ROOT / "requirements.lock"
BUILD_LOCK = ROOT / "deploy" / "images" / "build.lock"
# Where an image's Dockerfile and lock are -> the packages of ours that it holds.
IMAGES: dict[str, tuple[str, ...]] = {
    **{
        f"services/{name}": ("contracts", "chassis", f"services/{name}")
        for name in ("intake", "router", "notifier", "metrics")
    },
    "deploy/local": ("contracts", "chassis", "services/router", "deploy/local"),
}
BUILDS_WHEELS = ("hatchling",)


def asked_for(packages: tuple[str, ...]) -> list[str]:
    """The names of third-party packages that these packages of ours ask for, sorted."""
    wanted: set[str] = set()
    for package in packages:
        project = tomllib.loads((ROOT / package / "pyproject.toml").read_text("utf-8"))["project"]
        wanted |= {name_of(requirement) for requirement in project["dependencies"]}
    return sorted(name for name in wanted if not name.startswith("lianxin-"))


def name_of(requirement: str) -> str:
    """The normalised name in a requirement, as PEP 503 has it."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found.group()).lower()


def write(lock: Path, wanted: list[str], heading: str) -> None:
    """Pin `wanted` and what it needs in `lock`. Raises CalledProcessError where uv finds no answer."""
    with tempfile.TemporaryDirectory() as scratch:
        asked = Path(scratch, "wanted.in")
        asked.write_text("".join(f"{name}\n" for name in wanted))
        locked = Path(scratch, "lock")
        command = [str(ROOT / ".venv/bin/uv"), "pip", "compile", "--quiet", "--universal"]
        command += ["--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]
        command += ["--no-emit-index-url", "--no-emit-find-links", "--constraint", str(ROOT_LOCK)]
        subprocess.run([*command, str(asked), "--output-file", str(locked)], check=True, cwd=scratch)
        lock.write_text(f"# {heading} Written by `make lock`.\n{locked.read_text()}")


def main() -> None:
    """Write every lock."""
    for place, packages in IMAGES.items():
        write(ROOT / place / "requirements.lock", asked_for(packages), f"What the image of {place} installs.")
        sys.stdout.write(f"{place}/requirements.lock\n")
    write(BUILD_LOCK, list(BUILDS_WHEELS), "What builds our own packages in an image's first stage.")


if __name__ == "__main__":
    main()
