"""No service needs another: one opinion is passed on like a baton, with one service running at a time."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lianxin_contracts import topics
from lianxin_contracts.lifecycle import Assigned
from lianxin_local.home import Home
from lianxin_local.supervise import Supervisor
from tests.end_to_end.log import read_log
from tests.support.stacks import LocalStack
from tests.support.wait import eventually, eventually_async

PROCESSES = {
    "intake": ("intake.api", "intake.worker"),
    "router": ("router.worker",),
    "notifier": ("notifier.api", "notifier.worker"),
    "metrics": ("metrics.api", "metrics.worker"),
}
PATIENCE_S = 120.0


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
    keys = stack.status()["keys"]
    submitter = {"Authorization": f"Bearer {keys['submit']}"}
    staff = {"Authorization": f"Bearer {keys['staff']}"}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        one_at_a_time.only("intake")
        said = {
            "text": "小区门口的路灯坏了三天，晚上看不见路",
            "station": "S0100",
            "topic": "urban.municipal",
        }
        accepted = await client.post(f"{stack.url('intake')}/v1/opinions", json=said, headers=submitter)
        assert accepted.status_code == 202, accepted.text
        opinion = accepted.json()["id"]

        one_at_a_time.only("router")
        assigned = await _assigned(stack, opinion)

        one_at_a_time.only("notifier")
        inbox = f"{stack.url('notifier')}/v1/inbox?deputy={assigned.assignee}"
        await _until_listed(client, inbox, staff, opinion)
        acted = await client.post(
            f"{stack.url('notifier')}/v1/cases/{opinion}/actions",
            json={"action": "accept", "as": assigned.assignee},
            headers=staff,
        )
        assert acted.status_code == 202, acted.text

        one_at_a_time.only("metrics")
        await _until_counted(client, f"{stack.url('metrics')}/metrics", await _assignments(stack))


async def _assignments(stack: LocalStack) -> int:
    log = await read_log(stack.bootstrap, [topics.LIFECYCLE])
    return sum(isinstance(event.data, Assigned) for _, event in log.events(topics.LIFECYCLE))


async def _until_counted(client: httpx.AsyncClient, metrics: str, assignments: int) -> None:
    """Ready means that metrics can be asked; what happened while it was down is counted soon after."""

    async def counted() -> bool:
        told = (await client.get(metrics)).raise_for_status().text
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


async def _until_listed(client: httpx.AsyncClient, inbox: str, staff: dict[str, str], opinion: str) -> None:
    async def listed() -> bool:
        answer = await client.get(inbox, headers=staff)
        return any(item["id"] == opinion for item in answer.raise_for_status().json()["items"])

    await eventually_async(listed, PATIENCE_S)
