"""`lianxin replay FILE`: a file of opinions, with what became of them, played through the running stack."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import click

from lianxin_chassis import logs
from lianxin_chassis.outages import Outage
from lianxin_contracts.inbound import Outcome
from lianxin_local.home import Home
from lianxin_local.options import takes_data
from lianxin_local.play.cases import Cases, following
from lianxin_local.play.city import city_in_force
from lianxin_local.play.knocking import Knocker
from lianxin_local.play.pace import Pace, telling
from lianxin_local.play.rest import at_rest, equations
from lianxin_local.play.surface import Addresses, Refused, Surface, Unconfirmed
from lianxin_local.problem import Problem, say
from lianxin_local.registry_publish import operator, publisher
from lianxin_local.replay.bookmark import Bookmark, opened, place_of
from lianxin_local.replay.entries import Entry, Reading, Unusable
from lianxin_local.replay.mapping import Columns, columns_of, parsed
from lianxin_local.replay.player import Player
from lianxin_local.replay.rows import Source
from lianxin_local.replay.script import Script
from lianxin_local.replay.tally import Tally
from lianxin_local.stack import Stack, require_stack

PATIENCE_S = 600.0
REST_WITHIN_S = 3600.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How a file is played; whatever of it changes the steps is kept in the bookmark."""

    event_time: bool
    answers: bool
    assign: bool
    until: datetime | None
    skip_unusable: bool

    @property
    def follows(self) -> bool:
        """Whether the play needs to know what the router decides."""
        return self.event_time or self.assign


@click.command()
@takes_data
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--map", "maps", multiple=True, metavar="FIELD=COLUMN,…", help="Which column is which field.")
@click.option("--event-time", is_flag=True, help="Give every record the time that the file has for it.")
@click.option(
    "--answers/--no-answers", default=True, help="Play answers and ratings too (with --event-time)."
)
@click.option("--assign", is_flag=True, help="Staff give what waits in triage to the best candidate.")
@click.option("--zone", help="Zone of times that name none (default: the city's).")
@click.option("--time-format", metavar="FORMAT", help="How times are written, as of strptime.")
@click.option("--crs", type=click.Choice(["wgs84", "gcj02", "bd09"]), default="wgs84", show_default=True)
@click.option("--language", metavar="TAG", help="Language of the texts, such as zh or en.")
@click.option("--outcome", type=click.Choice(get_args(Outcome)), default="solved", show_default=True)
@click.option("--accept-after", type=float, default=1.0, show_default=True, metavar="HOURS",
              help="When a case is accepted, where the file does not say.")  # fmt: skip
@click.option("--station-seed", type=int, metavar="N", help="Draw a station for rows that have none.")
@click.option("--prefix", metavar="NAME", help="Begins the ids of rows without an id of their own.")
@click.option("--rate", type=click.FloatRange(min=0.0, min_open=True), metavar="N", help="Steps a second.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N rows.")
@click.option("--skip-unusable", is_flag=True, help="Leave out and count rows that can't be read.")
@click.option("--resume", is_flag=True, help="Go on where this file's replay was interrupted.")
@click.option(
    "--until", type=click.DateTime(["%Y-%m-%d"]), help="Let the clocks run up to this day, after all."
)
@click.option("--until-rest", is_flag=True, help="Wait until everything is worked off; check the counts.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object.")
def replay(
    home: Home,
    file: Path,
    maps: tuple[str, ...],
    event_time: bool,
    answers: bool,
    assign: bool,
    zone: str | None,
    time_format: str | None,
    crs: str,
    language: str | None,
    outcome: Outcome,
    accept_after: float,
    station_seed: int | None,
    prefix: str | None,
    rate: float | None,
    limit: int | None,
    skip_unusable: bool,
    resume: bool,
    until: datetime | None,
    until_rest: bool,
    as_json: bool,
) -> None:
    """Post the rows of FILE (.csv, .ndjson, also .gz) as opinions, and play what became of them.

    A repeat of the same file counts nothing twice: ids follow from the file and the row.
    """
    logs.configure("replay", "replay", "warning")
    source = Source.of(file)
    columns = columns_of(source.columns, parsed(maps), event_time=event_time, answers=answers)
    say(f"{file.name}: {columns.in_words()}")
    stack = require_stack(home)
    if zone is not None:
        _zone(zone)  # a mistyped one is told at once

    async def play() -> dict[str, Any]:
        local = _zone(zone or (await city_in_force(stack)).city.zone)
        manner = Manner(
            event_time, answers, assign, None if until is None else until.replace(tzinfo=local), skip_unusable
        )
        addresses = Addresses.of(stack, event_time=event_time)
        async with Surface(addresses, patience_s=PATIENCE_S) as surface:
            stations = [one["id"] for one in await surface.stations()] if station_seed is not None else []
            reading = Reading(
                columns=columns,
                prefix=prefix or f"replay-{source.digest[:12]}",
                zone=local,
                event_time=event_time,
                written=time_format,
                crs=crs,
                language=language,
                stations=sorted(stations),
                seed=station_seed or 0,
                accept_after=timedelta(hours=accept_after),
                outcome=outcome,
            )
            unusable = Tally().unusable
            entries = _entries(source, reading, limit, unusable if skip_unusable else None)
            script = Script(entries, assigns=assign)
            if not len(script):
                raise Problem(f"{file.name} has no row that can be played")
            bookmark = opened(
                place_of(home, source.digest), source.digest, _told(manner, reading, limit), resume=resume
            )
            async with _player(stack, surface, script, bookmark, manner, Pace(rate)) as player:
                player.tally.unusable = unusable
                await _play(player, script, manner)
        told = player.tally.told()
        if until_rest:
            say("waiting until everything is worked off")
            counts = await at_rest(stack, REST_WITHIN_S)
            told["counts"] = counts
            told["holds"] = dict(equations(counts))
        return told | {"in_words": player.tally.in_words()}

    try:
        told = asyncio.run(play())
    except Refused as refused:
        raise Problem(f"the stack refuses the key: {refused.detail or refused.code}") from refused
    except (Unconfirmed, Outage, TimeoutError, OSError) as error:
        raise Problem(
            f"the stack gives no answer ({error or type(error).__name__}): lianxin up, then the same command "
            "with --resume"
        ) from error
    except KeyboardInterrupt:
        raise Problem("interrupted: go on with the same command and --resume", code=130) from None
    words = told.pop("in_words")
    holds = told.get("holds", {})
    words += [f"{'holds' if so else 'WRONG':<10}{what}" for what, so in holds.items()]
    click.echo(json.dumps(told, ensure_ascii=False) if as_json else "\n".join(words))
    if not all(holds.values()):
        raise Problem("the counts do not agree")


