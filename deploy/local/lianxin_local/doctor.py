"""Looking beforehand for what would keep `lianxin up` from working."""

import importlib.util
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from lianxin_local.home import Home
from lianxin_local.jars import (
    FETCH_ROOM_BYTES,
    KAFKA_VERSION,
    OTHER_CACHE,
    Unavailable,
    cache,
    check,
    manifest,
    resolvers,
)
from lianxin_local.java import find_java
from lianxin_local.ports import DEFAULT_BASE, ports_from, require_free
from lianxin_local.problem import Problem, require_room
from lianxin_local.stack import SERVICE_PROCESSES, sample_city, saved_stack
from lianxin_local.supervise import Supervisor
from lianxin_local.tansu import tansu_command

# Broker 400 MB, database 350 MB, seven Python processes of about 100 MB.
COMFORTABLE_MEMORY = 1536 * 1024 * 1024


def examine(home: Home, port_base: int | None) -> Iterator[tuple[str, bool, str]]:
    """Each thing looked at: its name, whether it is well, and what was found or is to be done."""
    checks: Sequence[tuple[str, Callable[[], str]]] = (
        ("packages", packages),
        ("data", lambda: data(home)),
        ("memory", memory),
        ("ports", lambda: ports(home, port_base)),
        ("java", java),
        ("kafka", kafka),
        ("tansu", lambda: f"stand-in broker {Path(tansu_command(0)[0]).name}"),
        (
            "supervisor",
            lambda: "runs" if Supervisor(home).running() else "does not run; lianxin up starts it",
        ),
    )
    for name, look in checks:
        try:
            yield name, True, look()
        except Problem as problem:
            yield name, False, problem.message


def packages() -> str:
    """That every service and the sample city are there."""
    names = [f"lianxin_{process}" for process in SERVICE_PROCESSES]
    missing = [name for name in names if not found(name)]
    if missing:
        raise Problem(f"{', '.join(missing)} can't be found: run make setup")
    if not sample_city().exists():
        raise Problem(f"the sample city {sample_city()} is missing: check the repository out again")
    return f"{len(names)} processes and the sample city"


def found(module: str) -> bool:
    """Whether a module can be imported, without doing so."""
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False


def data(home: Home) -> str:
    """The place for the data."""
    home.prepare()
    return f"{home.root}, {shutil.disk_usage(home.root).free // 2**30} GiB free"


def memory() -> str:
    """Memory enough for all."""
    free = psutil.virtual_memory().available
    if free < COMFORTABLE_MEMORY:
        raise Problem(f"{free // 2**20} MiB free; the stack takes about {COMFORTABLE_MEMORY // 2**20} MiB")
    return f"{free // 2**20} MiB free"


def ports(home: Home, port_base: int | None) -> str:
    """That nobody else sits on a port."""
    saved = saved_stack(home)
    base = port_base or (saved.port_base if saved else DEFAULT_BASE)
    if Supervisor(home).running():
        return f"from {base}, this stack's own"
    require_free(ports_from(base).items())
    return f"from {base}, free"


def java() -> str:
    """A Java for the broker."""
    one = find_java()
    return f"{one.version} ({one.source}: {one.command})"


def kafka() -> str:
    """The broker's jars, or that they can be fetched: tried with the smallest of them."""
    jars = manifest()
    if cache().exists():
        check(jars, cache())
        return f"{KAFKA_VERSION}, {len(jars)} jars in {cache()}"
    require_room(cache(), FETCH_ROOM_BYTES, OTHER_CACHE)
    smallest = next(jar for jar in jars if jar.artifact == "jspecify")
    why = []
    for name, fetch in resolvers():
        with TemporaryDirectory() as scratch:
            into = Path(scratch, "jars")
            into.mkdir()
            try:
                fetch([smallest], into)
                check([smallest], into)
            except Unavailable as error:
                why.append(f"{name}: {error}")
                continue
        return f"{KAFKA_VERSION}, not fetched yet; {name} can"
    raise Problem(f"the jars can't be fetched ({'; '.join(why)}): check the network, or use --broker tansu")
