"""Starting and stopping the whole stack, in order, telling how far it is."""

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from lianxin_local import tansu
from lianxin_local.home import Home
from lianxin_local.kafka import START_SECONDS as BROKER_SECONDS
from lianxin_local.kafka import Kafka, answers
from lianxin_local.keys import demo_keys_of
from lianxin_local.observe import is_ready, last_error, waits_for
from lianxin_local.ports import require_free
from lianxin_local.problem import Problem, Unobtainable, say
from lianxin_local.secantus import START_SECONDS as DATABASE_SECONDS
from lianxin_local.secantus import database_answers
from lianxin_local.seed import seed
from lianxin_local.stack import (
    SERVICE_PROCESSES,
    BrokerKind,
    Stack,
    choose,
    infrastructure,
    saved_stack,
    services,
)
from lianxin_local.supervise import Supervisor, end_orphans

# Measured about 10 s on two idle cores for seven processes; on busy ones their imports alone took 30 s.
SERVICE_SECONDS = 180.0


# A foreground `up` that ends waits so long for another lianxin to have stopped, or healed, the stack.
OTHERS_SECONDS = 60.0
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def bring_up(
    home: Home, broker: str, port_base: int | None, *, with_services: bool = True, leave: bool = False
) -> tuple[Stack, int]:
    """Start what does not run and wait until it is ready; returns the stack and its supervisor's pid.

    Raises Problem. A stack that ran before is then left as it is. One that this call started is stopped; with
    `leave` only if broker or database don't come up, so that services that don't can be looked at and healed.
    """
    home.prepare()
    with only_one(home):
        supervisor = Supervisor(home)
        healing = supervisor.running()
        stack = running_stack(home, broker, port_base) if healing else new_stack(home, broker, port_base)
        undo = not healing
        try:
            start_infrastructure(stack, supervisor, with_services)
            undo = undo and not leave
            if with_services:
                seed(stack)
                start_services(stack, supervisor)
            return stack, supervisor.require_pid()
        except BaseException:  # Ctrl-C as well
            if undo:
                with undisturbed():
                    stop_all(home)
            raise


def new_stack(home: Home, broker: str, port_base: int | None) -> Stack:
    """The stack to start where none runs."""
    if left := end_orphans(home):
        say(f"stopped what a killed supervisor had left: {', '.join(left)}")
    stack = choose(home, kind_of_broker(home, broker), port_base)
    require_free(
        (name, port)
        for name, port in stack.ports.items()
        if name.split(".")[0] not in ("broker", "database")
        or name.split(".")[0] in stack.own_infrastructure()
    )
    return stack


def running_stack(home: Home, broker: str, port_base: int | None) -> Stack:
    """The stack that runs there already, to be healed."""
    stack = saved_stack(home)
    if stack is None:
        raise Problem(f"{home.stack} is gone while its processes run: lianxin down, then up again")
    if broker not in ("auto", stack.broker) or port_base not in (None, stack.port_base):
        raise Problem(
            f"the stack in {home.root} runs with --broker {stack.broker} --port-base {stack.port_base}: "
            "to change that, lianxin down first"
        )
    return stack


def kind_of_broker(home: Home, wanted: str) -> BrokerKind:
    """Which broker to run; `auto` is Apache Kafka where it can be had."""
    if wanted == "auto" and os.environ.get("LIANXIN_KAFKA_BOOTSTRAP"):
        return "external"
    if wanted != "auto":
        return wanted  # type: ignore[return-value]  # click lets only the kinds pass
    try:
        Kafka.at(home.broker, 0, 0)
    except Unobtainable as problem:
        if home.broker.exists():
            raise
        say(f"lianxin: {problem.message}")
        return "tansu"
    return "kafka"


def start_infrastructure(stack: Stack, supervisor: Supervisor, with_services: bool) -> None:
    """Broker and database, until both answer."""
    if stack.broker == "tansu":
        say(f"lianxin: {tansu.NOTICE}")
    wanted = infrastructure(stack) + (services(stack) if with_services else [])
    supervisor.start(wanted, lambda name: does_its_work(stack, name))
    stack.save()
    alive = {state.name for state in supervisor.states() if state.alive}
    own = stack.own_infrastructure()
    require_free((name, stack.ports[name]) for name in own if name not in alive)
    supervisor.start_processes(own)
    wait_for("broker", lambda: asyncio.run(answers(stack.bootstrap)), BROKER_SECONDS, stack)
    wait_for("database", lambda: database_answers(stack.database_url), DATABASE_SECONDS, stack)


def does_its_work(stack: Stack, name: str) -> bool:
    """Whether a process of the stack answers as it should."""
    if name == "broker":
        return asyncio.run(answers(stack.bootstrap))
    if name == "database":
        return database_answers(stack.database_url)
    return is_ready(stack.process_url(name))