async def _play(player: Player, script: Script, manner: Manner) -> None:
    def line() -> str:
        done, whole = player.progress.done, len(script)
        reached = f", at {script.at(done):%Y-%m-%d %H:%M} UTC" if manner.event_time else ""
        return (
            f"{done} of {whole} steps ({done / whole:.0%}), {player.tally.accepted} opinions accepted, "
            f"{player.steps.rate:.0f} steps a second{reached}"
        )

    async with telling(line):
        await player.play()
    if manner.event_time:
        last = script.at(len(script))
        await player.settle(max(last, manner.until or last), PATIENCE_S)


@contextlib.asynccontextmanager
async def _player(
    stack: Stack, surface: Surface, script: Script, bookmark: Bookmark, manner: Manner, pace: Pace
) -> AsyncIterator[Player]:
    """The player, following what the router decides where the manner needs it."""
    if not manner.follows:
        yield Player(surface, script, bookmark, cases=None, knocker=None, pace=pace, patience_s=PATIENCE_S)
        return
    say("reading what was decided so far")
    cases = Cases(live=True)
    async with publisher(operator(stack.bootstrap)) as out, following(stack, cases):
        knocker = Knocker(cases, out) if manner.event_time else None
        yield Player(
            surface, script, bookmark, cases=cases, knocker=knocker, pace=pace, patience_s=PATIENCE_S
        )


def _entries(source: Source, reading: Reading, limit: int | None, unusable: Any) -> Iterator[Entry]:
    """The rows as they are played; those that can't be read are counted in `unusable`, or end the play."""
    for row in source.rows(limit):
        try:
            yield reading.entry(row)
        except Unusable as wrong:
            if unusable is None:
                raise Problem(
                    f"{source.path.name}, row {row.number}, {wrong.column}: {wrong} "
                    "(--skip-unusable leaves such rows out)"
                ) from None
            unusable.add(wrong.column, row.number)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError):
        raise Problem(f"--zone {name}: no such zone; give one such as Asia/Shanghai", code=2) from None


def _told(manner: Manner, reading: Reading, limit: int | None) -> dict[str, Any]:
    """What must be the same for a bookmark to mean the same step."""
    columns: Columns = reading.columns
    return {
        "map": {field: list(names) for field, names in columns.of.items()},
        "event_time": manner.event_time,
        "assign": manner.assign,
        "skip_unusable": manner.skip_unusable,
        "zone": str(reading.zone),
        "time_format": reading.written,
        "crs": reading.crs,
        "language": reading.language,
        "outcome": reading.outcome,
        "accept_after": reading.accept_after.total_seconds(),
        "station_seed": reading.seed if reading.stations else None,
        "prefix": reading.prefix,
        "limit": limit,
    }
