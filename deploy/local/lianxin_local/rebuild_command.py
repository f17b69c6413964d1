"""`lianxin rebuild SERVICE`: a service's projections anew from the log, beside the live ones.

Runs the worker's own `--rebuild` with the surroundings of the running worker, and waits until the workers are
back on the new generation. No page goes blank meanwhile and nothing is sent outside.
"""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import psutil

from lianxin_local.home import Home
from lianxin_local.keys import secrets_of
from lianxin_local.observe import is_ready, last_error, waits_for
from lianxin_local.options import takes_data
from lianxin_local.problem import Problem, say
from lianxin_local.stack import SERVICES, Stack, environment, require_stack
from lianxin_local.supervise import Supervisor

# From the switch until the workers are back: they look every second, end, and start in 3 s on idle cores,
# 30 s on busy ones.
BACK_SECONDS = 180.0
STOP_SECONDS = 30.0


@click.command()
@takes_data
@click.argument("service", type=click.Choice(SERVICES))
def rebuild(home: Home, service: str) -> None:
    """Build SERVICE's projections anew from the log and switch to them when they have caught up."""
    stack = require_stack(home)
    worker = f"{service}.worker"
    with only_one_rebuild(home, service):
        began, before = time.monotonic(), pid_of(home, worker)
        build(stack, service, surroundings(stack, worker, before))
        say(f"  waiting for {worker} to come back on the new generation")
        wait_until_back(stack, worker, before)
    click.echo(f"{service} is rebuilt and live ({time.monotonic() - began:.0f} s)")


@contextmanager
def only_one_rebuild(home: Home, service: str) -> Iterator[None]:
    """Keep a second rebuild of the same service away. Raises Problem where one runs."""
    with (home.root / f"rebuild-{service}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Problem(f"a rebuild of {service} is running already: wait for it") from None
        yield


def pid_of(home: Home, worker: str) -> int:
    """The worker's process id. Raises Problem where it does not run: nobody would take the result over."""
    states = {state.name: state for state in Supervisor(home).states()}
    if not states:
        raise Problem(f"the stack in {home.root} does not run: start it with lianxin up")
    if worker not in states or not states[worker].alive:
        raise Problem(f"{worker} does not run: lianxin up starts it again, then rebuild")
    return states[worker].pid


def surroundings(stack: Stack, worker: str, pid: int) -> dict[str, str]:
    """What the running worker was told, whoever told it; under an instance name of its own."""
    try:
        told = psutil.Process(pid).environ()
    except psutil.Error:  # just being started again
        told = dict(os.environ) | environment(stack, worker, secrets_of(stack.home))
    name = f"{service_of(worker)}.rebuild"
    # Marked as the stack's, so that `down` finds it as well.
    marks = {"LIANXIN_INSTANCE": name, "LIANXIN_PROCESS": name, "LIANXIN_STACK": str(stack.home.root)}
    return told | marks


def build(stack: Stack, service: str, told: dict[str, str]) -> None:
    """Run the rebuild to its end, telling its progress. Raises Problem where it fails; the old generation
    then stays live, and the next rebuild goes on with what this one has done."""
    log = stack.home.logs / f"{service}.rebuild.log"
    command = [sys.executable, "-m", f"lianxin_{service}.worker", "--rebuild"]
    with log.open("w") as errors:
        running = subprocess.Popen(
            command, env=told, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            assert running.stdout is not None
            for line in running.stdout:
                say(f"  {line.rstrip()}")
            code = running.wait()
        except BaseException:  # Ctrl-C too: a rebuild that nobody waits for must not go on unseen
            stop(running)
            raise
    if code:
        raise Problem(failed(service, code, log))


def stop(running: subprocess.Popen[str]) -> None:
    """End a rebuild that nobody waits for any more."""
    running.terminate()
    try:
        running.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()


def failed(service: str, code: int, log: Path) -> str:
    """One line about a rebuild that ended with `code`."""
    how = f"was ended by signal {-code}" if code < 0 else "failed"
    return (
        f"the rebuild of {service} {how} and the generation before stays live: {last_error(log)} "
        f"(see {log}); the same command goes on with it"
    )


def wait_until_back(stack: Stack, worker: str, before: int) -> None:
    """Wait until another process than `before` runs as the worker and is ready. Raises Problem."""
    supervisor = Supervisor(stack.home)
    deadline = time.monotonic() + BACK_SECONDS
    while True:
        now = {state.name: state for state in supervisor.states()}.get(worker)
        if now is None:
            raise Problem(
                f"the supervisor is gone: see {stack.home.logs / 'supervisord.log'}, then lianxin up"
            )
        if now.alive and now.pid != before and is_ready(stack.process_url(worker)):
            return
        if time.monotonic() > deadline:
            waiting = waits_for(stack.process_url(worker))
            raise Problem(
                f"{service_of(worker)} is rebuilt, but {worker} is not ready after {BACK_SECONDS:.0f} s: "
                f"{waiting}; its log ends: {last_error(stack.home.logs / f'{worker}.log')}"
            )
        time.sleep(0.2)


def service_of(process: str) -> str:
    """The service that a process belongs to."""
    return process.partition(".")[0]
