"""A worker that is up before it has read the registry sends nothing yet, and holds nothing against it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from lianxin_chassis.database import close_database, open_database
from lianxin_chassis.marks import BUILT
from lianxin_chassis.settings import Settings
from lianxin_contracts import ids
from lianxin_contracts.deliveries import InboxEntry
from lianxin_notifier.alerts import Due
from lianxin_notifier.delivery_store import DeliveryStore
from tests.notifier.conftest import DATABASE, QUICK
from tests.notifier.running import Running
from tests.notifier.small_city import load_city
from tests.notifier.topics import deliveries, ensure_topics
from tests.notifier.waiting import eventually
from tests.support.brokers import Broker
from tests.support.databases import Database
from tests.support.smtp import SmtpServer


def queued(database: Database, due: Due) -> bool:
    """Queue `due` where the worker has made its collections; False before."""

    async def queue() -> bool:
        db = open_database(Settings(service="notifier", mongo_url=database.url, mongo_database=DATABASE))
        try:
            store = DeliveryStore(db)
            if await store.state() != BUILT:
                return False
            await store.queue([due], datetime.now(UTC))
            return True
        finally:
            await close_database(db)

    return asyncio.run(queue())


def test_a_mail_that_waits_for_the_registry_is_sent_by_its_first_attempt(
    tmp_path: Path,
    make_kafka: Callable[[], Broker],
    make_database: Callable[[], Database],
    smtp_server: SmtpServer,
) -> None:
    broker, database = make_kafka(), make_database()
    ensure_topics(broker.bootstrap)
    mail = {"smtp_host": smtp_server.host, "smtp_port": str(smtp_server.port), "attempts_limit": "2"}
    worker = Running("worker", tmp_path, broker, database.url, DATABASE, **QUICK, **mail).start(ready=False)
    try:
        opinion = ids.fresh()
        due = Due(
            alert=ids.fresh(),
            name="mail",
            kind="mail",
            target="m1@deputies.test",
            receiver="M1",
            opinion=opinion,
            cause=ids.fresh(),
            raised=datetime.now(UTC).replace(microsecond=0),
            entry=InboxEntry("opinion.assigned", "assigned", "open"),
        )
        eventually(lambda: queued(database, due))
        # Consuming already, so that its senders would have looked.
        eventually(lambda: set(worker.http.get("/readyz").json()["waiting_for"]) == {"registry"})
        load_city(broker.bootstrap)
        eventually(lambda: [d.status for d in deliveries(broker.bootstrap, opinion)][-1:] == ["sent"])
        told = [(d.status, d.attempt) for d in deliveries(broker.bootstrap, opinion)]
        assert told == [("attempting", 1), ("sent", 1)]
    finally:
        worker.stop()
