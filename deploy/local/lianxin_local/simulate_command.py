"""`lianxin simulate`: a made-up life of the whole city on a running stack, by the wall clock or faster."""

import asyncio
import contextlib
import json
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as day_time
from typing import Any

import click

from lianxin_chassis import logs
from lianxin_chassis.outages import Outage
from lianxin_chassis.publisher import Publisher
from lianxin_contracts import registry
from lianxin_local.home import Home, read_json, write_json
from lianxin_local.life.habits import LIVING, RATE, Habits, changed
from lianxin_local.life.lives import Life
from lianxin_local.life.player import Item, Player
from lianxin_local.life.schedule import AT_ONCE, WINDOW, Schedule
from lianxin_local.life.tally import Tally
from lianxin_local.life.texts import our_texts
from lianxin_local.life.town import Town
from lianxin_local.life.verdict import verdict
from lianxin_local.options import takes_data
from lianxin_local.play.cases import following
from lianxin_local.play.city import city_in_force
from lianxin_local.play.pace import telling
from lianxin_local.play.surface import Addresses, Surface
from lianxin_local.problem import Problem, say
from lianxin_local.registry_publish import change_keys, created, operator, publisher
from lianxin_local.seed import DEMO_CHANNEL
from lianxin_local.stack import Stack, require_stack

# The channel of those who come to a deputy in person.
WINDOW_H = WINDOW / timedelta(hours=1)
DESK_CHANNEL = "desk"
DESK_KEY = "desk.json"
# Cases younger than an hour live by the wall clock (services/router, `is_replayed`): a past ends before.
YOUNGEST = timedelta(hours=2)
# The router looks for clocks that ran out every second; an overloaded laptop's is behind.
ROUTER_KNOCKS_WITHIN = timedelta(seconds=30)
TELL_EVERY_S = 5.0
TELL_SELDOM_S = 60.0


@click.command()
@takes_data
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed is another life.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0.0, min_open=True),
    help=f"Opinions a day (default {RATE:g}, assumed).",
)
@click.option("--people", default="", metavar="NAME=SHARE,…", help="Other people: prompt=0.8,slow=0.1 ….")
@click.option(
    "--from", "from_", type=click.DateTime(["%Y-%m-%d"]), help="The first day of a past to live through."
)
@click.option(
    "--days", type=click.IntRange(min=1), help="How many days of it (default: up to last midnight)."
)
@click.option("--speed", metavar="N|max", help="How many times faster than real time (a past: max).")
@click.option(
    "--living", is_flag=True, help="Live, busy around the clock and in haste: something to look at."
)
@click.option("--at-once", type=click.IntRange(min=1), default=AT_ONCE, hidden=True)
@click.option("--window", type=click.FloatRange(min=0.0), default=WINDOW_H, hidden=True, help="Hours.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object.")
def simulate(
    home: Home,
    seed: int,
    rate: float | None,
    people: str,
    from_: datetime | None,
    days: int | None,
    speed: str | None,
    living: bool,
    at_once: int,
    window: float,
    as_json: bool,
) -> None:
    """Let a made-up city live on the running stack: residents, deputies, and the congress's office.

    Without --from, --days or --speed it lives as the wall clock goes, until Ctrl-C. With one of them it lives
    through some days of the past as fast as it can, and ends with where every case stands and why.
    """
    logs.configure("simulate", "simulate", "warning")  # on stderr: what is printed is the summary
    try:
        habits = changed(LIVING if living else Habits(), people)
    except ValueError as error:
        raise Problem(f"--people: {error}") from None
    habits = habits if rate is None else replace(habits, rate=rate)
    past = from_ is not None or days is not None or speed is not None
    if past and living:
        raise Problem("--living is for the present: leave out --from, --days and --speed")
    try:
        told = asyncio.run(
            _simulate(
                require_stack(home),
                seed,
                habits,
                past,
                from_ and from_.date(),
                days,
                speed,
                at_once,
                timedelta(hours=window),
            )
        )
    except (Outage, TimeoutError, OSError) as error:
        raise Problem(f"the stack gives no answer: {error or type(error).__name__}: is it up?") from error
    click.echo(json.dumps(told, ensure_ascii=False) if as_json else "\n".join(in_words(told)))
    if not all(told["holds"].values()):
        raise Problem("the check does not hold")


async def _simulate(
    stack: Stack,
    seed: int,
    habits: Habits,
    past: bool,
    from_: date | None,
    days: int | None,
    speed: str | None,
    at_once: int,
    window: timedelta,
) -> dict[str, Any]:
    """Play until it ends or is interrupted, and return the summary."""
    texts = our_texts()
    try:
        town = Town(await city_in_force(stack), texts)
    except ValueError as error:
        raise Problem(str(error)) from None
    life = Life(seed, habits, town, texts, past=past)
    begins, until = stretch(town, from_, days) if past else (datetime.now(UTC), None)
    seconds_until = pacing(begins, factor(speed)) if past else wall_clock
    schedule: Schedule[Item] = Schedule(begins, seconds_until, window=window, at_once=at_once)
    async with doors(stack, past=past) as (usual, desk), publisher(operator(stack.bootstrap)) as out:
        player = _player(life, usual, desk, out, schedule, begins)
        say("reading what was decided so far")
        async with following(stack, player.cases):
            often = TELL_EVERY_S if past else TELL_SELDOM_S
            async with telling(lambda: _line(player, schedule), often):
                await until_interrupted(player.run(begins, until), schedule.stop)
            reached = schedule.reached if past else max(begins, datetime.now(UTC) - ROUTER_KNOCKS_WITHIN)
            return await verdict(player, life, usual, reached)


