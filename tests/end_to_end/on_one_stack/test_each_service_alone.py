"""No service needs another: one opinion is passed on like a baton, with one service running at a time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lianxin_contracts import topics
from lianxin_contracts.lifecycle import Assigned
from lianxin_local.home import Home
from lianxin_local.supervise import Supervisor
from tests.end_to_end import checks
from tests.end_to_end.log import read_log
from tests.end_to_end.surface import Addresses, Surface
from tests.support.stacks import LocalStack
from tests.support.wait import eventually, eventually_async

PROCESSES = {
    "intake": ("intake.api", "intake.worker"),
    "router": ("router.worker",),
    "notifier": ("notifier.api", "notifier.worker"),
    "metrics": ("metrics.api", "metrics.worker"),
}
PATIENCE_S = 300.0


class OneAtATime:
    """Keeps exactly one service of a stack running."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._supervisor = Supervisor(Home(Path(stack.directory)))

    def only(self, service: str) -> None:
        """Stop the other three, start this one and wait until it is ready."""
        self._supervisor.stop_processes([n for s, names in PROCESSES.items() if s != service for n in names])
        self._supervisor.start_processes(PROCESSES[service])
        eventually(lambda: self._stack.status()["services"][service]["ready"], PATIENCE_S)


@pytest.fixture
def one_at_a_time(stack: LocalStack) -> Iterator[OneAtATime]:
    yield OneAtATime(stack)
    stack.up()


async def test_each_service_does_its_part_while_the_other_three_are_down(
    stack: LocalStack, one_at_a_time: OneAtATime
):
    async with Surface(Addresses.of_status(stack.status()), patience_s=PATIENCE_S) as surface:
        one_at_a_time.only("intake")
        said = {
            "text": "小区门口的路灯坏了三天，晚上看不见路",
            "station": "S0100",
            "topic": "urban.municipal",
        }
        opinion = (await surface.submit(said, "alone")).body["id"]

        one_at_a_time.only("router")
        assigned = await _assigned(stack, opinion)

        one_at_a_time.only("notifier")
        await _until_listed(surface, assigned.assignee, opinion)
        await surface.act(opinion, "accept", assigned.assignee, "alone/accept")

        one_at_a_time.only("metrics")
        await _until_counted(surface, await _assignments(stack))


async def _assignments(stack: LocalStack) -> int:
    """Each once: a router that was stopped may have published one twice."""
    told = checks.histories(await read_log(stack.bootstrap, [topics.LIFECYCLE]))
    return sum(isinstance(event.data, Assigned) for events in told.values() for event in events)


async def _until_counted(surface: Surface, assignments: int) -> None:
    """Ready means that metrics can be asked; what happened while it was down is counted soon after."""

    async def counted() -> bool:
        told = await surface.metrics_text()
        return f'lianxin_opinion_events_total{{type="opinion.assigned"}} {float(assignments)}' in told

    await eventually_async(counted, PATIENCE_S)


async def _assigned(stack: LocalStack, opinion: str) -> Assigned:
    async def look() -> Assigned | None:
        log = await read_log(stack.bootstrap, [topics.LIFECYCLE])
        for _, event in log.events(topics.LIFECYCLE):
            if event.subject == opinion and isinstance(event.data, Assigned):
                return event.data
        return None

    found = await eventually_async(look, PATIENCE_S)
    assert found is not None
    return found


async def _until_listed(surface: Surface, deputy: str, opinion: str) -> None:
    async def listed() -> bool:
        return any(item["id"] == opinion for item in await surface.inbox(deputy))

    await eventually_async(listed, PATIENCE_S)
