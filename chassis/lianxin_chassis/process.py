"""Starting, running and stopping a process: the API kind and the worker kind."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import uvicorn
import uvloop
from fastapi import FastAPI

from lianxin_chassis import logs, problems
from lianxin_chassis.exits import BROKEN
from lianxin_chassis.health import Check, health_routes
from lianxin_chassis.patience import patiently
from lianxin_chassis.settings import Settings

log = logs.get_logger(__name__)
S = TypeVar("S", bound=Settings)

# From SIGTERM to the end, seconds: Kubernetes kills after 30.
STOP_S = 25.0


class Runs(Protocol):
    """A consumer or a follower."""

    async def run(self) -> None:
        """Work until stopped."""

    def stop(self) -> None:
        """Make `run` return."""


@dataclass(frozen=True)
class Worker:
    """What a worker process runs: consumers first in `stop`, since the others serve them.

    `consumers` and `followers` each `run()` until `stop()`; `tasks` are coroutine functions that run until
    they are cancelled, such as timers (one that returns ends the worker, cleanly); `checks` add to readiness.
    """

    consumers: Sequence[Runs] = ()
    followers: Sequence[Runs] = ()
    tasks: Sequence[Callable[[], Awaitable[None]]] = ()
    checks: Mapping[str, Check] = field(default_factory=dict)


def work_or_rebuild(
    settings: S,
    start: Callable[[S], AbstractAsyncContextManager[Worker]],
    rebuild: Callable[[S], Awaitable[None]],
) -> None:
    """The command line of every worker: with `--rebuild` await `rebuild` and exit, else `run_worker`. A
    rebuild that loses broker or database waits and goes on with the generation that it had begun."""
    arguments = argparse.ArgumentParser(prog=f"lianxin_{settings.service}.worker")
    arguments.add_argument(
        "--rebuild", action="store_true", help="build the projection anew beside the live one, switch, exit"
    )
    if arguments.parse_args().rebuild:
        logs.configure(settings.service, settings.instance, settings.log_level)
        uvloop.run(patiently(lambda: rebuild(settings)))
    else:
        run_worker(settings, lambda: start(settings))


def tell(line: str) -> None:
    """A line of progress on standard output, for whoever runs a rebuild."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run_api(app_factory: Callable[[], FastAPI], settings: Settings) -> None:
    """Serve the app until SIGTERM or SIGINT; open requests get 25 s. Returns when stopped."""
    logs.configure(settings.service, settings.instance, settings.log_level)
    uvloop.run(_serve_api(app_factory, settings))


def run_worker(settings: Settings, start: Callable[[], AbstractAsyncContextManager[Worker]]) -> None:
    """Run what `start` yields until SIGTERM or SIGINT, with `/livez`, `/readyz` and `/metrics` beside it.

    Ends within 25 s, by force at last (nothing in hand is acknowledged then). A part that ends by itself ends
    the process: exit 0 where it returned, 70 where it raised.
    """
    logs.configure(settings.service, settings.instance, settings.log_level)
    code = uvloop.run(_run_worker(settings, start))
    if code:
        sys.exit(code)


async def _serve_api(app_factory: Callable[[], FastAPI], settings: Settings) -> None:
    server = _server(app_factory(), settings)
    await server.serve()


def _server(app: FastAPI, settings: Settings) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=settings.http_host,
            port=settings.http_port,
            loop="uvloop",
            http="httptools",
            access_log=False,  # paths may hold tracking codes
            log_config=None,
            timeout_graceful_shutdown=int(STOP_S),
            server_header=False,
            forwarded_allow_ips=settings.trusted_proxies,
        )
    )


class _QuietServer(uvicorn.Server):
    """Uvicorn beside a worker: signals are the worker's."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


async def _run_worker(settings: Settings, start: Callable[[], AbstractAsyncContextManager[Worker]]) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    checks: dict[str, Check] = {"started": lambda: "starting"}

    def ask_to_stop() -> None:
        if "started" in checks:  # no part runs yet that would have anything in hand
            os._exit(0)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask_to_stop)
    async with _health_server(settings, checks), start() as worker:
        checks.pop("started")
        checks.update(worker.checks)
        checks["stopping"] = lambda: not stopping.is_set()
        return await run_until_stopped(worker, stopping)


@asynccontextmanager
async def _health_server(settings: Settings, checks: dict[str, Check]) -> AsyncIterator[None]:
    app = FastAPI(openapi_url=None)
    problems.install(app)
    app.include_router(health_routes(checks))
    base = _server(app, settings)
    server = _QuietServer(base.config)
    serving = asyncio.create_task(server.serve(), name="health")
    try:
        yield
    finally:
        server.should_exit = True
        server.force_exit = True
        await asyncio.wait([serving], timeout=2)


async def run_until_stopped(worker: Worker, stopping: asyncio.Event) -> int:
    """Run the parts of `worker` until `stopping` is set or one of them ends; returns the exit code. Takes at
    most 25 s to stop them, then ends the process."""
    consumers = [asyncio.ensure_future(part.run()) for part in worker.consumers]
    followers = [asyncio.ensure_future(part.run()) for part in worker.followers]
    tasks = [asyncio.ensure_future(task()) for task in worker.tasks]
    parts = [*consumers, *followers, *tasks]
    stop = asyncio.ensure_future(stopping.wait())
    await asyncio.wait([stop, *parts], return_when=asyncio.FIRST_COMPLETED)
    code = 0
    for part in parts:
        if part.done() and not part.cancelled() and (error := part.exception()) is not None:
            log.critical("a part of the worker failed", part=repr(part), exc_info=error)
            code = BROKEN
    stopping.set()
    stop.cancel()
    # Whatever hangs from here on: out. What is in hand is not acknowledged, so it comes again.
    loop = asyncio.get_running_loop()
    last = loop.call_later(STOP_S, os._exit, code or BROKEN)
    for runs in worker.consumers:
        runs.stop()
    await asyncio.gather(*consumers, return_exceptions=True)
    for runs in worker.followers:
        runs.stop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*followers, *tasks, return_exceptions=True)
    last.cancel()
    return code
