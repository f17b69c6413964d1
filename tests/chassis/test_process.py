"""How a worker process ends: told to, by a part that is done, by a part that fails."""

import asyncio

import pytest

from lianxin_chassis.process import Worker, run_until_stopped


class Part:
    """A consumer or follower that runs until stopped, or fails at once."""

    def __init__(self, name: str, log: list[str], error: Exception | None = None) -> None:
        self.name = name
        self._log = log
        self._error = error
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        if self._error is not None:
            raise self._error
        await self._stopped.wait()

    def stop(self) -> None:
        self._log.append(self.name)
        self._stopped.set()


async def test_consumers_stop_before_the_followers_that_serve_them() -> None:
    log: list[str] = []
    stopping = asyncio.Event()
    stopping.set()
    worker = Worker(consumers=[Part("consumer", log)], followers=[Part("follower", log)])
    assert await run_until_stopped(worker, stopping) == 0
    assert log == ["consumer", "follower"]


async def test_a_task_that_returns_ends_the_worker_cleanly() -> None:
    async def generation_changed() -> None:
        return

    log: list[str] = []
    worker = Worker(consumers=[Part("consumer", log)], tasks=[generation_changed])
    assert await run_until_stopped(worker, asyncio.Event()) == 0
    assert log == ["consumer"]


@pytest.mark.parametrize("kind", ["consumers", "followers"])
async def test_a_part_that_fails_ends_the_worker_as_broken(kind: str) -> None:
    worker = Worker(**{kind: [Part("bad", [], ValueError("x"))]})  # type: ignore[arg-type]
    assert await run_until_stopped(worker, asyncio.Event()) == 70
