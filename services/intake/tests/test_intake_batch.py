"""An upload line by line, with a door of the test's own: what a line may do to its neighbours and to us."""

import asyncio
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from lianxin_contracts import registry
from lianxin_intake import batch, events
from lianxin_intake.batch import Lines
from lianxin_intake.context import Intake
from lianxin_intake.door import Prepared
from lianxin_intake.rates import Buckets
from lianxin_intake.rights import Caller

CITY = registry.Snapshot(version="1", city=registry.City("c", "C"))
APP = Caller(registry.Channel("app", "App"), frozenset({"submit"}), "hash")


class Body:
    """A request whose body comes in `chunks`."""

    def __init__(self, *chunks: bytes) -> None:
        self._messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        self._messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive(self) -> dict[str, Any]:
        return self._messages.pop(0)


class BrokenDoor:
    """Fails in a way that nobody expected: `while_handing_in`, else while it judges."""

    def __init__(self, *, while_handing_in: bool = False) -> None:
        self._while_handing_in = while_handing_in

    def prepare(self, raw: bytes, *_: object, **__: object) -> object:
        if b"bad" in raw and not self._while_handing_in:
            raise OverflowError("date value out of range")
        return Prepared(*[None] * len(Prepared.__slots__))  # type: ignore[arg-type]  # nobody looks inside

    async def hand_in(self, prepared: Sequence[object]) -> list[None]:
        raise OverflowError("date value out of range")


def intake(door: object = None, burst: float = 1e6) -> Any:
    rates = Buckets(rate=1e-6, burst=burst)
    return SimpleNamespace(door=door or BrokenDoor(), rates=rates)


async def results(at: Any, *chunks: bytes) -> list[dict[str, Any]]:
    upload = Lines(at, APP, CITY, None, None)
    lines = b"".join([chunk async for chunk in upload.results(Body(*chunks))])  # type: ignore[arg-type]
    return [json.loads(line) for line in lines.splitlines()]


@pytest.mark.parametrize("while_handing_in", [False, True])
async def test_an_error_that_nobody_expected_is_its_lines_result_alone(while_handing_in: bool) -> None:
    found = await results(intake(BrokenDoor(while_handing_in=while_handing_in)), b"bad\n\nbad")
    assert [(result["line"], result["status"]) for result in found] == [(1, 500), (2, 400), (3, 500)]
    assert found[0]["problem"]["reference"]


async def test_an_empty_line_counts_against_the_rate_as_any_other() -> None:
    at = intake(burst=3)
    uploading = asyncio.create_task(results(at, b"\n\n\n", b"\n"))
    await asyncio.wait([uploading], timeout=0.05)
    assert at.rates.empty_for(APP.key) > 0
    assert not uploading.done()
    uploading.cancel()


async def test_where_nobody_reads_the_results_the_upload_ends_and_says_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch, "MOST_UNREAD_BYTES", 1)
    monkeypatch.setattr(batch, "READ_PATIENCE_S", 0.01)
    upload = Lines(intake(), APP, CITY, None, None)
    body = Body(b"\n\n", b"\n\n", b"\n")
    with batch.Spool(1) as spool:
        await upload._read(body, spool)  # type: ignore[arg-type]
        lines = b"".join([chunk async for chunk in spool.chunks()]).splitlines()
    found = [json.loads(line) for line in lines]
    assert [(result["line"], result["status"]) for result in found] == [(1, 400), (2, 400), (3, 503)]
    assert found[-1]["problem"]["code"] == "results_unread"
    assert body._messages == []  # read to its end, so that a client that sends first comes to reading


async def test_a_window_of_faults_lets_others_run() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    with batch.Spool(1 << 30) as spool:
        await Lines(intake(), APP, CITY, None, None)._read(Body(b"\n" * 5_000), spool)  # type: ignore[arg-type]
    counting.cancel()
    assert turns >= 5_000 / batch.WINDOW


async def test_each_event_of_a_batch_counts_against_the_rate() -> None:
    at = intake(burst=2)
    at.require_rate = lambda caller: Intake.require_rate(at, caller)
    at.require_rate(APP)  # as the route does before it reads
    found = await events._batch(at, APP, CITY, {}, json.dumps([{}] * 4).encode())
    assert [result["status"] for result in found] == [400, 400, 429, 429]
    assert found[-1]["problem"]["retry_after"] >= 1
