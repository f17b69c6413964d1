"""`lianxin registry`: check a city's files, compare and load them. Nothing is published unless everything is
sound."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from lianxin_chassis import logs
from lianxin_chassis.outages import Outage
from lianxin_chassis.settings import Settings
from lianxin_local.city_check import check, warnings
from lianxin_local.city_diff import compare, effects
from lianxin_local.city_files import CityFiles, Unreadable, read_city, version_of
from lianxin_local.diff_words import as_object, in_words
from lianxin_local.home import Home
from lianxin_local.options import takes_data
from lianxin_local.problem import Problem, say
from lianxin_local.registry_publish import city_in_force, is_empty, operator, publish_city, publisher
from lianxin_local.stack import require_stack

MOST_FAULTS_SHOWN = 20


@click.group()
def registry() -> None:
    """The city: regions, grids, stations, topics, deputies, rosters, calendars, policies, channels."""


@registry.command()
@takes_data
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--bootstrap", help="The broker, where it is not this stack's; credentials: LIANXIN_KAFKA_….")
@click.option("--if-empty", is_flag=True, help="Only where no city was ever put in force.")
def load(home: Home, path: Path, bootstrap: str | None, if_empty: bool) -> None:
    """Load the city at PATH (a directory of .ndjson files, or one) and put it in force."""
    city = sound_city(path)
    where = bootstrap or require_stack(home).bootstrap
    try:
        if if_empty and not asyncio.run(is_empty(operator(where))):
            say("a city is in force already: nothing was loaded")
            return
        version = asyncio.run(_load(operator(where), city))
    except (Outage, OSError) as error:
        raise Problem(f"the broker at {where} did not confirm: {error}; nothing was put in force") from None
    click.echo(f"version {version} is published: {_in_words(city)}")


@registry.command("check")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
def check_command(path: Path) -> None:
    """Say whether the city at PATH could be loaded; touches nothing."""
    city = sound_city(path)
    click.echo(f"version {version_of(city.digest())} is sound: {_in_words(city)}")


@registry.command()
@takes_data
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--bootstrap", help="The broker, where it is not this stack's.")
@click.option("--all", "everything", is_flag=True, help="Every record and value, however many and long.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with everything.")
def diff(home: Home, path: Path, bootstrap: str | None, everything: bool, as_json: bool) -> None:
    """Say what loading PATH would change in the city in force, and what it means for open cases."""
    logs.configure("operator", "registry-diff", "error")  # on stderr: stdout is the answer alone
    after = sound_city(path).snapshot()
    where = bootstrap or require_stack(home).bootstrap
    try:
        before, problem = asyncio.run(city_in_force(operator(where)))
    except (Outage, OSError) as error:
        raise Problem(f"the broker at {where} does not answer: {error}") from None
    if problem is not None:
        say(f"warning: a newer version is not whole and not in force: {problem}")
    changes = compare(before, after)
    means = effects(before, after, datetime.now(UTC).astimezone(ZoneInfo(after.city.zone)).date())
    if as_json:
        told = msgspec.json.encode(as_object(before, after, changes, means))
        click.echo(msgspec.json.format(told).decode())
    else:
        click.echo("\n".join(in_words(before, after, changes, means, everything)))


def sound_city(path: Path) -> CityFiles:
    """The city at `path`. Raises `Problem` naming file, line and field of what is wrong with it."""
    try:
        city = read_city(path)
        faults = check(city)
    except Unreadable as error:
        faults = error.faults
    if faults:
        shown = [str(fault) for fault in faults[:MOST_FAULTS_SHOWN]]
        if more := len(faults) - len(shown):
            shown.append(f"and {more} more")
        raise Problem(f"{path} is no sound city, nothing was loaded:\n  " + "\n  ".join(shown))
    for line in warnings(city):
        say(f"warning: {line}")
    return city


def load_if_empty(bootstrap: str, path: Path) -> bool:
    """Load the city at `path` where no city was ever in force; returns whether it was loaded.

    Raises `Problem` for files that are not sound, the chassis's `Outage` or OSError where the broker does not
    confirm, and TimeoutError where it can't be read.
    """
    return asyncio.run(_load_if_empty(operator(bootstrap), path))


async def _load_if_empty(settings: Settings, path: Path) -> bool:
    if not await is_empty(settings):
        return False
    await _load(settings, sound_city(path))
    return True


async def _load(settings: Settings, city: CityFiles) -> str:
    async with publisher(settings) as out:
        return await publish_city(out, city)


def _in_words(city: CityFiles) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(city.counts.items()))
