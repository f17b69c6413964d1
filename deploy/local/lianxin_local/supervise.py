"""Keeping processes running: supervisord, spoken to over a socket that only its owner can open."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from lianxin_local.home import Home, write_private
from lianxin_local.problem import Problem, say
from lianxin_local.stack import Process

# supervisord's names of states in which a process is there, or about to be.
ALIVE = ("RUNNING", "STARTING", "STOPPING")


@dataclass(frozen=True, slots=True)
class State:
    """How one process is doing. `pid` is 0 when there is none."""

    name: str
    state: str
    pid: int
    why: str

    @property
    def alive(self) -> bool:
        """Whether there is a process."""
        return self.pid > 0 and self.state in ALIVE


class Supervisor:
    """The supervisor of one stack."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def _call(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.home.socket}")
        return ServerProxy("http://127.0.0.1", transport).supervisor

    def pid(self) -> int | None:
        """Its process id, by which one run of the stack is told from the next; None if it does not answer."""
        try:
            return int(self._call().getPID())
        except (OSError, HTTPException, Fault):
            return None

    def require_pid(self) -> int:
        """As `pid`; raises Problem if it does not answer."""
        if (pid := self.pid()) is None:
            raise Problem(
                f"the supervisor is gone: see {self.home.logs / 'supervisord.log'}, then lianxin up"
            )
        return pid

    def running(self) -> bool:
        """Whether it answers."""
        return self.pid() is not None

    def start(self, processes: Sequence[Process], well: Callable[[str], bool] = lambda _: True) -> None:
        """Make it run and know these processes; none is started. One that runs, is `well` and has other
        settings now keeps those that it has, and that is told. Raises Problem."""
        write_private(self.home.supervisor_config, configuration(self.home, processes))
        if self.running():
            try:
                self._adopt(well)
            except Fault as fault:
                raise Problem(
                    f"the supervisor does not take the settings: {fault.faultString}; lianxin down, then up"
                ) from None
            return
        # Each process gets its own settings from the configuration and none from here.
        bare = {name: value for name, value in os.environ.items() if not name.startswith("LIANXIN_")}
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.home.supervisor_config)]
        said = subprocess.run(command, env=bare, capture_output=True, text=True, check=False)
        if said.returncode:
            lines = (said.stderr or said.stdout).strip().splitlines() or ["no reason given"]
            raise Problem(f"the supervisor does not start: {lines[-1]}")
        deadline = time.monotonic() + 15
        while not self.running():
            if time.monotonic() > deadline:
                raise Problem(f"the supervisor does not answer: see {self.home.logs / 'supervisord.log'}")
            time.sleep(0.05)

    def _adopt(self, well: Callable[[str], bool]) -> None:
        call = self._call()
        added, changed, removed = call.reloadConfig()[0]
        alive = {state.name for state in self.states() if state.alive}
        kept = {name for name in changed if name in alive and well(name)}
        for name in sorted(kept):
            say(f"  {name} keeps the settings that it runs with; lianxin down, then up, for the new ones")
        gone = [name for name in removed if name not in alive] + [
            name for name in changed if name not in kept
        ]
        # One that ends again and again is in turn starting and waiting for its next try: either way it is
        # stopped first, or the supervisor would not let go of it.
        self.stop_processes(gone)
        for name in gone:
            call.removeProcessGroup(name)
        for name in added + [name for name in changed if name not in kept]:
            call.addProcessGroup(name)

    def states(self) -> list[State]:
        """Every process that it knows; none if it does not run."""
        try:
            told = self._call().getAllProcessInfo()
        except (OSError, HTTPException, Fault):
            return []
        return [State(one["name"], one["statename"], one["pid"], one["spawnerr"]) for one in told]

    def start_processes(self, names: Iterable[str]) -> list[str]:
        """Start those that do not run; returns them."""
        states = {state.name: state for state in self.states()}
        started = []
        for name in names:
            if states[name].alive:
                continue
            try:
                self._call().startProcess(name, False)
            except Fault as fault:
                if not fault.faultString.startswith("ALREADY_STARTED"):
                    raise Problem(f"{name} can't be started: {fault.faultString}") from None
            started.append(name)
        return started

    def stop_processes(self, names: Iterable[str]) -> None:
        """Stop those that run, all at once, and wait until they are gone."""
        wanted = set(names)
        for state in self.states():
            if state.name in wanted and (state.alive or state.state == "BACKOFF"):
                try:
                    self._call().stopProcess(state.name, False)
                except Fault as fault:
                    if not fault.faultString.startswith("NOT_RUNNING"):
                        raise Problem(f"{state.name} can't be stopped: {fault.faultString}") from None
        while any(state.name in wanted and state.pid for state in self.states()):
            time.sleep(0.05)

    def shut_down(self) -> None:
        """End the supervisor itself."""
        try:
            pid = self._call().getPID()
            self._call().shutdown()
        except (OSError, HTTPException, Fault):
            return
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.05)


def configuration(home: Home, processes: Sequence[Process]) -> str:
    """What supervisord reads."""
    lines = [
        "[unix_http_server]",
        f"file={escaped(home.socket)}",
        "chmod=0700",
        "[supervisord]",
        f"logfile={escaped(home.logs / 'supervisord.log')}",
        "logfile_maxbytes=2MB",
        "logfile_backups=2",
        f"pidfile={escaped(home.supervisor_pid)}",
        f"directory={escaped(home.root)}",
        "umask=077",
        *(["user=root"] if os.getuid() == 0 else []),  # else it warns about being root at each start
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for process in processes:
        lines += [
            f"[program:{process.name}]",
            f"command={' '.join(quoted(word) for word in process.command)}",
            f"environment={environment_of(process)}",
            "autostart=false",
            "autorestart=true",
            "startsecs=1",
            "startretries=1000000",  # what a process needs may be away for long; each wait is longer
            f"stopwaitsecs={process.patience}",
            "stopasgroup=true",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={escaped(home.logs / f'{process.name}.log')}",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=3",
        ]
    return "\n".join(lines) + "\n"


def environment_of(process: Process) -> str:
    """Its environment as supervisord wants it written."""
    marked = process.environment | {"LIANXIN_PROCESS": process.name}
    return ",".join(f"{name}={quoted(value)}" for name, value in marked.items())


def escaped(value: object) -> str:
    """A value in which supervisord expands nothing."""
    return str(value).replace("%", "%%")


def quoted(value: str) -> str:
    """A value that supervisord reads as one word."""
    quote = '"' if '"' not in value else "'"
    if quote in value or "\n" in value or " ;" in value or " #" in value:
        raise Problem(
            f"a setting or path can't hold both kinds of quotes, a line break or ' ;': {value[:40]!r}"
        )
    return f"{quote}{escaped(value)}{quote}"


def orphans(home: Home) -> dict[str, psutil.Process]:
    """Processes of this stack that outlived their supervisor, by name."""
    root = str(home.root)
    found = {}
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        name = environment.get("LIANXIN_PROCESS")
        if name and environment.get("LIANXIN_STACK") == root and process.pid != os.getpid():
            found[name] = process
    return found


def end_orphans(home: Home) -> list[str]:
    """Stop what outlived its supervisor, politely first; returns their names."""
    left = orphans(home)
    for process in left.values():
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, stubborn = psutil.wait_procs(left.values(), timeout=30)
    for process in stubborn:
        process.kill()
    psutil.wait_procs(stubborn, timeout=10)
    return sorted(left)
