"""The `lianxin` command.

A command lives in a module of its own, named in `ELSEWHERE`, and is loaded only when it is called: so
`lianxin status` never waits for what only `lianxin replay` needs. It takes `--data` by `options.takes_data`.
"""

import importlib
import importlib.util
import json
import logging
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any

import click

from lianxin_local.home import Home
from lianxin_local.options import DEFAULT, takes_data
from lianxin_local.problem import Problem, in_one_line, say

# Command name -> module:attribute.
ELSEWHERE = {
    "registry": "lianxin_local.registry_command:registry",
    "broker": "lianxin_local.broker_command:broker",
    "secrets": "lianxin_local.secrets_command:secrets",
    "env": "lianxin_local.env_command:env",
    "keys": "lianxin_local.keys_command:keys",
    "submit": "lianxin_local.submit_command:submit",
    "signin": "lianxin_local.signin_command:signin",
    "signins": "lianxin_local.signin_command:signins",
    "replay": "lianxin_local.replay_command:replay",
    "simulate": "lianxin_local.simulate_command:simulate",
    "scenario": "lianxin_local.scenario_command:scenario",
    "topics": "lianxin_local.topics_command:topics",
    "route": "lianxin_local.route_command:route",
    "rebuild": "lianxin_local.rebuild_command:rebuild",
    "alert": "lianxin_local.alert_command:alert",
    "dlq": "lianxin_local.dlq_command:dlq",
    "report": "lianxin_local.report_command:report",
}


class Commands(click.Group):
    """The commands of this module and those of `ELSEWHERE` that are installed."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what the system refuses becomes one line."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # the reader of our output has enough: click knows what to do
            raise
        except OSError as error:
            raise in_one_line(error) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name."""
        there = [name for name, where in ELSEWHERE.items() if importlib.util.find_spec(where.split(":")[0])]
        return super().list_commands(ctx) + there

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, loaded now if it lives elsewhere."""
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, attribute = ELSEWHERE[cmd_name].split(":")
        if importlib.util.find_spec(module) is None:
            return None
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Commands)
@click.option("--data", metavar="DIR", help=f"Which stack (default {DEFAULT}).")
def main(data: str | None) -> None:  # noqa: ARG001  # options.takes_data reads it
    """Lianxin 连心: residents' opinions to the deputies who answer for them."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


@main.command()
@takes_data
@click.option("--detach", is_flag=True, help="Return once everything is ready; stop it with lianxin down.")
@click.option(
    "--broker",
    type=click.Choice(["auto", "kafka", "tansu", "external"]),
    default="auto",
    help="auto: Apache Kafka where it can be had, else the Tansu stand-in (in memory). "
    "external: the one at LIANXIN_KAFKA_BOOTSTRAP.",
)
@click.option("--port-base", type=int, metavar="N", help="Services on N..N+3 (default 8000).")
@click.option(
    "--living", is_flag=True, help="While this runs a made-up city lives on it: something to look at."
)
@click.option("--without-services", is_flag=True, hidden=True, help="Broker and database only.")
def up(
    home: Home, detach: bool, broker: str, port_base: int | None, living: bool, without_services: bool
) -> None:
    """Start what does not run; also heals a damaged stack."""
    from lianxin_local.bring_up import ENDING, bring_up, end, summary
    from lianxin_local.living import living as city_that_lives
    from lianxin_local.living import log_of

    if living and detach:
        raise Problem("--living lasts as long as the foreground: lianxin up --detach, then lianxin simulate")
    if not detach:
        for number in ENDING:
            signal.signal(number, interrupt)
    try:
        stack, pid = bring_up(home, broker, port_base, with_services=not without_services, leave=detach)
    except KeyboardInterrupt:
        if detach:
            raise
        say("interrupted: what this had started is stopped, what ran before goes on")
        return
    try:
        for line in summary(stack):
            click.echo(line)
        if detach:
            return
        if not living:
            say("running; Ctrl-C stops everything")
            watch(home, pid)
        else:
            with city_that_lives(home) as life:
                say(f"a made-up city lives on it (see {log_of(home)}); lianxin up alone leaves it out")
                say("running; Ctrl-C stops everything")
                watch(home, pid, life)
    except KeyboardInterrupt:
        pass
    end(home, pid)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Any signal to end is taken as Ctrl-C."""
    raise KeyboardInterrupt


def watch(home: Home, pid: int, life: subprocess.Popen[bytes] | None = None) -> None:
    """Tell of every process that ends or comes back, and of the city's `life` where it ends, until
    interrupted or the supervisor `pid` is gone."""
    from lianxin_local.living import log_of
    from lianxin_local.observe import last_error
    from lianxin_local.supervise import Supervisor

    supervisor = Supervisor(home)
    known = {state.name: state.pid for state in supervisor.states() if state.alive}
    while True:
        time.sleep(2.0)
        states = supervisor.states()
        if supervisor.pid() != pid:
            return
        if life is not None and life.poll() is not None:
            say(f"lianxin: the city has stopped living, the stack goes on: {last_error(log_of(home))}")
            life = None
        now = {state.name: state.pid for state in states if state.alive}
        for name in known.keys() | now.keys():
            if name not in now:
                say(f"lianxin: {name} has stopped: {last_error(home.logs / f'{name}.log')}")
            elif known.get(name) != now[name]:
                say(f"lianxin: {name} was started again (pid {now[name]})")
        known = now


@main.command()
@takes_data
def down(home: Home) -> None:
    """Stop everything; the data is kept."""
    from lianxin_local.bring_up import only_one, stop_all
    from lianxin_local.stack import require_stack

    require_stack(home)
    with only_one(home):
        say("stopped; the data is kept" if stop_all(home) else "nothing was running")


@main.command("status")
@takes_data
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status_command(home: Home, as_json: bool) -> None:
    """Tell what runs, where, and how far the opinions are."""
    from lianxin_local.stack import require_stack
    from lianxin_local.status import in_words, status

    told = status(require_stack(home))
    click.echo(json.dumps(told, ensure_ascii=False) if as_json else "\n".join(in_words(told)))


@main.command()
@takes_data
@click.option("--port-base", type=int, metavar="N", help="Look at the ports from here.")
def doctor(home: Home, port_base: int | None) -> None:
    """Look beforehand for what would keep the stack from starting."""
    from lianxin_local.doctor import examine

    bad = 0
    for name, well, words in examine(home, port_base):
        click.echo(f"{'ok ' if well else 'BAD'} {name:<11}{words}")
        bad += not well
    if bad:
        sys.exit(1)


if __name__ == "__main__":
    main()