def wait_for(name: str, ready: Callable[[], bool], seconds: float, stack: Stack) -> None:
    """Wait until something answers, or say why it does not."""
    began = time.monotonic()
    own = name in stack.own_infrastructure()
    log = stack.home.logs / f"{name}.log"
    supervisor = Supervisor(stack.home)
    while not ready():
        if own and any(one.name == name and one.state in ("FATAL", "BACKOFF") for one in supervisor.states()):
            raise Problem(f"the {name} stops at once: {last_error(log)} (see {log})")
        if time.monotonic() - began > seconds:
            address = stack.bootstrap if name == "broker" else stack.database_url
            where = f"{last_error(log)} (see {log})" if own else f"is {address} right?"
            raise Problem(f"the {name} does not answer after {seconds:.0f} s: {where}")
        time.sleep(0.1)
    say(f"  {name} ready ({time.monotonic() - began:.1f} s)")


def start_services(stack: Stack, supervisor: Supervisor) -> None:
    """The services, all at once, until every process says that it is ready."""
    alive = {state.name for state in supervisor.states() if state.alive}
    require_free((name, stack.ports[name]) for name in SERVICE_PROCESSES if name not in alive)
    if "intake.mail" not in alive:
        require_free([("smtp", stack.ports["smtp"])])
    supervisor.start_processes(SERVICE_PROCESSES)
    began = time.monotonic()
    seconds = float(os.environ.get("LIANXIN_START_SECONDS", SERVICE_SECONDS))
    waiting = list(SERVICE_PROCESSES)
    while waiting:
        for name in [name for name in waiting if is_ready(stack.process_url(name))]:
            waiting.remove(name)
            say(f"  {name} ready ({time.monotonic() - began:.1f} s)")
        if waiting and time.monotonic() - began > seconds:
            log = stack.home.logs / f"{waiting[0]}.log"
            others = f" (nor {', '.join(waiting[1:])})" if waiting[1:] else ""
            raise Problem(
                f"{waiting[0]} is not ready after {seconds:.0f} s{others}: "
                f"{waits_for(stack.process_url(waiting[0]))}; its log ends: {last_error(log)} (see {log})"
            )
        time.sleep(0.2)


def stop_all(home: Home) -> bool:
    """Services first, so that what they hold gets out; then broker and database. Whether anything ran."""
    supervisor = Supervisor(home)
    ran = supervisor.running()
    if ran:
        names = [state.name for state in supervisor.states()]
        supervisor.stop_processes(name for name in names if name not in ("broker", "database"))
        supervisor.stop_processes(names)
        supervisor.shut_down()
    return bool(end_orphans(home)) or ran


def end(home: Home, pid: int) -> None:
    """Stop the stack whose supervisor is `pid`, and no other: it may have been stopped and started meanwhile.
    Raises Problem where it was, and where the supervisor had been killed."""
    with only_one(home, OTHERS_SECONDS), undisturbed():
        now = Supervisor(home).pid()
        if now == pid:
            say("stopping: services first, then broker and database")
            stop_all(home)
        elif now is not None:
            raise Problem(
                f"the stack in {home.root} was stopped and started again by someone else: it goes on"
            )
        elif left := end_orphans(home):
            raise Problem(
                f"the supervisor was gone (see {home.logs / 'supervisord.log'}); "
                f"stopped what it had left: {', '.join(left)}; lianxin up starts all again"
            )
    say("stopped; the data is kept")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C interrupt a stop."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def summary(stack: Stack) -> list[str]:
    """What to open and which keys to use."""
    keys = demo_keys_of(stack.home)
    return [
        f"intake    {stack.url('intake')}      POST /v1/opinions   a station's page /s/S0100   docs /docs",
        f"router    {stack.url('router')}      health and metrics",
        f"notifier  {stack.url('notifier')}      deputies' inbox /inbox   docs /docs",
        f"metrics   {stack.url('metrics')}      reports /v1/reports/day   docs /docs",
        f"broker    {stack.bootstrap} ({stack.broker})",
        f"database  {stack.database_url}",
        f"data      {stack.home.root}   logs {stack.home.logs}",
        f"submit key  {keys.submit}",
        f"staff key   {keys.staff}",
    ]


@contextmanager
def only_one(home: Home, seconds: float = 0.0) -> Iterator[None]:
    """Let nobody else start or stop the same stack meanwhile; one who does is waited for, so long. Raises
    Problem."""
    deadline = time.monotonic() + seconds
    with (home.root / "lock").open("w") as lock:
        while not locked(lock):
            if time.monotonic() >= deadline:
                raise Problem(
                    f"another lianxin is starting or stopping the stack in {home.root}: wait for it"
                )
            time.sleep(0.1)
        yield


def locked(file: IO[str]) -> bool:
    """Take the lock of a file, unless someone else has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
