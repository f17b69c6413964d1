"""A worker that is started again whenever it ends, as a supervisor does."""

import threading

import httpx

from tests.notifier.running import Running
from tests.notifier.waiting import eventually


class Supervised:
    """`with` it; `ready` waits until the worker is live again."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.starts = 0
        self._ending = threading.Event()
        self._spawn()

    def __enter__(self) -> "Supervised":
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        self.ready()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(10)
        self.running.stop()

    def ready(self) -> None:
        eventually(self._is_ready)

    def _is_ready(self) -> bool:
        try:
            return self.running.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _watch(self) -> None:
        while not self._ending.wait(0.1):
            if self.running.spawned is not None and not self.running.spawned.alive:
                self._spawn()

    def _spawn(self) -> None:
        self.running.spawn()
        self.starts += 1
