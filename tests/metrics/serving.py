"""The reports' API on a database that holds given events, without a broker."""

import asyncio
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Thread

import httpx
import uvicorn
from fastapi.testclient import TestClient

from lianxin_chassis.consumer import Message
from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.records import Record
from lianxin_contracts import topics
from lianxin_contracts.envelope import Event
from lianxin_metrics.api import create_app
from lianxin_metrics.counting import Counting
from lianxin_metrics.settings import MetricsSettings
from lianxin_metrics.store import FactStore
from tests.support.ports import free_port
from tests.support.wait import eventually


def messages(events: Iterable[Event]) -> list[Message]:
    return [
        Message(Record(topics.LIFECYCLE, 0, n, e.subject.encode(), b"", (), 0), e, e.subject)
        for n, e in enumerate(events)
    ]


def filled(url: str, events: Sequence[Event]) -> MetricsSettings:
    """A database of its own that holds `events`."""
    settings = MetricsSettings(mongo_url=url, mongo_database=f"api-{uuid.uuid4().hex[:8]}")

    async def fill() -> None:
        db = open_database(settings)
        store = FactStore(db, 1)
        await store.prepare()
        counting = Counting(store, lambda topic: topic.split(".")[0])
        all_of_it = messages(events)
        for start in range(0, len(all_of_it), 500):
            await counting.handle(all_of_it[start : start + 500])
        await store.finish()
        await close_database(db)

    asyncio.run(fill())
    return settings


@contextmanager
def serving(url: str, events: Sequence[Event]) -> Iterator[TestClient]:
    """The API in this process."""
    with TestClient(create_app(filled(url, events))) as client:
        eventually(lambda: client.get("/readyz").status_code == 200, timeout=120)
        yield client


@contextmanager
def listening(url: str, events: Sequence[Event]) -> Iterator[httpx.Client]:
    """The API behind a real socket; the client's base address is its own."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(filled(url, events)), port=port, log_level="warning"))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        eventually(lambda: client.get("/readyz").status_code == 200, timeout=120)
        yield client
    server.should_exit = True
    thread.join(30)