def _player(
    life: Life, usual: Surface, desk: Surface, out: Publisher, schedule: Schedule[Item], begins: datetime
) -> Player:
    # A desk's case lives by the wall clock however old it is: who visits in the past comes by the usual door.
    second = (usual, DEMO_CHANNEL) if life.past else (desk, DESK_CHANNEL)
    return Player(life, (usual, second[0]), (DEMO_CHANNEL, second[1]), out, schedule, Tally(begins))


def _line(player: Player, schedule: Schedule[Item]) -> str:
    player.cases.next_due()  # lets go of clocks that have stopped
    reached = schedule.reached
    return player.tally.line(reached, len(player.stories.open), player.stories.closed.total())


def stretch(town: Town, from_: date | None, days: int | None) -> tuple[datetime, datetime]:
    """The first and the last instant of the past that is meant: civil days of the city. Raises `Problem` for
    one that reaches into the present."""
    today = town.day(datetime.now(UTC))
    if from_ is None:
        from_ = today - timedelta(days=days or 30)
    last = from_ + timedelta(days=days) if days is not None else today
    begins, until = (town.instant(day, day_time()) for day in (from_, last))
    if until > datetime.now(UTC) - YOUNGEST:
        until = datetime.now(UTC) - YOUNGEST
        if last > today:
            raise Problem(f"{from_} and {days} days reach beyond today: a past ends at {today} at the latest")
    if begins >= until:
        raise Problem(f"{from_} is not over yet: begin earlier")
    return begins, until


def factor(speed: str | None) -> float | None:
    """How many times faster than real time; None for no limit. Raises `Problem` for what is no number."""
    if speed in (None, "max"):
        return None
    try:
        times = float(speed or "")
    except ValueError:
        times = 0.0
    if times <= 0.0:
        raise Problem(f"--speed {speed}: give a number above 0, or max")
    return times


def pacing(begins: datetime, times: float | None) -> Callable[[datetime], float]:
    """How long to wait for an instant of the past, at so many times real time from now on."""
    if times is None:
        return lambda _: 0.0
    began = time.monotonic()
    return lambda at: began + (at - begins).total_seconds() / times - time.monotonic()


def wall_clock(at: datetime) -> float:
    """How long to wait for an instant of the present."""
    return (at - datetime.now(UTC)).total_seconds()


@contextlib.asynccontextmanager
async def doors(stack: Stack, *, past: bool) -> AsyncIterator[tuple[Surface, Surface]]:
    """The surface as the demo channel uses it, and as the desk does."""
    usual = Addresses.of(stack, event_time=past)
    desk = usual if past else replace(usual, submit_key=await desk_key(stack))
    async with Surface(usual) as one, Surface(desk) as other:
        yield one, other


async def desk_key(stack: Stack) -> str:
    """The key of those who write down what visitors say; made, and made known, at the first time."""
    file = stack.home.root / DESK_KEY
    kept = read_json(file)
    if kept is None:
        kept = {"desk": f"lx_desk_{secrets.token_urlsafe(24)}"}
        key = registry.ChannelKey(registry.hash_of_key(kept["desk"]), DESK_CHANNEL, ("submit",))
        async with publisher(operator(stack.bootstrap)) as out:
            await change_keys(out, [key], [created(key, "lianxin simulate", "the desk of a made-up city")])
        write_json(file, kept)
    return str(kept["desk"])


async def until_interrupted(playing: Coroutine[Any, Any, None], finish: Callable[[], None]) -> None:
    """Run `playing` to its end, or until Ctrl-C: `finish` then has it end with what is in hand, and a second
    Ctrl-C leaves that as it is. Raises SystemExit on SIGTERM: whoever sends that is about to stop the stack,
    and there is nobody to ask for a summary."""
    task = asyncio.create_task(playing)
    loop = asyncio.get_running_loop()
    asked: list[int] = []

    def end(number: int) -> None:
        asked.append(number)
        if asked == [signal.SIGINT]:
            say("finishing what is in hand; Ctrl-C again leaves it")
            finish()
        else:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    try:
        await task
    except asyncio.CancelledError:
        if not asked:
            raise
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    if signal.SIGTERM in asked:
        raise SystemExit(0)
    if asked:
        say("interrupted; the same command goes on from here")


def in_words(told: dict[str, Any]) -> list[str]:
    """The summary for a person."""
    lines = [
        f"{told['from']} to {told['to']} in {told['seconds']:,} s: {told['times_real_time']:,} x real time, "
        f"{told['memory_mib']['most']} MiB",
        f"{told['handed_in']} opinions handed in, {told['known_before']} known before; {told['visits']} in "
        f"person, {told['supports']} supports, {told['knocks']} knocks",
    ]
    for title, name in (
        ("actions", "actions"), ("ratings", "ratings"), ("refused by the router", "refused_by_router"),
        ("turned away by intake", "turned_away"), ("stages", "stages"), ("closed", "closed"),
        ("open, because", "explained"),
    ):  # fmt: skip
        if told[name]:
            lines.append(f"{title}: " + ", ".join(f"{what} {n}" for what, n in told[name].items()))
    lines += [f"  {code}: {example}" for code, example in told["examples"].items()]
    lines += [f"  not explained: {line}" for line in told["unexplained"]]
    lines += [f"{'holds' if so else 'WRONG':6} {what}" for what, so in told["holds"].items()]
    return lines
